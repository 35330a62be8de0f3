"""3PL Warehouse Manager over HTTP: addresses, paging, filters, versions of records. No mapping, no decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from connectors.errors import ConnectorError, ContractBroken, OutcomeUnknown, RecordRefused
from connectors.http import HttpResponse
from connectors.oauth import AuthorizedSession
from connectors.threepl import shapes
from connectors.threepl.errors import Stale, Unreadable, refusal_in
from connectors.threepl.wire import decoded, folded, rows_of, total_of

CLOSED_ORDERS_PER_PAGE = 100
ORDERS_PER_PAGE = 100
SENT_ORDERS_PER_PAGE = 500
STOCK_ROWS_PER_PAGE = 500
ITEMS_PER_PAGE = 100
FACILITIES_PER_PAGE = 100
DOCUMENTS_PER_PAGE = 100

BUSINESS_STATUSES = (400, 403, 404, 409, 412, 422, 428)
PRECONDITION_FAILED = 412

# Characters of a filter's value that mean nothing in the filter language. Values are decoded twice, so that all others
# are escaped twice.
PLAIN_IN_FILTERS = ":-_.~/@#"


class ThreePLSession(AuthorizedSession):
    def error_for(self, response: HttpResponse, reads: bool) -> ConnectorError | None:
        if response.status == PRECONDITION_FAILED:
            return Stale("The record was changed in between.", status=response.status)
        if response.status in BUSINESS_STATUSES:
            refusal = refusal_in(response)
            if refusal is not None:
                return refusal
        return super().error_for(response, reads)


@dataclass(frozen=True, slots=True)
class Current:
    """An order as it is now. ``raw`` is the answer with its names as they came, ``etag`` its version."""

    order: shapes.Order
    raw: Mapping[str, Any]
    etag: str


@dataclass(frozen=True, slots=True)
class Rows:
    """One page, its rows folded. ``number`` counts from 1."""

    rows: Sequence[Any]
    number: int
    is_last: bool


class ThreePLClient:
    """The API for one customer of the warehouse. Raises the types of ``connectors.errors``."""

    def __init__(self, session: AuthorizedSession, customer_id: int) -> None:
        self.session = session
        self.customer_id = customer_id

    def close(self) -> None:
        self.session.close()

    # --- lists -------------------------------------------------------------------------------------------------------

    def pages(
        self,
        path: str,
        size: int,
        params: Mapping[str, Any] | None = None,
        optional: Mapping[str, Any] | None = None,
    ) -> Iterator[Rows]:
        """Every page. The list ends with its last row as counted by ``totalResults``; without that count, with a page
        that is not full. ``optional`` parameters are left out when the API refuses the request with them: what it can
        filter and sort by is not documented for every list."""
        asked = {**(params or {}), **(optional or {})}
        seen, number = 0, 1
        while True:
            try:
                answer = self.session.get(path, {**asked, "pgsiz": size, "pgnum": number})
            except RecordRefused:
                if number > 1 or not optional or asked == params:
                    raise
                asked = dict(params or {})
                continue
            data = folded(decoded(answer))
            rows, total = rows_of(data), total_of(data)
            seen += len(rows)
            is_last = not rows or (len(rows) < size if total is None else seen >= total)
            yield Rows(rows, number, is_last)
            if is_last:
                return
            number += 1

    def facilities(self) -> list[shapes.Facility]:
        """Those that have an id."""
        found = []
        for page in self.pages("properties/facilities", FACILITIES_PER_PAGE):
            found += [readable(row, shapes.Facility) for row in page.rows]
        return [facility for facility in found if facility.any_id]

    def customer(self) -> dict[str, Any]:
        data = folded(decoded(self.session.get(f"customers/{self.customer_id}")))
        if not isinstance(data, dict):
            raise ContractBroken("3PL Warehouse Manager's answer holds no customer.")
        return data

    def items(self, changed_since: str) -> Iterator[Rows]:
        """Those changed since then; all of them where the API cannot tell."""
        newer = {"rql": f"readonly.lastmodifieddate=ge={value(changed_since)}"} if changed_since else None
        return self.pages(f"customers/{self.customer_id}/items", ITEMS_PER_PAGE, optional=newer)

    def stock(self) -> Iterator[Rows]:
        return self.pages(
            "inventory/stocksummaries", STOCK_ROWS_PER_PAGE, {"rql": self.own()}, {"sort": "itemidentifier.sku"}
        )

    def own(self, *conditions: str) -> str:
        """A filter for this customer's records that meet all conditions."""
        return ";".join((f"customeridentifier.id=={self.customer_id}", *conditions))

    # --- orders ------------------------------------------------------------------------------------------------------

    def count_orders(self) -> int | None:
        return total_of(folded(decoded(self.session.get("orders", {"rql": self.own(), "pgsiz": 1, "pgnum": 1}))))

    def orders_made(self, since: str, until: str) -> Iterator[Rows]:
        """Orders made from ``since`` until before ``until`` (the warehouse's own time), without their items; all of them
        where the API cannot tell."""
        params = {"detail": "SavedElements", "rql": self.own()}
        made = {"rql": self.made(since, until), "sort": "readonly.creationdate"}
        return self.pages("orders", SENT_ORDERS_PER_PAGE, params, made)

    def count_open(self, since: str, until: str) -> int | None:
        """Those among them that are not closed; None where the API cannot tell."""
        rql = f"{self.made(since, until)};readonly.isclosed==false"
        try:
            answer = self.session.get("orders", {"rql": rql, "detail": "None", "pgsiz": 1, "pgnum": 1})
        except RecordRefused:
            return None
        return total_of(folded(decoded(answer)))

    def made(self, since: str, until: str) -> str:
        return self.own(f"readonly.creationdate=ge={value(since)}", f"readonly.creationdate=lt={value(until)}")

    def closed_orders(self, since: str) -> Iterator[Rows]:
        """Orders that the warehouse closed at ``since`` or later (its own time; "" = all), oldest first, with items and
        packages."""
        conditions = ["readonly.isclosed==true"]
        if since:
            conditions.append(f"readonly.processdate=ge={value(since)}")
        params = {"detail": "OrderItems,Packages,SavedElements", "rql": self.own(*conditions)}
        return self.pages("orders", CLOSED_ORDERS_PER_PAGE, params, {"sort": "readonly.processdate"})

    def find_order(self, reference: str) -> shapes.Order | None:
        """The order under this reference; one that is not cancelled, if there are several."""
        params = {"rql": self.own(f"referencenum=={value(reference)}"), "detail": "None"}
        found: shapes.Order | None = None
        for page in self.pages("orders", ORDERS_PER_PAGE, params):
            for row in page.rows:
                order = readable(row, shapes.Order)
                if order.reference == reference and order.id and (found is None or found.is_cancelled):
                    found = order
        return found

    def order(self, order_id: str) -> Current:
        answer = self.session.get(f"orders/{quoted(order_id)}", {"detail": "All"})
        raw = decoded(answer)
        return Current(readable(folded(raw), shapes.Order), raw, answer.headers.get("ETag", "") or "*")

    def create_order(self, body: Mapping[str, Any]) -> str:
        """The new order's id."""
        return written(
            self.session.request("POST", "orders", json=body), lambda data: shapes.read(data, shapes.Order).id
        )

    def cancel_order(self, order_id: str, reason: str, etag: str) -> None:
        """Raises ``Stale`` when the order changed meanwhile."""
        self.session.request(
            "POST", f"orders/{quoted(order_id)}/canceler", json={"reason": reason}, headers={"If-Match": etag}
        )

    def replace_order(self, order_id: str, body: Mapping[str, Any], etag: str) -> None:
        """Raises ``Stale`` when the order changed meanwhile."""
        self.session.request("PUT", f"orders/{quoted(order_id)}", json=body, headers={"If-Match": etag})

    # --- receivers and adjustments -----------------------------------------------------------------------------------

    def create_document(self, kind: str, body: Mapping[str, Any]) -> str:
        """``kind``: receivers or adjustments. The new one's id."""
        answer = self.session.request("POST", f"inventory/{kind}", json=body)
        return written(answer, lambda data: shapes.read(data, shapes.Document).any_id)

    def find_document(self, kind: str, reference: str) -> shapes.Document | None:
        """The receiver or adjustment with this reference."""
        params = {"rql": self.own(f"referencenum=={value(reference)}")}
        for page in self.pages(f"inventory/{kind}", DOCUMENTS_PER_PAGE, params):
            for row in page.rows:
                document = readable(row, shapes.Document)
                if shapes.text(document.reference_num) == reference and document.any_id:
                    return document
        return None


