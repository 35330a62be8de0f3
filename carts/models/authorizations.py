"""What a person allowed the hub at a remote system: the tokens, and who renews them just now."""

from __future__ import annotations

from django.db import models

from carts.encryption import EncryptedJSONField
from carts.models.merchants import Merchant


class Authorization(models.Model):
    """The tokens for one app at one store. All connections of a merchant that lead to the same store with the same app
    use them (``carts.credential_store.authorization_key``): tokens that rotate can be kept in one place only. A row of
    its own, so that nobody who saves a connection writes old tokens back."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=600)
    tokens = EncryptedJSONField(editable=False)
    # The lease of whoever renews the tokens just now; a dead process loses it by time.
    holder = models.CharField(max_length=32, blank=True, default="", editable=False)
    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    authorised_at = models.DateTimeField()
    authorised_by = models.CharField(max_length=150, blank=True)
    renewed_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["merchant", "key"], name="authorization_is_unique")]

    def __str__(self) -> str:
        return f"Authorisation for {self.key}"
