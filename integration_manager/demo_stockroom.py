"""The shops' own stock in the demo: a robot receives, returns, counts and moves goods in the shop, over the shop's API, and
tells when the warehouse's ledger shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from carts.models import Cart, Product, StockMovement
from carts.remote import open_connector
from connectors.vend.connector import VendConnector

DEEDS = ("stock order", "return to supplier", "inventory count", "stock transfer")
ORDERED, GIVEN_BACK, MOVED = 24, 3, 2
# How often something happens once each of the deeds was seen.
PAUSE = timedelta(seconds=30)


@dataclass
class Deed:
    """Something done in the shop that the ledger does not show yet."""

    what: str
    number: str
    cart: Cart
    movements: int
    at: datetime


class DemoStockroom:
    """Does one deed after the other, at each shop in turn."""

    def __init__(self, carts: list[Cart], tell: Callable[[Cart, str], None]) -> None:
        self.carts = carts
        self.tell = tell
        self.numbers = count(1)
        self.waiting: Deed | None = None
        self.seen: set[str] = set()
        self.next_at = timezone.now()

    @property
    def has_begun(self) -> bool:
        return self.waiting is not None or bool(self.seen)

    def missing(self) -> list[str]:
        return [f"the ledger shows no {what}" for what in DEEDS if what not in self.seen]

    def work(self) -> None:
        now = timezone.now()
        if self.waiting is not None:
            self.look(self.waiting, now)
        elif now >= self.next_at:
            self.waiting = self.act(next(self.numbers), now)

    def look(self, deed: Deed, now: datetime) -> None:
        """Does the ledger show it?"""
        movements = list(StockMovement.objects.filter(document=deed.number).order_by("pk"))
        if len(movements) < deed.movements:
            return
        words = ", ".join(f"{movement.quantity.normalize():+f} x {movement.sku}" for movement in movements)
        seconds = (now - deed.at).total_seconds()
        self.tell(deed.cart, f"{deed.what} {deed.number} -> ledger of the warehouse: {words} ({seconds:.1f} s)")
        self.seen.add(deed.what)
        self.waiting = None
        self.next_at = now if self.missing() else now + PAUSE

    def act(self, number: int, now: datetime) -> Deed:
        what = DEEDS[(number - 1) % len(DEEDS)]
        place = (number - 1) // len(DEEDS) % len(self.carts)
        cart, other = self.carts[place], self.carts[(place + 1) % len(self.carts)]
        name = f"{''.join(word[0] for word in what.split()).upper()}-{number}"
        product = Product.objects.filter(connection_id=cart.pk, deleted=False, is_stock_tracked=True).exclude(sku="")
        article = product.order_by("-sku")[number % 3].external_id
        connector = open_connector(cart)
        assert isinstance(connector, VendConnector)
        try:
            shop = ShopStock(connector, outlet_of(cart))
            if what == "stock order":
                shop.receive(name, article)
            elif what == "return to supplier":
                shop.give_back(name, article)
            elif what == "inventory count":
                shop.count(name, article)
            else:
                shop.move(name, article, outlet_of(other))
        finally:
            connector.close()
        return Deed(what, name, cart, 2 if what == "stock transfer" else 1, now)


def outlet_of(cart: Cart) -> str:
    cart.refresh_from_db(fields=["outlet"])
    assert cart.outlet is not None, "the Test has found it"
    return cart.outlet.external_id


class ShopStock:
    """What people do with stock in the shop, over its API."""

    def __init__(self, connector: VendConnector, outlet_id: str) -> None:
        self.session = connector.client.session
        self.outlet_id = outlet_id

    def receive(self, name: str, article: str) -> None:
        order = self.open("SUPPLIER", name, reference=name)
        self.line("POST", order, article, count=ORDERED)
        self.move_to(order, "SENT")
        self.line("PUT", order, article, received=ORDERED)
        self.move_to(order, "RECEIVED")

    def give_back(self, name: str, article: str) -> None:
        back = self.open("RETURN", name)
        self.line("POST", back, article, count=GIVEN_BACK)
        self.move_to(back, "SENT")

    def count(self, name: str, article: str) -> None:
        """One is missing on the shelf."""
        filters = [{"type": "product", "value": article}]
        counted = self.open("STOCKTAKE", name, status="STOCKTAKE_IN_PROGRESS", filters=filters)
        lines = self.call("GET", f"consignments/{counted['id']}/products")
        self.line("PUT", counted, article, received=float(lines[0]["count"]) - 1)
        self.move_to(counted, "STOCKTAKE_COMPLETE")

    def move(self, name: str, article: str, target: str) -> None:
        transfer = self.open("OUTLET", name, outlet_id=target, source_outlet_id=self.outlet_id)
        self.line("POST", transfer, article, count=MOVED)
        self.move_to(transfer, "SENT")
        self.move_to(transfer, "RECEIVED")

    def open(self, kind: str, name: str, **fields: Any) -> dict[str, Any]:
        body = {"type": kind, "name": name, "outlet_id": self.outlet_id, "status": "OPEN", **fields}
        answer: dict[str, Any] = self.call("POST", "consignments", body)
        return answer

    def move_to(self, document: dict[str, Any], status: str) -> None:
        kept = {name: document[name] for name in ("name", "type", "outlet_id", "source_outlet_id")}
        self.call("PUT", f"consignments/{document['id']}", {**kept, "status": status})

    def line(self, method: str, document: dict[str, Any], article: str, **quantities: float) -> None:
        path = f"consignments/{document['id']}/products"
        body = {name: str(quantity) for name, quantity in quantities.items()}
        if method == "POST":
            self.call("POST", path, {"product_id": article, **body})
        else:
            self.call("PUT", f"{path}/{article}", body)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, path, json=body)
        return answer.decode(dict[str, Any])["data"]
