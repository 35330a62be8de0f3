"""The Vend sandbox: a stateful fake of Lightspeed Retail (X-Series) over real HTTP. Source: vend.md, above all 12.

One origin serves the dated versions, 2.0, 2.1, 3.0 price books, the token endpoint of 1.0, what is left of 0.9, and
``/connect``. Paths nobody serves redirect to a sign-in page, as the real thing does.
"""

from __future__ import annotations

import re
import time
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, Self

from connectors.sandbox import Refusal, Request, Response, Route, RouteTable, SandboxServer
from connectors.sandbox.faults import SIGN_IN_PAGE
from connectors.sandbox.server import Handler
from connectors.vend.sandbox_catalogue_routes import ProductRoutes, SortingRoutes
from connectors.vend.sandbox_consignment_routes import ConsignmentRoutes
from connectors.vend.sandbox_credit import CreditRoutes
from connectors.vend.sandbox_fulfilment_routes import FulfilmentRoutes
from connectors.vend.sandbox_oauth import Authorizations
from connectors.vend.sandbox_old_shapes import customer_webhook, inventory_webhook, product_webhook, sale_webhook
from connectors.vend.sandbox_routes import CustomerRoutes, ReferenceRoutes, SearchRoutes, WebhookRoutes
from connectors.vend.sandbox_sale import Sale
from connectors.vend.sandbox_sales_routes import SalesRoutes
from connectors.vend.sandbox_shapes import is_dated
from connectors.vend.sandbox_stock_routes import StockRoutes
from connectors.vend.sandbox_store import VendStore
from connectors.vend.sandbox_webhooks import WebhookDelivery, WebhookSender

DATED_VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
VERSION = re.compile(r"^/api/(\d{4}-\d{2}|\d\.\d)(/.*)$")
# Outside the API proper: no bearer token, no rate limit.
OPEN_FAMILIES = frozenset({"site", "1.0"})
RATE_WINDOW_SECONDS = 300
CALLS_PER_REGISTER = 300
CALLS_PER_STORE = 50


