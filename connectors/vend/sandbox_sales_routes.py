"""The routes of sales in all families. Source: vend.md 3.3 to 3.7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.sandbox import Request, Response, Route
from connectors.vend.sandbox_core import not_found
from connectors.vend.sandbox_old_shapes import register_sale
from connectors.vend.sandbox_paging import Pager, whole_number
from connectors.vend.sandbox_requests import save_dated_sale, save_register_sale
from connectors.vend.sandbox_routes import BOTH, FamilyRoutes, object_of, one_of
from connectors.vend.sandbox_sale import Sale
from connectors.vend.sandbox_shapes import is_dated, sale_dated, sale_legacy

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox

LARGEST_SALES_PAGE = 500
LARGEST_OLD_PAGE = 200


class SalesRoutes:
    def __init__(self, sandbox: VendSandbox) -> None:
        self.store = sandbox.store
        self.pager = Pager(sandbox, self.store.sale_feed, "sales", shape_sale, LARGEST_SALES_PAGE)

    def routes(self) -> FamilyRoutes:
        read, write = "sales:read", "sales:write"
        yield BOTH, Route("GET", "/sales", self.pager.page, read)
        yield BOTH, Route("GET", "/sales/{id}", one_of(self.pager, "sale"), read)
        yield "dated", Route("POST", "/sales", self.create, write)
        yield "dated", Route("PUT", "/sales/{id}", self.update, write)
        yield "dated", Route("POST", "/sales/{id}/actions/return", self.start_return, write)
        yield "2.0", Route("PUT", "/sales/{id}/actions/return", self.start_return, write)
        yield "0.9", Route("GET", "/register_sales", self.old_list, read)
        yield "0.9", Route("GET", "/register_sales/{id}", self.old_one, read)
        yield "0.9", Route("POST", "/register_sales", self.old_save, write)

    def create(self, request: Request) -> Response:
        sale = save_dated_sale(self.store, object_of(request))
        if request.family == "2026-01":
            return Response.json({"data": {"id": sale.id}})
        return self.pager.single(sale, request.family)

    def update(self, request: Request) -> Response:
        sale = save_dated_sale(self.store, object_of(request), self.store.sale(request.params["id"]))
        if request.family == "2026-01":
            return Response(204)
        return self.pager.single(sale, request.family)

    def start_return(self, request: Request) -> Response:
        voids_others = is_dated(request.family) and request.family >= "2026-07"
        back = self.store.start_return(request.params["id"], void_parked=voids_others)
        return self.pager.single(back, request.family)

    def old_list(self, request: Request) -> Response:
        """0.9 pages by number; newest versions last."""
        sales = [sale for sale in self.store.sale_feed.since() if isinstance(sale, Sale)]
        if request.first("outlet_id"):
            sales = [sale for sale in sales if sale.outlet_id == request.first("outlet_id")]
        if request.query.get("status"):
            sales = [sale for sale in sales if sale.status in request.query["status"]]
        size = min(max(whole_number(request, "page_size", 50), 1), LARGEST_OLD_PAGE)
        page = max(whole_number(request, "page", 1), 1)
        shown = sales[(page - 1) * size : page * size]
        return Response.json(
            {
                "pagination": {
                    "results": len(sales),
                    "page": page,
                    "page_size": size,
                    "pages": -(-len(sales) // size),
                },
                "register_sales": [register_sale(sale, self.store) for sale in shown],
            }
        )

    def old_one(self, request: Request) -> Response:
        sale = self.store.sale_feed.by_id.get(request.params["id"])
        if not isinstance(sale, Sale):
            raise not_found("The sale")
        return Response.json({"register_sales": [register_sale(sale, self.store)]})

    def old_save(self, request: Request) -> Response:
        sale = save_register_sale(self.store, object_of(request))
        return Response.json({"register_sale": register_sale(sale, self.store)})


def shape_sale(sale: Any, family: str) -> dict[str, Any]:
    return sale_dated(sale) if is_dated(family) else sale_legacy(sale)
