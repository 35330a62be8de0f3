"""The routes of the reference resources, customers, webhooks and search. Source: vend.md 3.2, 3.7, 3.12 and 7."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.sandbox import BadMessage, Request, Response, Route
from connectors.vend.sandbox_core import Feed, Record, bad_request, mask_cards, not_found, parse_time
from connectors.vend.sandbox_paging import Pager, is_deleted, whole_number
from connectors.vend.sandbox_reference import CUSTOMER_FIELDS
from connectors.vend.sandbox_sale import Sale
from connectors.vend.sandbox_shapes import is_dated, plain, product_shape, sale_dated, sale_legacy, without_nulls
from connectors.vend.sandbox_store import WEBHOOK_TYPES

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox

SEARCH_SIZE = 1000

# (families, route); a family is "dated", "2.0", "2.1", "1.0", "0.9" or "" for paths outside /api
FamilyRoutes = Iterable[tuple[str, Route]]
BOTH = "dated 2.0"


class ReferenceRoutes:
    """Retailer, outlets, registers, taxes, payment types, users."""

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store

    def routes(self) -> FamilyRoutes:
        yield BOTH, Route("GET", "/retailer", self.retailer, "retailer:read")
        yield BOTH, Route("GET", "/user", self.user, "users:read")
        for resource, feed in (
            ("outlets", self.store.outlet_feed),
            ("registers", self.store.register_feed),
            ("users", self.store.user_feed),
        ):
            yield from self._listed(resource, feed, f"{resource}:read", single=True)
        yield from self._listed("taxes", self.store.tax_feed, "taxes:read")
        yield from self._listed("payment_types", self.store.payment_type_feed, "payment_types:read")
        yield from self._listed("customer_groups", self.store.customer_group_feed, "customers:read", single=True)
        yield BOTH, Route("GET", "/outlet_taxes", self.outlet_taxes, "taxes:read")

    def _listed(self, resource: str, feed: Feed[Record], scope: str, single: bool = False) -> FamilyRoutes:
        pager = Pager(self.sandbox, feed, resource)
        yield BOTH, Route("GET", f"/{resource}", pager.page, scope)
        if single:
            yield BOTH, Route("GET", f"/{resource}/{{id}}", one_of(pager, resource[:-1]), scope)

    def retailer(self, request: Request) -> Response:
        return self.sandbox.data(plain(self.store.retailer, "retailer", request.family))

    def user(self, request: Request) -> Response:
        return self.sandbox.data(plain(self.store.primary_user, "users", request.family))

    def outlet_taxes(self, request: Request) -> Response:
        """One row per product and outlet; every product has the outlet's default tax unless it says otherwise."""
        rows = []
        for outlet in self.store.outlets:
            if request.first("outlet_id", outlet["id"]) != outlet["id"]:
                continue
            for product in self.store.product_feed.since(whole_number(request, "after", 0)):
                own = {row["outlet_id"]: row["tax_id"] for row in product["outlet_taxes"]}
                tax_id = own.get(outlet["id"], outlet["default_tax_id"])
                rows.append(
                    {
                        "outlet_id": outlet["id"],
                        "product_id": product["id"],
                        "tax_id": tax_id,
                        "version": product["version"],
                    }
                )
        rows.sort(key=lambda row: row["version"])
        versions = [row["version"] for row in rows]
        span = {"min": min(versions), "max": max(versions)} if versions else {"min": None, "max": None}
        return Response.json({"data": rows, "version": span})


