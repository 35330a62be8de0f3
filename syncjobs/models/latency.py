"""How long orders take from step to step, counted per cart: rows grow with carts and days, never with orders."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import models

from carts.models import Cart

# Upper ends of the classes into which durations are counted, in seconds: percentiles follow from the counts. Fine where
# it matters, coarse above. One more class holds what is longer than the last end.
CLASS_ENDS = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600),
    *(5400, 7200, 10800, 14400, 21600, 28800, 43200, 86400, 172800, 345600, 604800, 2592000),
)
EVER = datetime(1970, 1, 1, tzinfo=UTC)


class LatencyCount(models.Model):
    """The durations of one step of a cart's orders within one hour, one day (UTC), or ever (``start`` is 1970)."""

    class Step(models.TextChoices):
        STORED = "stored", "Sale to hub"
        SENT = "sent", "Hub to warehouse"
        SHIPPED = "shipped", "Warehouse to shipped"
        CONFIRMED = "confirmed", "Shipped to confirmed"

    class Period(models.TextChoices):
        HOUR = "hour", "Hour"
        DAY = "day", "Day"
        EVER = "ever", "Ever"

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="latencies", db_index=False)
    step = models.CharField(max_length=10, choices=Step.choices)
    period = models.CharField(max_length=4, choices=Period.choices)
    start = models.DateTimeField()
    total = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0)
    slowest = models.FloatField(default=0)
    counts = models.JSONField(default=list, help_text="One number per class of CLASS_ENDS, and one for longer.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cart", "step", "period", "start"], name="latency_count_is_unique")
        ]
        indexes = [models.Index(fields=["period", "start"], name="latency_age")]

    def __str__(self) -> str:
        return f"{self.get_step_display()} of {self.cart}, {self.period} {self.start:%Y-%m-%d %H:%M}"


class LatencyCursor(models.Model):
    """One row: up to which line of the orders' histories the latencies are counted."""

    after_event = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"counted up to {self.after_event}"
