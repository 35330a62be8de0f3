"""Orders as the sandbox's products make them."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from connectors.records import OutboundLine, OutboundOrder
from tests.factories import make_outbound

MUG = OutboundLine(
    reference="81",
    sku="SKU-0001",
    name="Red mug",
    quantity=Decimal(2),
    unit_price=Decimal("20.00"),
    total=Decimal("40.00"),
    tax=Decimal("3.30"),
)
BOWL = OutboundLine(
    reference="82",
    sku="SKU-0002",
    name="Bowl",
    quantity=Decimal(1),
    unit_price=Decimal("7.50"),
    total=Decimal("7.50"),
)


def web_order(reference: str = "1001-9f3a2b1c", **fields: Any) -> OutboundOrder:
    """Two mugs, 40.00, tax 3.30, shipping 5.99, two off the whole: 47.29."""
    order = make_outbound(
        reference,
        number="WEB-1001",
        total=Decimal("47.29"),
        tax_total=Decimal("3.30"),
        shipping_total=Decimal("5.99"),
        discount_total=Decimal("2.00"),
    )
    return replace(order, **{"lines": (MUG,), **fields})


def two_lines(reference: str = "1001-9f3a2b1c", **fields: Any) -> OutboundOrder:
    """Two mugs and a bowl."""
    return web_order(reference, **{"lines": (MUG, BOWL), "total": Decimal("54.79"), **fields})
