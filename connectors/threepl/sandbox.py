"""A stateful fake of 3PL Warehouse Manager over real HTTP: token, orders, stock, items, receivers, adjustments."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox import BadMessage, Refusal, Request, Response, Route, RouteTable, SandboxServer
from connectors.sandbox.server import Handler
from connectors.threepl.sandbox_rql import in_order, matching
from connectors.threepl.sandbox_store import Record, WarehouseStore, invalid

RELS = "http://api.3plCentral.com/rels"
TOKEN_PATH = "/AuthServer/api/Token"
ROLES = frozenset(
    {"OrderRead", "OrderWrite", "InventoryRead", "InventoryWrite", "ItemView", "ReceiverEdit", "Customer"}
)
DETAIL_OF = {"orderItems": "OrderItems", "savedElements": "SavedElements"}
# What each list can be filtered and sorted by.
KNOWN = {
    "orders": frozenset(
        {
            "customeridentifier.id",
            "referencenum",
            "readonly.isclosed",
            "readonly.processdate",
            "readonly.creationdate",
            "readonly.lastmodifieddate",
        }
    ),
    "items": frozenset({"sku", "readonly.lastmodifieddate"}),
    "stock": frozenset({"customeridentifier.id", "itemidentifier.sku", "facilityid"}),
    "documents": frozenset({"customeridentifier.id", "referencenum", "readonly.creationdate"}),
}


class ThreePLSandbox(SandboxServer):
    """One warehouse with two facilities and one customer (85). ``pascal``: answers with capital letters whatever the
    client accepts. ``unfilterable`` names lists (of ``KNOWN``) that refuse every filter and sort beyond the customer's
    number."""

    def __init__(
        self,
        port: int = 0,
        products: int = 6,
        token: str = "sandbox-secret",  # noqa: S107
        time_zone: str = "UTC",
        token_seconds: int = 3600,
    ) -> None:
        super().__init__(port)
        self.client_id, self.client_secret, self.user_login = "sandbox-client", token, "hub"
        self.tpl = ""
        self.token_seconds = token_seconds
        self.roles = ROLES
        self.pascal = False
        self.unfilterable: frozenset[str] = frozenset()
        self.customer_id = 85
        self.tokens: dict[str, datetime] = {}
        self.store = WarehouseStore(self.now, ZoneInfo(time_zone))
        self.store.add_customer(self.customer_id, "Acme")
        self.store.add_facility(1, "East")
        self.store.add_facility(2, "West")
        for number in range(1, products + 1):
            item = self.store.add_item(
                self.customer_id, f"ITEM-{number:03d}", price=number * 10, upc=f"9400000000{number:03d}"
            )
            self.store.set_stock(item["sku"], 100)
        self.table = RouteTable(
            [
                Route("POST", TOKEN_PATH, self.give_token),
                Route("GET", "/properties/facilities", self.list_facilities),
                Route("GET", "/customers/{id}", self.show_customer, "Customer"),
                Route("GET", "/customers/{id}/items", self.list_items, "ItemView"),
                Route("GET", "/orders", self.list_orders, "OrderRead"),
                Route("POST", "/orders", self.create_order, "OrderWrite"),
                Route("GET", "/orders/{id}", self.show_order, "OrderRead"),
                Route("PUT", "/orders/{id}", self.change_order, "OrderWrite"),
                Route("POST", "/orders/{id}/canceler", self.cancel_order, "OrderWrite"),
                Route("POST", "/orders/{id}/confirmer", self.confirm_order, "OrderWrite"),
                Route("GET", "/inventory/stocksummaries", self.list_stock, "InventoryRead"),
                Route("GET", "/inventory/receivers", self.list_receivers, "ReceiverEdit"),
                Route("POST", "/inventory/receivers", self.create_receiver, "ReceiverEdit"),
                Route("GET", "/inventory/receivers/{id}", self.show_receiver, "ReceiverEdit"),
                Route("GET", "/inventory/adjustments", self.list_adjustments, "InventoryRead"),
                Route("POST", "/inventory/adjustments", self.create_adjustment, "InventoryWrite"),
            ]
        )

    def introduction(self) -> list[str]:
        return [
            *super().introduction(),
            f"Client ID: {self.client_id}",
            f"Client Secret: {self.client_secret}",
            f"User Login: {self.user_login}",
            f"Customer ID: {self.customer_id}",
            *(f"Facility: {number} ({place['facilityIdentifier']['name']})" for number, place in self.facilities),
        ]

    @property
    def facilities(self) -> list[tuple[int, Record]]:
        return list(self.store.facilities.items())

    def happen(self) -> str:
        """The oldest open order leaves in one package."""
        with self.store.lock:
            for order in self.store.orders.values():
                if order["readOnly"]["status"] == 0:
                    contents = {item["itemIdentifier"]["sku"]: item["qty"] for item in order["orderItems"]}
                    self.store.close(order["referenceNum"], [(f"1Z{order['readOnly']['orderId']}", contents)])
                    return f"Order {order['referenceNum']} shipped."
        return "Nothing waits."

    # --- answering ---------------------------------------------------------------------------------------------------

    def resolve(self, request: Request) -> Handler | None:
        found = self.table.find(request.method, request.path)
        if found is None:
            return None
        route, request.params = found
        request.template, request.scope = route.template, route.scope
        return route.handler

    def answer(self, request: Request, handler: Handler | None) -> Response:
        with self.store.lock:
            if handler is not None and request.path != TOKEN_PATH:
                self.authorize(request)
            return super().answer(request, handler)

    def authorize(self, request: Request) -> None:
        """Raises ``Refusal``: 401 without a living token, 403 without the role."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        ends = self.tokens.get(token.strip()) if kind == "Bearer" else None
        if ends is None or ends <= self.now():
            raise Refusal(401, {"Message": "Authorization has been denied for this request."})
        if request.scope and request.scope not in self.roles:
            raise Refusal(403, {"ErrorCode": "NoPermission", "Hint": f"The role {request.scope} is missing."})

    def give_token(self, request: Request) -> Response:
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            raise Refusal(401, {"error": "invalid_client"})
        body = request.json()
        if body.get("grant_type") != "client_credentials":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        if (
            self.user_login not in (body.get("user_login"), body.get("user_login_id"))
            or body.get("tpl", "") != self.tpl
        ):
            raise Refusal(400, {"error": "invalid_request"})
        token = secrets.token_hex(16)
        self.tokens[token] = self.now() + timedelta(seconds=self.token_seconds)
        told = {"access_token": token, "token_type": "Bearer", "expires_in": self.token_seconds}
        return Response.json({**told, "refresh_token": None, "scope": None})

    def revoke_tokens(self) -> None:
        self.tokens.clear()

    # --- shapes ------------------------------------------------------------------------------------------------------

    def wants_pascal(self, request: Request) -> bool:
        return self.pascal or "application/hal+json" not in request.headers.get("accept", "")

    def give(self, request: Request, data: Any, status: int = 200, **headers: str) -> Response:
        return Response.json(capitalised(data) if self.wants_pascal(request) else data, status, **headers)

    def give_list(
        self, request: Request, rows: Sequence[Record], rel: str, known: str, largest: int, usual: int
    ) -> Response:
        """One page. Under ``summaries`` where ``rel`` is that word, else under ``_embedded`` or ``ResourceList``."""
        rql, sort = request.first("rql"), request.first("sort")
        if known in self.unfilterable and (sort or rql.replace(f"customeridentifier.id=={self.customer_id}", "")):
            raise invalid("ValueNotSupported", "rql", rql)
        found = in_order(matching(rows, rql, KNOWN[known]), sort, KNOWN[known])
        size, number = page_numbers(request, largest, usual)
        page = found[(number - 1) * size : number * size]
        total = {"totalResults": len(found)}
        if rel == "summaries":
            return self.give(request, {**total, "summaries": page})
        if self.wants_pascal(request):
            return Response.json(capitalised({**total, "resourceList": page}))
        links = {"self": {"href": request.path}}
        return Response.json({**total, "_embedded": {rel: [self.hal(row) for row in page]}, "_links": links})

    def hal(self, record: Record) -> Record:
        """An order's items lie under ``_embedded``."""
        if "orderItems" not in record:
            return record
        rest = {name: value for name, value in record.items() if name != "orderItems"}
        return {**rest, "_embedded": {f"{RELS}/orders/item": record["orderItems"]}}

    # --- orders ------------------------------------------------------------------------------------------------------

    def list_orders(self, request: Request) -> Response:
        rows = [with_customer(detailed(order, request)) for order in self.store.orders.values()]
        return self.give_list(request, rows, f"{RELS}/orders/order", "orders", 1000, 100)

    def create_order(self, request: Request) -> Response:
        order = self.store.create_order(model(request))
        return self.give_order(request, order, 201)

    def show_order(self, request: Request) -> Response:
        return self.give_order(request, self.found(request, self.store.orders))

    def change_order(self, request: Request) -> Response:
        order = self.current(request)
        self.store.change_order(order, model(request))
        return self.give_order(request, order)

    def cancel_order(self, request: Request) -> Response:
        order = self.current(request)
        self.store.cancel_order(order, str(model(request).get("reason") or ""))
        return self.give_order(request, order)

    def confirm_order(self, request: Request) -> Response:
        order = self.current(request)
        self.store.check_open(order)
        self.store.close(order["referenceNum"], tracking=str(model(request).get("trackingNumber") or ""))
        return self.give_order(request, order)

    def give_order(self, request: Request, order: Record, status: int = 200) -> Response:
        shown = detailed(order, request) if request.method == "GET" else order
        shown = shown if self.wants_pascal(request) else self.hal(shown)
        return self.give(request, shown, status, ETag=self.etag_of(order))

    def etag_of(self, order: Record) -> str:
        return f'"{self.store.versions[order["readOnly"]["orderId"]]}"'

    def current(self, request: Request) -> Record:
        """The order that is to be changed, if the client knows its newest version. Raises ``Refusal``."""
        order = self.found(request, self.store.orders)
        given = request.headers.get("if-match", "")
        if not given:
            raise Refusal(428, {"ErrorCode": "PreconditionRequired"})
        if given != self.etag_of(order):
            raise Refusal(412, {"ErrorCode": "PreconditionFailed"})
        return order

    @staticmethod
    def found(request: Request, records: dict[int, Record]) -> Record:
        record = records.get(int(request.params["id"])) if request.params["id"].isdigit() else None
        if record is None:
            raise Refusal(404, {"ErrorCode": "NotFound"})
        return record

    # --- the rest ----------------------------------------------------------------------------------------------------

    def list_facilities(self, request: Request) -> Response:
        rows = list(self.store.facilities.values())
        return self.give_list(request, rows, f"{RELS}/properties/facility", "documents", 100, 20)

    def show_customer(self, request: Request) -> Response:
        return self.give(request, self.found(request, self.store.customers))

    def list_items(self, request: Request) -> Response:
        self.found(request, self.store.customers)
        rows = [
            item for item in self.store.items.values() if str(item["readOnly"]["customerId"]) == request.params["id"]
        ]
        return self.give_list(request, rows, f"{RELS}/customers/item", "items", 100, 10)

    def list_stock(self, request: Request) -> Response:
        return self.give_list(request, self.store.summaries(), "summaries", "stock", 500, 100)

    def list_receivers(self, request: Request) -> Response:
        rows = [with_customer(record) for record in self.store.receivers.values()]
        return self.give_list(request, rows, f"{RELS}/inventory/receiver", "documents", 500, 100)

    def create_receiver(self, request: Request) -> Response:
        return self.give(request, self.store.receive(model(request)), 201)

    def show_receiver(self, request: Request) -> Response:
        return self.give(request, self.found(request, self.store.receivers))

    def list_adjustments(self, request: Request) -> Response:
        rows = [with_customer(record) for record in self.store.adjustments.values()]
        return self.give_list(request, rows, f"{RELS}/inventory/adjustment", "documents", 500, 100)

    def create_adjustment(self, request: Request) -> Response:
        return self.give(request, self.store.adjust(model(request)), 201)


