"""Under which SKU a warehouse knows the goods on a line: the SKU of the article that the line's product is
(``carts.stock_keys``), as long as nobody wrote another SKU on the line.

A line keeps the shop's SKU (``sku``); ``warehouse_sku`` is the warehouse's where it is another, and ``sku_key`` the key
of that one. What was sent stays as it was sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from carts.models import Cart, Order, OrderLine, Product, Refund, RefundLine
from carts.models.catalogue import sku_key

UNSENT_ORDERS = (Order.Status.NEW, Order.Status.HELD, Order.Status.ERROR)
UNSENT_REFUNDS = (Refund.Status.NEW, Refund.Status.HELD, Refund.Status.ERROR, Refund.Status.NOT_SENT)


def warehouse_sku(sku: str, product_sku: str, stock_sku: str) -> str:
    """The warehouse's SKU of a line that shows ``sku``; "" when it is the same, or when the line does not show the
    product's own SKU, so that it was set by hand or is an older one."""
    return stock_sku if stock_sku and sku_key(sku) == sku_key(product_sku) else ""


def key_of(sku: str, sku_there: str) -> str:
    """The key by which stock knows a line."""
    return sku_key(sku_there or sku)[:200]


def set_sku(line: Any, sku: str, sku_there: str = "") -> None:
    """Writes a SKU on a line of an order, a refund or a consignment, without saving."""
    line.sku, line.warehouse_sku, line.sku_key = sku, sku_there, key_of(sku, sku_there)


def products_of(cart_id: int, external_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The cart's id of a product -> (its SKU, the warehouse's SKU where it is another). One query."""
    rows = Product.objects.filter(connection_id=cart_id, external_id__any_of=external_ids).order_by()
    return {
        external_id: (sku, there) for external_id, sku, there in rows.values_list("external_id", "sku", "stock_sku")
    }


def bring_up_to_date(cart_id: int, lines: Iterable[Any]) -> list[Any]:
    """Lines of a cart that go out now, or that still may: under the SKU that counts at this moment. One query, and one
    more for those that changed, which are written and returned."""
    lines = [line for line in lines if line.product_id_at_cart and line.sku]
    products = products_of(cart_id, {line.product_id_at_cart for line in lines}) if lines else {}
    changed = []
    for line in lines:
        product = products.get(line.product_id_at_cart)
        if product is None or sku_key(line.sku) != sku_key(product[0]):
            continue
        there = warehouse_sku(line.sku, *product)
        if line.warehouse_sku != there:
            set_sku(line, line.sku, there)
            changed.append(line)
    if changed:
        type(changed[0])._default_manager.bulk_update(changed, ["warehouse_sku", "sku_key"], batch_size=200)
    return changed


def relabel(cart: Cart, external_ids: Collection[str]) -> None:
    """These products of a cart are other articles at the warehouse now: what was not sent follows."""
    orders = OrderLine.objects.filter(
        order__merchant_id=cart.merchant_id,
        order__status__in=UNSENT_ORDERS,
        order__cart_id=cart.pk,
        product_id_at_cart__any_of=external_ids,
    )
    bring_up_to_date(cart.pk, orders)
    refunds = RefundLine.objects.filter(
        refund__cart_id=cart.pk, refund__status__in=UNSENT_REFUNDS, product_id_at_cart__any_of=external_ids
    )
    bring_up_to_date(cart.pk, refunds.exclude(order_line__order__at_warehouse_at__isnull=False))
