"""Sales of both API families, told apart record by record (vend.md sections 3.3 to 3.5).

A dated version past its end is served by an older one without a word, so what a record looks like decides, not the
version that was asked for.
"""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.vend import shapes
from connectors.vend.mapping import first


class ShapePeek(shapes.Loose):
    """What tells the families apart."""

    totals: Any = None
    metadata: Any = msgspec.field(default=None, name="_metadata")
    total_price: Any = None
    sale_date: Any = None
    outlet_id: Any = None


PEEK = msgspec.json.Decoder(ShapePeek, strict=False)


def is_flat(record: bytes | msgspec.Raw) -> bool:
    """Is this a sale in the flat shape of API 2.0? False for what cannot be read at all."""
    try:
        peek = PEEK.decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if peek.totals is not None or peek.metadata is not None:
        return False
    return any(value is not None for value in (peek.total_price, peek.sale_date, peek.outlet_id))


class SaleReader(shapes.Reader[shapes.Sale]):
    """Reads a sale of either family as one of the dated family. The dated shape is tried first: reading it costs nothing
    more than before. Raises ``Unreadable``."""

    def __init__(self) -> None:
        super().__init__(shapes.Sale)
        self.flat = shapes.Reader(shapes.FlatSale)

    def read(self, record: bytes | msgspec.Raw) -> shapes.Sale:
        try:
            sale = self.decoder.decode(record)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return self.read_flat(record) if is_flat(record) else self.read_again(bytes(record), error)
        return self.read_flat(record) if sale.metadata is None and is_flat(record) else sale

    def read_flat(self, record: bytes | msgspec.Raw) -> shapes.Sale:
        return sale_from_flat(self.flat.read(record))


def sale_from_flat(flat: shapes.FlatSale) -> shapes.Sale:
    """A sale of API 2.0 in the shape of the dated family (section 3.5), so that one mapping serves both."""
    return shapes.Sale(
        id=flat.id,
        state=flat.state,
        status=flat.status,
        attributes=flat.attributes,
        customer_id=flat.customer_id,
        date=flat.sale_date,
        created_at=flat.created_at,
        updated_at=flat.updated_at,
        deleted_at=flat.deleted_at,
        invoice_number=flat.invoice_number,
        receipt_number=flat.receipt_number,
        short_code=flat.short_code,
        note=flat.note,
        source=shapes.SaleSource(
            type=flat.source, id=flat.source_id, outlet_id=flat.outlet_id, register_id=flat.register_id
        ),
        returned=shapes.SaleReturn(original_sale_id=flat.return_for),
        totals=shapes.SaleTotals(price=flat.total_price, price_incl_tax=flat.total_price_incl, tax=flat.total_tax),
        taxes=flat.taxes,
        line_items=[line_from_flat(line) for line in flat.line_items or ()],
        payments=[payment_from_flat(payment) for payment in flat.payments or ()],
        adjustments=flat.adjustments,
        ecom_custom_charges=flat.ecom_custom_charges,
        metadata=shapes.RecordMetadata(version=flat.version),
    )


def line_from_flat(line: shapes.FlatLine) -> shapes.SaleLine:
    return shapes.SaleLine(
        id=line.id,
        product=shapes.LineProduct(id=line.product_id),
        quantity=line.quantity,
        status=line.status,
        note=line.note,
        gift_card_number=line.gift_card_number,
        pricing=shapes.LinePricing(
            price=first(line.price, line.unit_price),
            total=first(line.price_total, line.total_price),
            discount=line.discount,
            discount_total=first(line.discount_total, line.total_discount),
        ),
        tax=shapes.LineTax(id=line.tax_id, amount=line.tax, total=first(line.tax_total, line.total_tax)),
        returned=shapes.LineReturn(is_return=line.is_return),
    )


def payment_from_flat(payment: shapes.FlatPayment) -> shapes.SalePayment:
    return shapes.SalePayment(
        id=payment.id,
        amount=payment.amount,
        date=payment.payment_date,
        type=shapes.PaymentType(
            config_id=payment.retailer_payment_type_id, id=payment.payment_type_id, name=payment.name
        ),
        source=shapes.PaymentSource(outlet_id=payment.outlet_id),
        deleted_at=payment.deleted_at,
    )