def model(request: Request) -> Record:
    """The body, its names beginning with small letters: both casings are taken."""
    body = request.json()
    if not isinstance(body, dict):
        raise BadMessage("The body is not an object.")
    return changed(body, lambda name: name[:1].lower() + name[1:])  # type: ignore[no-any-return]


def detailed(order: Record, request: Request) -> Record:
    """The order with as much of it as ``detail`` asks for."""
    wanted = set((request.first("detail") or "None").split(","))
    if "All" in wanted:
        return order
    shown = {name: value for name, value in order.items() if DETAIL_OF.get(name, "") in wanted or name not in DETAIL_OF}
    if "Packages" not in wanted:
        shown["readOnly"] = {name: value for name, value in order["readOnly"].items() if name != "packages"}
    return shown


def with_customer(record: Record) -> Record:
    """What ``customeridentifier.id`` means in filters."""
    return {**record, "customerIdentifier": record["readOnly"]["customerIdentifier"]}


def page_numbers(request: Request, largest: int, usual: int) -> tuple[int, int]:
    """(rows per page, number of the page). Raises ``Refusal``."""
    try:
        return min(int(request.first("pgsiz") or usual), largest), max(int(request.first("pgnum") or 1), 1)
    except ValueError:
        raise invalid("ValueNotSupported", "pgsiz", request.first("pgsiz")) from None


def capitalised(data: Any) -> Any:
    return changed(data, lambda name: name[:1].upper() + name[1:])


def changed(data: Any, spell: Callable[[str], str]) -> Any:
    """The same data with its names spelled differently."""
    if isinstance(data, dict):
        return {spell(name): changed(value, spell) for name, value in data.items()}
    if isinstance(data, Iterable) and not isinstance(data, str):
        return [changed(value, spell) for value in data]
    return data
