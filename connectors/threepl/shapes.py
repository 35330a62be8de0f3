"""The records of 3PL Warehouse Manager as typed structs, read from folded JSON (``connectors.threepl.wire``).

Every field may be missing. Names are folded as well: ``tracking_number`` is ``trackingNumber`` or ``TrackingNumber``.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from connectors.threepl.errors import Unreadable
from connectors.threepl.wire import fold

Text: TypeAlias = str | int | None

OPEN, CLOSED, CANCELLED = 0, 1, 2


def text(value: Text) -> str:
    return "" if value is None else str(value).strip()


class Shape(msgspec.Struct, rename=fold, kw_only=True, gc=False):
    """Base of all shapes."""


class Identifier(Shape):
    id: Text = None
    name: Text = None
    sku: Text = None
    external_id: Text = None


class SavedElement(Shape):
    name: Text = None
    value: Text = None


# --- orders ----------------------------------------------------------------------------------------------------------


class PackageContent(Shape):
    package_content_id: Text = None
    order_item_id: Text = None
    qty: Decimal | None = None


class Package(Shape):
    package_id: Text = None
    tracking_number: Text = None
    package_contents: list[PackageContent] = []


class OrderReadOnly(Shape):
    order_id: Text = None
    status: int | None = None
    is_closed: bool = False
    process_date: str = ""
    ship_date: str = ""
    last_modified_date: str = ""
    pick_done_date: str = ""
    pack_done_date: str = ""
    customer_identifier: Identifier | None = None
    packages: list[Package] = []


class RoutingInfo(Shape):
    carrier: Text = None
    mode: Text = None
    tracking_number: Text = None


class ParcelResponse(Shape):
    tracking_numbers: list[Text] = []


class Contact(Shape):
    company_name: Text = None
    name: Text = None
    address1: Text = None
    address2: Text = None
    city: Text = None
    state: Text = None
    zip: Text = None
    country: Text = None
    phone_number: Text = None
    email_address: Text = None


class ItemReadOnly(Shape):
    order_item_id: Text = None


class OrderItem(Shape):
    read_only: ItemReadOnly = msgspec.field(default_factory=ItemReadOnly)
    item_identifier: Identifier = msgspec.field(default_factory=Identifier)
    external_id: Text = None
    qty: Decimal = Decimal(0)

    @property
    def id(self) -> str:
        return text(self.read_only.order_item_id)

    @property
    def sku(self) -> str:
        return text(self.item_identifier.sku)


class Order(Shape):
    read_only: OrderReadOnly = msgspec.field(default_factory=OrderReadOnly)
    reference_num: Text = None
    external_id: Text = None
    notes: Text = None
    routing_info: RoutingInfo = msgspec.field(default_factory=RoutingInfo)
    parcel_response: ParcelResponse = msgspec.field(default_factory=ParcelResponse)
    ship_to: Contact = msgspec.field(default_factory=Contact)
    saved_elements: list[SavedElement] = []
    packages: list[Package] = []
    order_items: list[OrderItem] = []

    @property
    def id(self) -> str:
        return text(self.read_only.order_id)

    @property
    def reference(self) -> str:
        return text(self.reference_num)

    @property
    def closed_at(self) -> str:
        """When it left, in the warehouse's own time; "" when nothing tells."""
        facts = self.read_only
        return facts.process_date or facts.ship_date or facts.last_modified_date

    @property
    def is_cancelled(self) -> bool:
        return self.read_only.status == CANCELLED

    @property
    def is_shipped(self) -> bool:
        return not self.is_cancelled and (self.read_only.is_closed or self.read_only.status == CLOSED)


# --- stock, items, places --------------------------------------------------------------------------------------------


class StockRow(Shape):
    """One row per SKU, qualifier and facility."""

    item_identifier: Identifier = msgspec.field(default_factory=Identifier)
    qualifier: Text = None
    available: Decimal | None = None
    on_hand: Decimal | None = None
    ordered_not_allocated: Decimal = Decimal(0)
    facility_id: Text = None
    facility_identifier: Identifier | None = None


class ItemFacts(Shape):
    item_id: Text = None
    id: Text = None
    deactivated: bool = False
    last_modified_date: str = ""


class Item(Shape):
    read_only: ItemFacts = msgspec.field(default_factory=ItemFacts)
    item_id: Text = None
    id: Text = None
    sku: Text = None
    upc: Text = None
    description: Text = None
    cost: Decimal | None = None
    price: Decimal | None = None


class PlaceFacts(Shape):
    facility_id: Text = None
    id: Text = None
    deactivated: bool = False


class Facility(Shape):
    """Its list is not described anywhere: the id is looked for wherever such records have one."""

    read_only: PlaceFacts = msgspec.field(default_factory=PlaceFacts)
    facility_identifier: Identifier = msgspec.field(default_factory=Identifier)
    facility_id: Text = None
    id: Text = None
    name: Text = None
    deactivated: bool = False

    @property
    def any_id(self) -> str:
        ids = (self.facility_identifier.id, self.facility_id, self.id, self.read_only.facility_id, self.read_only.id)
        return next((text(one) for one in ids if text(one)), "")

    @property
    def any_name(self) -> str:
        return text(self.name) or text(self.facility_identifier.name)


class DocumentFacts(Shape):
    """The read-only part of a receiver or an adjustment."""

    receiver_id: Text = None
    adjustment_id: Text = None
    transaction_id: Text = None
    id: Text = None


class Document(Shape):
    """A receiver or an adjustment, as far as the hub looks at it."""

    read_only: DocumentFacts = msgspec.field(default_factory=DocumentFacts)
    receiver_id: Text = None
    adjustment_id: Text = None
    transaction_id: Text = None
    id: Text = None
    reference_num: Text = None
    notes: Text = None

    @property
    def any_id(self) -> str:
        facts = self.read_only
        own = (self.receiver_id, self.adjustment_id, self.transaction_id, self.id)
        kept = (facts.receiver_id, facts.adjustment_id, facts.transaction_id, facts.id)
        return next((text(one) for one in (*kept, *own) if text(one)), "")


# --- reading ---------------------------------------------------------------------------------------------------------

ShapeT = TypeVar("ShapeT", bound=Shape)


def read(record: Any, kind: type[ShapeT]) -> ShapeT:
    """A folded record as a struct. The items of an order may lie under ``_embedded``. Raises ``Unreadable``."""
    if isinstance(record, dict) and "orderitems" not in record and isinstance(record.get("embedded"), dict):
        rows: list[Any] = next(
            (rows for name, rows in record["embedded"].items() if name.rpartition("/")[2] == "item"), []
        )
        record = {**record, "orderitems": rows}
    try:
        return msgspec.convert(record, kind, strict=False)
    except (msgspec.MsgspecError, ArithmeticError, RecursionError) as error:
        raise Unreadable(f"The record cannot be read: {error}.") from error


def moment(value: str, zone: ZoneInfo) -> datetime:
    """A time of the warehouse's: without an offset it is meant in ``zone``. Raises ``Unreadable``."""
    try:
        time = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise Unreadable(f"“{value}” is not a time.") from error
    return time if time.tzinfo is not None else time.replace(tzinfo=zone)
