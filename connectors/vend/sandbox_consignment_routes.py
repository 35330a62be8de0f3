"""The routes of consignments. Bodies are taken wrapped in ``data`` and bare. Source: vend.md 3.10."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.sandbox import Request, Response, Route
from connectors.vend.sandbox_consignments import ZERO
from connectors.vend.sandbox_core import Record, bad_request, quantity_text, unprocessable
from connectors.vend.sandbox_paging import Pager
from connectors.vend.sandbox_routes import BOTH, FamilyRoutes, object_of
from connectors.vend.sandbox_shapes import plain

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox

READ = "consignments:read"
WRITE = "consignments:write:stock_order|consignments:write:stock_transfer|consignments:write:inventory_count"
CREATED_WITH = (
    "supplier_id",
    "supplier_invoice",
    "reference",
    "consignment_date",
    "due_at",
    "show_inactive",
    "filters",
)


class ConsignmentRoutes:
    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store
        self.pager = Pager(sandbox, self.store.consignment_feed, "consignments", shape_consignment)

    def routes(self) -> FamilyRoutes:
        one, lines = "/consignments/{id}", "/consignments/{id}/products"
        yield BOTH, Route("GET", "/consignments", self.list, READ)
        yield BOTH, Route("POST", "/consignments", self.create, WRITE)
        yield BOTH, Route("GET", one, self.one, READ)
        yield BOTH, Route("PUT", one, self.update, WRITE)
        yield BOTH, Route("DELETE", one, self.delete, WRITE)
        yield BOTH, Route("GET", f"{one}/totals", self.totals, READ)
        yield BOTH, Route("POST", f"{one}/bulk", self.bulk, WRITE)
        yield BOTH, Route("GET", lines, self.lines, READ)
        yield BOTH, Route("POST", lines, self.add_line, WRITE)
        yield BOTH, Route("PUT", f"{lines}/{{product_id}}", self.set_line, WRITE)
        yield BOTH, Route("DELETE", f"{lines}/{{product_id}}", self.delete_line, WRITE)

    def list(self, request: Request) -> Response:
        """``outlet_id`` names the receiving outlet; whether the real filter also finds the source is not known."""
        self.store.process_stocktakes()
        names = [name for name in ("type", "status", "outlet_id") if name in request.query]
        return self.pager.page(request, lambda record: all(record[name] in request.query[name] for name in names))

    def create(self, request: Request) -> Response:
        body = unwrapped(request)
        missing = [name for name in ("name", "outlet_id", "type") if not body.get(name)]
        if missing:
            raise bad_request(f"{', '.join(missing)} are required.")
        self._check_outlets(body)
        record = self.store.add_consignment(
            body["type"],
            body["outlet_id"],
            name=body["name"],
            status=body.get("status") or "",
            source_outlet=body.get("source_outlet_id"),
            **{name: body[name] for name in CREATED_WITH if body.get(name) is not None},
        )
        return self.pager.single(record, request.family, 201)

    def _check_outlets(self, body: dict[str, Any]) -> None:
        for name in ("outlet_id", "source_outlet_id"):
            if body.get(name) and body[name] not in self.store.outlet_feed.by_id:
                raise unprocessable(f"The outlet {body[name]} does not exist.")

    def one(self, request: Request) -> Response:
        self.store.process_stocktakes()
        return self.pager.single(self.store.consignment(request.params["id"]), request.family)

    def update(self, request: Request) -> Response:
        body = unwrapped(request)
        self._check_outlets(body)
        return self.pager.single(self.store.edit_consignment(request.params["id"], body), request.family)

    def delete(self, request: Request) -> Response:
        self.store.delete_consignment(request.params["id"])
        return Response(204)

    def lines(self, request: Request) -> Response:
        self.store.process_stocktakes()
        record = self.store.consignment(request.params["id"])
        feed = self.store.consignment_lines[record["id"]]
        return Pager(self.sandbox, feed, "consignment_products", shape_line).page(request)

    def add_line(self, request: Request) -> Response:
        body = unwrapped(request)
        if not body.get("product_id"):
            raise bad_request("product_id is required.")
        line = self.store.send_line(request.params["id"], body["product_id"], body, add=True)
        return self.sandbox.data(shape_line(line, request.family))

    def set_line(self, request: Request) -> Response:
        line = self.store.line(request.params["id"], request.params["product_id"])
        line = self.store.send_line(request.params["id"], line["product_id"], unwrapped(request), add=False)
        return self.sandbox.data(shape_line(line, request.family))

    def delete_line(self, request: Request) -> Response:
        self.store.delete_line(request.params["id"], request.params["product_id"])
        return Response(204)

    def bulk(self, request: Request) -> Response:
        answer = self.store.send_bulk(request.params["id"], request.json())
        return self.sandbox.data(
            {
                product_id: {name: quantity_text(value) for name, value in values.items()}
                for product_id, values in answer.items()
            }
        )

    def totals(self, request: Request) -> Response:
        record = self.store.consignment(request.params["id"])
        if record["type"] == "STOCKTAKE":
            raise unprocessable("A count has no totals.")
        lines = self.store.lines_of(record)

        def total(name: str) -> tuple[Decimal, Decimal]:
            rows = [(line[name] or ZERO, line["cost"] or ZERO) for line in lines]
            return sum((count for count, _ in rows), ZERO), sum((count * cost for count, cost in rows), ZERO)

        (sent, sent_cost), (received, received_cost) = total("count"), total("received")
        return self.sandbox.data(
            [
                {
                    "total_sent_count": quantity_text(sent),
                    "total_sent_cost": f"{sent_cost:.10f}",
                    "total_received_count": quantity_text(received),
                    "total_received_cost": f"{received_cost:.10f}",
                }
            ]
        )


def unwrapped(request: Request) -> dict[str, Any]:
    body = object_of(request)
    inner = body.get("data")
    return inner if isinstance(inner, dict) else body


def shape_consignment(record: Record, family: str) -> dict[str, Any]:
    return plain(record, "consignments", family)


def shape_line(line: Record, family: str) -> dict[str, Any]:
    shape = plain(line, "consignment_products", family)
    del shape["id"]
    shape["count"] = quantity_text(line["count"])
    shape["received"] = quantity_text(line["received"] or ZERO)
    shape["cost"] = None if line["cost"] is None else quantity_text(line["cost"])
    return shape
