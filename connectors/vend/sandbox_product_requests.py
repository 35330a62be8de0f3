"""Products as clients create and update them. Source: vend.md 3.11."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.vend.sandbox_catalogue import (
    CODE_TYPES,
    MOST_ATTRIBUTES,
    MOST_VARIANTS,
    PRODUCT_DEFAULTS,
    handle_from,
)
from connectors.vend.sandbox_core import Feed, Record, bad_request, conflict, decimal_of, id_of, unprocessable
from connectors.vend.sandbox_requests import part, rows
from connectors.vend.sandbox_store import VendStore

COPIED_ON_CREATE = [
    "description",
    "source",
    "source_id",
    "source_variant_id",
    "supplier_id",
    "supplier_code",
    "brand_id",
    "tag_ids",
    "loyalty_amount",
    "weight",
    "weight_unit",
    "length",
    "width",
    "height",
    "dimensions_unit",
    "outlet_taxes",
    "account_code_purchase",
]
COPIED_COMMON = ("name", "description", "tag_ids", "account_code_purchase")
COPIED_DETAILS = [
    "loyalty_amount",
    "weight",
    "weight_unit",
    "length",
    "width",
    "height",
    "dimensions_unit",
    "outlet_taxes",
    "price_excluding_tax",
    "price_including_tax",
]
MONEY = frozenset({"price_excluding_tax", "price_including_tax", "supply_price", "loyalty_amount", "weight"})


def create_products(store: VendStore, body: Mapping[str, Any]) -> list[str]:
    """``POST /products``: one product, or a family when ``variants`` are given. Returns the ids, one per variant.
    Raises ``Refusal`` 400 (malformed), 409 (name taken) and 422 (rules of the catalogue)."""
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise bad_request("name is required.")
    if store.products_with("name", name):
        raise conflict(f"A product named {name} exists already.")
    variants = rows(body, "variants") or [{}]
    if len(variants) > MOST_VARIANTS:
        raise unprocessable(f"A family has at most {MOST_VARIANTS} variants.")
    common = {key: value for key, value in body.items() if key != "variants"}
    for variant in variants:
        check_new(store, common | variant)
    skus = [sku for sku in (variant.get("sku") or common.get("sku") for variant in variants) if sku]
    if len(set(skus)) != len(skus):
        raise unprocessable("Two variants have the same SKU.")
    family: list[Record] = []
    for variant in variants:
        family.append(create_one(store, common | variant, family[0] if family else None))
    if len(family) > 1:
        store.update_product(family[0], has_variants=True, variant_count=len(family))
    return [product["id"] for product in family]


def check_new(store: VendStore, fields: Mapping[str, Any]) -> None:
    if fields.get("price_including_tax") is not None and fields.get("price_excluding_tax") is not None:
        raise bad_request("Send price_including_tax or price_excluding_tax, not both.")
    check_sku(store, fields.get("sku"))
    check_codes(rows(fields, "product_codes"))
    if len(fields.get("variant_definitions") or ()) > MOST_ATTRIBUTES:
        raise unprocessable(f"A product has at most {MOST_ATTRIBUTES} variant attributes.")
    for definition in rows(fields, "variant_definitions"):
        known(store.variant_attribute_feed, definition.get("attribute_id"), "variant attribute")
    known(store.brand_feed, fields.get("brand_id"), "brand")
    known(store.supplier_feed, fields.get("supplier_id"), "supplier")
    known(store.product_type_feed, fields.get("product_type_id") or fields.get("product_category_id"), "category")
    for tag_id in fields.get("tag_ids") or ():
        known(store.tag_feed, tag_id, "tag")


def check_sku(store: VendStore, sku: Any, but: str = "") -> None:
    """A SKU has no white space and belongs to one product (vend-product-rules.md section 5)."""
    if sku is None:
        return
    if not isinstance(sku, str) or any(letter.isspace() for letter in sku):
        raise unprocessable(f"The SKU {sku!r} contains white space.")
    if sku and any(product["id"] != but for product in store.products_with("sku", sku)):
        raise unprocessable(f"The SKU {sku} is in use already.")


def check_codes(codes: Any) -> None:
    for code in codes or ():
        if code.get("type", "CUSTOM") not in CODE_TYPES or not code.get("code"):
            raise unprocessable("A product code needs a known type and a code.")


def known(feed: Feed[Record], record_id: Any, what: str) -> None:
    if record_id and record_id not in feed.by_id:
        raise unprocessable(f"The {what} {record_id} does not exist.")


def create_one(store: VendStore, fields: Mapping[str, Any], parent: Record | None) -> Record:
    definitions = fields.get("variant_definitions") or []
    options = [
        {
            "id": row["attribute_id"],
            "name": store.variant_attribute_feed.by_id[row["attribute_id"]]["name"],
            "value": row["value"],
        }
        for row in definitions
    ]
    values: dict[str, Any] = {name: plain_value(name, fields[name]) for name in COPIED_ON_CREATE if name in fields}
    values |= prices(store, fields)
    values["product_type_id"] = fields.get("product_type_id") or fields.get("product_category_id")
    values["active"] = fields.get("is_active", True)
    values["account_code"] = fields.get("account_code_sale")
    if fields.get("supply_price") is not None:
        values["supply_price"] = decimal_of(fields["supply_price"])
    suppliers = supplier_rows(store, rows(fields, "product_suppliers"))
    if suppliers:
        values["product_suppliers"] = suppliers
        values |= {"supplier_id": suppliers[0]["supplier_id"], "supply_price": suppliers[0]["price"]}
    codes = fields.get("product_codes") or []
    sku = fields.get("sku") or (codes[0]["code"] if codes else None)
    product = store.add_product(
        sku=sku,
        name=fields["name"],
        kind="composite" if fields.get("composite") else "goods",
        handle=fields.get("handle") or (parent["handle"] if parent else handle_from(fields["name"])),
        variant_name=" / ".join([fields["name"], *(row["value"] for row in definitions)]),
        variant_options=options,
        variant_parent_id=parent["id"] if parent else None,
        components={row["product_id"]: row["quantity"] for row in fields.get("composite") or ()} or None,
        **values,
    )
    if codes:
        write_codes(store, product, codes)
    store.set_inventory(product, rows(fields, "inventory"))
    return product


def prices(store: VendStore, fields: Mapping[str, Any]) -> dict[str, Any]:
    for name, exclusive in (("price_excluding_tax", True), ("price_including_tax", False)):
        if fields.get(name) is not None:
            return store.both_prices(decimal_of(fields[name]), exclusive=exclusive)
    return {}


def plain_value(name: str, value: Any) -> Any:
    return decimal_of(value) if name in MONEY and value is not None else value


def supplier_rows(store: VendStore, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shaped = []
    for row in given:
        known(store.supplier_feed, row.get("supplier_id"), "supplier")
        supplier = store.supplier_feed.by_id.get(row.get("supplier_id") or "")
        shaped.append(
            {
                "id": store.new_id(),
                "supplier_id": row.get("supplier_id"),
                "supplier_name": supplier["name"] if supplier else None,
                "code": row.get("code", ""),
                "price": decimal_of(row.get("price", 0)),
            }
        )
    return shaped


def write_codes(store: VendStore, product: Record, codes: Any) -> None:
    """The full list of codes. The SKU is the code of type CUSTOM, or the first one."""
    product["product_codes"] = [
        {"id": store.new_id(), "type": row.get("type", "CUSTOM"), "code": row["code"]} for row in codes
    ]
    custom = [row["code"] for row in codes if row.get("type", "CUSTOM") == "CUSTOM"]
    product["sku"] = custom[0] if custom else codes[0]["code"]


def update_product(store: VendStore, product_id: str, body: Mapping[str, Any]) -> Record:
    """``PUT /api/2.1/products/{id}``: ``common`` goes to the whole family, ``details`` to this product.
    Raises ``Refusal`` 400, 404 and 422."""
    product = store.product(product_id)
    if product["deleted_at"] is not None:
        raise unprocessable("The product is deleted.")
    unknown = set(body) - {"common", "details"}
    if unknown:
        raise bad_request(f"Unknown parts: {', '.join(sorted(unknown))}.")
    common, details = part(body, "common"), part(body, "details")
    check_update(store, product, common, details)
    for member in family_of(store, product):
        if common:
            write_common(store, member, common)
            store.update_product(member)
    if details:
        write_details(store, product, details)
        store.update_product(product)
    return product


def family_of(store: VendStore, product: Record) -> list[Record]:
    return store.products_with("family_id", product["family_id"])


def check_update(store: VendStore, product: Record, common: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    if details.get("price_including_tax") is not None and details.get("price_excluding_tax") is not None:
        raise bad_request("Send price_including_tax or price_excluding_tax, not both.")
    check_codes(rows(details, "product_codes"))
    for code in details.get("product_codes") or ():
        check_sku(store, code["code"], but=product["id"])
    if len(common.get("variant_attributes") or ()) > MOST_ATTRIBUTES:
        raise unprocessable(f"A product has at most {MOST_ATTRIBUTES} variant attributes.")
    known(store.brand_feed, common.get("brand_id"), "brand")
    known(store.product_type_feed, common.get("product_category_id"), "category")
    name = common.get("name")
    family = {member["id"] for member in family_of(store, product)}
    if name and any(other["id"] not in family for other in store.products_with("name", name)):
        raise unprocessable(f"A product named {name} exists already.")


def write_common(store: VendStore, product: Record, common: Mapping[str, Any]) -> None:
    product |= {name: common[name] for name in COPIED_COMMON if name in common}
    if "name" in common:
        product["variant_name"] = " / ".join([common["name"], *(row["value"] for row in product["variant_options"])])
    for sent, kept in (("brand_id", "brand_id"), ("product_category_id", "product_type_id")):
        if sent in common:
            product[kept] = common[sent] or None
    if "account_code_sale" in common:
        product["account_code"] = common["account_code_sale"]
    if "track_inventory" in common:
        product["has_inventory"] = bool(common["track_inventory"])
        if product["has_inventory"]:
            for outlet in store.outlets:
                store.inventory_row(product["id"], outlet["id"])
    if "product_suppliers" in common:
        suppliers = supplier_rows(store, rows(common, "product_suppliers"))
        product["product_suppliers"] = suppliers
        product["supplier_id"] = suppliers[0]["supplier_id"] if suppliers else None


def write_details(store: VendStore, product: Record, details: Mapping[str, Any]) -> None:
    for name in COPIED_DETAILS:
        if name in details:
            product[name] = plain_value(name, details[name])
    product |= prices(store, details)
    if product["loyalty_amount"] == -1:
        product["loyalty_amount"] = PRODUCT_DEFAULTS["loyalty_amount"]
    if "is_active" in details:
        product["active"] = bool(details["is_active"])
    if details.get("product_codes"):
        write_codes(store, product, details["product_codes"])
    if "product_suppliers" in details:
        write_supplier_prices(store, product, rows(details, "product_suppliers"))
    for row in rows(details, "variant_attribute_values"):
        for option in product["variant_options"]:
            if option["id"] == row["attribute_id"]:
                option["value"] = row["attribute_value"]
    if details.get("variant_attribute_values"):
        values = [option["value"] for option in product["variant_options"]]
        product["variant_name"] = " / ".join([product["name"], *values])
    store.set_inventory(product, rows(details, "inventory"))


def write_supplier_prices(store: VendStore, product: Record, given: list[dict[str, Any]]) -> None:
    """Prices per supplier: -1 deletes; the first one left is the product's supply price."""
    kept = {row["supplier_id"]: row for row in product["product_suppliers"]}
    for row in supplier_rows(store, given):
        if row["price"] == -1:
            kept.pop(row["supplier_id"], None)
        else:
            kept[row["supplier_id"]] = kept.get(row["supplier_id"], {}) | row
    product["product_suppliers"] = list(kept.values())
    if kept:
        first = product["product_suppliers"][0]
        product |= {"supplier_id": first["supplier_id"], "supply_price": first["price"]}


def delete_products(store: VendStore, product_id: str, whole_family: bool) -> None:
    product = store.product(product_id)
    for member in family_of(store, product) if whole_family else [product]:
        store.delete_product(id_of(member))
