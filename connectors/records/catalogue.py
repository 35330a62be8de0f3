"""Products, customers and prices, as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from connectors.records.places import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRecord:
    """A cart's customer. A deleted one keeps its data. ``merged_into`` is the external id of the customer that took its
    place, where the remote tells."""

    external_id: str
    version: int = 0
    code: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    email: str = ""
    phone: str = ""
    ship_to: Address | None = None
    bill_to: Address | None = None
    is_walk_in: bool = False
    deleted: bool = False
    merged_into: str = ""

    @property
    def display_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.company


class ProductKind(StrEnum):
    GOODS = "goods"
    GIFT_CARD = "gift_card"
    SERVICE = "service"
    COMPOSITE = "composite"
    DISCOUNT = "discount"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRecord:
    """One sellable article (a variant, where the remote has families). ``prices`` maps price list -> amount."""

    external_id: str
    version: int = 0
    sku: str = ""
    name: str = ""
    handle: str = ""
    family_id: str = ""
    barcode: str = ""
    description: str = ""
    brand: str = ""
    product_type: str = ""
    supplier: str = ""
    supplier_code: str = ""
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    currency: str = ""
    kind: ProductKind = ProductKind.GOODS
    is_active: bool = True
    is_stock_tracked: bool = True
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBookRecord:
    """A list of prices of a shop. ``is_base``: the prices that hold where no other book does. ``outlet_ids`` and
    ``customer_group_ids`` empty: everywhere, for everyone; ``customer_groups`` are their names as far as they are known.
    ``platform``: "" everywhere, else "store" or "online"."""

    external_id: str
    name: str
    is_base: bool = False
    outlet_ids: tuple[str, ...] = ()
    customer_group_ids: tuple[str, ...] = ()
    customer_groups: tuple[str, ...] = ()
    platform: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRecord:
    """One price of one product in one book. ``min_units`` and ``max_units``: for how many units it holds, None: any.
    ``version`` is the record's own, 0 where the price comes from the product itself."""

    product_id: str
    book: PriceBookRecord
    price: Decimal
    currency: str = ""
    min_units: Decimal | None = None
    max_units: Decimal | None = None
    external_id: str = ""
    version: int = 0
