"""The Integration Manager sandbox: a stateful fake of the CartRover API over real HTTP (integration-manager.md, part B).

Errors come with status 200. Unknown forms, chosen by us: the status of a wrong key (401 with the usual envelope), and how
an unknown order is refused (``Invalid``).
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from connectors.integration_manager import sandbox_shapes as shapes
from connectors.integration_manager.sandbox_store import STATUSES, CartRoverStore, Refused
from connectors.sandbox import Refusal, Request, Response, Route, RouteTable, SandboxServer
from connectors.sandbox.server import Handler

DEFAULT_LIMIT = 20
MOST_ORDERS = 100
MOST_STOCK = 250
WAREHOUSES = {"2352": "EAST", "2353": "WEST"}


class IntegrationManagerSandbox(SandboxServer):
    """``bucket`` calls at once, one more every ``refill_seconds``. ``merchant_key``: the key that stock and products want
    ("": the cart's own does). ``wobbles`` gives all answers in the API's other habits."""

    def __init__(
        self,
        port: int = 0,
        user: str = "sandbox-user",
        token: str = "sandbox-key",  # noqa: S107
        warehouses: Mapping[str, str] | None = None,
        products: int = 20,
        bucket: int = 100,
        refill_seconds: float = 0.6,
    ) -> None:
        super().__init__(port)
        self.user = user
        self.token = token
        self.merchant_key = ""
        self.wobbles = False
        self.tells_total = True
        self.most_rows = MOST_STOCK
        self.knows_partial = True
        # What is wrong with the stock rows of single SKUs: fields that replace the true ones.
        self.spoilt: dict[str, dict[str, Any]] = {}
        self.bucket = bucket
        self.refill_seconds = refill_seconds
        self._hits = 0.0
        self._hit_at = time.monotonic()
        self._process = 0
        self.store = CartRoverStore(self.now, WAREHOUSES if warehouses is None else warehouses, products)
        self.table = RouteTable(self.routes())

    def routes(self) -> list[Route]:
        """``scope`` is the level of the path; "free" after it marks a call outside the rate limit."""
        return [
            Route("POST", "/v1/cart/orders/cartrover", self.create, "cart free"),
            Route("POST", "/v1/cart/orders/batch", self.create_many, "cart free"),
            Route("POST", "/v1/cart/orders/cancel/cartrover", self.cancel_unsent, "cart"),
            Route("GET", "/v1/cart/orders/{cust_ref}", self.show, "cart"),
            Route("GET", "/v1/cart/orders/status/{cust_ref}", self.status, "cart"),
            Route("GET", "/v1/cart/orders/list/{status}", self.list_orders, "cart"),
            Route("GET", "/v1/cart/orders/wms_cancel/{cust_ref}", self.cancel, "cart"),
            Route("POST", "/v1/cart/orders/update/{cust_ref}", self.update, "cart"),
            Route("GET", "/v1/wms/shipmethod/list", self.ship_methods, "any"),
            Route("GET", "/v1/merchant/inventory", self.list_stock, "merchant"),
            Route("GET", "/v1/merchant/inventory/{sku}", self.stock_of, "merchant"),
            Route("GET", "/v1/merchant/product/{sku}", self.product, "merchant"),
        ]

    def introduction(self) -> list[str]:
        places = [f"Warehouse: {name} ({key})" for key, name in self.store.warehouses.items()]
        return [*super().introduction(), f"API user: {self.user}", f"API key: {self.token}", *places]

    def happen(self) -> str:
        """The WMS at work: the order that waits longest leaves."""
        waiting = self.store.waiting()
        if not waiting:
            return "Nothing waits."
        return f"Order {waiting[0]} leaves with {self.store.ship(waiting[0])['tracking_no']}"

    # --- answering ---------------------------------------------------------------------------------------------------

    def resolve(self, request: Request) -> Handler | None:
        found = self.table.find(request.method, with_plain_sku(request.path))
        if found is None:
            return None
        route, request.params = found
        request.template, request.scope = route.template, route.scope
        return route.handler

    def answer(self, request: Request, handler: Handler | None) -> Response:
        if handler is None:
            return Response.json({"success_code": False, "error_code": "Invalid", "message": "Unknown call"}, 404)
        headers = {}
        try:
            self.authorize(request)
            if "free" not in request.scope:
                headers["X-CartRover-Api-Minute-Hits-Remaining"] = str(self.take_call())
            with self.store.lock:
                response = handler(request)
        except Refused as refused:
            response = self.failure(refused.code, str(refused))
        except Refusal as refusal:
            response = refusal.response()
        self._process += 1
        response.headers |= {"X-CartRover-Process-ID": f"sb{self._process:08d}", **headers}
        return response

    def authorize(self, request: Request) -> None:
        """Basic, or the older form with both in the query."""
        given = (request.first("api_user"), request.first("api_key"))
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                user, _, key = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, ValueError):
                user = key = ""
            given = (user, key)
        allowed = {(self.user, self.token)}
        if self.merchant_key and not request.scope.startswith("cart"):
            allowed = {(self.user, self.merchant_key)}
            if request.scope == "any":
                allowed.add((self.user, self.token))
        if given not in allowed:
            body = {"success_code": False, "error_code": "Failure", "message": "Invalid API user or API key"}
            raise Refusal(401, body)

    def take_call(self) -> int:
        """Takes a call out of the bucket; how many are left. Raises ``Refused`` when it is empty."""
        clock = time.monotonic()
        if self.refill_seconds:
            self._hits = max(0.0, self._hits - (clock - self._hit_at) / self.refill_seconds)
        self._hit_at = clock
        if self._hits + 1 > self.bucket:
            raise Refused("RateLimit", "Over API Limit. Please slow down requests.")
        self._hits += 1
        return int(self.bucket - self._hits)

    def fill_bucket(self) -> None:
        """As if the refill time of all calls had passed."""
        self._hits = 0.0

    def success(self, response: Any = None, **headers: str) -> Response:
        body = {"success_code": True} if response is None else {"success_code": True, "response": response}
        return Response.json(shapes.wobble(body) if self.wobbles else body, 200, **headers)

    def failure(self, code: str, message: str) -> Response:
        name = "status_message" if self.wobbles else "message"
        return Response.json({"success_code": False, "error_code": code, name: message})

    def page(self, request: Request, rows: list[Any], most: int, show: Callable[[Any], Any]) -> Response:
        limit = max(1, min(int(request.first("limit") or DEFAULT_LIMIT), most, self.most_rows))
        start = (max(1, int(request.first("page") or 1)) - 1) * limit
        headers = {"total_records": str(len(rows))} if self.tells_total else {}
        return self.success([show(row) for row in rows[start : start + limit]], **headers)

    # --- orders ------------------------------------------------------------------------------------------------------

    def create(self, request: Request) -> Response:
        body = request.json()
        if isinstance(body, list):
            body = body[0] if body else {}
        order = self.store.create(body)
        return Response.json({"success_code": True, "cust_ref": order["cust_ref"], "order_number": order["cust_po_no"]})

    def create_many(self, request: Request) -> Response:
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for position, body in enumerate(request.json()):
            cust_ref = body.get("cust_ref") if isinstance(body, dict) else None
            try:
                order = self.store.create(body)
                good.append({"cust_ref": order["cust_ref"], "cust_po_no": order["cust_po_no"]})
            except Refused as refused:
                row = {"cust_ref": cust_ref, "cust_po_no": None, "message": str(refused)}
                bad.append(row if cust_ref else {**row, "index_pos": position})
        return self.success({"success": good, "failed": bad})

    def show(self, request: Request) -> Response:
        order = self.store.find(request.params["cust_ref"])
        return self.success(self.order_row(order, request))

    def order_row(self, order: dict[str, Any], request: Request) -> dict[str, Any]:
        extras = request.first("include_order_extras").upper() == "Y"
        return shapes.order_row(order, self.store.warehouse_of(order), extras=extras)

    def status(self, request: Request) -> Response:
        return self.success(shapes.status_row(self.store.find(request.params["cust_ref"])))

    def list_orders(self, request: Request) -> Response:
        status = request.params["status"]
        if status not in STATUSES or (status == "partial" and not self.knows_partial):
            raise Refused("Invalid", f"Unknown status {status}")
        since, until = (time_of(request.first(name)) for name in ("from_date", "to_date"))
        orders = self.store.listed(status, since, until)
        return self.page(request, orders, MOST_ORDERS, lambda order: self.order_row(order, request))

    def cancel(self, request: Request) -> Response:
        reason = self.store.cancel(request.params["cust_ref"])
        return self.success({"success": not reason, "message": reason})

    def cancel_unsent(self, request: Request) -> Response:
        self.store.cancel_unsent(str(request.json().get("cust_ref", "")))
        return self.success()

    def update(self, request: Request) -> Response:
        self.store.confirm(request.params["cust_ref"], request.json())
        return self.success()

    # --- stock and products ------------------------------------------------------------------------------------------

    def ship_methods(self, request: Request) -> Response:
        return self.success(self.store.ship_methods)

    def list_stock(self, request: Request) -> Response:
        return self.page(request, list(self.store.stock), MOST_STOCK, lambda sku: self.stock_row(sku, as_text=False))

    def stock_of(self, request: Request) -> Response:
        sku = unquote(request.params["sku"])
        if sku not in self.store.stock:
            raise Refused("Invalid", f"Product {sku} not found")
        return self.success(self.stock_row(sku, as_text=True))

    def stock_row(self, sku: str, *, as_text: bool) -> dict[str, Any]:
        aliases = self.store.products.get(sku, {}).get("aliases", [])
        row = shapes.stock_row(sku, self.store.stock[sku], self.store.warehouses, aliases, as_text=as_text)
        return row | self.spoilt.get(sku, {})

    def product(self, request: Request) -> Response:
        try:
            return self.success(self.store.products[unquote(request.params["sku"])])
        except KeyError:
            raise Refused("Invalid", f"Product {request.params['sku']} not found") from None


def with_plain_sku(path: str) -> str:
    """A path whose SKU holds slashes, which arrive unescaped, with that SKU as one part again."""
    for start in ("/v1/merchant/product/", "/v1/merchant/inventory/"):
        if path.startswith(start):
            return start + quote(path.removeprefix(start), safe="")
    return path


def time_of(told: str) -> datetime | None:
    """A date parameter. A ``+`` that was not escaped arrives as a space, and is refused as the real one refuses it."""
    if not told:
        return None
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise Refused("Invalid", f"Invalid date {told}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
