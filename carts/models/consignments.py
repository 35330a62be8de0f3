"""Stock that a shop moved: its documents as they are there, and what was made of them for the warehouses.

Every change of state goes through ``carts.stock_flow``, which locks the consignment first.
"""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import Q

from carts.models.connections import Cart, Location, Warehouse
from carts.models.fields import MoneyField, QuantityField
from carts.models.merchants import Merchant
from connectors.records import ConsignmentKind, ConsignmentState, TransferStep


class Consignment(models.Model):
    """A stock document of a shop, as it is there now. It belongs to the store, not to the cart that found it: two carts of
    one store see the same document."""

    class Kind(models.TextChoices):
        PURCHASE = ConsignmentKind.PURCHASE.value, "Stock order"
        SUPPLIER_RETURN = ConsignmentKind.SUPPLIER_RETURN.value, "Return to supplier"
        COUNT = ConsignmentKind.COUNT.value, "Inventory count"
        TRANSFER = ConsignmentKind.TRANSFER.value, "Stock transfer"
        MANUAL = ConsignmentKind.MANUAL.value, "Manual adjustment"

    class State(models.TextChoices):
        OPEN = ConsignmentState.OPEN.value, "Open"
        SENT = ConsignmentState.SENT.value, "Sent"
        RECEIVED = ConsignmentState.RECEIVED.value, "Received"
        COUNTED = ConsignmentState.COUNTED.value, "Counted"
        CANCELLED = ConsignmentState.CANCELLED.value, "Cancelled"
        UNKNOWN = ConsignmentState.UNKNOWN.value, "Unknown"

    class Status(models.TextChoices):
        OPEN = "open", "Nothing moved yet"
        WAITING = "waiting", "Waiting"
        PASSED_ON = "passed_on", "Passed on"
        PARTLY = "partly", "Passed on in part"
        NOTHING = "nothing", "Nothing to pass on"
        HISTORY = "history", "Before the start"
        CANCELLED = "cancelled", "Cancelled"

    class History(models.TextChoices):
        """What of it happened before the function was switched on, and is in the warehouse's books already."""

        NOTHING = "", "Nothing"
        SENT = "sent", "The sending"
        ALL = "all", "All of it"

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="consignments")
    connector = models.CharField(max_length=40)
    store = models.CharField(max_length=300, help_text="What all carts of one store have in common.")
    external_id = models.CharField(max_length=120)
    kind = models.CharField(max_length=20, choices=Kind.choices, blank=True)
    state = models.CharField(max_length=20, choices=State.choices, default=State.OPEN)
    remote_status = models.CharField(max_length=60, blank=True)
    number = models.CharField(max_length=120, blank=True)
    name = models.CharField(max_length=300, blank=True)
    version = models.BigIntegerField(default=0)
    outlet_id_at_cart = models.CharField(max_length=120, blank=True)
    source_outlet_id_at_cart = models.CharField(max_length=120, blank=True)
    cart = models.ForeignKey(
        Cart,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="consignments",
        help_text="The cart of the outlet where the goods are or arrive.",
    )
    source_cart = models.ForeignKey(
        Cart,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="consignments_sent",
        help_text="The cart of the outlet where a transfer comes from.",
    )
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OPEN)
    problem = models.TextField(blank=True, help_text="Why it waits, or what of it was not passed on, in words.")
    history = models.CharField(max_length=4, choices=History.choices, blank=True, default=History.NOTHING)
    released_at = models.DateTimeField(
        null=True, blank=True, help_text="When a person let it go although it was from before the start."
    )
    taken_back_at = models.DateTimeField(
        null=True, blank=True, help_text="When a person had the warehouse undo what was passed on."
    )
    opened_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True, help_text="When it changed last in the shop.")
    stored_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-changed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "connector", "store", "external_id"], name="consignment_is_unique_per_store"
            )
        ]
        indexes = [
            models.Index(fields=["merchant", "-changed_at", "-id"], name="consignment_list"),
            models.Index(fields=["-changed_at", "-id"], name="consignment_list_of_all"),
            models.Index(
                fields=["merchant", "store"], condition=Q(status__in=["waiting", "partly"]), name="consignment_waiting"
            ),
        ]

    def __str__(self) -> str:
        return self.number or self.external_id

    @property
    def title(self) -> str:
        """What it is called in sentences: "Stock order CAR-25"."""
        return f"{self.get_kind_display()} {self}"


class ConsignmentLine(models.Model):
    """One article of a consignment. ``remark``: why nothing is passed on of it; ``left_out``: although it moved stock."""

    consignment = models.ForeignKey(Consignment, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField(default=0)
    product_id_at_cart = models.CharField(max_length=120)
    sku = models.CharField("SKU", max_length=200, blank=True)
    warehouse_sku = models.CharField("SKU at the warehouse", max_length=200, blank=True, editable=False)
    sku_key = models.CharField(max_length=200, blank=True, editable=False)
    name = models.CharField(max_length=500, blank=True)
    count = QuantityField(null=True, blank=True, help_text="Ordered, sent or expected.")
    received = QuantityField(null=True, blank=True, help_text="Received or counted.")
    cost = MoneyField(null=True, blank=True, default=None)
    problem_at_cart = models.CharField(max_length=200, blank=True)
    remark = models.CharField(max_length=300, blank=True)
    left_out = models.BooleanField(default=False)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["consignment", "product_id_at_cart"], name="consignment_line_is_unique")
        ]

    def __str__(self) -> str:
        return self.sku or self.name or self.product_id_at_cart

    @property
    def sku_at_warehouse(self) -> str:
        return self.warehouse_sku or self.sku


