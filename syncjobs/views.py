"""Where remote systems call us: verify, store, answer; everything else is a worker's (law 5)."""

from __future__ import annotations

from hmac import compare_digest
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

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
    connection = Connection.objects.filter(uuid=uuid).first()
    if connection is None:
        return HttpResponse("There is no such connection.", status=404, content_type="text/plain")
    if not compare_digest(secret.encode(), connection.webhook_secret.encode()):
        return rejected(connection, 404, "Wrong secret in the address.")
    length = request.headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
        return rejected(connection, 413, "Larger than the hub takes.")
    body = request.body
    kind = connector_class(connection.connector)
    if has_signatures(kind) and not kind.verify_webhook(connection.read_credentials(), request.headers, body):
        return rejected(connection, 400, "The signature does not fit.")
    headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
    topic = request.GET.get("topic", "")[:60]
    if topic:
        headers[TOPIC_HEADER] = topic
    WebhookEvent.objects.create(connection_id=connection.pk, topic=topic, headers=headers, body=body)
    return HttpResponse(status=200)


def has_signatures(kind: type[Connector]) -> bool:
    return kind.verify_webhook.__func__ is not Connector.verify_webhook.__func__  # type: ignore[attr-defined]


def rejected(connection: Connection, status: int, reason: str) -> HttpResponse:
    Connection.objects.filter(pk=connection.pk).update(webhook_rejected_at=timezone.now(), webhook_rejection=reason)
    return HttpResponse(reason, status=status, content_type="text/plain")
