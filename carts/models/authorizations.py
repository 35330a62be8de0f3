"""What a person allowed the hub at a remote system: the tokens of a connection, and who renews them just now."""

from __future__ import annotations

from django.db import models

from carts.encryption import EncryptedJSONField
from carts.models.connections import Connection


class Authorization(models.Model):
    """The tokens of one connection. A row of its own, so that nobody who saves a connection writes old tokens back."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="authorization")
    tokens = EncryptedJSONField(editable=False)
    # The lease of whoever renews the tokens just now; a dead process loses it by time.
    holder = models.CharField(max_length=32, blank=True, default="", editable=False)
    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    authorised_at = models.DateTimeField()
    authorised_by = models.CharField(max_length=150, blank=True)
    renewed_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"Authorisation of {self.connection}"
