"""*Send products to the warehouse*: the page that says what would happen, and asks for the preview or for the run."""

from __future__ import annotations

from typing import Any

from carts.models import Cart, Connection, Product, Warehouse
from connectors.functions import Function
from syncjobs.flows.product_sync import product_sources, words_of_led
from syncjobs.models import Run
from syncjobs.schedule import request_run

SYNC = Function.PRODUCT_DETAIL_SYNC


def receiving_warehouse(connection: Connection) -> Warehouse | None:
    """The warehouse that takes the products of this cart, or of this warehouse's carts; None when there is none, or when
    its system cannot."""
    cart = Cart.objects.select_related("warehouse").filter(pk=connection.pk).first()
    warehouse = cart.warehouse if cart is not None else Warehouse.objects.filter(pk=connection.pk).first()
    return warehouse if warehouse is not None and SYNC in warehouse.possible_functions else None


def facts(warehouse: Warehouse) -> dict[str, Any]:
    """What the page shows: the shops that take part, those that do not, and why."""
    sources, led = product_sources(warehouse, with_switched_off=True)
    shops = [
        {
            "cart": cart,
            "products": Product.objects.filter(connection_id=cart.pk, deleted=False).count(),
            "takes_part": cart.is_active,
        }
        for cart in sources
    ]
    return {
        "warehouse": warehouse,
        "shops": shops,
        "led": [{"cart": cart, "why": words_of_led(cart, warehouse)} for cart in led],
        "can_send": warehouse.is_active and any(shop["takes_part"] for shop in shops),
        "can_preview": bool(shops),
        "keeps_in_step": warehouse.function_is_on(SYNC),
    }


def ask(warehouse: Warehouse, *, dry_run: bool, actor: str) -> Run:
    """Queues the run that goes over all products."""
    return request_run(warehouse, SYNC, Run.Trigger.PERSON, full=True, dry_run=dry_run, requested_by=actor)
