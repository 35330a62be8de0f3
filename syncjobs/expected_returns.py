"""Goods that a shop took back and the warehouse has not received yet, as Inventory Sync sees them.

The shop's own level rose when the goods came back; the warehouse's rises when it receives them. In between the shop is
not pushed down again.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from django.db.models import Sum
from django.utils import timezone

from carts.models import Cart, Location, Refund, RefundLine

Status = Refund.Status

STEP = Decimal("0.00001")
# What was not received by then is not expected any more: not every warehouse tells what it received.
EXPECTED_FOR = timedelta(days=14)
EXPECTED = (Status.NEW, Status.HELD, Status.ERROR, Status.AT_WAREHOUSE)


@dataclass(frozen=True, slots=True)
class ExpectedBack:
    """Quantities by SKU key: ``sure`` is known to be on the shop's shelf again; of ``perhaps`` the cart does not tell."""

    sure: dict[str, Decimal] = field(default_factory=dict)
    perhaps: dict[str, Decimal] = field(default_factory=dict)

    @property
    def keys(self) -> Set[str]:
        return self.sure.keys() | self.perhaps.keys()


def expected_back(cart: Cart, places: Sequence[Location]) -> ExpectedBack:
    """What this cart's outlet took back for these locations. One query."""
    rows = (
        RefundLine.objects.filter(
            refund__cart_id=cart.pk,
            refund__location__in=places,
            refund__status__in=EXPECTED,
            refund__stored_at__gt=timezone.now() - EXPECTED_FOR,
            ships=True,
        )
        .exclude(sku_key="")
        .exclude(refund__restock=False)
        .order_by()
        .values_list("sku_key", "refund__restock")
        .annotate(Sum("quantity"))
    )
    found = ExpectedBack()
    for key, restock, quantity in rows:
        (found.sure if restock else found.perhaps)[key] = Decimal(quantity).quantize(STEP)
    return found
