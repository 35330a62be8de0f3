"""Products on their way to a cart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRules:
    """How a cart takes products. ``off_reason`` says why its own options want nothing written. ``plain_skus``: a SKU
    has letters and digits only. ``supply_by_supplier``: supply price and supplier code belong to a supplier; a product that
    has none has neither. A price list "" leaves that price alone; 0 is no limit."""

    off_reason: str = ""
    retail_price_list: str = "retail"
    supply_price_list: str = ""
    most_variants: int = 0
    most_attributes: int = 0
    plain_skus: bool = False
    supply_by_supplier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantChange:
    """One article of a family: to be created (no ``remote_id``), or changed. None leaves a field alone. ``reference`` is
    the warehouse's product id, ``sku`` the warehouse's SKU as it is there."""

    reference: str
    sku: str
    remote_id: str = ""
    barcode: str | None = None
    supplier_code: str | None = None
    retail_price: Decimal | None = None
    supply_price: Decimal | None = None
    attributes: Mapping[str, str] | None = None

    @property
    def is_empty(self) -> bool:
        """Is nothing of this article itself to be written?"""
        fields = (self.barcode, self.supplier_code, self.retail_price, self.supply_price, self.attributes)
        return bool(self.remote_id) and all(value is None for value in fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFamilyChange:
    """What is to be written of one product of the warehouse and its variants: nothing but differences.

    ``handle`` is the warehouse's id of the family. ``remote_id`` is the cart's id of any of its articles, "" when the
    cart has none of them. ``name`` is always given and written when the family is created or ``renamed``; of the other
    fields None leaves alone what the cart has. ``in_doubt``: an earlier creation got no answer, look before creating.
    """

    handle: str
    name: str
    variants: tuple[VariantChange, ...]
    remote_id: str = ""
    renamed: bool = False
    description: str | None = None
    brand: str | None = None
    product_type: str | None = None
    supplier: str | None = None
    tags: tuple[str, ...] | None = None
    in_doubt: bool = False
