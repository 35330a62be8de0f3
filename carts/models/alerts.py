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


class AlertSubscription(models.Model):
    """How one user wants to hear of one merchant's alerts. ``at_once`` holds keys of ``carts.alert_subjects``; the rest
    comes in a digest at ``digest_hours`` (0 to 23, in the user's time zone)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alert_subscriptions")
    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="alert_subscriptions")
    is_on = models.BooleanField(default=True)
    at_once = models.JSONField(default=list, blank=True)
    digest_hours = models.JSONField(default=list, blank=True)
    last_digest_at = models.DateTimeField(help_text="The hour up to which digests were made.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "merchant"], name="one_alert_subscription_per_merchant")]

    def __str__(self) -> str:
        return f"Alerts of {self.merchant} for {self.user}"


class AlertMail(models.Model):
    """That a subscriber is told of an alert: once. Made before it is sent, so that nothing is forgotten half-way."""

    subscription = models.ForeignKey(AlertSubscription, on_delete=models.CASCADE, related_name="mails")
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="mails")
    at_once = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)
    run_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["subscription", "alert"], name="one_mail_per_alert")]
        indexes = [models.Index(fields=["run_at"], condition=Q(sent_at=None), name="alert_mail_queue")]

    def __str__(self) -> str:
        return f"{self.alert} to {self.subscription.user}"