class VendSandbox(SandboxServer):
    """A fake Vend store. ``rate_limit`` None: the documented 300 calls per register and 50 more, in 300 seconds."""

    def __init__(
        self,
        port: int = 0,
        outlets: int = 2,
        sales: int = 0,
        products: int = 20,
        customers: int = 10,
        seed: int = 1,
        token: str = "sandbox-token",  # noqa: S107
        registers_per_outlet: int = 1,
        tax_exclusive: bool = True,
        rate_limit: int | None = None,
        lines_per_sale: int | None = None,
    ) -> None:
        super().__init__(port)
        self.token = token
        self.rate_limit = rate_limit
        self.omit_nulls = False
        # Dated versions past their end: version -> the older family that serves them without a word (vend.md 1).
        self.retired_versions: dict[str, str] = {}
        self._window_started = 0.0
        self._window_calls = 0
        self.store = VendStore(seed, self.now, tax_exclusive)
        self.store.fill(outlets, registers_per_outlet, products, customers)
        self.store.generate_sales(sales, lines_per_sale)
        self.webhook_sender = WebhookSender(self.store.retailer["domain_prefix"], self.now, seed)
        self.store.on_event = self._send_webhooks
        self.oauth = Authorizations(self)
        # What the personal token may do; None: everything.
        self.token_scopes: frozenset[str] | None = None
        self._sales = SalesRoutes(self)
        self._tables: dict[str, RouteTable] = {}
        self._build_tables()

    def _build_tables(self) -> None:
        by_family: dict[str, list[Route]] = {}
        for group in (
            ReferenceRoutes(self),
            CustomerRoutes(self),
            WebhookRoutes(self),
            SearchRoutes(self),
            self._sales,
            ProductRoutes(self),
            SortingRoutes(self),
            StockRoutes(self),
            FulfilmentRoutes(self),
            ConsignmentRoutes(self),
            CreditRoutes(self),
            self.oauth,
        ):
            for families, route in group.routes():
                for family in families.split():
                    by_family.setdefault(family, []).append(route)
        self._tables = {family: RouteTable(routes) for family, routes in by_family.items()}

    def introduction(self) -> list[str]:
        outlets = [f"Outlet: {outlet['name']} ({outlet['physical_city']})" for outlet in self.store.outlets]
        return [*super().introduction(), f"Access token: {self.token}", *outlets]

    def happen(self) -> str:
        """A new sale, closed and paid, at any of the outlets."""
        sale = self.store.random_sale()
        outlet = self.store.find_outlet(sale.outlet_id)
        return f"Sale {sale.invoice_number} at {outlet['name']}: {sale.total_price_incl:.2f}"

    def encode_sales(self, family: str = "2026-07") -> None:
        """Puts the whole sales feed into its JSON form ahead of time, so that a benchmark measures its client."""
        with self.store.lock:
            for sale in self.store.sale_feed.since():
                self._sales.pager.bytes_of(sale, family)

    # Life

    def start(self) -> Self:
        super().start()
        self.webhook_sender.start()
        return self

    def stop(self) -> None:
        super().stop()
        self.webhook_sender.stop()

    def route_tables(self) -> dict[str, RouteTable]:
        """What is served, by family: ``dated``, ``2.0``, ``2.1``, ``3.0``, ``1.0``, ``0.9`` and ``site``."""
        return dict(self._tables)

    # Answering

    def resolve(self, request: Request) -> Handler | None:
        family, path = split_path(request.path)
        if family is None:
            return None
        family = self.retired_versions.get(family, family)
        table = self._tables.get("dated" if is_dated(family) else family)
        found = table.find(request.method, path) if table else None
        if found is None:
            return None
        route, request.params = found
        request.template, request.family, request.scope = route.template, family, route.scope
        return route.handler

    def answer(self, request: Request, handler: Handler | None) -> Response:
        if handler is None:
            return sign_in(request)
        if request.family in OPEN_FAMILIES:
            with self.store.lock:
                return handler(request)
        try:
            self._authorize(request)
            self._count_against_limit()
            with self.store.lock:
                response = handler(request)
        except Refusal as refusal:
            response = refusal.response()
        limit = self.limit
        response.headers["X-RateLimit-Limit"] = str(limit)
        response.headers["X-RateLimit-Remaining"] = str(max(0, limit - self._window_calls))
        return response

    def _authorize(self, request: Request) -> None:
        """Raises ``Refusal``: 401 for a token that is not valid, 403 for one that lacks the scope of the route.
        Alternatives of a scope are joined with ``|``."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        scopes = self.token_scopes
        if kind.lower() != "bearer" or token.strip() != self.token:
            scopes = self.oauth.scopes_of(token.strip()) if kind.lower() == "bearer" else None
            if scopes is None:
                raise Refusal(401, {"error": "Unauthorized", "message": "The access token is not valid."})
        if scopes is not None and request.scope and not scopes & set(request.scope.split("|")):
            raise Refusal(403, {"error": "Forbidden", "message": f"The scope {request.scope} is missing."})

    @staticmethod
    def data(value: Any, status: int = 200) -> Response:
        """``{"data": value}``."""
        return Response.json({"data": value}, status)

    # Rate limit (vend.md section 5)

    @property
    def limit(self) -> int:
        """Calls per window."""
        if self.rate_limit is not None:
            return self.rate_limit
        return CALLS_PER_REGISTER * len(self.store.registers) + CALLS_PER_STORE

    def _count_against_limit(self) -> None:
        clock = time.monotonic()
        with self.store.lock:
            if clock - self._window_started >= RATE_WINDOW_SECONDS:
                self._window_started, self._window_calls = clock, 0
            if self._window_calls >= self.limit:
                left = RATE_WINDOW_SECONDS - (clock - self._window_started)
                until = self.now() + timedelta(seconds=max(1, left))
                raise Refusal(
                    429,
                    {"error": "Too Many Requests", "message": "Rate limiting enforced"},
                    {"Retry-After": format_datetime(until, usegmt=True)},
                )
            self._window_calls += 1

    def reset_rate_limit(self) -> None:
        """Begins a new window, as if the old one had run out."""
        with self.store.lock:
            self._window_started, self._window_calls = 0.0, 0

    # Webhooks (vend.md section 7)

    @property
    def webhook_deliveries(self) -> list[WebhookDelivery]:
        return list(self.webhook_sender.deliveries)

    @property
    def webhook_mode(self) -> dict[str, Any]:
        return self.webhook_sender.mode

    @webhook_mode.setter
    def webhook_mode(self, mode: dict[str, Any]) -> None:
        self.webhook_sender.mode = {"repeat": 1, "lose": 0.0, "shuffle": False} | mode

    @property
    def webhook_secret(self) -> str | None:
        return self.webhook_sender.secret

    @webhook_secret.setter
    def webhook_secret(self, secret: str | None) -> None:
        self.webhook_sender.secret = secret

    @property
    def webhook_retry_seconds(self) -> float:
        return self.webhook_sender.retry_seconds

    @webhook_retry_seconds.setter
    def webhook_retry_seconds(self, seconds: float) -> None:
        self.webhook_sender.retry_seconds = seconds

    def flush_webhooks(self, timeout: float = 10.0) -> bool:
        """Waits until every webhook is delivered, lost or given up. False when that did not come about in time."""
        return self.webhook_sender.flush(timeout)

    def _send_webhooks(self, kind: str, record: Any) -> None:
        hooks = [hook for hook in self.store.webhooks if hook["type"] == kind and hook["active"]]
        if hooks:
            payload = self._payload(kind, record)
            for hook in hooks:
                self.webhook_sender.enqueue(hook, payload)

    def _payload(self, kind: str, record: Any) -> dict[str, Any]:
        if isinstance(record, Sale):
            return sale_webhook(record, self.store)
        if kind == "product.update":
            return product_webhook(record, self.store)
        if kind == "customer.update":
            return customer_webhook(record)
        if kind == "inventory.update":
            return inventory_webhook(record)
        return dict(record)


def split_path(path: str) -> tuple[str | None, str]:
    """Version family and resource path: ``/api/2026-07/sales`` -> ``("2026-07", "/sales")``. A dated version past its
    end becomes the oldest one still served; one that is not published yet becomes None."""
    found = VERSION.match(path)
    if found is None:
        return ("0.9", path[4:]) if path.startswith("/api/") else ("site", path)
    family, resource = found[1], found[2]
    if is_dated(family):
        if family > DATED_VERSIONS[-1]:
            return None, resource
        family = max((version for version in DATED_VERSIONS if version <= family), default=DATED_VERSIONS[0])
    return family, resource


def sign_in(request: Request) -> Response:
    """The documented trap: no 404 but a way to the sign-in page."""
    if request.method == "GET" and request.path == "/signin":
        return Response.html(SIGN_IN_PAGE)
    return Response.html(SIGN_IN_PAGE, 302, Location="/signin")
