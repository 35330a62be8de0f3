"""Carts that show the same stock: what one of them sold, the others must not sell again."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from carts.models import Cart
from connectors.functions import Function
from syncjobs.models import Run
from syncjobs.schedule import request_run

# So many sales of a busy shop share one look at the other shops' levels.
PAUSE = timedelta(seconds=10)


def tell_others(cart: Cart) -> None:
    """Queues an Inventory Sync for every other cart whose stock is at the location of this one. One query when there is
    none."""
    location = cart.stock_location()
    if location is None:
        return
    place = Q(location=location)
    if location.is_default:
        place |= Q(location=None, warehouse=location.warehouse_id)
    others = Cart.objects.filter(
        place,
        is_active=True,
        function_settings__function=Function.INVENTORY_SYNC,
        function_settings__is_on=True,
    ).exclude(pk=cart.pk)
    for other in others:
        request_run(other, Function.INVENTORY_SYNC, Run.Trigger.HUB, run_at=timezone.now() + PAUSE)
