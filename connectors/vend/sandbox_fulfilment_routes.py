"""The routes of fulfilments. Source: vend.md 3.8."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from connectors.sandbox import Request, Response, Route
from connectors.vend.sandbox_core import Record, bad_request, dated_time, legacy_time
from connectors.vend.sandbox_fulfilments import goods_lines
from connectors.vend.sandbox_paging import whole_number
from connectors.vend.sandbox_routes import FamilyRoutes, object_of
from connectors.vend.sandbox_shapes import without_nulls

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox

SMALLEST_PAGE, LARGEST_PAGE = 10, 100


class FulfilmentRoutes:
    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store

    def routes(self) -> FamilyRoutes:
        write = "sales:write"
        yield "dated", Route("GET", "/fulfillments", self.list, "fulfillments:read")
        yield "dated", Route("POST", "/fulfillments/fulfill", self.fulfil_sale, write)
        for action in ("fulfill", "pick", "pack"):
            yield "dated", Route("POST", f"/fulfillments/{{id}}/{action}", self._worker(action), write)
        yield "2.0", Route("GET", "/sales/{id}/fulfillments", self.legacy_list, "fulfillments:read")
        yield "2.0", Route("POST", "/sales/{id}/fulfill", self.legacy_fulfil, write)
        yield "2.0", Route("GET", "/sales/{id}/pick_lists", self.pick_lists, "fulfillments:read")

    def list(self, request: Request) -> Response:
        """Paged by number; every filter may be repeated."""
        filters = (
            ("outlet_id", "outlet_id"),
            ("sale_id", "sale_id"),
            ("fulfillment_type", "type"),
            ("fulfillment_state", "state"),
        )
        found = [
            record
            for record in self.store.fulfilments
            if all(name not in request.query or record[field] in request.query[name] for name, field in filters)
        ]
        size = min(max(whole_number(request, "page_size", SMALLEST_PAGE), SMALLEST_PAGE), LARGEST_PAGE)
        page = whole_number(request, "page_number", 1)
        if page < 1:
            raise bad_request("page_number starts at 1.")
        shown = [self._summary(record) for record in found[(page - 1) * size : page * size]]
        return self.sandbox.data(without_nulls(shown) if self.sandbox.omit_nulls else shown)

    def _summary(self, record: Record) -> dict[str, Any]:
        sale = self.store.sale(record["sale_id"])
        return {
            "id": record["id"],
            "outlet_id": record["outlet_id"],
            "sale_id": record["sale_id"],
            "type": record["type"],
            "state": record["state"],
            "user_ids": record["user_ids"],
            "note": record["note"],
            "shipping_address_id": record["shipping_address_id"],
            "created_at": dated_time(record["created_at"]),
            "updated_at": dated_time(record["updated_at"]),
            "version": record["version"],
            "line_items": [
                {
                    "sale_line_item_id": line.id,
                    "product_id": line.product_id,
                    "quantity": str(line.quantity),
                    "picked_quantity": str(line.picked),
                    "packed_quantity": str(line.packed),
                    "fulfilled_quantity": str(line.fulfilled),
                }
                for line in goods_lines(self.store, sale)
            ],
        }

    def fulfil_sale(self, request: Request) -> Response:
        sale_id = object_of(request).get("sale_id")
        if not isinstance(sale_id, str):
            raise bad_request("sale_id is required.")
        return self.sandbox.data([reference(record) for record in self.store.fulfil_sale(sale_id)])

    def _worker(self, action: str) -> Callable[[Request], Response]:
        return partial(self._work, action)

    def _work(self, action: str, request: Request) -> Response:
        record = self.store.work_on_fulfilment(request.params["id"], action, object_of(request))
        return self.sandbox.data(reference(record))

    def legacy_list(self, request: Request) -> Response:
        """2.0 lists what was handed over, not what waits."""
        sale = self.store.sale(request.params["id"])
        done = [record for record in self.store.fulfilments_of(sale) if record["state"] == "FULFILLED"]
        return self.sandbox.data([self._legacy(record) for record in done])

    def _legacy(self, record: Record) -> dict[str, Any]:
        sale = self.store.sale(record["sale_id"])
        return {
            "id": record["uuid"],
            "sale_id": sale.id,
            "outlet_id": sale.outlet_id,
            "user_id": sale.user_id,
            "status": record["legacy_status"],
            "created_at": legacy_time(record["updated_at"]),
            "line_items": [
                {"id": line.id, "product_id": line.product_id, "quantity": line.fulfilled}
                for line in goods_lines(self.store, sale)
            ],
        }

    def legacy_fulfil(self, request: Request) -> Response:
        kind = object_of(request).get("fulfillment_type")
        if kind not in ("SHIPPED", "PICKED_UP"):
            raise bad_request("fulfillment_type must be SHIPPED or PICKED_UP.")
        return self.sandbox.data(self._legacy(self.store.fulfil_legacy(request.params["id"], kind)))

    def pick_lists(self, request: Request) -> Response:
        sale = self.store.sale(request.params["id"])
        rows = [
            {
                "id": record["uuid"],
                "sale_id": sale.id,
                "outlet_id": sale.outlet_id,
                "user_id": sale.user_id,
                "status": record["state"],
                "type": record["legacy_status"],
                "created_at": legacy_time(record["created_at"]),
                "note": record["note"],
                "line_items": [
                    {
                        "id": line.id,
                        "product_id": line.product_id,
                        "quantity": line.quantity,
                        "picked_quantity": line.picked,
                        "sale_line_item_id": line.id,
                        "note": line.note,
                    }
                    for line in goods_lines(self.store, sale)
                ],
            }
            for record in self.store.fulfilments_of(sale)
        ]
        return self.sandbox.data(rows)


def reference(record: Record) -> dict[str, Any]:
    return {"id": record["id"], "version": record["version"]}
