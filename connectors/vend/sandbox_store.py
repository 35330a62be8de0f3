"""The retailer's whole state in one object, with the helpers that tests and the demo use. Thread-safe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from connectors.vend.sandbox_consignments import ConsignmentBook
from connectors.vend.sandbox_core import Record, conflict, not_found, to_cents
from connectors.vend.sandbox_data import SALE_NOTES, customer_facts, goods
from connectors.vend.sandbox_sale import Sale

WEBHOOK_TYPES = (
    "sale.update",
    "product.update",
    "customer.update",
    "inventory.update",
    "register_closure.create",
    "consignment.send",
    "consignment.receive",
)
GENERATED_LEVELS = (20, 90)
GENERATED_SALES_DAYS = 14


class VendStore(ConsignmentBook):
    """One retailer. Every change gives the record a new version and, where one is registered, sends a webhook."""

    def __init__(self, seed: int, now: Callable[[], datetime], tax_exclusive: bool) -> None:
        super().__init__(seed, now, tax_exclusive)
        self._webhooks: dict[str, Record] = {}

    # Webhooks

    @property
    def webhooks(self) -> list[Record]:
        """The registered webhooks: ``id, retailer_id, type, url, active``."""
        with self.lock:
            return list(self._webhooks.values())

    def add_webhook(self, kind: str, url: str, active: bool = True) -> Record:
        """Raises ``Refusal`` 409 when the type is registered for this URL already."""
        with self.lock:
            if any(hook["type"] == kind and hook["url"] == url for hook in self._webhooks.values()):
                raise conflict("A webhook with this type and url exists already.")
            hook = Record(id=self.new_id(), retailer_id=self.retailer["id"], type=kind, url=url, active=active)
            self._webhooks[hook["id"]] = hook
            return hook

    def webhook(self, webhook_id: str) -> Record:
        try:
            return self._webhooks[webhook_id]
        except KeyError:
            raise not_found("The webhook") from None

    def delete_webhook(self, webhook_id: str) -> None:
        with self.lock:
            self.webhook(webhook_id)
            del self._webhooks[webhook_id]

    # Demo data

    def fill(self, outlets: int, registers_per_outlet: int, products: int, customers: int) -> None:
        """Outlets, products with stock, and customers, all from the demo data."""
        with self.lock:
            for _ in range(outlets):
                self.add_outlet(registers=registers_per_outlet)
            for facts in islice(goods(), products):
                levels = {outlet["id"]: self.random.randint(*GENERATED_LEVELS) for outlet in self.outlets}
                prices: dict[str, Any] = self.both_prices(facts["price"], exclusive=True)
                if not self.retailer["tax_exclusive"]:
                    prices |= self.both_prices(to_cents(prices["price_including_tax"]))
                self.add_product(
                    sku=facts["sku"],
                    name=facts["name"],
                    levels=levels,
                    supply_price=facts["supply_price"],
                    product_type_id=self.product_type(facts["type"])["id"],
                    brand_id=self.named(self.brand_feed, facts["brand"])["id"],
                    **prices,
                )
            for place in range(customers):
                self.add_customer(**customer_facts(place, self.random))

    def generate_sales(self, count: int, lines_per_sale: int | None = None) -> None:
        """Closed and paid sales of the last two weeks, spread over the outlets. They are history: the stock is what it
        is after them, and no webhook tells of them. ``lines_per_sale`` None: one to four lines."""
        with self.lock:
            end = self.now().replace(microsecond=0)
            step = timedelta(days=GENERATED_SALES_DAYS) / max(count, 1)
            products, outlets, customers = self.products, self.outlets, self.customers
            for place in range(count):
                self.random_sale(products, outlets, customers, end - step * (count - place), lines_per_sale, quiet=True)

    def random_sale(
        self,
        products: list[Record] | None = None,
        outlets: list[Record] | None = None,
        customers: list[Record] | None = None,
        date: datetime | None = None,
        lines: int | None = None,
        *,
        quiet: bool = False,
    ) -> Sale:
        """One believable sale, closed and paid."""
        with self.lock:
            chance = self.random
            products, outlets = products or self.products, outlets or self.outlets
            customers = self.customers if customers is None else customers
            sale = self._blank_sale(chance.choice(outlets), "closed", [])
            if customers and chance.random() < 0.8:
                sale.customer_id = chance.choice(customers)["id"]
            if date:
                sale.sale_date = sale.created_at = date
            sale.note = chance.choice(SALE_NOTES)
            count = min(lines or chance.randint(1, 4), len(products))
            chosen: list[Any] = chance.sample(products, count)
            sale.line_items = [
                self._line(sale, place, (product, chance.choice((1, 1, 1, 2, 3))))
                for place, product in enumerate(chosen)
            ]
            payment = {
                "amount": to_cents(sale.total_price_incl),
                "name": chance.choice(("Cash", "EFTPOS", "Credit Card")),
            }
            sale.payments = [self._payment(sale, payment)]
            return self.sale_changed(sale, quiet=quiet)
