"""Changes that a shop made to orders which had left for the warehouse. Every change of state goes through
``carts.change_flow``."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from carts.models.orders import Order


class OrderChange(models.Model):
    """A newer version of an order that the warehouse has, or may have. Until the warehouse takes it, the order itself
    stays as it was sent. ``content`` is what the order shall become (``carts.order_content``); ``differences`` says in
    words what of it differs from what was sent; ``added`` is how much more of each SKU key it needs."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waits for what was sent before"
        SENDING = "sending", "On its way to the warehouse"
        HELD = "held", "Waits for a decision"
        DONE = "done", "Taken over"
        KEPT = "kept", "Kept as sent"
        SUPERSEDED = "superseded", "Overtaken by a later change"
        CANCELLED = "cancelled", "Order cancelled"

    # Indexed by what is unique.
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="changes", db_index=False)
    version = models.BigIntegerField()
    reference = models.CharField(max_length=170, help_text="Unique for ever: how the warehouse knows this change.")
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.WAITING)
    content = models.JSONField()
    differences = models.JSONField(default=list)
    added = models.JSONField(default=dict, blank=True)
    problem = models.TextField(blank=True, help_text="Why the warehouse does not take it, in words.")
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["order", "version"], name="order_change_is_unique"),
            models.UniqueConstraint(fields=["order"], condition=Q(status="sending"), name="one_change_on_its_way"),
            models.UniqueConstraint(
                fields=["order"], condition=Q(status__in=["waiting", "held"]), name="one_change_that_waits"
            ),
        ]
        indexes = [
            models.Index(
                fields=["status"], condition=Q(status__in=["waiting", "sending", "held"]), name="order_change_open"
            ),
        ]

    def __str__(self) -> str:
        return f"Change of order {self.order}"

    @property
    def summary(self) -> str:
        return "; ".join(self.differences)
