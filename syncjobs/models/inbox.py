"""The inbox: webhooks as they arrived. Hints, never the truth (law 5)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from carts.models import Connection


class WebhookEvent(models.Model):
    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        IGNORED = "ignored", "Ignored"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="webhook_events", db_index=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    topic = models.CharField(max_length=60, blank=True, default="")
    external_id = models.CharField(max_length=120, blank=True, default="")
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, default="")
    received_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["id"], condition=Q(state="received"), name="webhook_queue"),
            models.Index(fields=["connection", "-id"], name="webhook_history"),
            models.Index(fields=["received_at"], name="webhook_age"),
            models.Index(fields=["connection", "external_id"], condition=~Q(external_id=""), name="webhook_about"),
        ]

    def __str__(self) -> str:
        return f"{self.topic or 'Webhook'} for {self.connection}"

    @property
    def text(self) -> str:
        return bytes(self.body).decode("utf-8", "replace")


class ConsignmentHint(models.Model):
    """A consignment that should be read by its id. Gone once that has happened."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="consignment_hints")
    external_id = models.CharField(max_length=120)
    hinted_at = models.DateTimeField()
    from_webhook = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "external_id"], name="consignment_hint_is_unique")]

    def __str__(self) -> str:
        return f"{self.external_id} at {self.connection}"
