"""The API log: calls are collected while a connector works and stored, masked, in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable

from carts.models import Connection
from connectors.http import CallRecord
from connectors.redaction import mask_headers, mask_text, mask_url
from syncjobs.models import ApiCall, ApiCallBody

LONGEST_BODY_BYTES = 256 * 1024


class CallBuffer:
    """Takes calls from any thread; ``flush`` stores them. Belongs to one run, one delivery batch or one test."""

    def __init__(self, connection_id: int, *, run_id: int | None = None, delivery_id: int | None = None) -> None:
        self.connection_id = connection_id
        self.run_id = run_id
        self.delivery_id = delivery_id
        self._calls: list[CallRecord] = []
        self._lock = threading.Lock()

    def __call__(self, record: CallRecord) -> None:
        with self._lock:
            self._calls.append(record)

    def flush(self) -> None:
        """Stores what was collected. Two statements, however many calls."""
        with self._lock:
            calls, self._calls = self._calls, []
        if not calls:
            return
        rows = ApiCall.objects.bulk_create(
            ApiCall(
                connection_id=self.connection_id,
                run_id=self.run_id,
                delivery_id=self.delivery_id,
                method=call.method,
                url=mask_url(call.url),
                status=call.status,
                duration_ms=call.duration_ms,
                attempt=call.attempt,
                error=mask_text(call.error),
                started_at=call.started_at,
            )
            for call in calls
        )
        ApiCallBody.objects.bulk_create(bodies_of(row, call) for row, call in zip(rows, calls, strict=True))


def bodies_of(row: ApiCall, call: CallRecord) -> ApiCallBody:
    return ApiCallBody(
        call=row,
        request_headers=mask_headers(call.request_headers),
        request=ApiCallBody.pack(readable(call.request_body)),
        response_headers=mask_headers(call.response_headers),
        response=ApiCallBody.pack(readable(call.response_body)),
        cut=max(len(call.request_body), len(call.response_body)) > LONGEST_BODY_BYTES,
    )


def readable(body: bytes) -> str:
    return mask_text(body[:LONGEST_BODY_BYTES].decode("utf-8", "replace"))


class WriteThrough:
    """A call log for short work outside runs (the Test button): each call is stored at once."""

    def __init__(self, connection_id: int) -> None:
        self.buffer = CallBuffer(connection_id)

    def __call__(self, record: CallRecord) -> None:
        self.buffer(record)
        self.buffer.flush()


def log_for(connection: Connection) -> Callable[[CallRecord], None]:
    return WriteThrough(connection.pk)
