"""Products and what they are sorted by: families, types, brands, tags, suppliers, price books. Source: vend.md 3.11."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.vend.sandbox_core import (
    Feed,
    Record,
    bad_request,
    conflict,
    decimal_of,
    id_of,
    to_price,
    unprocessable,
)
from connectors.vend.sandbox_stock import StockBook

MOST_VARIANTS = 200
MOST_ATTRIBUTES = 3
CODE_TYPES = frozenset({"CUSTOM", "EAN", "ISBN", "ITF", "JAN", "UPC"})
NO_IMAGE = "https://secure.retail.lightspeed.app/images/placeholder/product/no-image-white-standard.png"

PRODUCT_DEFAULTS: dict[str, Any] = {
    "description": None,
    "active": True,
    "has_inventory": True,
    "is_composite": False,
    "has_variants": False,
    "variant_parent_id": None,
    "variant_name": None,
    "variant_options": [],
    "variant_count": None,
    "supply_price": Decimal(0),
    "supplier_id": None,
    "supplier_code": None,
    "product_suppliers": [],
    "product_type_id": None,
    "brand_id": None,
    "tag_ids": [],
    "attributes": [],
    "images": [],
    "skuImages": [],
    "packaging": {},
    "customizations": [],
    "composite_bom": {},
    "outlet_taxes": [],
    "loyalty_amount": None,
    "weight": None,
    "weight_unit": None,
    "length": None,
    "width": None,
    "height": None,
    "dimensions_unit": None,
    "account_code": None,
    "account_code_purchase": None,
    "button_order": 0,
    "source": "USER",
    "source_id": None,
    "source_variant_id": None,
    "tax_category": None,
    "image_url": NO_IMAGE,
    "image_thumbnail_url": NO_IMAGE.replace("standard", "thumb"),
}
INDEXED = ("name", "sku", "family_id")
# Fields a test may give to ``add_product`` besides the defaults above.
OTHER_FIELDS = (
    "id",
    "handle",
    "name",
    "sku",
    "price_excluding_tax",
    "price_including_tax",
    "product_codes",
    "family_id",
)


class Catalogue(StockBook):
    """What the retailer sells. ``kind`` of a product: goods, gift_card, service, composite, discount."""

    def __init__(self, seed: int, now: Callable[[], datetime], tax_exclusive: bool) -> None:
        self.product_type_feed: Feed[Record] = Feed()
        self.brand_feed: Feed[Record] = Feed()
        self.tag_feed: Feed[Record] = Feed()
        self.supplier_feed: Feed[Record] = Feed()
        self.variant_attribute_feed: Feed[Record] = Feed()
        self.price_book_feed: Feed[Record] = Feed()
        self.price_book_product_feed: Feed[Record] = Feed()
        # Every name, SKU and family a product ever had: looked up quickly, then compared with what holds now.
        self._index: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._composites: dict[str, list[tuple[str, Decimal]]] = {}
        super().__init__(seed, now, tax_exclusive)
        self.discount_product = self.add_product(
            id=self.retailer["discount_product_id"], sku="vend-discount", name="Discount", price=0, kind="discount"
        )
        self.base_price_book = self.add_price_book("General Price Book (All Products)", type="BASE")

    @property
    def products(self) -> list[Record]:
        """The products that are not deleted, without the internal discount product."""
        with self.lock:
            hidden = self.discount_product["id"]
            return [p for p in self.product_feed if p["deleted_at"] is None and p["id"] != hidden]

    def product(self, product: Any) -> Record:
        return self.get(self.product_feed, product, "The product")

    def product_by_sku(self, sku: str) -> Record:
        """The first product with this SKU. Raises ``LookupError``."""
        for product in self.products_with("sku", sku):
            return product
        raise LookupError(f"The sandbox has no product with SKU {sku!r}.")

    def products_with(self, name: str, value: str) -> list[Record]:
        """The products that are not deleted with this ``name``, ``sku`` or ``family_id``."""
        with self.lock:
            found = (self.product_feed.by_id[product_id] for product_id in self._index.get((name, value), ()))
            return [product for product in found if product[name] == value and product["deleted_at"] is None]

    def add_product(
        self,
        sku: str | None = None,
        name: str | None = None,
        price: Any = Decimal("10.00"),
        tracked: bool = True,
        levels: Mapping[str, Any] | int | None = None,
        kind: str = "goods",
        components: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Record:
        """A new product. ``price`` is the shelf price: before tax in a tax-exclusive store, with tax in the other.
        ``levels``: stock by outlet id, or one number for every outlet. ``components``: quantity by product id, for a
        composite. Duplicate SKUs and names are taken as they come, so that tests can have them."""
        with self.lock:
            unknown = sorted(set(fields) - set(PRODUCT_DEFAULTS) - set(OTHER_FIELDS))
            if unknown:
                raise TypeError(f"A product has no field {', '.join(unknown)}.")
            sku = self.next_sku() if sku is None else sku
            name = name or f"Product {sku}"
            defaults = {
                key: value.copy() if isinstance(value, (list, dict)) else value
                for key, value in PRODUCT_DEFAULTS.items()
            }
            product = Record(id=fields.get("id") or self.new_id(), name=name, handle=handle_from(name), sku=sku)
            product |= defaults | {"variant_name": name}
            product |= self.both_prices(decimal_of(price))
            product["has_inventory"] = tracked and kind == "goods"
            product["is_composite"] = kind == "composite"
            product["product_codes"] = [{"id": self.new_id(), "type": "CUSTOM", "code": sku}] if sku else []
            product |= {key: value for key, value in fields.items() if key != "id"}
            product.setdefault("family_id", product["variant_parent_id"] or product["id"])
            product["created_at"] = product["updated_at"] = self.now()
            product["deleted_at"] = None
            if components:
                self._set_components(product, components)
            self._product_changed(product)
            self._first_levels(product, levels)
            return product

    def _first_levels(self, product: Record, levels: Mapping[str, Any] | int | None) -> None:
        if not product["has_inventory"]:
            return
        for outlet in self.outlets:
            level = levels.get(outlet["id"], 0) if isinstance(levels, Mapping) else levels or 0
            row = self.inventory_row(product["id"], outlet["id"])
            row["inventory_level"] = decimal_of(level)

    def _set_components(self, product: Record, components: Mapping[str, Any]) -> None:
        parts = [(id_of(part), decimal_of(quantity)) for part, quantity in components.items()]
        for part, _ in parts:
            if part not in self.product_feed.by_id:
                raise unprocessable(f"The component {part} does not exist.")
        self._composites[product["id"]] = parts
        product["is_composite"] = True
        product["has_inventory"] = False
        product["composite_bom"] = {"components": [{"product_id": part, "quantity": n} for part, n in parts]}

    def parts_of(self, product_id: str) -> list[tuple[str, Decimal]]:
        """What leaves the shelf with one unit: (product id, quantity)."""
        return self._composites.get(product_id) or [(product_id, Decimal(1))]

    def add_family(self, name: str, options: Mapping[str, list[str]], **fields: Any) -> list[Record]:
        """One product per combination of options, for example ``{"Size": ["S", "M"]}``. The first is the parent."""
        with self.lock:
            combinations: list[list[tuple[str, str]]] = [[]]
            for attribute, values in options.items():
                self.variant_attribute(attribute)
                combinations = [[*before, (attribute, value)] for before in combinations for value in values]
            family: list[Record] = []
            for combination in combinations:
                suffix = "".join(value[:3].upper() for _, value in combination)
                family.append(
                    self.add_product(
                        **{"sku": f"{handle_from(name).upper()[:8].replace('-', '')}{suffix}", **fields},
                        name=name,
                        handle=handle_from(name),
                        variant_name=" / ".join([name, *(value for _, value in combination)]),
                        variant_options=[
                            {"id": self.variant_attribute(attribute)["id"], "name": attribute, "value": value}
                            for attribute, value in combination
                        ],
                        variant_parent_id=family[0]["id"] if family else None,
                    )
                )
            family[0]["has_variants"] = True
            family[0]["variant_count"] = len(family)
            self._product_changed(family[0])
            return family

    def update_product(self, product: Any, **fields: Any) -> Record:
        """Changes fields of a product; a ``price`` is written as the shelf price."""
        with self.lock:
            record = self.product(product)
            if "price" in fields:
                fields |= self.both_prices(decimal_of(fields.pop("price")))
            record |= fields
            if "sku" in fields:
                record["product_codes"] = [{"id": self.new_id(), "type": "CUSTOM", "code": fields["sku"]}]
            return self._product_changed(record)

    def delete_product(self, product: Any) -> None:
        with self.lock:
            record = self.product(product)
            record["deleted_at"] = self.now()
            record["active"] = False
            self._product_changed(record)

    def _product_changed(self, product: Record) -> Record:
        self.touch(self.product_feed, product)
        for name in INDEXED:
            self._index[(name, product[name])][product["id"]] = None
        self.on_event("product.update", product)
        return product

    def both_prices(self, price: Decimal, *, exclusive: bool | None = None) -> dict[str, Decimal]:
        """Both prices from one; ``exclusive`` None means the store's own way of naming prices."""
        exclusive = self.retailer["tax_exclusive"] if exclusive is None else exclusive
        factor = 1 + self.tax_rate(self.default_tax["id"])
        if exclusive:
            return {"price_excluding_tax": price, "price_including_tax": to_price(price * factor)}
        return {"price_excluding_tax": to_price(price / factor), "price_including_tax": price}

    def next_sku(self) -> str:
        sequence = self.retailer["sku_sequence"]
        sequence["value"] += 1
        return str(sequence["value"])

    # Sorting

    def named(self, feed: Feed[Record], name: str) -> Record:
        """The brand, type, tag, supplier or attribute of that name, made when there is none."""
        for record in feed:
            if record["name"] == name and record["deleted_at"] is None:
                return record
        return self.touch(feed, Record(id=self.new_id(), name=name, deleted_at=None))

    def add_named(self, feed: Feed[Record], fields: Mapping[str, Any], what: str) -> Record:
        """Creates a record over the API. Raises ``Refusal``: 400 without a name, 409 for a name that is taken."""
        name = fields.get("name")
        if not isinstance(name, str) or not name.strip():
            raise bad_request("name is required.")
        if any(record["name"] == name and record["deleted_at"] is None for record in feed):
            raise conflict(f"The {what} {name} exists already.")
        return self.touch(feed, Record({"id": self.new_id(), "deleted_at": None} | dict(fields)))

    def variant_attribute(self, name: str) -> Record:
        return self.named(self.variant_attribute_feed, name)

    def product_type(self, name: str) -> Record:
        record = self.named(self.product_type_feed, name)
        record.setdefault("leaf_category", True)
        record.setdefault("category_path", [{"id": record["id"], "name": name}])
        return record

    # Price books

    def add_price_book(self, name: str, **fields: Any) -> Record:
        with self.lock:
            book = Record(
                id=self.new_id(),
                retailer_id=self.retailer["id"],
                name=name,
                type="GENERAL",
                customer_group_id=self.all_customers_group_id,
                outlet_id=None,
                restrict_to_platform_key="0",
                restrict_to_platform_label="All",
                valid_from=None,
                valid_to=None,
                created_at=self.now(),
                updated_at=self.now(),
                deleted_at=None,
            )
            book |= fields
            return self.touch(self.price_book_feed, book)

    def add_price_book_product(self, book: Any, product: Any, price: Any, **fields: Any) -> Record:
        with self.lock:
            row = Record(
                id=self.new_id(),
                product_id=self.product(product)["id"],
                price_book_id=self.get(self.price_book_feed, book, "The price book")["id"],
                price=decimal_of(price),
                tax_id=self.default_tax["id"],
                loyalty_value=None,
                min_units=None,
                max_units=None,
                created_at=self.now(),
                updated_at=self.now(),
                deleted_at=None,
            )
            row |= fields
            return self.touch(self.price_book_product_feed, row)


def handle_from(name: str) -> str:
    """``Merino Beanie`` -> ``merino-beanie``."""
    words = "".join(letter if letter.isalnum() else " " for letter in name.lower()).split()
    return "-".join(words) or "product"
