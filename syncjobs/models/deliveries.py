"""The outbox: one row per thing that must reach a remote system, created together with the thing itself (law 3)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from carts.models import Connection, Order, OrderChange, Refund, Shipment, StockAdjustment, StockTransferStep


class Delivery(models.Model):
    class Kind(models.TextChoices):
        ORDER = "order", "Order"
        CHANGE = "change", "Change of an order"
        CANCELLATION = "cancellation", "Cancellation"
        SHIPMENT = "shipment", "Shipment confirmation"
        REFUND = "refund", "Return"
        ADJUSTMENT = "adjustment", "Stock adjustment"
        TRANSFER = "transfer", "Stock transfer"

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SENDING = "sending", "Sending"
        RETRY = "retry", "Waiting to retry"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    # Indexes below begin with it.
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    # What it is about: an order, a return (of an order that may never have been downloaded), or a stock document.
    order = models.ForeignKey(Order, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries")
    # Indexed below, where there is one.
    shipment = models.ForeignKey(
        Shipment, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries", db_index=False
    )
    refund = models.ForeignKey(
        Refund, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries", db_index=False
    )
    adjustment = models.ForeignKey(
        StockAdjustment, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries", db_index=False
    )
    transfer_step = models.ForeignKey(
        StockTransferStep, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries", db_index=False
    )
    change = models.ForeignKey(
        OrderChange, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries", db_index=False
    )
    reference = models.CharField(max_length=280)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    run_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    # True from the moment a call may have reached the remote until its outcome is known.
    in_doubt = models.BooleanField(default=False)
    lease_owner = models.CharField(max_length=64, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    remote_id = models.CharField(max_length=200, blank=True, default="")
    error_kind = models.CharField(max_length=40, blank=True, default="")
    error = models.TextField(blank=True, default="")
    fix = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    first_failed_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "kind", "reference"], name="delivery_is_unique"),
        ]
        indexes = [
            models.Index(fields=["run_at", "id"], condition=Q(state__in=["pending", "retry"]), name="delivery_queue"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="delivery_leases"),
            models.Index(fields=["connection", "-id"], name="delivery_history"),
            models.Index(
                fields=["connection", "kind", "remote_id"],
                condition=Q(remote_id__gt=""),
                name="delivery_with_remote_id",
            ),
            models.Index(fields=["shipment"], condition=Q(shipment__isnull=False), name="delivery_of_shipment"),
            models.Index(fields=["refund"], condition=Q(refund__isnull=False), name="delivery_of_refund"),
            models.Index(fields=["adjustment"], condition=Q(adjustment__isnull=False), name="delivery_of_adjustment"),
            models.Index(fields=["transfer_step"], condition=Q(transfer_step__isnull=False), name="delivery_of_step"),
            models.Index(fields=["change"], condition=Q(change__isnull=False), name="delivery_of_change"),
            models.Index(fields=["kind"], condition=Q(state="failed"), name="delivery_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.reference} to {self.connection}"

    @property
    def own_order(self) -> Order:
        """The order of a delivery that cannot be without one."""
        assert self.order is not None
        return self.order

    @property
    def subject(self) -> Order | Refund | StockAdjustment | StockTransferStep:
        """What it is about, for people."""
        return self.refund or self.stock_document or self.own_order

    @property
    def stock_document(self) -> StockAdjustment | StockTransferStep | None:
        """The adjustment, or the step of a transfer, of a delivery that is about stock."""
        return self.adjustment or self.transfer_step


class DeliveryAttempt(models.Model):
    """One try to deliver: when, how long, with what outcome. Counted before the call. Pruned by age."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempt_log")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=40, blank=True, default="")
    message = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["started_at", "pk"]
        indexes = [models.Index(fields=["started_at"], name="attempt_age")]

    def __str__(self) -> str:
        return f"Attempt {self.number} of {self.delivery}"
