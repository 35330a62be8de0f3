"""Merchants (tenants), the people who work for them, and their API tokens."""

from __future__ import annotations

import hashlib
import secrets
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.text import slugify

TOKEN_PREFIX = "im_"


def check_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(f"{value} is not a time zone. Use a name such as Europe/Berlin or America/New_York.")


class Merchant(models.Model):
    """One seller. Its users see its data and nobody else's; support staff see all."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=200, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    is_active = models.BooleanField(default=True, help_text="Switch off to stop all work for this merchant.")
    created_at = models.DateTimeField(auto_now_add=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="merchants")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def create_named(cls, name: str) -> Merchant:
        """A new merchant with a slug of its own made from its name."""
        base = slugify(name)[:180] or "merchant"
        slug, number = base, 1
        while cls.objects.filter(slug=slug).exists():
            number += 1
            slug = f"{base}-{number}"
        return cls.objects.create(name=name, slug=slug)


class Membership(models.Model):
    """A user who works for a merchant."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "user"], name="one_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} at {self.merchant}"


class Preference(models.Model):
    """How a user wants to see things."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preference")
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])

    def __str__(self) -> str:
        return f"Preferences of {self.user}"


class ApiToken(models.Model):
    """A merchant's key to the REST API. Only its hash is kept; the token itself is shown once."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, default="REST client")
    prefix = models.CharField(max_length=12, editable=False, help_text="The first characters, to tell tokens apart.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    read_only = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API token"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def issue(cls, merchant: Merchant, *, name: str = "REST client", read_only: bool = False) -> tuple[ApiToken, str]:
        """A new token; the second value is the secret, which cannot be shown again."""
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        token = cls.objects.create(
            merchant=merchant, name=name, read_only=read_only, prefix=secret[:10], digest=cls.digest_of(secret)
        )
        return token, secret

    @staticmethod
    def digest_of(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def find(cls, secret: str) -> ApiToken | None:
        return (
            cls.objects.select_related("merchant")
            .filter(digest=cls.digest_of(secret), is_active=True, merchant__is_active=True)
            .first()
        )

    def note_use(self) -> None:
        """Remembers the last use, at most once a minute."""
        now = timezone.now()
        if self.last_used_at is None or (now - self.last_used_at).total_seconds() > 60:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)
