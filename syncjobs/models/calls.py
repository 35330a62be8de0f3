"""The API log: every call to a remote system. Bodies are masked, compressed and kept apart, so they can expire first."""

from __future__ import annotations

from django.db import models

from carts.models import Connection
from carts.models.packing import pack, unpack
from syncjobs.models.deliveries import Delivery
from syncjobs.models.runs import Run


class ApiCall(models.Model):
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="api_calls", db_index=False)
    run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, blank=True, related_name="api_calls")
    delivery = models.ForeignKey(Delivery, on_delete=models.SET_NULL, null=True, blank=True, related_name="api_calls")
    method = models.CharField(max_length=8)
    url = models.TextField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(default=0)
    attempt = models.PositiveSmallIntegerField(default=1)
    error = models.TextField(blank=True, default="")
    started_at = models.DateTimeField()

    class Meta:
        verbose_name = "API call"
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["connection", "-id"], name="api_call_history"),
            models.Index(fields=["started_at"], name="api_call_age"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.url} {self.status or 'no answer'}"


class ApiCallBody(models.Model):
    call = models.OneToOneField(ApiCall, on_delete=models.CASCADE, related_name="bodies", primary_key=True)
    request_headers = models.JSONField(default=dict)
    request = models.BinaryField(default=b"")
    response_headers = models.JSONField(default=dict)
    response = models.BinaryField(default=b"")
    cut = models.BooleanField(default=False, help_text="True when a body was too long to be kept whole.")
    stored_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"Bodies of {self.call}"

    @staticmethod
    def pack(text: str) -> bytes:
        return pack(text.encode())

    @staticmethod
    def unpack(body: bytes | memoryview) -> str:
        return unpack(body).decode()

    @property
    def request_text(self) -> str:
        return self.unpack(self.request)

    @property
    def response_text(self) -> str:
        return self.unpack(self.response)
