"""Levels per product and outlet, and stock adjustments. Source: vend.md 3.9."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.vend.sandbox_core import Feed, Record, bad_request, decimal_of, id_of, not_found, unprocessable
from connectors.vend.sandbox_reference import ReferenceBook

ROWS_PER_CALL = 1000
NEGATIVE_REASONS = frozenset({"DAMAGE", "EXPIRY", "INTERNAL_USE", "THEFT", "DONATION"})
POSITIVE_REASONS = frozenset({"STOCK_FOUND", "SAMPLE_FOR_SALE"})
ADJUSTMENT_FIELDS = frozenset(
    {"product_id", "outlet_id", "quantity", "reason", "custom_inventory_adjustment_reason_id"}
)


class StockBook(ReferenceBook):
    """How much of each product lies in each outlet, and why it changed."""

    def __init__(self, seed: int, now: Callable[[], datetime], tax_exclusive: bool) -> None:
        self.product_feed: Feed[Record] = Feed()
        self.inventory_feed: Feed[Record] = Feed()
        self.adjustment_feed: Feed[Record] = Feed()
        self.reason_feed: Feed[Record] = Feed()
        self._rows: dict[tuple[str, str], Record] = {}
        super().__init__(seed, now, tax_exclusive)

    def outlet_added(self, outlet: Record) -> None:
        for product in self.product_feed:
            if product["has_inventory"]:
                self.inventory_row(product["id"], outlet["id"])

    def inventory_row(self, product_id: str, outlet_id: str) -> Record:
        """The row of a product at an outlet, made with level 0 when there is none."""
        row = self._rows.get((product_id, outlet_id))
        if row is None:
            row = Record(
                id=self.new_id(),
                product_id=product_id,
                outlet_id=outlet_id,
                inventory_level=Decimal(0),
                average_cost=self.product_feed.by_id[product_id]["supply_price"],
                reorder_point=None,
                reorder_amount=None,
                deleted_at=None,
            )
            self._rows[(product_id, outlet_id)] = row
            self.touch(self.inventory_feed, row)
        return row

    def level(self, product: Any, outlet: Any) -> Decimal:
        """The stock of a product at an outlet; 0 where it was never counted."""
        with self.lock:
            row = self._rows.get((id_of(product), id_of(outlet)))
            return row["inventory_level"] if row else Decimal(0)

    def set_level(self, product: Any, outlet: Any, level: Any) -> None:
        """Sets the stock of a product at an outlet, as a person does in the shop's own screen."""
        with self.lock:
            self._check_pair(id_of(product), id_of(outlet))
            self._write_level(id_of(product), id_of(outlet), decimal_of(level))

    def move(self, product: Any, outlet: Any, difference: Decimal) -> None:
        """Adds to the stock of a product at an outlet. Products without inventory tracking do not move."""
        with self.lock:
            record = self.product_feed.by_id.get(id_of(product))
            if record is not None and record["has_inventory"] and difference:
                self._write_level(record["id"], id_of(outlet), self.level(record, outlet) + difference)

    def _write_level(self, product_id: str, outlet_id: str, level: Decimal) -> None:
        row = self.inventory_row(product_id, outlet_id)
        if row["inventory_level"] != level:
            row["inventory_level"] = level
            self.touch(self.inventory_feed, row)
            self.on_event("inventory.update", row)

    def _check_pair(self, product_id: str, outlet_id: str) -> None:
        if product_id not in self.product_feed.by_id:
            raise not_found(f"The product {product_id}")
        if outlet_id not in self.outlet_feed.by_id:
            raise not_found(f"The outlet {outlet_id}")

    # Stock adjustments

    def adjust_stock(self, rows: Any) -> list[Record]:
        """Relative changes with a reason, all or none. Raises ``Refusal`` 400 for a malformed batch (also when a
        quantity is a number instead of text), 422 for a row that cannot be carried out."""
        if not isinstance(rows, list) or not 1 <= len(rows) <= ROWS_PER_CALL:
            raise bad_request(f"stock_adjustments must hold 1 to {ROWS_PER_CALL} rows.")
        with self.lock:
            checked = [self._checked_adjustment(place, row) for place, row in enumerate(rows)]
            return [self._carry_out(row, quantity) for row, quantity in checked]

    def _checked_adjustment(self, place: int, row: Any) -> tuple[dict[str, Any], Decimal]:
        where = f"stock_adjustments[{place}]"
        if not isinstance(row, dict) or set(row) - ADJUSTMENT_FIELDS:
            raise bad_request(f"{where}: unknown fields.")
        if missing := {"product_id", "outlet_id", "quantity", "reason"} - set(row):
            raise bad_request(f"{where}: {', '.join(sorted(missing))} missing.")
        if not isinstance(row["quantity"], str) or len(row["quantity"]) > 32:
            raise bad_request(f"{where}: quantity must be a numeric string.")
        try:
            quantity = Decimal(row["quantity"])
        except ArithmeticError:
            raise bad_request(f"{where}: {row['quantity']!r} is not a number.") from None
        self._check_sign(where, row, quantity)
        product = self.product_feed.by_id.get(row["product_id"])
        if product is None or product["deleted_at"] is not None:
            raise unprocessable(f"{where}: the product {row['product_id']} does not exist.")
        if not product["has_inventory"]:
            raise unprocessable(f"{where}: the product {row['product_id']} does not track inventory.")
        outlet = self.outlet_feed.by_id.get(row["outlet_id"])
        if outlet is None or outlet["deleted_at"] is not None:
            raise unprocessable(f"{where}: the outlet {row['outlet_id']} does not exist.")
        return row, quantity

    def _check_sign(self, where: str, row: Mapping[str, Any], quantity: Decimal) -> None:
        reason = row["reason"]
        if reason == "CUSTOM":
            custom = self.reason_feed.by_id.get(row.get("custom_inventory_adjustment_reason_id") or "")
            if custom is None:
                raise unprocessable(f"{where}: CUSTOM needs a known custom_inventory_adjustment_reason_id.")
            negative = custom["type"] == "NEGATIVE"
        elif reason in NEGATIVE_REASONS | POSITIVE_REASONS:
            negative = reason in NEGATIVE_REASONS
        else:
            raise bad_request(f"{where}: {reason!r} is no reason.")
        if not quantity.is_finite() or not quantity or (quantity < 0) != negative:
            raise unprocessable(f"{where}: the sign of quantity {row['quantity']} does not fit the reason {reason}.")

    def _carry_out(self, row: dict[str, Any], quantity: Decimal) -> Record:
        adjustment = Record(
            id=self.new_id(),
            user_id=self.primary_user["id"],
            product_id=row["product_id"],
            outlet_id=row["outlet_id"],
            quantity=row["quantity"],
            reason=row["reason"],
            created_at=self.now(),
            updated_at=self.now(),
        )
        if row["reason"] == "CUSTOM":
            adjustment["custom_inventory_adjustment_reason_id"] = row["custom_inventory_adjustment_reason_id"]
        self.touch(self.adjustment_feed, adjustment)
        self.move(row["product_id"], row["outlet_id"], quantity)
        self.on_event("product.update", self.product_feed.by_id[row["product_id"]])
        return adjustment

    def add_adjustment_reason(self, name: str, kind: str, enabled: bool = True) -> Record:
        """A reason of the retailer's own; ``kind`` is POSITIVE or NEGATIVE."""
        with self.lock:
            if kind not in ("POSITIVE", "NEGATIVE"):
                raise bad_request("type must be POSITIVE or NEGATIVE.")
            reason = Record(
                id=self.new_id(),
                name=name,
                enabled=enabled,
                type=kind,
                is_from_external_source=True,
                created_at=self.now(),
                updated_at=self.now(),
            )
            return self.touch(self.reason_feed, reason)

    def set_inventory(self, product: Record, rows: Iterable[Mapping[str, Any]]) -> None:
        """``details.inventory``: absolute levels and reorder data; outlets that are not named stay as they are."""
        for row in rows:
            outlet_id = row.get("outlet_id")
            if outlet_id not in self.outlet_feed.by_id:
                raise unprocessable(f"The outlet {outlet_id} does not exist.")
            if not product["has_inventory"]:
                raise unprocessable(f"The product {product['id']} does not track inventory.")
            record = self.inventory_row(product["id"], outlet_id)
            for name in ("reorder_point", "reorder_amount"):
                if name in row:
                    record[name] = None if row[name] == -1 else decimal_of(row[name])
                    self.touch(self.inventory_feed, record)
            if row.get("current_amount") is not None:
                self._write_level(product["id"], outlet_id, decimal_of(row["current_amount"]))
