"""The secret that webhooks to a WMS are signed with: made by the hub, kept encrypted, shown once, replaceable."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from carts.encryption import CredentialsUnreadable, decrypt
from carts.models import WmsEndpoint
from carts.models.wms_endpoint import new_signing_secret

OLD_IS_VALID_FOR = timedelta(hours=24)
LONGEST_OVERLAP_HOURS = 24 * 14


def endpoint_of(warehouse_pk: int) -> WmsEndpoint:
    """Makes it, with a secret that nobody has seen, when there is none yet."""
    endpoint, _ = WmsEndpoint.objects.get_or_create(
        warehouse_id=warehouse_pk,
        defaults={"secrets": {"current": new_signing_secret()}, "secret_made_at": timezone.now()},
    )
    if isinstance(endpoint.secrets, dict):
        endpoint.refresh_from_db()
    return endpoint


def valid_secrets(endpoint: WmsEndpoint, now: datetime) -> list[str]:
    """The newest first. Raises ``CredentialsUnreadable`` when no key opens them."""
    kept = decrypt(endpoint.secrets)
    previous = kept.get("previous") if endpoint.old_valid_until and endpoint.old_valid_until > now else None
    return [kept["current"], *([previous] if previous else [])]


def replace_secret(warehouse_pk: int, old_is_valid_for: timedelta = OLD_IS_VALID_FOR) -> tuple[str, WmsEndpoint]:
    """A new secret, to be shown once. Webhooks are signed with the old one as well as long as that is to be valid."""
    with transaction.atomic():
        endpoint_of(warehouse_pk)
        endpoint = WmsEndpoint.objects.select_for_update().get(pk=warehouse_pk)
        now = timezone.now()
        secret = new_signing_secret()
        try:
            previous = decrypt(endpoint.secrets)["current"]
        except CredentialsUnreadable:
            previous = ""  # no key opens it any more: nothing could be signed with it either
        endpoint.secrets = {"current": secret, "previous": previous}
        endpoint.secret_made_at = now
        endpoint.old_valid_until = now + old_is_valid_for
        endpoint.save(update_fields=["secrets", "secret_made_at", "old_valid_until"])
        return secret, endpoint
