"""The outbox of webhooks to a WMS: one row per event, created together with what it tells (law 3)."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from carts.models import Warehouse


class WmsWebhook(models.Model):
    """``subject`` is the reference of the order, return or document it is about: its webhooks keep their order. ``id`` grows
    with every event of a warehouse."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SENDING = "sending", "Sending"
        RETRY = "retry", "Waiting to retry"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE, related_name="wms_webhooks", db_index=False)
    event_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    topic = models.CharField(max_length=60)
    subject = models.CharField(max_length=280, blank=True)
    number = models.CharField(max_length=120, blank=True)
    body = models.TextField(help_text="The JSON exactly as it is sent.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    run_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    first_failed_at = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=64, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    status = models.PositiveIntegerField(null=True, blank=True, help_text="What the WMS answered last.")
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "webhook to a WMS"
        verbose_name_plural = "webhooks to the WMS"
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["run_at", "id"], condition=Q(state__in=["pending", "retry"]), name="wms_webhook_queue"
            ),
            models.Index(
                fields=["warehouse", "subject", "id"],
                condition=Q(state__in=["pending", "sending", "retry"]),
                name="wms_webhook_turns",
            ),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="wms_webhook_leases"),
            models.Index(fields=["warehouse", "-id"], name="wms_webhook_history"),
            models.Index(fields=["created_at"], name="wms_webhook_age"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.number or self.subject}".strip()


class WmsWebhookAttempt(models.Model):
    """One try to deliver a webhook, with the WMS's answer."""

    webhook = models.ForeignKey(WmsWebhook, on_delete=models.CASCADE, related_name="attempt_log")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(default=0)
    status = models.PositiveIntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=40)
    message = models.TextField(blank=True, default="")
    response = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["started_at", "pk"]

    def __str__(self) -> str:
        return f"Attempt {self.number} of {self.webhook}"
