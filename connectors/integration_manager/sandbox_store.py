"""What the fake Integration Manager holds: orders on their way through it, and the stock of its WMS."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

WMS_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
REQUIRED = ("cust_ref", "ship_address_1", "ship_city", "ship_state", "ship_zip", "ship_country", "items")
NAMES = ("ship_company", "ship_first_name", "ship_last_name")

# List statuses that stand for several.
GROUPS: dict[str, tuple[str, ...]] = {
    "new_or_at_wms": ("new", "at_wms"),
    "shipped_or_confirmed": ("shipped", "confirmed"),
    "any": ("new", "at_wms", "partial", "shipped", "confirmed", "error", "canceled"),
}
STATUSES = {*GROUPS, *GROUPS["any"]}

Row = dict[str, Any]


class Refused(Exception):
    """An application error: ``code`` is Invalid (wrong data) or Failure (a hard one, such as a duplicate)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CartRoverStore:
    """``warehouses`` maps the id of a warehouse to its name; without any, stock is not split. ``stock`` maps a SKU to what
    lies at each."""

    def __init__(self, now: Callable[[], datetime], warehouses: Mapping[str, str], products: int = 0) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.orders: dict[str, Row] = {}
        self.warehouses = dict(warehouses)
        self.stock: dict[str, dict[str, Row]] = {}
        self.products: dict[str, Row] = {}
        self.ship_methods: list[Row] = [
            {"carrier": "UPS", "code": "28", "description": "UPS Next Day Air"},
            {"carrier": "UPS", "code": "GROUND", "description": "UPS Ground"},
        ]
        # A longer cust_ref is cut.
        self.longest_cust_ref = 40
        self.record_no = 0
        self.parcels = 0
        # cust_refs whose cancellation the WMS refuses, with its words.
        self.refused_cancellations: dict[str, str] = {}
        for number in range(1, products + 1):
            self.add_product(f"SKU-{number:04d}", f"Article {number}", available=10 + number % 40)

    # --- stock and products ------------------------------------------------------------------------------------------

    def add_product(self, sku: str, name: str = "", *, available: int | str = 0, price: str = "10.00") -> None:
        self.products[sku] = {
            "sku": sku,
            "name": name or f"Article {sku}",
            "description": f"About {name or sku}",
            "retail_price": Decimal(price),
            "wholesale_price": None,
            "weight_lbs": None,
            "wms_product_main_id": None,
            "last_updated_datetime": self.now().strftime("%Y-%m-%d %H:%M:%S"),
            "aliases": [{"code_type": "UPC", "code": f"{len(self.products) + 1:012d}"}],
        }
        self.set_stock(sku, available)

    def set_stock(self, sku: str, available: int | str | Decimal, warehouse: str = "", on_hand: Any = None) -> None:
        """Stock at one warehouse (its id), by default the first one."""
        place = warehouse or next(iter(self.warehouses), "")
        with self.lock:
            self.stock.setdefault(sku, {})[place] = {
                "available": Decimal(available),
                "on_hand": Decimal(available if on_hand is None else on_hand),
                "as_of": self.now(),
            }

    def move(self, sku: str, place: str, quantity: Decimal, *names: str) -> None:
        level = self.stock.get(sku, {}).get(place)
        if level is not None:
            for name in names:
                level[name] += quantity
            level["as_of"] = self.now()

    def warehouse_of(self, order: Row) -> str:
        """The id of the warehouse that an order names, by default the first one."""
        named = next((key for key, name in self.warehouses.items() if name == order.get("location")), "")
        return named or next(iter(self.warehouses), "")

    # --- orders ------------------------------------------------------------------------------------------------------

    def create(self, body: Any) -> Row:
        if not isinstance(body, dict):
            raise Refused("Invalid", "Order is not an object")
        missing = [name for name in REQUIRED if body.get(name) in (None, "", [])]
        if not any(body.get(name) for name in NAMES):
            missing.append("ship_company")
        if not any(body.get(name) for name in ("cust_company", "cust_first_name", "cust_last_name")):
            missing.append("cust_company")
        if missing:
            raise Refused("Invalid", f"Order missing required field(s): {', '.join(missing)}")
        self.check_money(body)
        original = str(body["cust_ref"])
        cust_ref = WMS_UNSAFE.sub("", original)[: self.longest_cust_ref]
        if cust_ref in self.orders:
            raise Refused("Failure", "OrderDuplicate")
        self.record_no += 1
        now = self.now()
        order: Row = {
            **body,
            "cust_ref": cust_ref,
            "cust_ref_original": original if original != cust_ref else None,
            "cust_po_no": body.get("cust_po_no") or original,
            "record_no": str(self.record_no),
            "order_status": "new",
            "created": now,
            "updated": now,
            "delivered": None,
            "shipments": [],
        }
        self.orders[cust_ref] = order
        return order

    @staticmethod
    def check_money(body: Row) -> None:
        """The price rules (section B.3.1)."""
        sub_total = line_tax = Decimal(0)
        for item in body["items"]:
            if not isinstance(item, dict) or item.get("item") in (None, "") or not item.get("quantity"):
                raise Refused("Invalid", "Order missing required field(s): item, quantity")
            price, discount = Decimal(str(item.get("price", 0))), Decimal(str(item.get("discount", 0)))
            extended = ((price - discount) * Decimal(str(item["quantity"]))).quantize(Decimal("0.01"))
            if abs(extended - Decimal(str(item.get("extended_amount", extended)))) > Decimal("0.01"):
                raise Refused("Invalid", f"extended_amount of {item['item']} does not match its price")
            sub_total += Decimal(str(item.get("extended_amount", extended)))
            line_tax += Decimal(str(item.get("tax") or 0))
        money = {
            name: Decimal(str(body.get(name) or 0))
            for name in ("sub_total", "order_discount", "sales_tax", "shipping_handling", "grand_total")
        }
        if money["sub_total"] != sub_total:
            raise Refused("Invalid", "sub_total does not match the items")
        if line_tax and line_tax != money["sales_tax"]:
            raise Refused("Invalid", "sales_tax does not match the tax of the items")
        expected = sub_total + money["sales_tax"] + money["shipping_handling"] - money["order_discount"]
        if money["grand_total"] != expected or money["order_discount"] < 0:
            raise Refused("Invalid", "grand_total does not match")

    def find(self, cust_ref: str) -> Row:
        try:
            return self.orders[cust_ref]
        except KeyError:
            raise Refused("Invalid", f"Order {cust_ref} not found") from None

    def listed(self, status: str, since: datetime | None, until: datetime | None) -> list[Row]:
        wanted = GROUPS.get(status, (status,))
        return [
            order
            for order in self.orders.values()
            if order["order_status"] in wanted
            and (since is None or order["updated"] >= since)
            and (until is None or order["updated"] <= until)
        ]

    def touch(self, order: Row, **values: Any) -> None:
        order.update(values, updated=self.now())

    def cancel(self, cust_ref: str) -> str:
        """Why it is not cancelled, "" when it is."""
        order = self.find(cust_ref)
        if cust_ref in self.refused_cancellations:
            return self.refused_cancellations[cust_ref]
        if order["order_status"] == "new":
            return "Order is not at the WMS"
        if order["order_status"] == "canceled":
            return "Order is already canceled"
        if order["order_status"] != "at_wms":
            return f"Order is {order['order_status']} and cannot be canceled"
        self.give_back(order)
        self.touch(order, order_status="canceled")
        return ""

    def cancel_unsent(self, cust_ref: str) -> None:
        order = self.find(cust_ref)
        if order["order_status"] != "new":
            raise Refused("Failure", "Order was already sent to the WMS")
        self.touch(order, order_status="canceled")

    def give_back(self, order: Row) -> None:
        for item in order["items"]:
            self.move(item["item"], self.warehouse_of(order), Decimal(str(item["quantity"])), "available")

    def confirm(self, cust_ref: str, body: Row) -> None:
        order = self.find(cust_ref)
        if body.get("order_status") != "confirmed":
            raise Refused("Invalid", "order_status must be confirmed")
        if order["order_status"] not in ("shipped", "confirmed"):
            raise Refused("Failure", f"Order is {order['order_status']}")
        self.touch(order, order_status="confirmed")

    # --- the WMS at work ---------------------------------------------------------------------------------------------

    def deliver(self, cust_ref: str = "") -> list[str]:
        """New orders reach the WMS, which sets their goods aside: one, or all."""
        with self.lock:
            moved = []
            for order in self.orders.values():
                if order["order_status"] == "new" and cust_ref in ("", order["cust_ref"]):
                    self.touch(order, order_status="at_wms", delivered=self.now())
                    for item in order["items"]:
                        self.move(item["item"], self.warehouse_of(order), -Decimal(str(item["quantity"])), "available")
                    moved.append(order["cust_ref"])
            return moved

    def ship(
        self,
        cust_ref: str,
        items: Mapping[str, int | str] | None = None,
        *,
        carrier: str = "UPS",
        tracking_no: str | None = None,
        cartons: Sequence[Mapping[str, Any]] = (),
    ) -> Row:
        """One parcel. ``items`` are SKU -> quantity; None: everything that is open. ``cartons`` add fields to its rows."""
        with self.lock:
            order = self.find(cust_ref)
            self.deliver(cust_ref)
            open_items = self.open_items(order)
            sent = open_items if items is None else {sku: Decimal(str(quantity)) for sku, quantity in items.items()}
            self.parcels += 1
            shipment: Row = {
                "carrier": carrier,
                "method": order.get("ship_code") or "GROUND",
                "tracking_no": f"1Z{self.parcels:09d}" if tracking_no is None else tracking_no,
                "date": self.now(),
                "items": [
                    {"item": sku, "quantity": quantity, "carton_num": "1"} for sku, quantity in sent.items() if quantity
                ],
            }
            for row, extra in zip(shipment["items"], cartons, strict=False):
                row.update(extra)
            order["shipments"].append(shipment)
            for sku, quantity in sent.items():
                self.move(sku, self.warehouse_of(order), -quantity, "on_hand")
            is_all = not any(quantity > 0 for quantity in self.open_items(order).values())
            self.touch(order, order_status="shipped" if is_all else "partial")
            return shipment

    @staticmethod
    def open_items(order: Row) -> dict[str, Decimal]:
        left: dict[str, Decimal] = {}
        for item in order["items"]:
            left[item["item"]] = left.get(item["item"], Decimal(0)) + Decimal(str(item["quantity"]))
        for shipment in order["shipments"]:
            for row in shipment["items"]:
                left[row["item"]] = left.get(row["item"], Decimal(0)) - Decimal(str(row["quantity"]))
        return left

    def waiting(self) -> list[str]:
        with self.lock:
            return [
                order["cust_ref"]
                for order in self.orders.values()
                if order["order_status"] in ("new", "at_wms", "partial")
            ]

    def age(self, cust_ref: str, **ago: float) -> None:
        """Lets an order's last change lie in the past."""
        with self.lock:
            self.orders[cust_ref]["updated"] -= timedelta(**ago)
