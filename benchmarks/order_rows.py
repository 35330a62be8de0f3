"""What an Order Download leaves in the database, counted: floor and hub must have written the same."""

from __future__ import annotations

from carts.models import Order, OrderEvent, OrderLine, OrderPayload
from syncjobs.models import ApiCall, ApiCallBody, Delivery

MODELS = (Order, OrderLine, OrderEvent, OrderPayload, Delivery, ApiCall, ApiCallBody)


def row_counts() -> dict[str, int]:
    return {model._meta.verbose_name_plural.title(): model.objects.count() for model in MODELS}
