"""Vend over HTTP: addresses, paging and the two API families. No mapping, no decisions (vend.md sections 2 to 4)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from connectors.errors import ConnectorError, ContractBroken, OutcomeUnknown, RecordRefused
from connectors.http import HttpResponse, HttpSession
from connectors.vend import shapes

SALES_PER_PAGE = 500
RECORDS_PER_PAGE = 1000
REFERENCES_PER_PAGE = 200
STOCK_ROWS_PER_PAGE = 5000
FULFILMENTS_PER_PAGE = 100

# The answers of a path that this API version does not have (section 6).
DEAD_STATUSES = {404, 405, 410}

T = TypeVar("T")

PEEK = shapes.Reader(shapes.Peek)
REASONS = shapes.Reader(shapes.AdjustmentReason)

# A NUL character, which no database takes as text: ``\\u0000`` after an even number of backslashes.
NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class FeedPage:
    """One page of a version feed, records unread. ``cursor`` is the ``after`` of the next page."""

    records: Sequence[bytes]
    cursor: str


class VendClient:
    """One store's API. Paths are those of the family that ``session`` is set to (``dated``: a dated version, else 2.0);
    a reference resource that a dated version does not answer is read from ``/api/2.0/`` from then on. Raises the types of
    ``connectors.errors``."""

    def __init__(self, session: HttpSession, store_url: str, *, dated: bool = True) -> None:
        self.session = session
        self.is_dated = dated
        self.legacy_url = f"{store_url}/api/2.0"
        # Where a product is changed: API 2.0 leaves that to 2.1.
        self.product_url = "products" if dated else f"{store_url}/api/2.1/products"
        self.legacy_resources: set[str] = set()

    # --- version feeds (section 4) -----------------------------------------------------------------------------------

    def feed(self, resource: str, cursor: str = "", *, page_size: int, **params: Any) -> Iterator[FeedPage]:
        """Pages after ``cursor`` in the order of their versions. Only an empty page ends a feed; a page that does not
        lead on is an error, or the feed would never end."""
        after = cursor
        while True:
            answer = self.get(resource, {"after": after or None, "page_size": page_size, **params})
            page = answer.decode(shapes.RecordPage)
            if not page.data:
                return
            following = str(highest_version(page))
            if following == "0" or (after and int(following) <= int(after)):
                raise ContractBroken(f"The list of {resource} does not move on after version {after or 0}.")
            after = following
            yield FeedPage([plain(record) for record in page.data], after)

    def sales(self, cursor: str) -> Iterator[FeedPage]:
        return self.feed("sales", cursor, page_size=SALES_PER_PAGE)

    def sales_between(self, outlet_id: str, since: datetime, until: datetime) -> Iterator[list[bytes]]:
        """The sales of an outlet by their date, whatever their status, through the search (section 3.7). Pages by
        offset; only an empty page, or one that holds nothing new, ends them."""
        seen: set[bytes] = set()
        offset = 0
        while True:
            params = {
                "type": "sales",
                "outlet_id": outlet_id,
                "date_from": moment(since),
                "date_to": moment(until),
                "page_size": RECORDS_PER_PAGE,
                "offset": offset,
            }
            rows = [plain(record) for record in self.get("search", params).decode(shapes.RecordPage).data]
            digests = [hashlib.blake2b(row, digest_size=8).digest() for row in rows]
            if seen.issuperset(digests):
                return
            seen.update(digests)
            offset += len(rows)
            yield rows

    def products(self, cursor: str) -> Iterator[FeedPage]:
        return self.feed("products", cursor, page_size=RECORDS_PER_PAGE, deleted="true")

    def customers(self, cursor: str) -> Iterator[FeedPage]:
        return self.feed("customers", cursor, page_size=RECORDS_PER_PAGE, deleted="true")

    def consignments(self, cursor: str) -> Iterator[FeedPage]:
        """Stock documents of all outlets."""
        return self.feed("consignments", cursor, page_size=REFERENCES_PER_PAGE)

    def consignment_lines(self, consignment_id: str, expected: int = 0) -> tuple[list[bytes], int]:
        """(all lines of a stock document, the highest of their versions). ``expected``: how many there should be, which
        saves the look at the empty page behind them."""
        lines: list[bytes] = []
        after = 0
        while True:
            params = {"after": after or None, "page_size": RECORDS_PER_PAGE}
            page = self.session.get(f"consignments/{quoted(consignment_id)}/products", params).decode(shapes.RecordPage)
            following = highest_version(page) if page.data else 0
            if page.data and (not after or following > after):
                lines += [plain(record) for record in page.data]
            if following <= after or (expected and len(lines) >= expected):
                return lines, max(after, following)
            after = following

    def price_books(self) -> Iterator[FeedPage]:
        return self.feed("price_books", page_size=REFERENCES_PER_PAGE)

    def price_book_products(self) -> Iterator[FeedPage]:
        """The prices of all books."""
        return self.feed("price_book_products", page_size=RECORDS_PER_PAGE)

    def outlets(self, deleted: bool = False) -> Iterator[FeedPage]:
        return self.feed("outlets", page_size=REFERENCES_PER_PAGE, deleted="true" if deleted else None)

    def references(self, resource: str) -> Iterator[FeedPage]:
        """``registers``, ``taxes``, ``payment_types`` or ``customer_groups``."""
        return self.feed(resource, page_size=REFERENCES_PER_PAGE)

    def inventory(self, cursor: str) -> Iterator[FeedPage]:
        """Stock rows of all outlets: in the dated family a POST that answers a bare array, in 2.0 a list like any other
        (section 3.9). A dated version that does not have the POST is read in the way of 2.0."""
        if not self.is_dated or "inventory" in self.legacy_resources:
            yield from self.feed("inventory", cursor, page_size=STOCK_ROWS_PER_PAGE)
            return
        after = int(cursor or 0)
        while True:
            body = {"after": after, "size": STOCK_ROWS_PER_PAGE, "sort_direction": "asc"}
            try:
                answer = self.session.request("POST", "inventory", json=body, reads_only=True)
            except (RecordRefused, ContractBroken) as error:
                if not is_dead_path(error):
                    raise
                yield from self.feed("inventory", str(after) if after else "", page_size=STOCK_ROWS_PER_PAGE)
                return
            page = stock_page(answer)
            if not page.data:
                return
            following = highest_version(page)
            if following <= after:
                raise ContractBroken(f"The stock list does not move on after version {after}.")
            after = following
            yield FeedPage([plain(record) for record in page.data], str(after))

    # --- single records ----------------------------------------------------------------------------------------------

    def retailer(self) -> bytes:
        return single(self.get("retailer"))

    def sale(self, sale_id: str) -> bytes:
        return single(self.session.get(f"sales/{quoted(sale_id)}"))

    def consignment(self, consignment_id: str) -> bytes:
        return single(self.session.get(f"consignments/{quoted(consignment_id)}"))

    def customer(self, customer_id: str) -> bytes:
        return single(self.get("customers", item=customer_id))

    def customer_address(self, customer_id: str, address_id: str) -> bytes:
        path = f"customers/{quoted(customer_id)}/addresses/{quoted(address_id)}"
        return single(self.session.get(path))

    def fulfilments(self, sale_id: str) -> list[bytes]:
        """The fulfilments of one sale (section 3.8); one page holds them."""
        params = {"sale_id": sale_id, "page_number": 1, "page_size": FULFILMENTS_PER_PAGE}
        page = self.session.get("fulfillments", params).decode(shapes.RecordPage)
        return [plain(record) for record in page.data]

    def fulfil(self, fulfilment_id: str, version: int, quantities: Mapping[str, str]) -> None:
        """Hands lines over: sale line id -> number as text. Refused with status 409 when ``version`` is not the current
        one; the same request again changes nothing. Dated family only."""
        rows = [{"sale_line_item_id": line, "quantity": msgspec.Raw(n.encode())} for line, n in quantities.items()]
        body = {"version": version, "line_items": rows}
        confirmed(self.session.request("POST", f"fulfillments/{quoted(fulfilment_id)}/fulfill", json=body), dict)

    def handed_over(self, sale_id: str) -> bool:
        """Was anything of this sale handed over? API 2.0 only."""
        return bool(self.session.get(f"sales/{quoted(sale_id)}/fulfillments").decode(shapes.RecordPage).data)

    def fulfil_sale(self, sale_id: str, kind: str) -> None:
        """Hands all of a sale over, ``kind`` SHIPPED or PICKED_UP. API 2.0 only."""
        body = {"fulfillment_type": kind}
        confirmed(self.session.request("POST", f"sales/{quoted(sale_id)}/fulfill", json=body), dict)

    def change_sale(self, sale_id: str, body: Mapping[str, Any]) -> None:
        """Dated family only. Version 2026-01 answers nothing, later ones the sale."""
        confirmed(self.session.request("PUT", f"sales/{quoted(sale_id)}", json=body), dict)

    # --- stock (section 3.9) -----------------------------------------------------------------------------------------

    def adjust_stock(self, rows: Sequence[dict[str, str]]) -> list[shapes.StockAdjustment]:
        """Books differences, 1 to 1,000 rows, all or none. Returns the adjustments as far as the answer names them."""
        answer = self.session.request("POST", "stock_adjustments", json={"stock_adjustments": rows})
        return confirmed(answer, shapes.StockAdjustments).data or []

    def stock_adjustments(self, cursor: str) -> Iterator[FeedPage]:
        """Adjustments made by hand or over the API. Dated family only."""
        return self.feed("stock_adjustments", cursor, page_size=RECORDS_PER_PAGE)

    def adjustment_reasons(self) -> list[tuple[str, str]]:
        """(name, id) of the store's own reasons for adjustments. Dated family only."""
        pages = self.feed("custom_inventory_adjustment_reasons", page_size=REFERENCES_PER_PAGE)
        found = [REASONS.read(raw) for page in pages for raw in page.records]
        return [(shapes.text(reason.name), shapes.text(reason.id)) for reason in found]

    def add_adjustment_reason(self, name: str, kind: str) -> str:
        """The id of a new reason; ``kind`` is POSITIVE or NEGATIVE."""
        body = {"name": name, "type": kind, "enabled": True}
        answer = self.session.request("POST", "custom_inventory_adjustment_reasons", json=body)
        return shapes.text(REASONS.read(single(answer)).id)

    def set_level(self, product_id: str, outlet_id: str, level: str) -> None:
        """Sets one product's level at one outlet. ``level`` is a number as text. One call, the same body in 2.1."""
        row = {"outlet_id": outlet_id, "current_amount": msgspec.Raw(level.encode())}
        body = {"details": {"inventory": [row]}}
        confirmed(self.session.request("PUT", f"{self.product_url}/{quoted(product_id)}", json=body), dict)

    # --- webhooks (section 7) ----------------------------------------------------------------------------------------

    def webhooks(self) -> list[bytes]:
        return [plain(record) for record in self.get("webhooks").decode(shapes.RecordPage).data]

    def add_webhook(self, topic: str, url: str) -> bool:
        """False: Vend already has this webhook."""
        body = {"type": topic, "url": url, "active": True}
        answer = self.session.request("POST", self.path("webhooks"), json=body, accept=(409,))
        return answer.status != 409

    def activate_webhook(self, webhook_id: str, topic: str, url: str) -> None:
        body = {"type": topic, "url": url, "active": True}
        self.session.request("PUT", self.path("webhooks", webhook_id), json=body)

    def remove_webhook(self, webhook_id: str) -> None:
        """Removing what is gone already is fine."""
        self.session.request("DELETE", self.path("webhooks", webhook_id), accept=(404,))

    # --- families (section 1) ----------------------------------------------------------------------------------------

    def get(self, resource: str, params: dict[str, Any] | None = None, *, item: str = "") -> HttpResponse:
        """Reads a resource. When the dated family does not have it, the 2.0 family is asked, and remembered if it does."""
        try:
            return self.session.get(self.path(resource, item), params)
        except (RecordRefused, ContractBroken) as error:
            if item or not self.is_dated or resource in self.legacy_resources or not is_dead_path(error):
                raise
            try:
                answer = self.session.get(f"{self.legacy_url}/{resource}", params)
            except (RecordRefused, ContractBroken):
                raise error from None
            self.legacy_resources.add(resource)
            return answer

    def path(self, resource: str, item: str = "") -> str:
        path = f"{resource}/{quoted(item)}" if item else resource
        return f"{self.legacy_url}/{path}" if resource in self.legacy_resources else path

    def close(self) -> None:
        self.session.close()


