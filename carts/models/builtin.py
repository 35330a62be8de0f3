"""The book of a warehouse in the hub: orders to pick and what was shipped. Its stock is ``StockLevel``."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import models
from django.db.models import Q

from carts.models.connections import Location, Warehouse
from carts.models.fields import QuantityField
from connectors.records import OrderAnswer

ANSWERS = [(one.value, one.value.replace("_", " ").capitalize()) for one in OrderAnswer]


class PickOrder(models.Model):
    """An order that waits for a person (or a REST client) to pick and ship it."""

    class Status(models.TextChoices):
        OPEN = "open", "To pick"
        PARTLY_SHIPPED = "partly_shipped", "Partly shipped"
        SHIPPED = "shipped", "Shipped"
        CANCELLED = "cancelled", "Cancelled"
        REFUSED = "refused", "Refused"

    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE, related_name="pick_orders")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="pick_orders")
    reference = models.CharField(max_length=140)
    number = models.CharField(max_length=120)
    cart_name = models.CharField(max_length=120, blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OPEN)
    customer_name = models.CharField(max_length=300, blank=True)
    ship_to = models.JSONField(default=dict, blank=True)
    ship_method = models.CharField(max_length=120, blank=True)
    note = models.TextField(blank=True)
    placed_at = models.DateTimeField()
    received_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_how = models.TextField(blank=True, help_text="The last change of the shop, in words, for whoever picks.")

    # Where a WMS works on it through the REST API. A lease keeps it from other pickers until it ends; an acknowledged
    # order is the WMS's own.
    lease_holder = models.CharField(max_length=120, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    wms_id = models.CharField("id in the WMS", max_length=200, blank=True, default="")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=300, blank=True, default="")
    # What the WMS decided, as long as it holds.
    answer = models.CharField(max_length=30, blank=True, default="", choices=ANSWERS)
    answer_reason = models.CharField(max_length=500, blank=True, default="")
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["received_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["warehouse", "reference"], name="pick_order_is_unique")]
        indexes = [
            models.Index(fields=["warehouse", "status", "received_at"], name="pick_list"),
            models.Index(fields=["warehouse", "received_at"], name="pick_order_by_time"),
            models.Index(
                fields=["warehouse", "received_at"],
                condition=Q(status__in=["open", "partly_shipped"], acknowledged_at__isnull=True),
                name="pick_orders_to_fetch",
            ),
            models.Index(fields=["warehouse", "answered_at"], condition=~Q(answer=""), name="pick_order_answers"),
            models.Index(
                fields=["lease_until"],
                condition=Q(status="open", acknowledged_at__isnull=True, cancel_requested_at__isnull=False),
                name="pick_order_given_back",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    def is_leased(self, now: datetime) -> bool:
        return self.lease_until is not None and self.lease_until > now

    def is_with_wms(self, now: datetime) -> bool:
        """Does the WMS have it, for good or for the time of a lease?"""
        return self.acknowledged_at is not None or self.is_leased(now)


class PickLine(models.Model):
    pick_order = models.ForeignKey(PickOrder, on_delete=models.CASCADE, related_name="lines")
    reference = models.CharField(max_length=120)
    sku = models.CharField("SKU", max_length=200)
    sku_key = models.CharField(max_length=200, editable=False)
    name = models.CharField(max_length=500, blank=True)
    quantity = QuantityField()
    shipped = QuantityField(default=Decimal(0))
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["pick_order", "reference"], name="pick_line_is_unique")]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} x {self.sku}"

    @property
    def open_quantity(self) -> Decimal:
        return max(self.quantity - self.shipped, Decimal(0))


class PickShipment(models.Model):
    """What a person (or a REST client) marked as shipped."""

    pick_order = models.ForeignKey(PickOrder, on_delete=models.CASCADE, related_name="shipments")
    carrier = models.CharField(max_length=120, blank=True)
    method = models.CharField(max_length=120, blank=True)
    tracking_number = models.CharField(max_length=200, blank=True)
    tracking_url = models.URLField(max_length=500, blank=True)
    shipped_at = models.DateTimeField()
    shipped_by = models.CharField(max_length=150, blank=True)
    idempotency_key = models.CharField(max_length=120, blank=True, default="")
    booked_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["booked_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["pick_order", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="pick_shipment_is_booked_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.tracking_number}".strip() or f"Shipment {self.pk}"


class PickShipmentLine(models.Model):
    shipment = models.ForeignKey(PickShipment, on_delete=models.CASCADE, related_name="lines")
    pick_line = models.ForeignKey(PickLine, on_delete=models.CASCADE, related_name="shipment_lines")
    quantity = QuantityField()

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} x {self.pick_line.sku}"


class PickReturn(models.Model):
    """Goods that a customer brought back, announced to the warehouse: they wait for a person to receive them."""

    class Status(models.TextChoices):
        OPEN = "open", "To receive"
        RECEIVED = "received", "Received"
        CANCELLED = "cancelled", "Does not come"

    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE, related_name="pick_returns")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="pick_returns")
    reference = models.CharField(max_length=140)
    number = models.CharField(max_length=120)
    order_number = models.CharField(max_length=120, blank=True)
    cart_name = models.CharField(max_length=120, blank=True)
    customer_name = models.CharField(max_length=300, blank=True)
    reason = models.TextField(blank=True)
    restock = models.BooleanField(null=True, blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OPEN)
    placed_at = models.DateTimeField()
    announced_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["announced_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["warehouse", "reference"], name="pick_return_is_unique")]
        indexes = [models.Index(fields=["warehouse", "status", "announced_at"], name="return_list")]

    def __str__(self) -> str:
        return self.number


class PickReturnLine(models.Model):
    """``restocked`` is None until the return is received."""

    pick_return = models.ForeignKey(PickReturn, on_delete=models.CASCADE, related_name="lines")
    reference = models.CharField(max_length=120)
    sku = models.CharField("SKU", max_length=200)
    sku_key = models.CharField(max_length=200, editable=False)
    name = models.CharField(max_length=500, blank=True)
    quantity = QuantityField()
    restocked = models.BooleanField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["pick_return", "reference"], name="return_line_is_unique")]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} x {self.sku}"


class StockMovement(models.Model):
    """One change of what lies on the shelf, with its cause: the ledger that shows why a level is what it is."""

    class Cause(models.TextChoices):
        ORDER = "order", "Order shipped"
        RETURN = "return", "Customer return"
        ADJUSTMENT = "adjustment", "Stock adjustment"
        TRANSFER = "transfer", "Stock transfer"
        PERSON = "person", "Entered by hand"
        CSV = "csv", "CSV import"
        REST = "rest", "REST client"
        COUNT = "count", "Stock count posted"
        CHANGE = "change", "Stock change posted"

    location = models.ForeignKey(Location, on_delete=models.CASCADE, related_name="movements")
    sku = models.CharField("SKU", max_length=200)
    sku_key = models.CharField(max_length=200, editable=False)
    cause = models.CharField(max_length=12, choices=Cause.choices)
    quantity = QuantityField(help_text="What was added to the shelf, or taken from it.")
    on_hand = QuantityField(help_text="What lay there afterwards.")
    available = QuantityField(help_text="What of it could be sold afterwards.")
    document = models.CharField(max_length=200, blank=True, help_text="The order, return or document behind it.")
    note = models.CharField(max_length=300, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    moved_at = models.DateTimeField()
    counted_at = models.DateTimeField(
        null=True, blank=True, help_text="Of when the count is, or when it happened, where whoever posted it said so."
    )

    class Meta:
        ordering = ["-moved_at", "-pk"]
        indexes = [
            models.Index(fields=["location", "sku_key", "-moved_at", "-id"], name="movement_by_sku"),
            models.Index(fields=["location", "-moved_at", "-id"], name="movement_by_place"),
            models.Index(fields=["-moved_at", "-id"], name="movement_list"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():+f} x {self.sku} at {self.location}"


class BookedDocument(models.Model):
    """A stock document that the warehouse has booked, so that it is never booked again."""

    class Kind(models.TextChoices):
        ADJUSTMENT = "adjustment", "Stock adjustment"
        TRANSFER = "transfer", "Stock transfer"

    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE, related_name="booked_documents")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    reference = models.CharField(max_length=160)
    number = models.CharField(max_length=120, blank=True)
    remark = models.TextField(blank=True, help_text="What of it was not booked.")
    booked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["warehouse", "kind", "reference"], name="stock_document_is_booked_once")
        ]

    def __str__(self) -> str:
        return self.number or self.reference


class StockPosting(models.Model):
    """Stock changes that a REST client posted under a key of its own, so that the same call never counts twice."""

    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE, related_name="stock_postings", db_index=False)
    idempotency_key = models.CharField(max_length=120)
    fingerprint = models.CharField(max_length=64, help_text="Tells whether the key came again with other changes.")
    answer = models.JSONField(default=dict)
    posted_by = models.CharField(max_length=150, blank=True)
    posted_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["warehouse", "idempotency_key"], name="stock_posting_is_booked_once")
        ]

    def __str__(self) -> str:
        return self.idempotency_key
