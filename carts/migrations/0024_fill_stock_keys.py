"""Fills the keys of what is stored already: first every row's own, then, cart by cart, those of the articles that its
products are at the warehouse. Afterwards ``carts.stock_keys`` keeps them."""

from collections import Counter, defaultdict
from typing import Any

from django.db import migrations
from django.db.models import F
from django.utils import timezone

PART = 1000
# The only system whose SKUs hold letters and digits only.
PLAIN = {"vend"}


def fill(apps: Any, schema_editor: Any) -> None:
    product, level = apps.get_model("carts", "Product"), apps.get_model("carts", "StockLevel")
    product.objects.update(stock_key=F("sku_key"))
    for model in (product, level):
        fill_plain_keys(model)
    for cart in apps.get_model("carts", "Cart").objects.exclude(warehouse=None).order_by("pk"):
        find_articles(apps, cart)


def plain_key(sku: str) -> str:
    return "".join(letter for letter in sku if letter.isalnum()).casefold()[:200]


def fill_plain_keys(model: Any) -> None:
    after = 0
    while rows := list(model.objects.filter(pk__gt=after).order_by("pk").only("sku")[:PART]):
        after = rows[-1].pk
        for row in rows:
            row.plain_key = plain_key(row.sku)
        model.objects.bulk_update(rows, ["plain_key"], batch_size=PART)


def find_articles(apps: Any, cart: Any) -> None:
    product = apps.get_model("carts", "Product")
    own = product.objects.filter(connection_id=cart.pk, deleted=False)
    links = links_of(apps, cart)
    taken = {key for pairs in links.values() for _, _, key in pairs}
    listed = articles(product.objects.filter(connection_id=cart.warehouse_id, deleted=False))
    stocked = articles(apps.get_model("carts", "StockLevel").objects.filter(location__warehouse=cart.warehouse_id))
    exact = {key for found in (*listed.values(), *stocked.values()) for key in found}
    rivals: Counter[str] = Counter()
    twins: Counter[str] = Counter()
    for external_id, key, sku_key in own.values_list("external_id", "plain_key", "sku_key").iterator():
        if external_id not in links:
            rivals[key] += 1
            twins[sku_key] += 1
    now, after = timezone.now(), 0
    while rows := list(own.filter(pk__gt=after).order_by("pk")[:PART]):
        after = rows[-1].pk
        moved = []
        for row in rows:
            row.stock_match, key, sku = decision(
                row, links, taken, exact, listed, stocked, rivals, twins, cart.connector in PLAIN
            )
            row.stock_match_at = now
            if key and key != row.sku_key:
                row.stock_key, row.stock_sku = key, sku
                moved.append(row)
        product.objects.bulk_update(
            rows, ["stock_key", "stock_sku", "stock_match", "stock_match_at"], batch_size=PART // 2
        )
        relabel(apps, cart, {row.external_id: row for row in moved})


def decision(
    row: Any,
    links: dict[str, list[tuple[str, str, str]]],
    taken: set[str],
    exact: set[str],
    listed: dict[str, dict[str, str]],
    stocked: dict[str, dict[str, str]],
    rivals: Counter[str],
    twins: Counter[str],
    plain_skus: bool,
) -> tuple[str, str, str]:
    """(how it was found, the article's key, its SKU), both "" where the product keeps its own."""
    if pairs := links.get(row.external_id):
        match, sku, key = pairs[0]
        return (match or "sku", key, sku) if len({key for _, _, key in pairs}) == 1 else ("ambiguous", "", "")
    if row.sku_key and row.sku_key in exact:
        return ("sku" if twins[row.sku_key] == 1 and row.sku_key not in taken else "ambiguous"), "", ""
    found = (listed.get(row.plain_key) or stocked.get(row.plain_key)) if row.plain_key else None
    if not found or not plain_skus:
        return "none", "", ""
    if len(found) == 1 and rivals[row.plain_key] == 1 and not found.keys() & taken:
        ((key, sku),) = found.items()
        return "plain_sku", key, sku
    return "ambiguous", "", ""


def links_of(apps: Any, cart: Any) -> dict[str, list[tuple[str, str, str]]]:
    """The cart's product id -> (how it was found, SKU, SKU key) of the articles that it is linked to."""
    links = apps.get_model("carts", "ProductLink").objects.filter(
        cart_id=cart.pk, product__connection_id=cart.warehouse_id, product__deleted=False
    )
    rows = links.exclude(remote_id="").exclude(product__sku_key="").order_by("pk")
    there = set(
        apps.get_model("carts", "Product")
        .objects.filter(connection_id=cart.pk, deleted=False)
        .values_list("external_id", flat=True)
    )
    found: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for remote_id, match, sku, key in rows.values_list("remote_id", "matched_by", "product__sku", "product__sku_key"):
        if remote_id in there:
            found[remote_id].append((match, sku, key))
    return found


def articles(rows: Any) -> dict[str, dict[str, str]]:
    """Plain key -> SKU key -> SKU."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for key, sku_key, sku in rows.order_by("pk").values_list("plain_key", "sku_key", "sku").iterator():
        if sku_key:
            found[key][sku_key] = sku.strip()
    return found


def relabel(apps: Any, cart: Any, moved: dict[str, Any]) -> None:
    """What was not sent yet goes out under the warehouse's SKU."""
    if not moved:
        return
    unsent = {"order__cart": cart, "order__status__in": ["new", "held", "error"]}
    back = {"refund__cart": cart, "refund__status__in": ["new", "held", "error", "not_sent"]}
    for name, which in (("OrderLine", unsent), ("RefundLine", back)):
        model = apps.get_model("carts", name)
        lines = list(model.objects.filter(product_id_at_cart__in=list(moved), **which))
        changed = []
        for line in lines:
            product = moved[line.product_id_at_cart]
            if line.sku_key == product.sku_key:
                line.warehouse_sku, line.sku_key = product.stock_sku, product.stock_key
                changed.append(line)
        model.objects.bulk_update(changed, ["warehouse_sku", "sku_key"], batch_size=PART)


def give_back(apps: Any, schema_editor: Any) -> None:
    """Lines have the key of their own SKU again; the other columns go with their migration."""
    for name in ("OrderLine", "RefundLine", "ConsignmentLine"):
        model = apps.get_model("carts", name)
        after = 0
        while rows := list(model.objects.filter(pk__gt=after).exclude(warehouse_sku="").order_by("pk")[:PART]):
            after = rows[-1].pk
            for row in rows:
                row.sku_key = row.sku.strip().casefold()[:200]
            model.objects.bulk_update(rows, ["sku_key"], batch_size=PART)


class Migration(migrations.Migration):
    dependencies = [("carts", "0023_stock_keys")]

    operations = [migrations.RunPython(fill, give_back)]
