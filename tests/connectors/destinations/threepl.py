"""3PL Warehouse Manager, as its sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import Any, Self

import pytest

from connectors.base import Connector, Environment
from connectors.budget import BudgetBook
from connectors.threepl.connector import ThreePLConnector
from connectors.threepl.sandbox import ThreePLSandbox
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel

NUMBERS = count(1)
CALL_THAT_MAKES = {
    Capability.ORDERS: "POST /orders",
    Capability.RETURNS: "POST /inventory/receivers",
    Capability.ADJUSTMENTS: "POST /inventory/adjustments",
}


class ThreePLDestination(Destination):
    key = "threepl"
    lacks = {
        Capability.PRODUCT_DETAILS: "The hub does not write items there: its products are set up by the third party.",
        Capability.TRANSFERS: "Its API books receipts and adjustments, but no move between facilities.",
        Capability.BATCHES: "Its API takes one order in a call.",
        Capability.PARTIAL_SHIPMENTS: "An order is closed once, with all its packages.",
    }

    def __init__(self, sandbox: ThreePLSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store
        self.opened_connectors: list[Connector] = []
        self.connector = self.another_connector()

    @classmethod
    @contextmanager
    def opened(cls, request: pytest.FixtureRequest) -> Iterator[Self]:
        with ThreePLSandbox(products=0) as sandbox:
            destination = cls(sandbox)
            yield destination
            for connector in destination.opened_connectors:
                connector.close()

    def another_connector(self) -> Any:
        options = {"url": self.sandbox.url, "user_login": "hub", "customer_id": 85, "facility_id": 1}
        credentials = {"client_id": self.sandbox.client_id, "client_secret": "sandbox-secret"}
        connector = ThreePLConnector(
            ThreePLConnector.Options.parse(options),
            ThreePLConnector.Credentials.parse(credentials),
            Environment(budgets=BudgetBook(), extra_hosts=frozenset({self.sandbox.host})),
        )
        self.opened_connectors.append(connector)
        return connector

    def article(self, stock: int = 0) -> str:
        sku = f"ART{next(NUMBERS)}"
        self.store.add_item(85, sku, price=Decimal("12.50"))
        self.put_stock(sku, stock)
        return sku

    @property
    def location_ids(self) -> Sequence[str]:
        return ["1", "2"]

    def put_stock(self, sku: str, quantity: int, location_id: str = "") -> None:
        self.store.set_stock(sku, quantity, int(location_id or 1))

    def orders_under(self, reference: str) -> list[dict[str, Decimal]]:
        return [
            quantities(order["orderItems"])
            for order in self.store.orders.values()
            if order["referenceNum"] == reference and order["readOnly"]["status"] != 2
        ]

    def returns_under(self, reference: str) -> list[dict[str, Decimal]]:
        receivers = self.store.receivers.values()
        return [quantities(one["receiveItems"]) for one in receivers if one["referenceNum"] == reference]

    def ship(self, reference: str, *parcels: Parcel) -> None:
        self.store.order_of(reference)["routingInfo"]["carrier"] = parcels[0].carrier
        self.store.close(reference, [(parcel.tracking_number, parcel.lines) for parcel in parcels])

    def lose_answer(self, to: Capability) -> None:
        self.sandbox.fail(match=CALL_THAT_MAKES[to], fault="answer_lost")

    def break_down(self) -> None:
        self.sandbox.fail(times=None, status=503)

    def recover(self) -> None:
        self.sandbox.clear_faults()

    def refuse_access(self) -> None:
        self.sandbox.client_secret = "another"
        self.sandbox.revoke_tokens()

    def limit_rate(self) -> None:
        self.sandbox.fail(match="/orders", status=429, retry_after="integer")

    def answer_with_web_page(self) -> None:
        self.sandbox.fail(match="/orders", fault="html")


def quantities(items: list[dict[str, Any]]) -> dict[str, Decimal]:
    return {item["itemIdentifier"]["sku"]: Decimal(item["qty"]) for item in items}