class CustomerRoutes:
    """Customers, and their addresses in the dated versions."""

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store
        self.pager = Pager(sandbox, self.store.customer_feed, "customers")

    def routes(self) -> FamilyRoutes:
        read, write = "customers:read", "customers:write"
        yield BOTH, Route("GET", "/customers", self.pager.page, read)
        yield BOTH, Route("POST", "/customers", self.create, write)
        yield BOTH, Route("GET", "/customers/{id}", one_of(self.pager, "customer"), read)
        yield BOTH, Route("PUT", "/customers/{id}", self.update, write)
        yield BOTH, Route("DELETE", "/customers/{id}", self.delete, write)
        yield "dated", Route("GET", "/customers/{id}/addresses", self.addresses, read)
        yield "dated", Route("POST", "/customers/{id}/addresses", self.add_address, write)
        yield "dated", Route("GET", "/customers/{id}/addresses/{address_id}", self.address, read)
        yield "dated", Route("PUT", "/customers/{id}/addresses/{address_id}", self.update_address, write)
        yield "dated", Route("DELETE", "/customers/{id}/addresses/{address_id}", self.delete_address, write)

    def create(self, request: Request) -> Response:
        customer = self.store.add_customer(**mask_cards(writable(object_of(request), CUSTOMER_FIELDS)))
        return self.pager.single(customer, request.family, 201)

    def update(self, request: Request) -> Response:
        fields = mask_cards(writable(object_of(request), CUSTOMER_FIELDS))
        return self.pager.single(self.store.update_customer(request.params["id"], **fields), request.family)

    def delete(self, request: Request) -> Response:
        self.store.delete_customer(request.params["id"])
        return Response(204)

    def addresses(self, request: Request) -> Response:
        customer = self.store.get(self.store.customer_feed, request.params["id"], "The customer")
        owned = self.store.addresses.get(customer["id"], {}).values()
        return self.sandbox.data([address_shape(address) for address in owned])

    def add_address(self, request: Request) -> Response:
        address = self.store.add_address(request.params["id"], **mask_cards(object_of(request)))
        return self.sandbox.data(address_shape(address, with_token=True), 201)

    def address(self, request: Request) -> Response:
        return self.sandbox.data(address_shape(self._address(request)))

    def update_address(self, request: Request) -> Response:
        address = self._address(request)
        self.store.update_address(address["customer_id"], address["id"], **mask_cards(object_of(request)))
        return self.sandbox.data(address_shape(address))

    def delete_address(self, request: Request) -> Response:
        address = self._address(request)
        del self.store.addresses[address["customer_id"]][address["id"]]
        return Response(204)

    def _address(self, request: Request) -> Record:
        number = request.params["address_id"]
        if not number.isdigit():
            raise not_found("The address")
        return self.store.address(request.params["id"], int(number))


class WebhookRoutes:
    """Webhooks: JSON in 2.0 and dated, a form field ``data`` in 0.9."""

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store

    def routes(self) -> FamilyRoutes:
        scope = "webhooks"
        yield f"{BOTH} 0.9", Route("GET", "/webhooks", self.list, scope)
        yield f"{BOTH} 0.9", Route("POST", "/webhooks", self.create, scope)
        yield f"{BOTH} 0.9", Route("GET", "/webhooks/{id}", self.one, scope)
        yield f"{BOTH} 0.9", Route("PUT", "/webhooks/{id}", self.update, scope)
        yield f"{BOTH} 0.9", Route("DELETE", "/webhooks/{id}", self.delete, scope)

    def list(self, request: Request) -> Response:
        return self._answer(self.store.webhooks, request)

    def create(self, request: Request) -> Response:
        kind, url, active = self._fields(request)
        hook = self.store.add_webhook(kind, url, active)
        return self._answer(hook, request, 200 if request.family == "0.9" else 201)

    def one(self, request: Request) -> Response:
        return self._answer(self.store.webhook(request.params["id"]), request)

    def update(self, request: Request) -> Response:
        hook = self.store.webhook(request.params["id"])
        hook["type"], hook["url"], hook["active"] = self._fields(request)
        return self._answer(hook, request)

    def delete(self, request: Request) -> Response:
        self.store.delete_webhook(request.params["id"])
        return Response.json({"status": "success"})

    def _answer(self, data: Any, request: Request, status: int = 200) -> Response:
        return Response.json(data if request.family == "0.9" else {"data": data}, status)

    def _fields(self, request: Request) -> tuple[str, str, bool]:
        body = form_data_of(request) if request.family == "0.9" else object_of(request)
        kind, url, active = body.get("type"), body.get("url"), body.get("active", True)
        if kind not in WEBHOOK_TYPES:
            raise bad_request(f"{kind!r} is no webhook type.")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise bad_request("url must be an absolute URL.")
        return kind, url, bool(active)


