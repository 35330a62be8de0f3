"""Reconciliation: reports that compare a cart, the hub and the warehouse, and what did not agree."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from carts.models import Cart, Order
from syncjobs.models.runs import Run


class Reconciliation(models.Model):
    """One comparison of one cart over one period, made by a run. ``counts`` says what was looked at, ``left_out`` in
    sentences what was not, and why. ``progress`` is where the next slice of the run goes on; ``error`` why the last try
    did not get to the end."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        DONE = "done", "Done"

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="reconciliations")
    run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, blank=True, related_name="reconciliations")
    since = models.DateTimeField()
    until = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    requested_by = models.CharField(max_length=150, blank=True)
    requested_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict, blank=True)
    left_out = models.JSONField(default=list, blank=True, help_text="What was not compared, and why.")
    found = models.PositiveIntegerField(default=0, help_text="How many things did not agree.")
    progress = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["requested_at"], name="reconciliation_age")]

    def __str__(self) -> str:
        return f"{self.cart}, {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}"


class Mismatch(models.Model):
    """Something that cart, hub and warehouse say differently. One open row per cart, cause and subject: seen again it
    keeps its age; not seen again it is gone."""

    class Cause(models.TextChoices):
        MISSING_HERE = "missing_here", "Order of the cart is missing here"
        MISSING_AT_CART = "missing_at_cart", "Order is here, but not in the cart"
        CANCELLED_AT_CART = "cancelled_at_cart", "Cancelled in the cart, alive here"
        CANCELLED_HERE = "cancelled_here", "Cancelled here, alive in the cart"
        TOTAL_DIFFERS = "total_differs", "Totals differ"
        NOT_SENT = "not_sent", "Not at the warehouse yet"
        MISSING_AT_WAREHOUSE = "missing_at_warehouse", "The warehouse does not have it"
        ALIVE_AT_WAREHOUSE = "alive_at_warehouse", "Cancelled here, alive at the warehouse"
        CANCELLED_AT_WAREHOUSE = "cancelled_at_warehouse", "Cancelled at the warehouse, alive here"
        SHIPPED_AT_WAREHOUSE = "shipped_at_warehouse", "Shipped, but not known here"
        ARRIVED_UNKNOWN = "arrived_unknown", "At the warehouse, but not known here"
        TOTAL_AT_WAREHOUSE = "total_at_warehouse", "Totals differ at the warehouse"
        NOT_CONFIRMED = "not_confirmed", "Shipped, but the cart was not told"
        STOCK_DIFFERS = "stock_differs", "Stock differs"
        RETAIL_PRICE_DIFFERS = "retail_price", "Retail price differs"
        SUPPLY_PRICE_DIFFERS = "supply_price", "Supply price differs"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        FIXING = "fixing", "Being mended"
        GONE = "gone", "Gone"
        ACCEPTED = "accepted", "Accepted"

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="mismatches")
    report = models.ForeignKey(
        Reconciliation, on_delete=models.SET_NULL, null=True, blank=True, related_name="mismatches"
    )
    cause = models.CharField(max_length=30, choices=Cause.choices)
    subject = models.CharField(
        max_length=200, help_text="The order's id in the cart, the SKU, or the product's id in the cart (prices)."
    )
    label = models.CharField(max_length=200, help_text="The order's number, or the SKU.")
    order = models.ForeignKey(Order, on_delete=models.CASCADE, null=True, blank=True, related_name="mismatches")
    placed_at = models.DateTimeField(null=True, blank=True, help_text="When the order was placed.")
    place = models.CharField(
        max_length=200, blank=True, help_text="The other side: the cart or the warehouse; for stock also the location."
    )
    here = models.CharField(max_length=200, blank=True, help_text="What the hub says.")
    there = models.CharField(max_length=200, blank=True, help_text="What the cart or the warehouse says.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "mismatches"
        ordering = ["first_seen_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["cart", "cause", "subject"],
                condition=Q(state__in=["open", "fixing"]),
                name="one_open_mismatch_per_subject",
            )
        ]
        indexes = [
            models.Index(fields=["cart", "state", "cause"], name="mismatch_by_cause"),
            models.Index(fields=["last_seen_at"], name="mismatch_age"),
            models.Index(fields=["report", "cause"], name="mismatch_by_report"),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.get_cause_display()}"