def readable(row: Any, kind: type[shapes.ShapeT]) -> shapes.ShapeT:
    """A folded record where there is no page to reject it from. Raises ``ContractBroken``."""
    try:
        return shapes.read(row, kind)
    except Unreadable as error:
        raise ContractBroken(f"3PL Warehouse Manager gave a record that cannot be read: {error}") from error


def written(answer: HttpResponse, id_of: Any) -> str:
    """The id of what was created: from the answer, else from its ``Location``. An answer that names none proves nothing:
    ``OutcomeUnknown``."""
    found = ""
    try:
        data = folded(decoded(answer))
        found = id_of(data) if isinstance(data, dict) else ""
    except (ContractBroken, Unreadable) as error:
        if not answer.headers.get("Location"):
            raise OutcomeUnknown(str(error), status=answer.status, body=answer.text(500)) from error
    found = found or answer.headers.get("Location", "").rstrip("/").rpartition("/")[2]
    if not found:
        raise OutcomeUnknown("3PL Warehouse Manager's answer does not name what it created.", status=answer.status)
    return found


def value(text: str) -> str:
    """A value in a filter. It is escaped here and, as a part of the address, once more by whoever sends it."""
    return quote(text, safe=PLAIN_IN_FILTERS)


def quoted(part: str) -> str:
    return quote(part, safe="")