class SearchRoutes:
    """``GET /search``: the only resource with filters, paged by offset."""

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store

    def routes(self) -> FamilyRoutes:
        yield BOTH, Route("GET", "/search", self.search)

    def search(self, request: Request) -> Response:
        finders: dict[str, Callable[[Request], list[Any]]] = {
            "sales": self._sales,
            "products": self._products,
            "customers": self._customers,
        }
        finder = finders.get(request.first("type"))
        if finder is None:
            raise bad_request("type must be sales, products or customers.")
        size = min(whole_number(request, "page_size", 100), SEARCH_SIZE)
        offset = whole_number(request, "offset", 0)
        found = finder(request)
        if request.first("order_direction", "asc") == "desc":
            found.reverse()
        rows = found[offset : offset + size]
        return Response.json({"data": without_nulls(rows) if self.sandbox.omit_nulls else rows})

    def _sales(self, request: Request) -> list[Any]:
        statuses = request.query.get("status", [])
        start, end = request.first("date_from"), request.first("date_to")
        found = []
        for sale in self.store.sale_feed.since():
            if not isinstance(sale, Sale) or (statuses and sale.status not in statuses):
                continue
            if (start and sale.sale_date < parse_time(start)) or (end and sale.sale_date > parse_time(end)):
                continue
            if same(request, sale, ("invoice_number", "customer_id", "user_id", "outlet_id")):
                found.append(sale_dated(sale) if is_dated(request.family) else sale_legacy(sale))
        return found

    def _products(self, request: Request) -> list[Any]:
        found = []
        for product in self.store.product_feed.since():
            # A value with capitals finds nothing: the index holds lower case (vend.md section 11, trap 9).
            if "sku" in request.query and (product["sku"] or "").lower() not in request.query["sku"]:
                continue
            if "tag_id" in request.query and not set(request.query["tag_id"]) & set(product["tag_ids"]):
                continue
            names = ("supplier_id", "brand_id", "product_type_id", "variant_parent_id")
            if wanted_deleted(request, product) and same(request, product, names):
                found.append(product_shape(product, self.store, request.family))
        return found

    def _customers(self, request: Request) -> list[Any]:
        names = ("customer_code", "first_name", "last_name", "company_name", "mobile", "phone", "email")
        return [
            plain(customer, "customers", request.family)
            for customer in self.store.customer_feed.since()
            if wanted_deleted(request, customer) and same(request, customer, names)
        ]


def wanted_deleted(request: Request, record: Record) -> bool:
    return request.first("deleted") in ("true", "1") or not is_deleted(record)


def same(request: Request, record: Any, names: Iterable[str]) -> bool:
    """Does the record match every filter that is given, and no exclusion (``-name``)?"""
    for name in ("id", *names):
        key = "_id" if name == "id" else name
        value = str(record[name] or "").lower()
        wanted = [text.lower() for text in request.query.get(key, ())]
        unwanted = [text.lower() for text in request.query.get(f"-{key}", ())]
        if (wanted and value not in wanted) or value in unwanted:
            return False
    return True


def one_of(pager: Pager, what: str) -> Callable[[Request], Response]:
    """A handler for ``GET /resource/{id}``."""

    def one(request: Request) -> Response:
        record = pager.feed.by_id.get(request.params["id"])
        if record is None:
            raise not_found(f"The {what}")
        return pager.single(record, request.family)

    return one


def object_of(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises ``Refusal`` 400."""
    try:
        body = request.json()
    except BadMessage as error:
        raise bad_request(str(error)) from None
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    return body


def form_data_of(request: Request) -> dict[str, Any]:
    """The 0.9 form: one field ``data`` with JSON in it."""
    try:
        body = msgspec.json.decode(request.form().get("data", ""))
    except msgspec.DecodeError:
        raise bad_request("The field data must hold JSON.") from None
    if not isinstance(body, dict):
        raise bad_request("The field data must hold a JSON object.")
    return body


def writable(body: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The fields that may be written; the real thing ignores what it does not know."""
    return {name: body[name] for name in known if name in body}


def address_shape(address: Record, with_token: bool = False) -> dict[str, Any]:
    shape = plain(address, "addresses", "2026-07")
    if not with_token:
        del shape["id_token"]
    return shape
