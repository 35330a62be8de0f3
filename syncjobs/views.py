"""Where remote systems call us: verify, store, answer; everything else is a worker's (law 5)."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from carts.credentials import with_operators_app
from carts.encryption import SealedCredentials, decrypt
from carts.models import Connection
from connectors.base import Connector
from connectors.registry import connector_class
from syncjobs.models import WebhookEvent

LARGEST_BODY_BYTES = 2 * 1024 * 1024
KEPT_HEADERS = ("Content-Type", "User-Agent", "X-Signature", "Signature")
TOPIC_HEADER = "X-Hub-Topic"


@csrf_exempt
@transaction.non_atomic_requests
def receive_webhook(request: HttpRequest, uuid: UUID, secret: str) -> HttpResponse:
    """Stores one delivery. 2xx only after it is in the database."""
    if request.method in ("GET", "HEAD"):
        return HttpResponse(status=204)  # some systems look whether anyone is at home
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    address = find_address(uuid)
    if address is None:
        return HttpResponse("There is no such connection.", status=404, content_type="text/plain")
    if not compare_digest(secret.encode(), address.secret.encode()):
        return rejected(address.connection_id, 404, "Wrong secret in the address.")
    length = request.headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
        return rejected(address.connection_id, 413, "Larger than the hub takes.")
    body = request.body
    kind = connector_class(address.connector)
    if has_signatures(kind) and not kind.verify_webhook(address.read_credentials(), request.headers, body):
        return rejected(address.connection_id, 400, "The signature does not fit.")
    headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
    topic = request.GET.get("topic", "")[:60]
    if topic:
        headers[TOPIC_HEADER] = topic
    WebhookEvent.objects.create(connection_id=address.connection_id, topic=topic, headers=headers, body=body)
    return HttpResponse(status=200)


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    """What a delivery is checked against, out of a connection's row."""

    connection_id: int
    connector: str
    secret: str
    credentials: str

    def read_credentials(self) -> SealedCredentials:
        """With the operator's app, where there is none of their own: its secret signs then."""
        stored = decrypt(self.credentials) if self.credentials else {}
        return SealedCredentials(with_operators_app(self.connector, stored))


FIND_ADDRESS = "SELECT id, connector, webhook_secret, credentials FROM carts_connection WHERE uuid = %s"


def find_address(uuid: UUID) -> WebhookAddress | None:
    """In plain SQL: building the whole connection takes longer than storing the webhook."""
    value = Connection._meta.get_field("uuid").get_db_prep_value(uuid, database)
    with database.cursor() as cursor:
        cursor.execute(FIND_ADDRESS, [value])
        row = cursor.fetchone()
    return WebhookAddress(*row) if row else None


def has_signatures(kind: type[Connector]) -> bool:
    return kind.verify_webhook.__func__ is not Connector.verify_webhook.__func__  # type: ignore[attr-defined]


def rejected(connection_id: int, status: int, reason: str) -> HttpResponse:
    Connection.objects.filter(pk=connection_id).update(webhook_rejected_at=timezone.now(), webhook_rejection=reason)
    return HttpResponse(reason, status=status, content_type="text/plain")
