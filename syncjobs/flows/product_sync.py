"""Product Detail Sync. Of a cart: the warehouse's products to it. Of a warehouse: the products of its carts to it.

One side leads for each cart: a cart whose own Product Detail Sync is on takes its details from the warehouse, so the
warehouse never takes that cart's products. Nothing goes round in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from carts.models import Cart, FunctionSetting, Product, ProductLink, SentProduct, Warehouse
from carts.remote import open_connector
from carts.stock_keys import links_changed
from connectors.errors import ConfigurationInvalid
from connectors.functions import Function
from connectors.ports import ProductReader, ProductWriter
from connectors.records import ProductKind
from syncjobs.context import PREVIEW_PAGES, RunContext
from syncjobs.flows.catalogue import product_of, refresh_products, tell_carts
from syncjobs.flows.product_plan import Member
from syncjobs.flows.product_push import Brought, ProductPush
from syncjobs.flows.product_routes import ToCart, ToWarehouse, chunks
from syncjobs.models import FailedRecord, Run
from syncjobs.nested import run_first
from syncjobs.schedule import request_run

GONE = "Deleted in the shop. Nothing is deleted at the warehouse."
LEFT_OUT_SHOWN = 20
WHY_LEFT_OUT = {
    ProductKind.GIFT_CARD: "A gift card is nothing that lies in a warehouse.",
    ProductKind.SERVICE: "A service is nothing that lies in a warehouse.",
    ProductKind.DISCOUNT: "A discount is nothing that lies in a warehouse.",
    ProductKind.COMPOSITE: "A composite consists of other products; these are sent.",
}
NOT_SOLD = "The shop does not sell it at present."


def push_products(context: RunContext) -> None:
    """The warehouse's products to a cart."""
    warehouse = context.cart.warehouse
    if warehouse is None:
        raise ConfigurationInvalid(
            f"{context.cart} has no warehouse to take products from.", fix="Choose a warehouse in the cart's settings."
        )
    writer = cast(ProductWriter, context.connector)
    rules = writer.product_rules()
    if rules.off_reason:
        context.run.count(option_is_no=1)
        if context.run.dry_run:
            context.preview(sku="", what="nothing", field="", now="", then=rules.off_reason)
        return
    push = ProductPush(context, ToCart(warehouse, context.cart), writer, rules)
    push.run(int(context.start_cursor() or 0) if context.run.full else 0)


def take_products(context: RunContext) -> None:
    """The products of its carts to a warehouse. A full run brings all of them (*Send products to the warehouse*), any
    other run those that changed."""
    warehouse, run = context.warehouse, context.run
    writer = cast(ProductWriter, context.connector)
    rules = writer.product_rules()
    sources, led = product_sources(warehouse, with_switched_off=run.dry_run)
    run.count(led_by_warehouse=0 if run.pages else len(led))
    for cart in led if run.dry_run else ():
        context.preview(sku="", what="leave out", field="", now="", then=words_of_led(cart, warehouse))
    begin, _, after = (context.start_cursor() if run.full else "").partition(":")
    if sources and run.full and not run.dry_run and not begin:
        for cart in sources:
            read_shop_first(context, cart)
        run.counts = {**run.counts, "of": expected(sources)}
    brought = Brought()
    for cart in sources:
        if begin and cart.pk < int(begin):
            continue
        route = ToWarehouse(cart, warehouse, sources)
        push = ProductPush(context, route, writer, rules)
        push.brought = brought
        if run.dry_run and not Product.objects.filter(connection_id=cart.pk).exists():
            found = preview_unread(push, cart)
        else:
            found = push.run(int(after) if begin and cart.pk == int(begin) else 0)
        brought = Brought(brought.ids | found.ids, brought.skus | found.skus)
        tell_what_is_left_out(context, cart)
        if not run.dry_run:
            finish(context, push, cart)
    if not run.dry_run and {"created", "updated"} & run.counts.keys() and context.connector.stores_in_hub:
        tell_carts(warehouse)


def product_sources(warehouse: Warehouse, *, with_switched_off: bool = False) -> tuple[list[Cart], list[Cart]]:
    """(carts whose products this warehouse takes, carts that take their details from it), in a fixed order."""
    leads = FunctionSetting.objects.filter(connection=OuterRef("pk"), function=Function.PRODUCT_DETAIL_SYNC, is_on=True)
    carts = Cart.objects.filter(warehouse=warehouse).select_related("merchant").order_by("pk")
    if not with_switched_off:
        carts = carts.filter(is_active=True)
    rows = [(cart, cart.is_led) for cart in carts.annotate(is_led=Exists(leads))]
    return [cart for cart, is_led in rows if not is_led], [cart for cart, is_led in rows if is_led]


def words_of_led(cart: Cart, warehouse: Warehouse) -> str:
    return (
        f"{cart} takes its product details from {warehouse} (its Product Detail Sync is on), so its own products are not "
        "sent there."
    )


