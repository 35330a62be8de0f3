"""Rows of the built-in warehouse's book as the records that every warehouse gives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from carts.models import PickOrder, PickShipment, Product, StockLevel
from connectors.records import (
    LevelRecord,
    Page,
    ProductKind,
    ProductRecord,
    Reject,
    SentOrderRecord,
    SentOrderState,
    ShipmentLineRecord,
    ShipmentRecord,
)


def shipment_record(shipment: PickShipment) -> ShipmentRecord:
    return ShipmentRecord(
        external_id=f"pick-{shipment.pk}",
        order_reference=shipment.pick_order.reference,
        shipped_at=shipment.shipped_at,
        carrier=shipment.carrier,
        method=shipment.method,
        tracking_number=shipment.tracking_number,
        tracking_url=shipment.tracking_url,
        lines=tuple(
            ShipmentLineRecord(sku=line.pick_line.sku, quantity=line.quantity, line_reference=line.pick_line.reference)
            for line in sorted(shipment.lines.all(), key=lambda line: line.pk)
        ),
    )


STATES = {
    PickOrder.Status.SHIPPED: SentOrderState.SHIPPED,
    PickOrder.Status.CANCELLED: SentOrderState.CANCELLED,
    PickOrder.Status.REFUSED: SentOrderState.CANCELLED,
}


def sent_order_record(order: PickOrder) -> SentOrderRecord:
    return SentOrderRecord(
        reference=order.reference,
        remote_id=str(order.pk),
        state=STATES.get(PickOrder.Status(order.status), SentOrderState.OPEN),
        remote_status=order.get_status_display(),
    )


def level_record(level: StockLevel) -> LevelRecord:
    return LevelRecord(
        location_id=level.location.external_id,
        sku=level.sku,
        available=level.available,
        on_hand=level.on_hand,
    )


def product_page(products: Iterable[Product], cursor: str) -> Page[ProductRecord]:
    """A product whose prices are no numbers becomes a reject; the others are not held up by it."""
    records, rejects = [], []
    for product in products:
        try:
            records.append(product_record(product))
        except ValueError as error:
            payload = json.dumps({"sku": product.sku, "name": product.name, "prices": product.prices})
            rejects.append(Reject(external_id=product.external_id, reason=str(error), payload=payload.encode()))
    return Page(records=records, cursor=cursor, rejects=rejects)


def product_record(product: Product) -> ProductRecord:
    """Raises ``ValueError`` when the price lists cannot be read."""
    return ProductRecord(
        external_id=product.external_id,
        version=product.version,
        sku=product.sku,
        name=product.name,
        handle=product.handle,
        family_id=product.family_id,
        barcode=product.barcode,
        description=product.description,
        brand=product.brand,
        product_type=product.product_type,
        supplier=product.supplier,
        supplier_code=product.supplier_code,
        tags=tuple(product.tags),
        attributes=product.attributes,
        prices=prices_of(product),
        currency=product.currency,
        kind=ProductKind(product.kind),
        is_active=product.is_active,
        is_stock_tracked=product.is_stock_tracked,
        deleted=product.deleted,
    )


def prices_of(product: Product) -> dict[str, Decimal]:
    """Price list -> amount. Raises ``ValueError`` naming the price that is no number."""
    if not isinstance(product.prices, Mapping):
        raise ValueError(f"The prices of {product} are not a list of names and amounts.")
    prices = {}
    for name, text in product.prices.items():
        try:
            amount = Decimal(str(text))
        except InvalidOperation:
            amount = Decimal("nan")
        if not amount.is_finite():
            raise ValueError(f"The {name} price of {product} is not a number: {text}.")
        prices[name] = amount
    return prices
