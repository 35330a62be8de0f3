"""The sandbox's data as the API gives them (sections B.3.2, B.3.4 and B.9), steady or wobbling (B.11)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

Row = dict[str, Any]

MONEY = ("sub_total", "order_discount", "sales_tax", "shipping_handling", "grand_total", "balance")
LINE_MONEY = ("price", "discount", "addl_discount")
# Present on every order, null where nothing is there.
ORDER_NULLS = (
    "po_number", "cust_po_no_original", "working_ship_code", "orig_carrier", "cass_error_ship", "cass_error_cust",
    "cass_date", "error_code", "error_msg", "error_reason", "mark_in_progress_date", "extra_system_date_sent",
    "cancel_date", "delete_date", "latest_ship_date", "log_documents_out", "mark_in_progress_log", "gift_message",
    "cc_last_four", "resubmit_date", "ship_account_zip",
)  # fmt: skip
SHIPMENT_NULLS = (
    "tracking_no_secondary", "tracking_url", "total_cost", "dim_weight_lbs", "zone", "delivery_surcharge_type",
    "whs_location", "sscc_barcode", "bill_of_lading", "box_length_in", "box_width_in", "box_height_in", "custom_1",
    "custom_2", "custom_3",
)  # fmt: skip
INTERNAL = ("created", "updated", "delivered")


def order_row(order: Row, warehouse: str, *, extras: bool) -> Row:
    """An order in full. Extra fields are there on request only."""
    quantities = [Decimal(str(item["quantity"])) for item in order["items"]]
    shipped = sum(
        (Decimal(str(row["quantity"])) for parcel in order["shipments"] for row in parcel["items"]), Decimal()
    )
    told = {name: value for name, value in order.items() if name not in INTERNAL}
    if not extras:
        told.pop("extra_fields", None)
    return {
        **dict.fromkeys(ORDER_NULLS),
        **told,
        **{name: money(order.get(name)) for name in MONEY},
        "created_date_time": stamp(order["created"]),
        "updated_date_time": stamp(order["updated"]),
        "delivered_to_wms_date": stamp(order["delivered"]),
        "sending_canceled": order.get("sending_canceled", "N"),
        "shipping_pickup_canceled": "N",
        "on_hold": "N",
        "num_failed_sends": "0",
        "inventory_warehouse_pk": warehouse or None,
        "total_qty": plain(sum(quantities, Decimal())),
        "num_shipped": plain(shipped),
        "num_to_ship": plain(sum(quantities, Decimal()) - shipped),
        "items": [item_row(item) for item in order["items"]],
        "shipments": [shipment_row(shipment) for shipment in order["shipments"]],
    }


def item_row(item: Row) -> Row:
    told = {name: value for name, value in item.items() if name != "description"}
    return {
        "alt_sku": None,
        "lot_number": None,
        "line_location": "",
        **told,
        **{name: f"{Decimal(str(item.get(name) or 0)):.4f}" for name in LINE_MONEY},
        "line_no": str(item.get("line_no", "")),
        "quantity": plain(item["quantity"]),
        "extended_amount": money(item.get("extended_amount")),
        "tax": money(item.get("tax")),
        "Description": item.get("description"),
        "filtered_sku": "N",
    }


def shipment_row(shipment: Row) -> Row:
    return {
        **dict.fromkeys(SHIPMENT_NULLS),
        **shipment,
        "date": stamp(shipment["date"]),
        "items": [{**row, "quantity": plain(row["quantity"])} for row in shipment["items"]],
    }


def status_row(order: Row) -> Row:
    return {
        "cust_ref": order["cust_ref"],
        "cust_po_no": order["cust_po_no"],
        "delivered_to_wms_date": stamp(order["delivered"]),
        "updated_date_time": stamp(order["updated"]),
        "ship_country": order["ship_country"],
        "order_status": order["order_status"],
        "shipments": [shipment_row(shipment) for shipment in order["shipments"]],
    }


def stock_row(sku: str, levels: dict[str, Row], names: dict[str, str], aliases: Any, *, as_text: bool) -> Row:
    """``as_text``: the answer for a single SKU gives numbers as text (B.11, 3). A SKU that lies nowhere shows an empty
    list where the warehouses would be."""
    number = plain if as_text else whole
    at = {
        place: {
            "warehouse": names[place],
            "qty_available": number(level["available"]),
            "qty_on_hand": number(level["on_hand"]),
            "wms_datetime": stamp(level["as_of"]),
        }
        for place, level in levels.items()
        if place in names and (level["available"] or level["on_hand"])
    }
    latest = max((level["as_of"] for level in levels.values()), default=None)
    return {
        "sku": sku,
        "qty_available": number(sum((level["available"] for level in levels.values()), Decimal())),
        "qty_on_hand": number(sum((level["on_hand"] for level in levels.values()), Decimal())),
        "wms_datetime": stamp(latest),
        "aliases": aliases if isinstance(aliases, dict) else {one["code_type"]: one["code"] for one in aliases} or [],
        "warehouses": at or [],
    }


def money(value: Any) -> str:
    return f"{Decimal(str(value or 0)):.2f}"


def plain(value: Any) -> str:
    digits = format(Decimal(str(value)), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def whole(value: Decimal) -> int | Decimal:
    return int(value) if value == int(value) else value


def stamp(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment is not None else None


def wobble(value: Any) -> Any:
    """The same data in the API's other habits: nulls left out or empty, numbers as text and text as numbers, a list of
    one as the one, and a list of more as an object of numbered rows."""
    if isinstance(value, dict):
        told = {name: wobble(member) for name, member in value.items() if member is not None}
        return {name: member for name, member in told.items() if name not in SHIPMENT_NULLS}
    if isinstance(value, list):
        members = [wobble(member) for member in value]
        if len(members) == 1 and isinstance(members[0], dict):
            return members[0]
        if members and all(isinstance(member, dict) for member in members):
            return {str(number): member for number, member in enumerate(members)}
        return members
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, str) and value.isdigit() and not value.startswith("0"):
        return int(value)
    return value
