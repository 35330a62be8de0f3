"""Products that shops bring to the built-in warehouse: created once, afterwards only what differs."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError

from carts.book_checks import BookError, check_sku
from carts.models import Product
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from carts.stock_keys import gathered
from connectors.records import ProductFamilyChange, ProductRules, VariantChange, WriteResult

SHARED_TEXTS = ("description", "brand", "product_type", "supplier")
OWN_TEXTS = ("barcode", "supplier_code")
CHECKED = ("external_id", "sku", "name", "barcode", "brand", "product_type", "supplier", "supplier_code")


def write_family(warehouse_pk: int, family: ProductFamilyChange, rules: ProductRules) -> list[WriteResult]:
    """Writes one family. A new article whose SKU is there is refused, unless an earlier try may have made it: then it is
    found. Called with the book locked."""
    with gathered():
        return write_articles(warehouse_pk, family, rules)


def write_articles(warehouse_pk: int, family: ProductFamilyChange, rules: ProductRules) -> list[WriteResult]:
    own = Product.objects.filter(connection_id=warehouse_pk, deleted=False)
    known = {
        row.external_id: row
        for row in own.select_for_update().filter(
            external_id__in=[family.remote_id, *(variant.remote_id for variant in family.variants)]
        )
    }
    keys = [sku_key(variant.sku) for variant in family.variants if "\0" not in variant.sku]
    taken = {row.sku_key: row for row in own.filter(sku_key__in=keys)}
    home = FamilyHome(warehouse_pk, known.get(family.remote_id), is_new=not family.remote_id)
    results = []
    for variant in family.variants:
        try:
            row = article(variant, known, taken, home, in_doubt=family.in_doubt)
            fill(row, family, variant, rules)
            check_fields(row)
        except BookError as error:
            results.append(WriteResult.rejected(variant.reference, str(error), error.fix))
            continue
        row.version += 1
        row.save()
        home.joined(row)
        taken[row.sku_key] = row
        results.append(WriteResult.done(variant.reference, row.external_id))
    share(own, family, known, {variant.remote_id for variant in family.variants})
    return results


class FamilyHome:
    """Which family new articles belong to. One article alone is none; the second makes them one, named after the
    first."""

    def __init__(self, warehouse_pk: int, first: Product | None, *, is_new: bool) -> None:
        self.warehouse_pk = warehouse_pk
        self.first = first
        self.is_new = is_new

    def new_article(self, sku: str) -> Product:
        row = Product(connection_id=self.warehouse_pk, external_id=uuid.uuid4().hex, sku=sku.strip())
        if self.first is not None:
            if not self.first.family_id:
                self.first.family_id = self.first.external_id
                self.first.save(update_fields=["family_id", "updated_at"])
            row.family_id = self.first.family_id
        return row

    def joined(self, row: Product) -> None:
        if self.first is None and self.is_new:
            self.first = row


def article(
    variant: VariantChange, known: dict[str, Product], taken: dict[str, Product], home: FamilyHome, *, in_doubt: bool
) -> Product:
    """The row that a change is about. Raises ``BookError``."""
    if variant.remote_id:
        row = known.get(variant.remote_id)
        if row is None:
            raise BookError(
                f"The product {variant.sku} is not in the warehouse any more.",
                "Nothing to do: the next change of the product, or sending all products, brings it again.",
            )
        return row
    key = check_sku(variant.sku)
    if key in taken:
        if in_doubt:
            return taken[key]
        raise BookError(
            f"The warehouse has another product with the SKU {variant.sku}.",
            "Reprocess it: the hub then finds that product and links it.",
        )
    return home.new_article(variant.sku)


def fill(row: Product, family: ProductFamilyChange, variant: VariantChange, rules: ProductRules) -> None:
    if row._state.adding or family.renamed:
        row.name = family.name
    for name in SHARED_TEXTS:
        if (text := getattr(family, name)) is not None:
            setattr(row, name, text)
    if family.tags is not None:
        row.tags = list(family.tags)
    for name in OWN_TEXTS:
        if (text := getattr(variant, name)) is not None:
            setattr(row, name, text)
    if variant.attributes is not None:
        row.attributes = dict(variant.attributes)
    set_price(row, rules.retail_price_name, variant.retail_price)
    set_price(row, rules.supply_price_name, variant.supply_price)


def set_price(row: Product, price_list: str, price: Decimal | None) -> None:
    """On the list of this name, whatever its capitals."""
    if price is None or not price_list:
        return
    name = next((name for name in row.prices if name.casefold() == price_list.casefold()), price_list)
    row.prices = {**row.prices, name: plain_decimal(price, 2)}


def share(rows: Any, family: ProductFamilyChange, known: dict[str, Product], named: set[str]) -> None:
    """What all articles have in common is written to those too that the change does not name."""
    first = known.get(family.remote_id)
    if first is None or not first.family_id:
        return
    values: dict[str, Any] = {name: text for name in SHARED_TEXTS if (text := getattr(family, name)) is not None}
    if family.renamed:
        values["name"] = family.name
    if family.tags is not None:
        values["tags"] = list(family.tags)
    others: Sequence[Product] = rows.filter(family_id=first.family_id).exclude(external_id__in=named) if values else ()
    for row in others:
        for name, value in values.items():
            setattr(row, name, value)
        row.version += 1
        row.save()


def check_fields(row: Product) -> None:
    """Raises ``BookError`` for texts that are too long."""
    for name in CHECKED:
        field = row._meta.get_field(name)
        try:
            field.run_validators(getattr(row, name))  # type: ignore[union-attr]
        except ValidationError as error:
            label = name.replace("_", " ").capitalize()
            raise BookError(f"{row.sku}: {label}: {error.messages[0]}", "Shorten it in the shop.") from error
