"""Wrong passwords, counted per account and per address, for all web processes together."""

from __future__ import annotations

from django.db import models


class LogInFailures(models.Model):
    """``subject`` names whom they are counted for without saying it: a hash of an account's name, or of an address."""

    subject = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_index=True)
    blocked_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.count} wrong passwords"
