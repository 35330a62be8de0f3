"""The API's calls: addresses, paging, bodies. No mapping, no decisions (section B.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from msgspec import Raw

from connectors.errors import ContractBroken, OutcomeUnknown
from connectors.http import HttpResponse, HttpSession
from connectors.integration_manager.shapes import (
    BatchAnswer,
    CancelAnswer,
    Envelope,
    Order,
    Product,
    ShipMethod,
    Unreadable,
    read,
    rows,
    text,
)

ORDERS_PER_PAGE = 100
STOCK_PER_PAGE = 100
TOTAL_HEADER = "total-records"
WITH_EXTRAS = {"include_order_extras": "Y"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list, rows unread. ``number`` counts from 1, ``total`` is how many rows the whole list has (None:
    the remote does not say)."""

    rows: Sequence[Raw]
    number: int
    total: int | None


class CartRoverClient:
    """``session`` is for the cart's key, ``orders`` the same for new orders only (they are outside the rate limit, so
    they never wait for it), ``merchant`` for stock and products. Raises the types of ``connectors.errors``."""

    def __init__(self, session: HttpSession, orders: HttpSession, merchant: HttpSession) -> None:
        self.session = session
        self.orders = orders
        self.merchant = merchant

    def close(self) -> None:
        for session in (self.session, self.orders, self.merchant):
            session.close()

    # --- orders ------------------------------------------------------------------------------------------------------

    def create(self, body: Mapping[str, Any]) -> str:
        """Sends one order. Returns the ``cust_ref`` under which it is kept, "" when the answer names none."""
        answer = self.orders.request("POST", "v1/cart/orders/cartrover", json=body)
        told = written(answer, Envelope)
        return text(told.cust_ref) or text(told.order_number)

    def create_many(self, bodies: Sequence[Mapping[str, Any]]) -> BatchAnswer:
        answer = self.orders.request("POST", "v1/cart/orders/batch", json=bodies)
        return written_response(answer, BatchAnswer)

    def order(self, cust_ref: str) -> Order:
        answer = self.session.get(f"v1/cart/orders/{quoted(cust_ref)}", WITH_EXTRAS)
        return single(answer, Order)

    def status(self, cust_ref: str) -> Order:
        """Status and shipments of one order."""
        return single(self.session.get(f"v1/cart/orders/status/{quoted(cust_ref)}"), Order)

    def list_page(self, status: str, number: int, **params: Any) -> ListPage:
        """One page of the orders with a status, with their extra fields."""
        query = {"limit": ORDERS_PER_PAGE, "page": number, **WITH_EXTRAS, **params}
        return list_page(self.session.get(f"v1/cart/orders/list/{status}", query), number)

    def cancel(self, cust_ref: str) -> CancelAnswer:
        """Asks the WMS to cancel. A GET that changes something, so it is never tried twice by itself."""
        path = f"v1/cart/orders/wms_cancel/{quoted(cust_ref)}"
        return written_response(self.session.request("GET", path, reads_only=False), CancelAnswer)

    def cancel_unsent(self, cust_ref: str) -> None:
        """The older call, for an order that the WMS does not have yet."""
        self.session.request("POST", "v1/cart/orders/cancel/cartrover", json={"cust_ref": cust_ref})

    def confirm(self, cust_ref: str, tracking_numbers: Sequence[str]) -> None:
        """Tells that an order's shipments were taken."""
        shipments = [{"tracking_no": number} for number in tracking_numbers if number]
        body = {"order_status": "confirmed", "shipments": shipments}
        self.session.request("POST", f"v1/cart/orders/update/{quoted(cust_ref)}", json=body)

    # --- stock and products ------------------------------------------------------------------------------------------

    def stock_page(self, number: int, limit: int = STOCK_PER_PAGE) -> ListPage:
        return list_page(self.merchant.get("v1/merchant/inventory", {"limit": limit, "page": number}), number)

    def stock(self, first: int = 1, limit: int = STOCK_PER_PAGE) -> Iterator[ListPage]:
        """The pages of the stock list from ``first`` on. The remote may give fewer rows than asked for, so a short page
        is no end: the total is, or an empty page. One that repeats is an error, or the list would never end."""
        number, size, before = first, 0, b""
        while True:
            page = self.stock_page(number, limit)
            if not page.rows:
                return
            start = bytes(page.rows[0])
            if start == before:
                raise ContractBroken(f"Page {number} of the stock list is the same as the one before it.")
            before = start
            yield page
            size = size or len(page.rows)
            if page.total is not None and (number - 1) * size + len(page.rows) >= page.total:
                return
            number += 1

    def product(self, sku: str) -> Product:
        return single(self.merchant.get(f"v1/merchant/product/{quoted(sku)}"), Product)

    def ship_methods(self) -> list[ShipMethod]:
        answer = self.session.get("v1/wms/shipmethod/list")
        try:
            return rows(answer.decode(Envelope).response, ShipMethod)
        except Unreadable as error:
            raise ContractBroken(str(error), status=answer.status) from error


def quoted(part: str) -> str:
    return quote(part, safe="")


def list_page(answer: HttpResponse, number: int) -> ListPage:
    """The rows of a list's page, unread, in whichever form they came (``shapes.rows``)."""
    try:
        found = rows(answer.decode(Envelope).response, Raw)
    except Unreadable as error:
        raise ContractBroken(f"A list cannot be read: {error}", status=answer.status, body=answer.text(500)) from error
    total = answer.headers.get(TOTAL_HEADER, "").strip()
    return ListPage(found, number, int(total) if total.isdigit() else None)


def single(answer: HttpResponse, kind: type[T]) -> T:
    """The one record of an answer, in a list or not. Raises ``ContractBroken`` when there is none."""
    try:
        found = rows(answer.decode(Envelope).response, kind)
    except Unreadable as error:
        raise ContractBroken(str(error), status=answer.status, body=answer.text(500)) from error
    if not found:
        raise ContractBroken("The answer holds no record.", status=answer.status, body=answer.text(500))
    return found[0]


def written(answer: HttpResponse, kind: type[T]) -> T:
    """The answer to a write. One that cannot be read proves nothing: ``OutcomeUnknown``."""
    try:
        return read(answer.body, kind)
    except Unreadable as error:
        raise OutcomeUnknown(str(error), status=answer.status, body=answer.text(500)) from error


def written_response(answer: HttpResponse, kind: type[T]) -> T:
    """The same for what stands in ``response``; nothing there is an empty record."""
    try:
        found = rows(written(answer, Envelope).response, kind)
        return found[0] if found else kind()
    except Unreadable as error:
        raise OutcomeUnknown(str(error), status=answer.status, body=answer.text(500)) from error
