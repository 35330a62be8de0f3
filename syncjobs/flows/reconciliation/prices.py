"""The prices that the shop shows against those that Product Detail Sync keeps there: the warehouse's chosen price lists.

What is compared, and when it counts as the same, is the push's own (``syncjobs.flows.product_fields``), so that pushing a
product again makes it agree. What the push left alone, or could not write, has its own note or failed record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from django.utils import timezone

from carts.models import ProductLink
from carts.models.fields import plain_decimal
from connectors.functions import Function
from connectors.ports import ProductReader, ProductWriter
from connectors.records import ProductKind, ProductRecord, ProductRules
from syncjobs.flows.catalogue import product_of
from syncjobs.flows.product_fields import current_value, fingerprint, is_there, own_fields
from syncjobs.flows.product_routes import ToCart
from syncjobs.flows.reconciliation.look import Look, was_done
from syncjobs.reconciliation import NO_PRICE, Cause, Finding

# Half a cent: a shop that keeps prices with tax shows those without it rounded, and the other way round.
TOLERANCE = Decimal("0.005")
FIELDS = {Cause.RETAIL_PRICE_DIFFERS: "retail_price", Cause.SUPPLY_PRICE_DIFFERS: "supply_price"}


class PriceSide:
    def __init__(self, look: Look) -> None:
        self.look = look
        self.cart = look.cart

    @property
    def rules(self) -> ProductRules | None:
        """How products are pushed to the cart; None: they are not, so there is nothing to compare."""
        cart, connector = self.cart, self.look.context.connector
        if cart.warehouse is None or not cart.function_is_on(Function.PRODUCT_DETAIL_SYNC):
            return None
        if not isinstance(connector, ProductWriter) or not isinstance(connector, ProductReader):
            return None
        rules = connector.product_rules()
        return rules if not rules.off_reason and (rules.retail_price_list or rules.supply_price_list) else None

    def may_compare(self) -> bool:
        if was_done(self.cart, Function.PRODUCT_DETAIL_SYNC):
            return True
        self.look.leave_out("Prices were not compared: Product Detail Sync has not been through yet.")
        return False

    def findings(self, rules: ProductRules) -> Iterator[Finding]:
        reader = cast(ProductReader, self.look.context.connector)
        mark = fingerprint(rules)
        for page in self.look.pages(reader.read_products("")):
            read_at = timezone.now()
            goods = {r.external_id: r for r in page.records if not r.deleted and r.kind is ProductKind.GOODS}
            for link in self.links(list(goods)):
                self.look.count("prices", 1)
                yield from self.compare(link, goods[link.remote_id], rules, mark, read_at)

    def links(self, ids: Sequence[str]) -> Iterator[ProductLink]:
        """What Product Detail Sync keeps of these products. One query."""
        assert self.cart.warehouse is not None
        sources = ToCart(self.cart.warehouse, self.cart).candidates()
        links = ProductLink.objects.filter(cart=self.cart, remote_id__any_of=ids, problem="", product__in=sources)
        yield from links.select_related("product").order_by("pk")

    def compare(
        self, link: ProductLink, record: ProductRecord, rules: ProductRules, mark: str, read_at: datetime
    ) -> Iterator[Finding]:
        product = link.product
        wanted = own_fields(product, rules)
        shown = product_of(self.cart, record)
        is_due = link.product_updated_at != product.updated_at or link.rules != mark or bool(link.in_doubt_since)
        for cause, field in FIELDS.items():
            price = wanted.get(field)
            # The note says that supply prices are left alone: the shop has no supplier to keep them with.
            if not isinstance(price, Decimal) or (field == "supply_price" and link.note):
                continue
            current = current_value(field, shown, rules)
            if is_there(field, price, shown, rules) or (current is not None and abs(current - price) <= TOLERANCE):
                continue
            if is_due or (link.written_at is not None and link.written_at >= read_at):
                self.look.undecide(cause, record.external_id)
                continue
            there = plain_decimal(current, 2) if current is not None else NO_PRICE
            place = f"{self.cart}, {self.list_of(field, rules)} of {product.connection}"
            yield Finding(cause, record.external_id, product.sku, plain_decimal(price, 2), there, place)

    @staticmethod
    def list_of(field: str, rules: ProductRules) -> str:
        return f"{rules.retail_price_list if field == 'retail_price' else rules.supply_price_list} price"
