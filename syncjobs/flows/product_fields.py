"""The fields of products in the form in which they are compared: what a target should show, and whether it does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import permutations
from typing import Any

import msgspec

from carts.models import Product
from connectors.product_rules import TO_CART, Sides
from connectors.records import ProductRules

SHARED_FIELDS = ("name", "description", "brand", "product_type", "supplier", "tags")
OWN_FIELDS = ("barcode", "supplier_code", "retail_price", "supply_price", "attributes")
# Written by supplier: when the supplier changes, these must follow.
SUPPLIER_FIELDS = ("supplier_code", "supply_price")
FINGERPRINT_LENGTH = 12


Value = str | Decimal | tuple[str, ...] | dict[str, str]
Fields = dict[str, Value]


def shared_fields(key: str, rows: Sequence[Product], sides: Sides = TO_CART) -> Fields:
    """What all variants have in common: the parent's word if it is one of them, else the first that is given."""
    ordered = sorted(rows, key=lambda row: (row.external_id != key, row.pk))
    fields: Fields = {}
    for name in SHARED_FIELDS:
        for row in ordered:
            value = getattr(row, name)
            if name == "tags":
                value = tuple(dict.fromkeys(str(tag).strip() for tag in value if str(tag).strip()))
            elif name == "name" and sides is not TO_CART:
                value = base_name(row).strip()
            else:
                value = value.strip()
            if value:
                fields[name] = value
                break
    return fields


def own_fields(row: Product, rules: ProductRules, sides: Sides = TO_CART) -> Fields:
    """A shop's supply price of zero means that none was entered there."""
    fields: Fields = {}
    for name in ("barcode", "supplier_code"):
        if value := getattr(row, name).strip():
            fields[name] = value
    for name, price_list in (("retail_price", rules.retail_price_list), ("supply_price", rules.supply_price_list)):
        price = price_of(row, price_list)
        is_none = price == 0 and name == "supply_price" and sides is not TO_CART
        if price is not None and not is_none:
            fields[name] = price
    attributes = {str(name).strip(): str(value).strip() for name, value in row.attributes.items()}
    attributes = {name: value for name, value in sorted(attributes.items()) if name and value}
    if attributes:
        fields["attributes"] = attributes
    return fields


def price_of(row: Product, price_list: str) -> Decimal | None:
    """The price on a list, whatever its capitals; None where there is none, or none that is a number."""
    wanted = price_list.strip().casefold()
    for name, amount in row.prices.items() if wanted else ():
        if str(name).strip().casefold() == wanted:
            try:
                price = Decimal(str(amount))
            except InvalidOperation:
                return None
            return price.normalize() + 0 if price.is_finite() else None
    return None


def folded(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {str(name).strip().casefold(): str(value).strip().casefold() for name, value in attributes.items()}


def base_name(product: Product) -> str:
    """A family's own name: carts list variants as "Hoodie / Red / S"."""
    values = [str(value) for value in product.attributes.values()][:4]
    for order in permutations(values):
        suffix = "".join(f" / {value}" for value in order)
        if suffix and product.name.endswith(suffix):
            return product.name[: -len(suffix)]
    return product.name


def name_key(name: str) -> str:
    return " ".join(name.split()).casefold()


def is_there(name: str, value: Value, found: Product, rules: ProductRules) -> bool:
    """Does the target show this value? Where attributes make variants, those of other names than the source's are the
    target's own matter."""
    if name == "attributes":
        assert isinstance(value, dict)
        if rules.distinct_variants and folded(found.attributes).keys() != folded(value).keys():
            return True
        return folded(found.attributes) == folded(value)
    current = current_value(name, found, rules)
    if name == "tags":
        return {name_key(tag) for tag in current} == {name_key(tag) for tag in value}  # type: ignore[union-attr]
    if name in ("brand", "product_type", "supplier"):
        return name_key(str(current)) == name_key(str(value))
    return bool(current == value)


def current_value(name: str, found: Product, rules: ProductRules) -> Any:
    if name == "name":
        return base_name(found).strip()
    if name == "retail_price":
        return price_of(found, rules.retail_price_name)
    if name == "supply_price":
        return price_of(found, rules.supply_price_name)
    value = getattr(found, name)
    return value.strip() if isinstance(value, str) else value


def in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {part}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return f"{value:f}" if isinstance(value, Decimal) else str(value if value is not None else "")


def fingerprint(value: Any) -> str:
    """A short name of a value: equal values have equal ones."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:FINGERPRINT_LENGTH]