class StockDocument(models.Model):
    """What adjustments and steps of transfers share: a document for one warehouse, made of one consignment."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        NEW = "new", "New"
        BOOKED = "booked", "Booked"
        ERROR = "error", "Error"
        CANCELLED = "cancelled", "Cancelled"
        WITHDRAWN = "withdrawn", "Withdrawn"

    class Source(models.TextChoices):
        WEBHOOK = "webhook", "Real time"
        SEARCH = "search", "Search"
        PERSON = "person", "Person"

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="+")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=160, help_text="Unique for ever: how the warehouse knows it.")
    source = models.CharField(max_length=10, choices=Source.choices)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.NEW)
    problem = models.TextField(blank=True, help_text="Why it waits or was refused, or what of it was not booked.")
    happened_at = models.DateTimeField(help_text="When the stock moved in the shop.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    booked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class StockDocumentLine(models.Model):
    """``sku`` is that of the warehouse, at the moment in which the document was made."""

    product_id_at_cart = models.CharField(max_length=120)
    sku = models.CharField("SKU", max_length=200)
    sku_key = models.CharField(max_length=200, editable=False)
    name = models.CharField(max_length=500, blank=True)
    quantity = QuantityField()
    cost = MoneyField(null=True, blank=True, default=None)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} x {self.sku}"


class StockAdjustment(StockDocument):
    """A change of levels at one location. ``effect`` names the part of the consignment that it carries."""

    class Effect(models.TextChoices):
        RECEIVED = "received", "Received"
        SENT = "sent", "Sent"
        COUNTED = "counted", "Counted"

    consignment = models.ForeignKey(Consignment, on_delete=models.CASCADE, related_name="adjustments")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="adjustments")
    effect = models.CharField(max_length=10, choices=Effect.choices)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "reference"], name="stock_adjustment_reference_is_unique")
        ]
        indexes = [
            models.Index(fields=["merchant", "-created_at", "-id"], name="adjustment_list"),
            models.Index(fields=["-created_at", "-id"], name="adjustment_list_of_all"),
            models.Index(fields=["location", "booked_at"], name="adjustment_by_booking"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def number(self) -> str:
        """What people call it: as the shop's own document."""
        return str(self.consignment)


class StockAdjustmentLine(StockDocumentLine):
    """``quantity`` is signed: what is added to the level."""

    adjustment = models.ForeignKey(StockAdjustment, on_delete=models.CASCADE, related_name="lines")

    class Meta:
        ordering = ["pk"]


class StockTransfer(models.Model):
    """Goods on their way from one location to another, as one warehouse sees it. ``has_transit``: the warehouse books it
    in two steps; unknown until both locations are."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        IN_TRANSIT = "in_transit", "In transit"
        RECEIVED = "received", "Received"
        NOTHING = "nothing", "Nothing to move"
        CANCELLED = "cancelled", "Cancelled"

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="stock_transfers")
    consignment = models.OneToOneField(Consignment, on_delete=models.CASCADE, related_name="transfer")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    from_location = models.ForeignKey(Location, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    to_location = models.ForeignKey(Location, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    has_transit = models.BooleanField(null=True, blank=True)
    reference = models.CharField(max_length=140)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.WAITING)
    problem = models.TextField(blank=True)
    remote_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "reference"], name="stock_transfer_reference_is_unique")
        ]
        indexes = [
            models.Index(fields=["merchant", "-created_at", "-id"], name="transfer_list"),
            models.Index(fields=["-created_at", "-id"], name="transfer_list_of_all"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def number(self) -> str:
        """What people call it: as the shop's own document."""
        return str(self.consignment)


class StockTransferStep(StockDocument):
    """One step of a transfer, told to the warehouse."""

    class Step(models.TextChoices):
        SENT = TransferStep.SENT.value, "Sent"
        RECEIVED = TransferStep.RECEIVED.value, "Received"
        MOVED = TransferStep.MOVED.value, "Moved"

    transfer = models.ForeignKey(StockTransfer, on_delete=models.CASCADE, related_name="steps")
    step = models.CharField(max_length=10, choices=Step.choices)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "reference"], name="transfer_step_reference_is_unique")
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def number(self) -> str:
        """What people call it: as the shop's own document."""
        return str(self.transfer.consignment)


class StockTransferLine(StockDocumentLine):
    """``quantity`` is what moves in this step; below zero where it corrects an earlier one."""

    step = models.ForeignKey(StockTransferStep, on_delete=models.CASCADE, related_name="lines")

    class Meta:
        ordering = ["pk"]


class StockOnItsWay(models.Model):
    """What a consignment changed in the shop and the warehouse has not booked yet, per location and SKU: Inventory Sync
    must not undo it. Kept by ``carts.stock_flow``."""

    consignment = models.ForeignKey(Consignment, on_delete=models.CASCADE, related_name="on_its_way")
    location = models.ForeignKey(Location, on_delete=models.CASCADE, related_name="+")
    sku_key = models.CharField(max_length=200)
    quantity = QuantityField(default=Decimal(0))
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["consignment", "location", "sku_key"], name="stock_on_its_way_is_unique")
        ]
        indexes = [models.Index(fields=["location", "changed_at"], name="stock_on_its_way_by_place")]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} x {self.sku_key}"
