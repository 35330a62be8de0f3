"""Lists over HTTP: the version cursor of vend.md section 4, and records encoded once per shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from connectors.sandbox import Request, Response
from connectors.sandbox.wire import encode_json
from connectors.vend.sandbox_core import Feed, Record, bad_request
from connectors.vend.sandbox_sales import RawSale
from connectors.vend.sandbox_shapes import is_dated, plain, without_nulls

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox

DEFAULT_PAGE_SIZE = 100
LARGEST_PAGE = 10_000

Shape = Callable[[Any, str], dict[str, Any]]


def whole_number(request: Request, name: str, default: int) -> int:
    """A number from the query. Raises ``Refusal`` 400."""
    text = request.first(name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise bad_request(f"{name} must be a whole number, not {text!r}.") from None


def page_bounds(request: Request, largest: int) -> tuple[int, int | None, int]:
    """``after``, ``before`` and ``page_size`` of a list request; larger sizes are cut to what the resource allows."""
    size = whole_number(request, "page_size", DEFAULT_PAGE_SIZE)
    if size < 1:
        raise bad_request("page_size must be at least 1.")
    before = whole_number(request, "before", 0) or None
    return whole_number(request, "after", 0), before, min(size, largest)


class Pager:
    """Answers list and single requests for one resource."""

    def __init__(
        self,
        sandbox: VendSandbox,
        feed: Feed[Any],
        resource: str,
        shape: Shape | None = None,
        largest: int = LARGEST_PAGE,
    ) -> None:
        self.sandbox = sandbox
        self.feed = feed
        self.resource = resource
        self.shape = shape or self._plain
        self.largest = largest

    def _plain(self, record: Record, family: str) -> dict[str, Any]:
        return plain(record, self.resource, family)

    def page(self, request: Request, keep: Callable[[Any], bool] | None = None) -> Response:
        """One page of the feed. Deleted records only with ``deleted=true``."""
        after, before, size = page_bounds(request, self.largest)
        with_deleted = request.first("deleted").lower() in ("true", "1")
        wanted = (
            record
            for record in self.feed.since(after, before)
            if (with_deleted or not is_deleted(record)) and (keep is None or keep(record))
        )
        return self.page_of(list(islice(wanted, size)), request.family)

    def page_of(self, records: Sequence[Any], family: str) -> Response:
        """``{"data": [...], "version": {"min", "max"}}``; only an empty page has null versions."""
        parts = b",".join(self.bytes_of(record, family) for record in records)
        versions = [record["version"] for record in records]
        span = b'{"min":%d,"max":%d}' % (min(versions), max(versions)) if versions else b'{"min":null,"max":null}'
        return Response(body=b'{"data":[' + parts + b'],"version":' + span + b"}")

    def single(self, record: Any, family: str, status: int = 200) -> Response:
        return Response(status, b'{"data":' + self.bytes_of(record, family) + b"}")

    def bytes_of(self, record: Any, family: str) -> bytes:
        if isinstance(record, RawSale):
            return str(record["text"]).encode()
        leave_out = self.sandbox.omit_nulls
        shape = ("dated" if is_dated(family) else "2.0") + ("-lean" if leave_out else "")
        return self.feed.encoded(record, shape, lambda it: self._encode(it, family, leave_out))

    def _encode(self, record: Any, family: str, leave_out: bool) -> bytes:
        shape = self.shape(record, family)
        return encode_json(without_nulls(shape, self.resource) if leave_out else shape)


def is_deleted(record: Any) -> bool:
    try:
        return record["deleted_at"] is not None
    except KeyError:
        return False
