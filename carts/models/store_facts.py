"""What remote stores said about themselves, so that not every run asks again."""

from __future__ import annotations

from django.db import models

from carts.models.merchants import Merchant


class StoreFact(models.Model):
    """One answer of one store (``connectors.store_facts``). Shared by the merchant's connections to that store, and by
    nobody else: another merchant who names the same store asks with its own access."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="+")
    store_key = models.CharField(max_length=300)
    name = models.CharField(max_length=40)
    body = models.BinaryField()
    read_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["merchant", "store_key", "name"], name="store_fact_is_unique")]

    def __str__(self) -> str:
        return f"{self.name} of {self.store_key}"