def expected(sources: Sequence[Cart]) -> int:
    """How many products a full pass goes over."""
    products = Product.objects.filter(connection__in=[cart.pk for cart in sources], deleted=False, is_active=True)
    return products.filter(kind=ProductKind.GOODS).count()


def read_shop_first(context: RunContext, cart: Cart) -> None:
    """Before everything is sent, the hub's list of the shop's products is brought up to date. Raises
    ``MustWait`` or ``CauseFailed``."""
    run_first(context, Function.PRODUCT_PICKUP, cart, without_it=f"The products of {cart} could not be read")


def preview_unread(push: ProductPush, cart: Cart) -> Brought:
    """What would come of the first pages of a shop that was never read. Nothing is stored."""
    connector = open_connector(cart)
    families: dict[str, list[Member]] = {}
    try:
        for number, page in enumerate(connector.read_products("") if isinstance(connector, ProductReader) else ()):
            if number >= PREVIEW_PAGES:
                break
            for record in page.records:
                if record.kind is ProductKind.GOODS and record.is_active and not record.deleted:
                    row = product_of(cart, record)
                    families.setdefault(row.family_key, []).append(Member(row))
    finally:
        connector.close()
    return push.preview(push.plan(families))


def tell_what_is_left_out(context: RunContext, cart: Cart) -> None:
    """In a full run and in a preview: what of the shop is never sent, and why."""
    if not (context.run.full or context.run.dry_run):
        return
    left = Product.objects.filter(connection_id=cart.pk, deleted=False).exclude(kind=ProductKind.GOODS, is_active=True)
    numbers = left.aggregate(goods=Count("pk", filter=Q(kind=ProductKind.GOODS)), other=Count("pk"))
    context.run.count(not_sold=numbers["goods"], not_goods=numbers["other"] - numbers["goods"])
    for product in left.order_by("pk")[:LEFT_OUT_SHOWN] if context.run.dry_run else ():
        why = WHY_LEFT_OUT.get(ProductKind(product.kind), NOT_SOLD)
        context.preview(sku=product.sku or product.name, what="leave out", field="", now="", then=why)


def finish(context: RunContext, push: ProductPush, cart: Cart) -> None:
    """After a cart's products: those deleted in the shop are reported, and what was found or made is linked."""
    counts = context.run.counts
    gone = SentProduct.objects.filter(
        warehouse=context.warehouse, product__connection_id=cart.pk, product__deleted=True
    ).exclude(Q(remote_id="") | Q(problem=GONE))
    context.run.count(gone=gone.update(problem=GONE))
    if not counts.keys() & {"created", "updated", "unchanged", "kept_by_other"}:
        return
    if push.is_behind and counts.get("created"):
        refresh_products(context)
    with context.page(None):
        link_pairs(context, cart)


def link_pairs(context: RunContext, cart: Cart) -> None:
    """Makes ``ProductLink`` of what this run found or created, where nothing else is linked."""
    warehouse = context.warehouse
    there = Product.objects.filter(connection_id=warehouse.pk, external_id=OuterRef("remote_id"), deleted=False)
    linked = ProductLink.objects.filter(
        cart=cart, remote_id=OuterRef("product__external_id"), product__connection_id=warehouse.pk
    )
    sent: QuerySet[SentProduct] = SentProduct.objects.filter(
        warehouse=warehouse, product__connection_id=cart.pk, checked_at__gte=context.run.queued_at
    )
    new = (
        sent.exclude(remote_id="")
        .annotate(article=Subquery(there.values("pk")[:1]))
        .filter(article__isnull=False)
        .exclude(Exists(linked))
        .values_list("article", "product__external_id", "matched_by")
    )
    for part in chunks(list(new)):
        known = {
            link.product_id: link
            for link in ProductLink.objects.filter(cart=cart, product__in=[article for article, _, _ in part])
        }
        changed = []
        fresh = {}
        for article, cart_id, matched_by in part:
            link = known.get(article)
            if link is None:
                fresh[article] = ProductLink(cart=cart, product_id=article, remote_id=cart_id, matched_by=matched_by)
            elif not link.remote_id:
                link.remote_id, link.matched_by = cart_id, matched_by
                changed.append(link)
        ProductLink.objects.bulk_create(fresh.values(), ignore_conflicts=True)
        ProductLink.objects.bulk_update(changed, ["remote_id", "matched_by"])
        links_changed(cart, [cart_id for _, cart_id, _ in part], [article for article, _, _ in part])


def push_again(record: FailedRecord, actor: str) -> None:
    """Lets the next Product Detail Sync try a family once more."""
    of_family = Q(product__external_id=record.external_id) | Q(product__family_id=record.external_id)
    again = {"tried": "", "problem": "", "product_updated_at": None}
    ProductLink.objects.filter(of_family, cart_id=record.connection_id).update(**again)
    SentProduct.objects.filter(of_family, warehouse_id=record.connection_id).update(**again)
    request_run(record.connection, Function.PRODUCT_DETAIL_SYNC, Run.Trigger.PERSON, requested_by=actor)
