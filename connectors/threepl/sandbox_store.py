"""The state of the fake warehouse: items, stock, orders, receivers, adjustments. Records are kept in the API's names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox import Refusal

OPEN, CLOSED, CANCELLED = 0, 1, 2
ORDER_PARTS = (
    "poNum",
    "externalId",
    "description",
    "notes",
    "shippingNotes",
    "billingCode",
    "shipTo",
    "soldTo",
    "billTo",
)

Record = dict[str, Any]


def invalid(code: str, name: str, value: Any = None, status: int = 400) -> Refusal:
    """What the API answers to a record that it does not take."""
    return Refusal(
        status,
        {
            "$type": "Sandbox.ModelValidationException, Sandbox",
            "ModelType": 0,
            "Properties": [{"Name": name, "Value": value}],
            "ErrorCode": code,
            "Hint": None,
        },
    )


class WarehouseStore:
    """All of one warehouse. Guarded by ``lock``; every change gives a record a new version (its ETag)."""

    def __init__(self, now: Callable[[], datetime], zone: ZoneInfo) -> None:
        self.now = now
        self.zone = zone
        self.lock = threading.RLock()
        self.customers: dict[int, Record] = {}
        self.facilities: dict[int, Record] = {}
        self.items: dict[int, Record] = {}
        self.orders: dict[int, Record] = {}
        self.receivers: dict[int, Record] = {}
        self.adjustments: dict[int, Record] = {}
        self.versions: dict[int, int] = {}
        # (SKU, qualifier, facility) -> what lies there.
        self.on_hand: dict[tuple[str, str, int], Decimal] = {}
        self.on_hold: dict[tuple[str, str, int], Decimal] = {}
        # Takes a PUT of an order, but leaves its lines as they are.
        self.keeps_lines = False
        self._last_id = 1000

    def moment(self) -> str:
        """Now, as the API writes times: without an offset."""
        return self.now().astimezone(self.zone).strftime("%Y-%m-%dT%H:%M:%S.%f")

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # --- what is there from the beginning ----------------------------------------------------------------------------

    def add_customer(self, customer_id: int, name: str) -> None:
        self.customers[customer_id] = {"companyInfo": {"companyName": name}, "readOnly": {"customerId": customer_id}}

    def add_facility(self, facility_id: int, name: str) -> None:
        self.facilities[facility_id] = {
            "facilityIdentifier": {"id": facility_id, "name": name},
            "readOnly": {"deactivated": False},
        }

    def add_item(self, customer_id: int, sku: str, description: str = "", **values: Any) -> Record:
        item_id = self.new_id()
        self.items[item_id] = {
            "itemId": item_id,
            "sku": sku,
            "upc": values.pop("upc", None),
            "description": description or f"Article {sku}",
            "cost": values.pop("cost", Decimal(0)),
            "price": values.pop("price", Decimal(0)),
            "options": {"inventoryUnit": {"unitIdentifier": {"name": "Each", "id": 1}}},
            "readOnly": {"deactivated": False, "lastModifiedDate": self.moment(), "customerId": customer_id, **values},
        }
        return self.items[item_id]

    def change_item(self, sku: str, **values: Any) -> None:
        item = self.item(sku)
        item.update(values)
        item["readOnly"]["lastModifiedDate"] = self.moment()

    def item(self, sku: str) -> Record:
        """Raises ``LookupError``."""
        for item in self.items.values():
            if item["sku"].lower() == sku.lower():
                return item
        raise LookupError(f"There is no item {sku}.")

    def set_stock(self, sku: str, quantity: Any, facility_id: int = 1, qualifier: str = "") -> None:
        self.on_hand[self.item(sku)["sku"], qualifier, facility_id] = Decimal(quantity)

    # --- orders ------------------------------------------------------------------------------------------------------

    def order_of(self, reference: str) -> Record:
        """Raises ``LookupError``."""
        for order in self.orders.values():
            if order["referenceNum"] == reference:
                return order
        raise LookupError(f"There is no order {reference}.")

    def touch(self, order: Record) -> None:
        """A new version: whoever read it before holds a stale one."""
        order_id = order["readOnly"]["orderId"]
        self.versions[order_id] = self.versions.get(order_id, 0) + 1
        order["readOnly"]["lastModifiedDate"] = self.moment()

    def create_order(self, body: Record) -> Record:
        customer, facility = self.parties(body)
        reference = body.get("referenceNum")
        if not reference:
            raise invalid("Required", "ReferenceNum")
        known = (order for order in self.orders.values() if order["referenceNum"] == reference)
        if any(order["readOnly"]["customerIdentifier"]["id"] == customer for order in known):
            raise invalid("Duplicate", "ReferenceNum", reference)
        if not (body.get("shipTo") or {}).get("address1"):
            raise invalid("Required", "ShipTo")
        items = self.order_items(body.get("orderItems") or [], {})
        if not items:
            raise invalid("Required", "OrderItems")
        order_id = self.new_id()
        order = {
            "referenceNum": reference,
            **{name: body.get(name) for name in ORDER_PARTS},
            "routingInfo": {"trackingNumber": None, **(body.get("routingInfo") or {})},
            "savedElements": list(body.get("savedElements") or []),
            "parcelResponse": {"trackingNumbers": [], "returnTrackingNumbers": []},
            "orderItems": items,
            "readOnly": {
                "orderId": order_id,
                "status": OPEN,
                "isClosed": False,
                "fullyAllocated": False,
                "processDate": None,
                "pickDoneDate": None,
                "creationDate": self.moment(),
                "customerIdentifier": {"id": customer, "name": self.customers[customer]["companyInfo"]["companyName"]},
                "facilityIdentifier": {"id": facility, "name": self.facility_name(facility)},
                "packages": [],
            },
        }
        self.orders[order_id] = order
        self.touch(order)
        return order

    def facility_name(self, facility_id: int) -> str:
        return str(self.facilities[facility_id]["facilityIdentifier"]["name"])

    def parties(self, body: Record) -> tuple[int, int]:
        """(customer, facility) of a new document. Raises ``Refusal``."""
        customer = (body.get("customerIdentifier") or {}).get("id")
        if customer not in self.customers:
            raise invalid("DoesNotExist", "CustomerIdentifier", customer)
        facility = (body.get("facilityIdentifier") or {}).get("id")
        if facility not in self.facilities:
            raise invalid("DoesNotExist", "FacilityIdentifier", facility)
        return customer, facility

    def order_items(self, rows: Iterable[Record], known: Mapping[Any, Record]) -> list[Record]:
        """Raises ``Refusal``."""
        found: list[Record] = []
        for row in rows:
            sku = (row.get("itemIdentifier") or {}).get("sku")
            item = self.item_or_refuse(sku)
            if row.get("qualifier"):
                raise invalid("DoesNotExist", "Qualifier", row["qualifier"])
            quantity = row.get("qty")
            if not isinstance(quantity, int | Decimal) or quantity <= 0:
                raise invalid("ValueNotSupported", "Qty", quantity)
            given = (row.get("readOnly") or {}).get("orderItemId")
            found.append(
                {
                    "readOnly": {"orderItemId": given if given in known else self.new_id(), "fullyAllocated": False},
                    "itemIdentifier": {"sku": item["sku"], "id": item["itemId"]},
                    "qualifier": "",
                    "qty": quantity,
                    "externalId": row.get("externalId"),
                    "notes": row.get("notes"),
                    "savedElements": [],
                }
            )
        return found

    def item_or_refuse(self, sku: Any) -> Record:
        try:
            return self.item(str(sku))
        except LookupError:
            raise invalid("DoesNotExist", "Sku", sku) from None

    def change_order(self, order: Record, body: Record) -> None:
        """Raises ``Refusal``."""
        self.check_open(order)
        if order["readOnly"]["pickDoneDate"]:
            raise invalid("InUse", "OrderId", order["readOnly"]["orderId"], 403)
        if body.get("orderItems") and not self.keeps_lines:
            known = {item["readOnly"]["orderItemId"]: item for item in order["orderItems"]}
            order["orderItems"] = self.order_items(body["orderItems"], known)
        order.update({name: body[name] for name in (*ORDER_PARTS, "routingInfo") if name in body})
        self.touch(order)

    def cancel_order(self, order: Record, reason: str) -> None:
        """Raises ``Refusal``."""
        self.check_open(order)
        order["readOnly"].update(status=CANCELLED, isClosed=True, processDate=self.moment(), cancelReason=reason)
        self.touch(order)

    def check_open(self, order: Record) -> None:
        if order["readOnly"]["status"] == CLOSED:
            raise invalid("OrderConfirmed", "OrderId", order["readOnly"]["orderId"], 403)
        if order["readOnly"]["status"] == CANCELLED:
            raise invalid("OrderCanceled", "OrderId", order["readOnly"]["orderId"], 403)

    def allocate(self, reference: str) -> None:
        order = self.order_of(reference)
        order["readOnly"]["fullyAllocated"] = True
        self.touch(order)

    def pick(self, reference: str) -> None:
        order = self.order_of(reference)
        order["readOnly"]["pickDoneDate"] = self.moment()
        self.touch(order)

    def close(
        self, reference: str, packages: Iterable[tuple[str, Mapping[str, Any] | None]] | None = None, tracking: str = ""
    ) -> Record:
        """The order leaves. ``packages`` are (tracking number, {SKU: quantity}); None instead of contents: the package
        does not tell. Without packages everything leaves under ``tracking``."""
        order = self.order_of(reference)
        self.check_open(order)
        facility = order["readOnly"]["facilityIdentifier"]["id"]
        left: dict[str, Decimal] = {}
        for number, (code, contents) in enumerate(packages or (), start=1):
            package: Record = {
                "packageId": number,
                "trackingNumber": code,
                "weight": Decimal("1.5"),
                "packageContents": [],
            }
            for place, (sku, quantity) in enumerate((contents or {}).items(), start=1):
                item = next(item for item in order["orderItems"] if item["itemIdentifier"]["sku"] == sku)
                content = {"packageContentId": place, "orderItemId": item["readOnly"]["orderItemId"], "lotNumber": None}
                package["packageContents"].append({**content, "qty": Decimal(quantity)})
                left[sku] = left.get(sku, Decimal(0)) + Decimal(quantity)
            order["readOnly"]["packages"].append(package)
        if not left:
            for item in order["orderItems"]:
                sku = item["itemIdentifier"]["sku"]
                left[sku] = left.get(sku, Decimal(0)) + item["qty"]
        order["routingInfo"]["trackingNumber"] = tracking or None
        for sku, quantity in left.items():
            key = (sku, "", facility)
            self.on_hand[key] = self.on_hand.get(key, Decimal(0)) - quantity
        order["readOnly"].update(status=CLOSED, isClosed=True, fullyAllocated=True, processDate=self.moment())
        self.touch(order)
        return order

    # --- stock -------------------------------------------------------------------------------------------------------

    def summaries(self) -> list[Record]:
        needs = {flag: self.needs(flag) for flag in (True, False)}
        keys = sorted({*self.on_hand, *needs[True], *needs[False]})
        rows = []
        for key in keys:
            sku, qualifier, facility = key
            item = self.item(sku)
            on_hand = self.on_hand.get(key, Decimal(0))
            allocated, on_hold = needs[True].get(key, Decimal(0)), self.on_hold.get(key, Decimal(0))
            rows.append(
                {
                    "itemIdentifier": {"sku": sku, "id": item["itemId"]},
                    "customerIdentifier": {"id": item["readOnly"]["customerId"]},
                    "qualifier": qualifier,
                    "totalReceived": on_hand + allocated,
                    "allocated": allocated,
                    "available": on_hand - allocated - on_hold,
                    "onHold": on_hold,
                    "onHand": on_hand,
                    "orderedNotAllocated": needs[False].get(key, Decimal(0)),
                    "facilityId": facility,
                }
            )
        return rows

    def needs(self, allocated: bool) -> dict[tuple[str, str, int], Decimal]:
        """What open orders ask for."""
        found: dict[tuple[str, str, int], Decimal] = {}
        for order in self.orders.values():
            facts = order["readOnly"]
            if facts["status"] != OPEN or facts["fullyAllocated"] is not allocated:
                continue
            for item in order["orderItems"]:
                key = (item["itemIdentifier"]["sku"], "", facts["facilityIdentifier"]["id"])
                found[key] = found.get(key, Decimal(0)) + item["qty"]
        return found

    # --- documents ---------------------------------------------------------------------------------------------------

    def document(self, records: dict[int, Record], id_name: str, rows_name: str, body: Record) -> Record:
        """A new receiver or adjustment. Raises ``Refusal``."""
        customer, facility = self.parties(body)
        reference = body.get("referenceNum")
        if any(record["referenceNum"] == reference for record in records.values() if reference):
            raise invalid("Duplicate", "ReferenceNum", reference)
        rows = body.get(rows_name) or []
        if not rows:
            raise invalid("Required", rows_name[0].upper() + rows_name[1:])
        for row in rows:
            self.item_or_refuse((row.get("itemIdentifier") or {}).get("sku"))
        record_id = self.new_id()
        records[record_id] = {
            **body,
            "readOnly": {
                id_name: record_id,
                "status": OPEN,
                "creationDate": self.moment(),
                "customerIdentifier": {"id": customer},
                "facilityIdentifier": {"id": facility},
            },
        }
        return records[record_id]

    def receive(self, body: Record) -> Record:
        return self.document(self.receivers, "receiverId", "receiveItems", body)

    def adjust(self, body: Record) -> Record:
        """Raises ``Refusal``."""
        rows = body.get("adjustmentItems") or []
        facility = self.parties(body)[1]
        moved: dict[tuple[str, str, int], Decimal] = {}
        for row in rows:
            sku = self.item_or_refuse((row.get("itemIdentifier") or {}).get("sku"))["sku"]
            key = (sku, str(row.get("qualifier") or ""), facility)
            moved[key] = moved.get(key, Decimal(0)) + Decimal(row["qty"])
        after = {key: self.on_hand.get(key, Decimal(0)) + change for key, change in moved.items()}
        for (sku, _, _), quantity in after.items():
            if quantity < 0:
                raise invalid("Incompatible", "Qty", sku)
        record = self.document(self.adjustments, "adjustmentId", "adjustmentItems", body)
        self.on_hand.update(after)
        return record
