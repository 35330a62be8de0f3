"""Alerts: one per cause, counted, with the fix in words; closed by themselves when the cause is gone."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from carts.models.connections import Connection
from carts.models.merchants import Merchant


class Alert(models.Model):
    class Status(models.TextChoices):
        OPEN = "open", "Open"
        RESOLVED = "resolved", "Resolved"
        MUTED = "muted", "Muted"

    class Severity(models.TextChoices):
        WARNING = "warning", "Warning"
        ERROR = "error", "Error"

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="alerts")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="alerts")
    kind = models.CharField(max_length=60)
    key = models.CharField(max_length=200, help_text="The cause: the same cause never opens a second alert.")
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.ERROR)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    message = models.TextField()
    fix = models.TextField(blank=True, help_text="What to do about it.")
    link = models.CharField(max_length=300, blank=True, help_text="Where in this product the cause can be mended.")
    count = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=150, blank=True)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="assigned_alerts"
    )

    class Meta:
        ordering = ["-last_seen_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "kind", "key"], condition=~Q(status="resolved"), name="one_open_alert_per_cause"
            )
        ]
        indexes = [models.Index(fields=["merchant", "status", "-last_seen_at"], name="alert_list")]

    def __str__(self) -> str:
        return self.message
