"""Products on their way to the other side of the hub: a warehouse's to a cart, or a shop's to a warehouse.

The *source* is where a product is kept, the *target* where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRules:
    """How a target takes products.

    ``off_reason`` says why its own options want nothing written. ``retail_price_list`` and ``supply_price_list`` name the
    source's price lists to take ("" leaves that price alone), ``retail_price_name`` and ``supply_price_name`` the lists
    under which the target's own ``ProductReader`` shows them. ``most_...``: 0 is no limit.

    ``plain_skus``: a SKU has letters and digits only. ``keeps_handle``: the target's products show the family's ``handle``
    and are found by it. ``unique_names``: no two families may have one name. ``distinct_variants``: the variants of a
    family must differ in their attributes. ``supply_by_supplier``: supply price and supplier code belong to a supplier; a
    product that has none has neither.
    """

    off_reason: str = ""
    retail_price_list: str = "retail"
    supply_price_list: str = ""
    retail_price_name: str = "retail"
    supply_price_name: str = "supply"
    most_variants: int = 0
    most_attributes: int = 0
    plain_skus: bool = False
    keeps_handle: bool = False
    unique_names: bool = False
    distinct_variants: bool = False
    supply_by_supplier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantChange:
    """One article of a family: to be created (no ``remote_id``), or changed. None leaves a field alone. ``reference`` is
    the source's product id, ``sku`` the SKU as it is there, ``remote_id`` the target's id."""

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
    """What is to be written of one product and its variants: nothing but differences.

    ``handle`` is the source's id of the family. ``remote_id`` is the target's id of any of its articles, "" when the
    target has none of them. ``name`` is always given and written when the family is created or ``renamed``; of the other
    fields None leaves alone what the target has. ``in_doubt``: an earlier creation got no answer, look for the SKUs before
    creating.
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
