"""Carts that show the same stock: what one of them sold, the others must not sell again."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from carts.models import Cart, StockFrom
from connectors.functions import Function
from syncjobs.models import Run
from syncjobs.schedule import request_run

# So many sales of a busy shop share one look at the other shops' levels.
PAUSE = timedelta(seconds=10)


def tell_others(cart: Cart) -> None:
    """Queues an Inventory Sync for every other cart that shows the stock of the location where this one's sales are
    booked, alone or among others. Two queries when there is none."""
    location = cart.stock_location()
    if location is None or cart.warehouse is None:
        return
    shows = Q(stock_from=StockFrom.ALL) | Q(stock_from=StockFrom.SET, stock_locations=location)
    shows |= Q(stock_from=StockFrom.LOCATION, location=location)
    if location == cart.warehouse.default_location():
        shows |= Q(stock_from=StockFrom.LOCATION, location=None)
    others = Cart.objects.filter(
        shows,
        warehouse=cart.warehouse,
        is_active=True,
        function_settings__function=Function.INVENTORY_SYNC,
        function_settings__is_on=True,
    ).exclude(pk=cart.pk)
    for other in others.distinct():
        request_run(other, Function.INVENTORY_SYNC, Run.Trigger.HUB, run_at=timezone.now() + PAUSE)