def moment(at: datetime) -> str:
    """As the search wants it: whole seconds, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def confirmed(answer: HttpResponse, kind: type[T]) -> T:
    """The answer to a write. An empty one is as good as any other. One that is not Vend's (a page of some server on the
    way, for example) proves nothing: ``OutcomeUnknown``."""
    if not answer.body.strip():
        return kind()
    try:
        return answer.decode(kind)
    except ContractBroken as error:
        raise OutcomeUnknown(error.message, status=answer.status, body=error.body) from error


def stock_page(answer: HttpResponse) -> shapes.RecordPage:
    """A bare array as documented, or the envelope of all other lists."""
    if answer.body.lstrip().startswith(b"["):
        return shapes.RecordPage(data=answer.decode(list[msgspec.Raw]))
    return answer.decode(shapes.RecordPage)


def single(answer: HttpResponse) -> bytes:
    """The record of a ``{"data": {...}}`` answer."""
    return plain(answer.decode(shapes.SingleRecord).data)


def plain(record: msgspec.Raw) -> bytes:
    """A record's own bytes, so that the page's body can be forgotten, and without NUL characters."""
    data = bytes(record)
    return data if b"\\u0000" not in data else NUL.sub(rb"\1", data)


def quoted(part: str) -> str:
    return quote(part, safe="")


def is_dead_path(error: ConnectorError) -> bool:
    status = error.status or 0
    return status in DEAD_STATUSES or 300 <= status < 400


def highest_version(page: shapes.RecordPage) -> int:
    """Where the next page starts: the page's own word, else the highest version of its records."""
    if page.version is not None and page.version.max:
        return page.version.max
    return max(version_of(record) for record in page.data)


def version_of(record: bytes | msgspec.Raw) -> int:
    """A record's version, 0 when it has none that can be read."""
    try:
        peek = PEEK.read(record)
    except ValueError:
        return 0
    metadata = peek.metadata if isinstance(peek.metadata, dict) else {}
    version = metadata.get("version") or peek.version
    return int(version) if str(version).isdigit() else 0
