"""Consignments that somebody pointed at: a webhook, or a person who wants to know. Each is read by its id, soon."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from carts.models import Connection
from connectors.functions import Function
from syncjobs.models import ConsignmentHint, Run
from syncjobs.schedule import request_run

FUNCTIONS = (Function.STOCK_ADJUSTMENT_SYNC, Function.STOCK_TRANSFER_SYNC)
# One document causes a webhook for each of its items.
GATHERED_FOR = timedelta(seconds=2)


def note(connection: Connection, external_ids: Iterable[str], from_webhook: bool = True) -> None:
    """Remembers which consignments to look at. A hint that is there already is renewed, so that one which arrives while
    the consignment is being read is not lost."""
    now = timezone.now()
    ConsignmentHint.objects.bulk_create(
        [
            ConsignmentHint(connection_id=connection.pk, external_id=one, hinted_at=now, from_webhook=from_webhook)
            for one in sorted(set(external_ids))
        ],
        update_conflicts=True,
        unique_fields=["connection", "external_id"],
        update_fields=["hinted_at"],
    )


def want(connection: Connection, external_ids: Iterable[str], function: Function) -> None:
    """A person wants these to be read now."""
    note(connection, external_ids, from_webhook=False)
    request_run(connection, function, Run.Trigger.PERSON)
