"""Which webhook addresses the hub has given to which store, so that it can tell its own ones later."""

from __future__ import annotations

from django.db import models

from carts.models.connections import Connection
from carts.models.merchants import Merchant


class WebhookRegistration(models.Model):
    """An address that a store was given. It outlives its connection: what a deleted cart left behind is found by it.

    ``installation`` tells this hub from a copy of its database that runs elsewhere."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(
        Connection, on_delete=models.SET_NULL, null=True, blank=True, related_name="webhook_registrations"
    )
    store_key = models.CharField(max_length=300)
    address = models.CharField(max_length=500)
    installation = models.CharField(max_length=64)
    registered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "store_key", "address"], name="webhook_registration_is_unique")
        ]

    def __str__(self) -> str:
        # The address holds a secret.
        return f"Webhooks at {self.store_key}"
