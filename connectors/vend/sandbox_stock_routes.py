"""The routes of levels and stock adjustments. Source: vend.md 3.9."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from connectors.sandbox import Request, Response, Route
from connectors.sandbox.wire import encode_json
from connectors.vend.sandbox_core import Record, bad_request, conflict, decimal_of
from connectors.vend.sandbox_paging import Pager
from connectors.vend.sandbox_routes import FamilyRoutes, object_of
from connectors.vend.sandbox_shapes import inventory_dated, inventory_legacy, is_dated

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox

INVENTORY_SIZE, LARGEST_INVENTORY_SIZE = 1000, 5000
LEVELS_SIZE, LARGEST_LEVELS_SIZE = 100, 10_000
MOST_IDS = 1000


class StockRoutes:
    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store
        self.rows = Pager(sandbox, self.store.inventory_feed, "inventory", shape_row)
        self.adjustments = Pager(sandbox, self.store.adjustment_feed, "stock_adjustments", largest=1000)
        self.reasons = Pager(sandbox, self.store.reason_feed, "custom_inventory_adjustment_reasons")

    def routes(self) -> FamilyRoutes:
        read, write = "inventory:read", "inventory:write"
        yield "2.0", Route("GET", "/inventory", self.rows.page, read)
        yield "2.0", Route("GET", "/products/{id}/inventory", self.of_product, read)
        yield "dated", Route("POST", "/inventory", self.dated_rows, read)
        yield "dated", Route("GET", "/inventory/{id}", self.dated_of_product, read)
        yield "dated", Route("POST", "/inventory/reorder_points", self.reorder_points, write)
        yield "dated", Route("POST", "/inventory_levels", self.levels, read)
        yield "dated", Route("GET", "/inventory_levels/{id}", self.levels_of_product, read)
        # Reading the list needs the write scope (vend.md section 2).
        yield "dated", Route("GET", "/stock_adjustments", self.adjustments.page, write)
        yield "dated", Route("POST", "/stock_adjustments", self.adjust, write)
        yield "dated", Route("GET", "/custom_inventory_adjustment_reasons", self.reasons.page, write)
        yield "dated", Route("POST", "/custom_inventory_adjustment_reasons", self.create_reason, write)

    def of_product(self, request: Request) -> Response:
        product = self.store.product(request.params["id"])
        return self.rows.page(request, lambda row: row["product_id"] == product["id"])

    def dated_rows(self, request: Request) -> Response:
        """A bare array; newest first unless ``sort_direction`` says ``asc``."""
        body = object_of(request) if request.body else {}
        size = whole(body, "size", INVENTORY_SIZE, LARGEST_INVENTORY_SIZE)
        after, before = int(body.get("after") or 0), int(body.get("before") or 0) or None
        direction = body.get("sort_direction") or "desc"
        if direction not in ("asc", "desc"):
            raise bad_request("sort_direction must be asc or desc.")
        feed = self.store.inventory_feed
        rows = feed.since(after, before) if direction == "asc" else feed.latest_first(after, before)
        product_id = body.get("product_id")
        wanted = (row for row in rows if product_id in (None, row["product_id"]))
        return self._array(islice(wanted, size), request)

    def dated_of_product(self, request: Request) -> Response:
        product = self.store.product(request.params["id"])
        rows = [row for row in self.store.inventory_feed.since() if row["product_id"] == product["id"]]
        return self._array(rows, request)

    def _array(self, rows: Any, request: Request) -> Response:
        parts = b",".join(self.rows.bytes_of(row, request.family) for row in rows)
        return Response(body=b"[" + parts + b"]")

    def levels(self, request: Request) -> Response:
        body = object_of(request) if request.body else {}
        for name in ("location_ids", "product_ids", "root_product_ids", "supplier_ids"):
            if len(body.get(name) or ()) > MOST_IDS:
                raise bad_request(f"{name} has more than {MOST_IDS} ids.")
        size = whole(body, "size", LEVELS_SIZE, LARGEST_LEVELS_SIZE)
        offset = int(body.get("offset") or 0)
        rows = [
            self._level(row)
            for row in self.store.inventory_feed
            if wanted(body.get("location_ids"), row["outlet_id"]) and wanted(body.get("product_ids"), row["product_id"])
        ]
        rows = [
            row
            for row in rows
            if wanted(body.get("root_product_ids"), row["root_product_id"])
            and wanted(body.get("supplier_ids"), row["supplier_id"])
        ]
        return Response(body=encode_json(self._lean(rows[offset : offset + size])))

    def levels_of_product(self, request: Request) -> Response:
        product = self.store.product(request.params["id"])
        rows = [self._level(row) for row in self.store.inventory_feed if row["product_id"] == product["id"]]
        return Response(body=encode_json(self._lean(rows)))

    @staticmethod
    def _lean(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{name: value for name, value in row.items() if value is not None} for row in rows]

    def _level(self, row: Record) -> dict[str, Any]:
        product = self.store.product_feed.by_id[row["product_id"]]
        return {
            "product_id": product["id"],
            "location_id": row["outlet_id"],
            "name": product["variant_name"],
            "root_product_id": product["family_id"],
            "brand_id": product["brand_id"],
            "product_type_id": product["product_type_id"],
            "supplier_id": product["supplier_id"],
            "current_inventory_level": row["inventory_level"],
            "average_cost": row["average_cost"],
            "total_cost": row["average_cost"] * row["inventory_level"],
            "quantity_to_procure": 0,
            "reorder_amount": row["reorder_amount"],
            "reorder_method": None,
            "reorder_target": None,
            "reorder_threshold": row["reorder_point"],
        }

    def reorder_points(self, request: Request) -> Response:
        entries = request.json()
        if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_IDS:
            raise bad_request(f"1 to {MOST_IDS} entries are expected.")
        for entry in entries:
            product = self.store.product(entry.get("product_id") or "")
            row = {"outlet_id": entry.get("outlet_id"), "reorder_point": decimal_of(entry.get("reorder_point", 0))}
            if entry.get("reorder_amount") is not None:
                row["reorder_amount"] = entry["reorder_amount"]
            self.store.set_inventory(product, [row])
        return self.sandbox.data(entries)

    def adjust(self, request: Request) -> Response:
        body = object_of(request)
        if set(body) != {"stock_adjustments"}:
            raise bad_request("The body must hold stock_adjustments and nothing else.")
        made = self.store.adjust_stock(body["stock_adjustments"])
        parts = b",".join(self.adjustments.bytes_of(row, request.family) for row in made)
        return Response(201, b'{"data":[' + parts + b"]}")

    def create_reason(self, request: Request) -> Response:
        body = object_of(request)
        if not body.get("name"):
            raise bad_request("name is required.")
        if any(reason["name"] == body["name"] for reason in self.store.reason_feed):
            raise conflict(f"The reason {body['name']} exists already.")
        reason = self.store.add_adjustment_reason(body["name"], body.get("type", ""), bool(body.get("enabled", True)))
        return self.reasons.single(reason, request.family)


def shape_row(row: Record, family: str) -> dict[str, Any]:
    return inventory_dated(row) if is_dated(family) else inventory_legacy(row)


def whole(body: dict[str, Any], name: str, default: int, largest: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or not 1 <= value <= largest:
        raise bad_request(f"{name} must be 1 to {largest}.")
    return value


def wanted(ids: list[str] | None, record_id: str | None) -> bool:
    return not ids or record_id in ids
