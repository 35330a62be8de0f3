"""Shipments of orders: shown, and booked by whoever ships."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework import serializers

from carts import order_flow
from carts.api.errors import Conflict
from carts.api.fields import HubSerializer, QuantityText
from carts.book_records import shipment_record
from carts.models import Order, OrderLine, PickOrder, Shipment, ShipmentLine
from carts.models.fields import plain_decimal
from carts.warehouse_book import BookError, WarehouseBook
from connectors.records import ShipmentLineRecord, ShipmentRecord

SMALLEST_QUANTITY = Decimal("0.00001")


class ShipmentLineSerializer(HubSerializer):
    line = serializers.IntegerField(source="order_line_id", help_text="The id of the order's line.")
    sku = serializers.CharField(source="order_line.sku")

    class Meta:
        model = ShipmentLine
        fields = ["line", "sku", "quantity"]


class ShipmentSerializer(HubSerializer):
    """A parcel or consignment that left the warehouse."""

    lines = ShipmentLineSerializer(many=True)

    class Meta:
        model = Shipment
        fields = [
            "id",
            "external_id",
            "carrier",
            "method",
            "tracking_number",
            "tracking_url",
            "shipped_at",
            "stored_at",
            "lines",
        ]


class NewShipmentLineSerializer(serializers.Serializer):
    """One of `sku` and `line` says what was shipped."""

    sku = serializers.CharField(required=False, max_length=200)
    line = serializers.IntegerField(required=False, help_text="The id of the order's line.")
    quantity = QuantityText(min_value=SMALLEST_QUANTITY)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("sku" in given) == ("line" in given):
            raise serializers.ValidationError({"sku": ["Give either the SKU or the id of the order's line."]})
        return given


class NewShipmentSerializer(serializers.Serializer):
    """What was shipped. Without `lines`: everything that is still open."""

    carrier = serializers.CharField(required=False, allow_blank=True, default="", max_length=120)
    method = serializers.CharField(required=False, allow_blank=True, default="", max_length=120)
    tracking_number = serializers.CharField(required=False, allow_blank=True, default="", max_length=200)
    tracking_url = serializers.URLField(required=False, allow_blank=True, default="", max_length=500)
    shipped_at = serializers.DateTimeField(required=False, help_text="Left out: now.")
    lines = NewShipmentLineSerializer(many=True, required=False, allow_empty=False)
    idempotency_key = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=100,
        help_text="A text of your own for this shipment. Sending it again never books twice.",
    )


def book_shipment(order_id: int, wanted: Mapping[str, Any], actor: str) -> tuple[Shipment, bool]:
    """Books a shipment of an order that is at the warehouse; the second value tells whether it is new.

    At the built-in warehouse it is written into the book first, and taken over at once under the id that the pickup
    uses as well, so that it is never counted twice. Raises ``Conflict`` or field errors.
    """
    with transaction.atomic():
        order = order_flow.locked(order_id)
        key = wanted["idempotency_key"]
        known = booked_before(order, key) if key else None
        if known:
            return known, False
        if order.status != Order.Status.AT_WAREHOUSE:
            raise Conflict(
                f"Order {order} is {order.get_status_display().lower()}; only an order at the warehouse can be shipped."
            )
        parts = chosen_lines(list(order.lines.all()), wanted.get("lines"))
        pick_order = pick_order_of(order)
        record = book_in(pick_order, parts, wanted, actor) if pick_order else given_record(order, parts, wanted)
        shipment = order_flow.add_shipment(order.pk, record)
        order_flow.note(order, "shipment_booked", f"Shipment {record.external_id} was reported.", actor)
        return shipment or order.shipments.get(external_id=record.external_id), True


def pick_order_of(order: Order) -> PickOrder | None:
    """The order as the built-in warehouse has it on its pick list; None for other warehouses."""
    if order.warehouse is None or not order.warehouse.is_in_hub:
        return None
    pick_order = PickOrder.objects.filter(warehouse_id=order.warehouse_id, reference=order.reference).first()
    if pick_order is None:
        raise Conflict(f"Order {order} is not on the pick list of {order.warehouse}.")
    return pick_order


def booked_before(order: Order, key: str) -> Shipment | None:
    """The shipment that was booked under this idempotency key."""
    external_ids = [key]
    if order.warehouse is not None and order.warehouse.is_in_hub:
        picks = PickOrder.objects.filter(warehouse_id=order.warehouse_id, reference=order.reference)
        ids = picks.filter(shipments__idempotency_key=key).values_list("shipments", flat=True)
        external_ids = [f"pick-{pk}" for pk in ids]
    return order.shipments.filter(external_id__in=external_ids).first()


def book_in(
    pick_order: PickOrder, parts: Mapping[OrderLine, Decimal] | None, wanted: Mapping[str, Any], actor: str
) -> ShipmentRecord:
    """Writes the shipment into the built-in warehouse's book."""
    try:
        booked = WarehouseBook(pick_order.warehouse_id).ship(
            pick_order,
            None if parts is None else {line.external_id: quantity for line, quantity in parts.items()},
            **{name: wanted[name] for name in ("carrier", "method", "tracking_number", "tracking_url")},
            shipped_by=actor,
            shipped_at=wanted.get("shipped_at"),
            idempotency_key=wanted["idempotency_key"],
        )
    except BookError as error:
        raise Conflict(f"{error} {error.fix}".strip()) from error
    return shipment_record(booked)


def given_record(order: Order, parts: Mapping[OrderLine, Decimal] | None, wanted: Mapping[str, Any]) -> ShipmentRecord:
    return ShipmentRecord(
        external_id=wanted["idempotency_key"] or str(uuid.uuid4()),
        order_reference=order.reference,
        shipped_at=wanted.get("shipped_at") or timezone.now(),
        **{name: wanted[name] for name in ("carrier", "method", "tracking_number", "tracking_url")},
        lines=tuple(
            ShipmentLineRecord(sku=line.sku, quantity=quantity, line_reference=line.external_id)
            for line, quantity in (parts or {}).items()
        ),
    )


def chosen_lines(
    lines: Sequence[OrderLine], wanted: Sequence[Mapping[str, Any]] | None
) -> dict[OrderLine, Decimal] | None:
    """How much of which line; None = everything that is open. A SKU that stands in several lines fills them one after
    the other. Raises field errors for what the order does not have, or not so much of."""
    if wanted is None:
        return None
    chosen: dict[OrderLine, Decimal] = {}
    errors: dict[int, dict[str, list[str]]] = {}
    for number, part in enumerate(wanted):
        key = "line" if "line" in part else "sku"
        fitting = [line for line in meant(lines, part) if line.ships]
        if not fitting:
            errors[number] = {key: ["The order has no such line to ship."]}
            continue
        rest: Decimal = part["quantity"]
        for line in fitting:
            taken = min(rest, line.open_quantity - chosen.get(line, Decimal(0)))
            if taken > 0:
                chosen[line] = chosen.get(line, Decimal(0)) + taken
                rest -= taken
        if rest:
            still_open = part["quantity"] - rest
            errors[number] = {"quantity": [f"Only {plain_decimal(still_open)} still open."]}
    if errors:
        raise serializers.ValidationError({"lines": errors})
    return chosen


def meant(lines: Sequence[OrderLine], part: Mapping[str, Any]) -> list[OrderLine]:
    if "line" in part:
        return [line for line in lines if line.pk == part["line"]]
    return order_flow.lines_with_sku(lines, part["sku"])
