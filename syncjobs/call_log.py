"""The API log: calls are collected while a connector works and stored, masked, in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from django.db import transaction

from carts.models import Connection
from connectors.http import CallRecord
from connectors.redaction import mask_headers, mask_text, mask_url
from syncjobs.models import ApiCall, ApiCallBody

LONGEST_BODY_BYTES = 256 * 1024


class CallBuffer:
    """Takes calls from any thread; ``flush`` stores them. Belongs to one run, one delivery batch or one test. Masking and
    packing are the calling thread's work: nothing waits here in the clear, and whoever stores has little left to do."""

    def __init__(self, connection_id: int, *, run_id: int | None = None, delivery_id: int | None = None) -> None:
        self.connection_id = connection_id
        self.run_id = run_id
        self.delivery_id = delivery_id
        self._waiting: list[tuple[ApiCall, ApiCallBody]] = []
        self._lock = threading.Lock()

    def __call__(self, record: CallRecord) -> None:
        pair = self.row_of(record), body_of(record)
        with self._lock:
            self._waiting.append(pair)

    def flush(self) -> None:
        """Stores what was collected."""
        flush_together([self])

    def take(self) -> list[tuple[ApiCall, ApiCallBody]]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def row_of(self, record: CallRecord) -> ApiCall:
        return ApiCall(
            connection_id=self.connection_id,
            run_id=self.run_id,
            delivery_id=self.delivery_id,
            method=record.method,
            url=mask_url(record.url),
            status=record.status,
            duration_ms=record.duration_ms,
            attempt=record.attempt,
            error=mask_text(record.error),
            started_at=record.started_at,
        )


def flush_together(buffers: Iterable[CallBuffer]) -> None:
    """Stores what these collected. Two statements and one commit, however many calls."""
    waiting = [pair for buffer in buffers for pair in buffer.take()]
    if not waiting:
        return
    with transaction.atomic():
        calls = ApiCall.objects.bulk_create(call for call, _ in waiting)
        bodies = [body for _, body in waiting]
        for call, body in zip(calls, bodies, strict=True):
            body.call = call
        ApiCallBody.objects.bulk_create(bodies)


def body_of(record: CallRecord) -> ApiCallBody:
    return ApiCallBody(
        request_headers=mask_headers(record.request_headers),
        request=ApiCallBody.pack(readable(record.request_body)),
        response_headers=mask_headers(record.response_headers),
        response=ApiCallBody.pack(readable(record.response_body)),
        cut=max(len(record.request_body), len(record.response_body)) > LONGEST_BODY_BYTES,
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
