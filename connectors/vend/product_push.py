"""Writes the warehouse's products to Vend: families created once, afterwards only what differs (vend.md section 3.11,
vend-product-rules.md section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec

from connectors.errors import ContractBroken, OutcomeUnknown, RecordRefused
from connectors.product_rules import attribute_names, family_problem, plain_sku
from connectors.records import ProductFamilyChange, ProductRules, VariantChange, WriteResult
from connectors.vend import shapes
from connectors.vend.client import VendClient, confirmed, plain, quoted
from connectors.vend.errors import Unreadable
from connectors.vend.options import VendOptions
from connectors.vend.product_names import NamedThings
from connectors.vend.shapes import text
from connectors.vend.stock import plain_number

MOST_VARIANTS = 200
MOST_ATTRIBUTES = 3
FAMILY_ROWS = MOST_VARIANTS * 2
CUSTOM_LIST = "Custom"
BARCODE_TYPES = {8: "EAN", 12: "UPC", 13: "EAN"}

FIX_REFUSED = "Compare the product in Vend with the one in the warehouse, correct it, then reprocess it."
FIX_NEW_VARIANT = "Add the variant in Vend by hand, with the same SKU: the hub finds it by that."
FIX_NAME_TAKEN = "Give the product a name of its own in the warehouse, or rename or delete the other one in Vend."
NO_SUPPLIER = "Vend keeps supply price and supplier code per supplier, and the product has none: they were left alone."


class CreatedIds(msgspec.Struct):
    """The answer to a creation: one id per variant."""

    data: list[str] = []


class SupplierRow(shapes.Loose):
    supplier_id: shapes.Text = None
    code: shapes.Text = None
    price: Decimal | None = None


class PushedProduct(shapes.Loose):
    """What must be known of a product whose lists (codes, suppliers) are written as a whole."""

    id: shapes.Text = None
    sku: shapes.Text = None
    handle: shapes.Text = None
    product_codes: list[shapes.ProductCode] | None = None
    product_suppliers: list[SupplierRow] | None = None
    supplier_id: shapes.Text = None
    supplier_code: shapes.Text = None
    supply_price: Decimal | None = None
    deleted_at: shapes.Text = None


PUSHED = shapes.Reader(PushedProduct)


def rules_of(options: VendOptions) -> ProductRules:
    return ProductRules(
        off_reason="" if options.push_product_details else "The cart's option Push Product Details is set to No.",
        retail_price_list=price_list(options.retail_price_list, options.retail_price_list_name),
        supply_price_list=price_list(options.supply_price_list, options.supply_price_list_name),
        most_variants=MOST_VARIANTS,
        most_attributes=MOST_ATTRIBUTES,
        plain_skus=True,
        keeps_handle=True,
        unique_names=True,
        distinct_variants=True,
        supply_by_supplier=True,
    )


def price_list(chosen: str, custom_name: str) -> str:
    return custom_name if chosen == CUSTOM_LIST else chosen


class ProductPush:
    """Writes families one by one. Brands, types, tags, suppliers and attributes are looked up once and remembered;
    the store is asked how it names prices (``is_tax_exclusive``) when the first one is written."""

    def __init__(self, client: VendClient, rules: ProductRules, is_tax_exclusive: Callable[[], bool]) -> None:
        self.client = client
        self.rules = rules
        self.is_tax_exclusive = is_tax_exclusive
        self.names = NamedThings(client)

    @cached_property
    def price_field(self) -> str:
        return "price_excluding_tax" if self.is_tax_exclusive() else "price_including_tax"

    def write(self, family: ProductFamilyChange) -> list[WriteResult]:
        """One result per variant; see ``ports.ProductWriter``."""
        if problem := family_problem(family, self.rules):
            return [WriteResult.rejected(variant.reference, *problem) for variant in family.variants]
        try:
            if family.remote_id:
                return self.change(family)
            if family.in_doubt and (found := self.found_after_all(family)) is not None:
                return found
            return self.create(family)
        except RecordRefused as error:
            return [self.refused(variant, family, error) for variant in family.variants]

    # --- creating ----------------------------------------------------------------------------------------------------

    def create(self, family: ProductFamilyChange) -> list[WriteResult]:
        body: dict[str, Any] = {"name": family.name, "handle": family.handle, **self.shared_fields(family)}
        if family.supplier:
            body["supplier_id"] = self.names.supplier(family.supplier)
        return self.send_new(body, family, family.variants)

    def send_new(
        self, body: dict[str, Any], family: ProductFamilyChange, variants: Sequence[VariantChange]
    ) -> list[WriteResult]:
        attributes = {name: self.names.attribute(name) for name in attribute_names(tuple(variants))}
        rows = [self.new_variant(variant, attributes) for variant in variants]
        body |= {"variants": rows} if attributes or len(rows) > 1 else rows[0]
        answer = self.client.session.request("POST", self.client.path("products"), json=body)
        ids = confirmed(answer, CreatedIds).data
        if len(ids) != len(variants):
            raise OutcomeUnknown(
                f"Vend answered the creation of “{family.name}” with {len(ids)} ids for {len(variants)} variants."
            )
        return [WriteResult.done(variant.reference, id) for variant, id in zip(variants, ids, strict=True)]

    def new_variant(self, variant: VariantChange, attributes: Mapping[str, str]) -> dict[str, Any]:
        sku = plain_sku(variant.sku)
        row: dict[str, Any] = {"sku": sku}
        if variant.barcode and variant.barcode != sku:
            row = {"product_codes": [code_row("CUSTOM", sku), code_row(barcode_type(variant.barcode), variant.barcode)]}
        if variant.retail_price is not None:
            row[self.price_field] = number(variant.retail_price)
        if variant.supply_price is not None:
            row["supply_price"] = number(variant.supply_price)
        if variant.supplier_code:
            row["supplier_code"] = variant.supplier_code
        given = variant.attributes or {}
        definitions = [{"attribute_id": id, "value": given[name]} for name, id in attributes.items() if name in given]
        return row | ({"variant_definitions": definitions} if definitions else {})

    def found_after_all(self, family: ProductFamilyChange) -> list[WriteResult] | None:
        """A creation whose answer was lost: what came of it, None when it certainly did not arrive."""
        rows = self.rows_named(family.name)
        ours = {plain_sku(text(row.sku)).casefold(): row for row in rows if is_same(row.handle, family.handle)}
        if rows and not ours:
            taken = f"Another product in Vend is already named “{family.name}”."
            return [WriteResult.rejected(variant.reference, taken, FIX_NAME_TAKEN) for variant in family.variants]
        found = [(variant, ours.get(plain_sku(variant.sku).casefold())) for variant in family.variants]
        results = [WriteResult.done(variant.reference, text(row.id)) for variant, row in found if row is not None]
        return results or None

    def rows_named(self, name: str) -> list[PushedProduct]:
        answer = self.client.get("products", {"name": name, "page_size": FAMILY_ROWS})
        return [row for row in map(readable, answer.decode(shapes.RecordPage).data) if row and not row.deleted_at]

    # --- changing ----------------------------------------------------------------------------------------------------

    def change(self, family: ProductFamilyChange) -> list[WriteResult]:
        """``common`` once per family, ``details`` once per product; one call for a product that has both."""
        known = [variant for variant in family.variants if variant.remote_id and not variant.is_empty]
        untouched = [variant for variant in family.variants if variant.remote_id and variant.is_empty]
        new = [variant for variant in family.variants if not variant.remote_id]
        common = self.common(family)
        if common and len(known) != 1:
            self.put(family.remote_id, {"common": common})
            common = {}
        results = [WriteResult.done(variant.reference, variant.remote_id) for variant in untouched]
        results += [self.change_variant(variant, family, common) for variant in known]
        return [*results, *self.add_variants(family, new)]

    def change_variant(
        self, variant: VariantChange, family: ProductFamilyChange, common: dict[str, Any]
    ) -> WriteResult:
        try:
            details, left_alone = self.details(variant, family)
            parts = {name: part for name, part in (("common", common), ("details", details)) if part}
            if parts:
                self.put(variant.remote_id, parts)
        except RecordRefused as error:
            return self.refused(variant, family, error)
        return WriteResult(reference=variant.reference, ok=True, remote_id=variant.remote_id, reason=left_alone)

    def shared_fields(self, family: ProductFamilyChange) -> dict[str, Any]:
        """What creating and changing name alike."""
        fields: dict[str, Any] = {}
        if family.description is not None:
            fields["description"] = family.description
        if family.brand:
            fields["brand_id"] = self.names.brand(family.brand)
        if family.product_type:
            fields["product_category_id"] = self.names.category(family.product_type)
        if family.tags is not None:
            fields["tag_ids"] = [self.names.tag(name) for name in family.tags]
        return fields

    def common(self, family: ProductFamilyChange) -> dict[str, Any]:
        fields = {"name": family.name, **self.shared_fields(family)} if family.renamed else self.shared_fields(family)
        if family.supplier:
            supplier_id = self.names.supplier(family.supplier)
            current = self.read(family.remote_id)
            others = [row for row in current.product_suppliers or () if text(row.supplier_id) != supplier_id]
            own = next(
                (r for r in current.product_suppliers or () if text(r.supplier_id) == supplier_id), SupplierRow()
            )
            price = first_price(*(v.supply_price for v in family.variants), own.price, current.supply_price)
            code = next((v.supplier_code for v in family.variants if v.supplier_code), text(own.code))
            fields["product_suppliers"] = [
                supplier_row(supplier_id, price, code),
                *(supplier_row(text(row.supplier_id), row.price or Decimal(0), text(row.code)) for row in others),
            ]
        return fields

    def details(self, variant: VariantChange, family: ProductFamilyChange) -> tuple[dict[str, Any], str]:
        """The fields of one product, and what of them has to be left alone."""
        fields: dict[str, Any] = {}
        left_alone = ""
        if variant.retail_price is not None:
            fields[self.price_field] = number(variant.retail_price)
        if variant.attributes:
            fields["variant_attribute_values"] = [
                {"attribute_id": self.names.attribute(name), "attribute_value": value}
                for name, value in variant.attributes.items()
            ]
        wants_supplier = variant.supply_price is not None or variant.supplier_code is not None
        if variant.barcode is None and not wants_supplier:
            return fields, left_alone
        current = self.read(variant.remote_id)
        if variant.barcode is not None:
            fields["product_codes"] = codes_with(current, variant.barcode)
        if wants_supplier:
            rows = current.product_suppliers or []
            first = rows[0] if rows else SupplierRow()
            named = self.names.supplier(family.supplier) if family.supplier else ""
            supplier_id = named or text(first.supplier_id) or text(current.supplier_id)
            price = first_price(variant.supply_price, first.price, current.supply_price)
            code = variant.supplier_code or text(first.code) or text(current.supplier_code)
            if supplier_id:
                fields["product_suppliers"] = [supplier_row(supplier_id, price, code)]
            else:
                left_alone = NO_SUPPLIER
        return fields, left_alone

    def add_variants(self, family: ProductFamilyChange, new: Sequence[VariantChange]) -> list[WriteResult]:
        """Further variants of a family that Vend has. Whether Vend takes them is not documented: a refusal is told with
        what to do by hand."""
        found: list[WriteResult] = []
        if new and family.in_doubt:
            known = {plain_sku(text(row.sku)).casefold(): text(row.id) for row in self.rows_named(family.name)}
            ids = {variant.reference: known.get(plain_sku(variant.sku).casefold(), "") for variant in new}
            found = [WriteResult.done(reference, id) for reference, id in ids.items() if id]
            new = [variant for variant in new if not ids[variant.reference]]
        if not new:
            return found
        try:
            return found + self.send_new({"name": family.name, "handle": family.handle}, family, new)
        except RecordRefused as error:
            return found + [
                WriteResult.rejected(
                    variant.reference,
                    f"Vend does not add the variant {variant.sku} to “{family.name}”: {error.message}",
                    FIX_NEW_VARIANT,
                )
                for variant in new
            ]

    # --- calls -------------------------------------------------------------------------------------------------------

    def put(self, product_id: str, body: Mapping[str, Any]) -> None:
        confirmed(
            self.client.session.request("PUT", f"{self.client.product_url}/{quoted(product_id)}", json=body), dict
        )

    def read(self, product_id: str) -> PushedProduct:
        answer = self.client.get("products", item=product_id).decode(shapes.SingleRecord)
        try:
            return PUSHED.read(plain(answer.data))
        except Unreadable as error:
            raise ContractBroken(f"The product {product_id} in Vend cannot be read: {error}") from error

    @staticmethod
    def refused(variant: VariantChange, family: ProductFamilyChange, error: RecordRefused) -> WriteResult:
        return WriteResult.rejected(
            variant.reference, f"Vend refuses “{family.name}” (SKU {variant.sku}): {error.message}", FIX_REFUSED
        )


def readable(raw: msgspec.Raw) -> PushedProduct | None:
    try:
        return PUSHED.read(plain(raw))
    except Unreadable:
        return None


def is_same(handle: shapes.Text, wanted: str) -> bool:
    return text(handle).casefold() == wanted.casefold()


def first_price(*prices: Decimal | None) -> Decimal:
    return next((price for price in prices if price is not None), Decimal(0))


def number(value: Decimal) -> msgspec.Raw:
    """A JSON number with exactly these digits."""
    return msgspec.Raw(plain_number(value).encode())


def supplier_row(supplier_id: str, price: Decimal, code: str) -> dict[str, Any]:
    return {"supplier_id": supplier_id, "price": number(price), "code": code}


def code_row(kind: str, code: str) -> dict[str, str]:
    return {"type": kind, "code": code}


def barcode_type(code: str) -> str:
    return BARCODE_TYPES.get(len(code), "CUSTOM") if code.isdigit() else "CUSTOM"


def codes_with(current: PushedProduct, barcode: str) -> list[dict[str, str]]:
    """The full list of codes with this barcode in the place of the one the product had, or at the end. The SKU stays
    first."""
    rows = [code_row(text(code.type) or "CUSTOM", text(code.code)) for code in current.product_codes or () if code.code]
    sku = text(current.sku)
    if sku and not any(row["code"] == sku for row in rows):
        rows.insert(0, code_row("CUSTOM", sku))
    rows = [row for row in rows if row["code"] != barcode or row["code"] == sku]
    place = next(
        (n for n, row in enumerate(rows) if row["type"] in BARCODE_TYPES.values() and row["code"] != sku), None
    )
    new = code_row(barcode_type(barcode), barcode)
    if barcode == sku:
        return rows
    return [*rows, new] if place is None else [*rows[:place], new, *rows[place + 1 :]]
