"""Failed records: what could not be taken in or sent, kept whole until a person reprocesses or ignores it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from carts.models import Connection, Order
from syncjobs.models.deliveries import Delivery
from syncjobs.models.runs import FUNCTION_CHOICES


class FailedRecord(models.Model):
    class Status(models.TextChoices):
        OPEN = "open", "Open"
        REPROCESSED = "reprocessed", "Reprocessed"
        IGNORED = "ignored", "Ignored"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="failed_records")
    function = models.CharField(max_length=40, choices=FUNCTION_CHOICES)
    external_id = models.CharField(max_length=200, blank=True)
    cause = models.CharField(max_length=60, help_text="Records with the same cause can be reprocessed together.")
    reason = models.TextField()
    fix = models.TextField(blank=True)
    payload = models.TextField(blank=True)
    order = models.ForeignKey(Order, on_delete=models.CASCADE, null=True, blank=True, related_name="failed_records")
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, null=True, blank=True, related_name="failed_records"
    )
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.OPEN)
    count = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=300, blank=True, help_text="Why it was ignored.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="failed_records"
    )

    class Meta:
        ordering = ["-last_seen_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "function", "external_id"],
                condition=Q(status="open"),
                name="one_open_failure_per_record",
            )
        ]
        indexes = [
            models.Index(fields=["status", "cause"], name="failure_by_cause"),
            models.Index(fields=["-last_seen_at", "-id"], name="failure_list"),
        ]

    def __str__(self) -> str:
        return f"{self.external_id or 'Record'}: {self.reason}"
