"""Where the WMS behind a REST warehouse listens: what webhooks to it are signed with, and how it does."""

from __future__ import annotations

import secrets

from django.db import models

from carts.encryption import EncryptedJSONField
from carts.models.connections import Warehouse


def new_signing_secret() -> str:
    return f"whsec_{secrets.token_urlsafe(32)}"


class WmsEndpoint(models.Model):
    """``secrets`` holds ``current`` and, until ``old_valid_until``, ``previous``. The address is an option of the
    warehouse."""

    warehouse = models.OneToOneField(Warehouse, on_delete=models.CASCADE, primary_key=True, related_name="wms_endpoint")
    secrets = EncryptedJSONField(editable=False)
    secret_made_at = models.DateTimeField()
    old_valid_until = models.DateTimeField(null=True, blank=True)
    # While it fails nobody sends to it for a while; set by the worker.
    failures_in_a_row = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    resting_until = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return f"WMS of {self.warehouse}"
