"""Extensiv Integration Manager: its remote is the CartRover sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import Self

import pytest

from connectors.base import Connector, Environment
from connectors.budget import BudgetBook
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.references import cust_ref_of
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel

NUMBERS = count(1)
HANDS_ON = "Integration Manager hands orders on to a WMS and keeps no catalogue and no warehouses of its own."
NO_CALL = "The CartRover API has no call for it."


class IntegrationManagerDestination(Destination):
    key = "integration_manager"
    lacks = {
        Capability.CHANGES: "An order that was sent cannot be changed by the CartRover API.",
        Capability.COUNTED_ORDERS: "Its lists are counted, but nobody says what their dates mean.",
        Capability.PRODUCT_DETAILS: NO_CALL,
        Capability.ADJUSTMENTS: NO_CALL,
        Capability.TRANSFERS: NO_CALL,
        Capability.RETURNS: "Integration Manager does not handle returns.",
        Capability.UNKNOWN_SKUS: HANDS_ON,
        Capability.UNKNOWN_LOCATIONS: HANDS_ON,
        Capability.COMMITTED_STOCK: "An order shows in the stock once the WMS has it and has told its stock anew.",
    }

    def __init__(self, sandbox: IntegrationManagerSandbox) -> None:
        self.sandbox = sandbox
        self.connector = self.another_connector()
        # Warehouses show in stock only, so something must lie in each.
        for place in self.location_ids:
            self.put_stock(self.article(), 1, place)

    @classmethod
    @contextmanager
    def opened(cls, request: pytest.FixtureRequest) -> Iterator[Self]:
        with IntegrationManagerSandbox(products=0, bucket=1000) as sandbox:
            destination = cls(sandbox)
            yield destination
            destination.connector.close()

    def another_connector(self) -> Connector:
        kind = IntegrationManagerWarehouse
        return kind(
            kind.Options.parse({"api_url": self.sandbox.url}),
            kind.Credentials.parse({"api_user": self.sandbox.user, "api_key": self.sandbox.token}),
            Environment(budgets=BudgetBook(), extra_hosts=frozenset({self.sandbox.host})),
        )

    def article(self, stock: int = 0) -> str:
        sku = f"ART{next(NUMBERS)}"
        self.sandbox.store.add_product(sku, available=stock, price="12.50")
        return sku

    @property
    def location_ids(self) -> Sequence[str]:
        return list(self.sandbox.store.warehouses)

    def put_stock(self, sku: str, quantity: int, location_id: str = "") -> None:
        self.sandbox.store.set_stock(sku, quantity, location_id)

    def orders_under(self, reference: str) -> list[dict[str, Decimal]]:
        order = self.sandbox.store.orders.get(cust_ref_of(reference))
        if order is None or order["order_status"] == "canceled":
            return []
        return [{item["item"]: Decimal(item["quantity"]) for item in order["items"]}]

    def ship(self, reference: str, *parcels: Parcel) -> None:
        for parcel in parcels:
            self.sandbox.store.ship(
                cust_ref_of(reference), parcel.lines, carrier=parcel.carrier, tracking_no=parcel.tracking_number
            )

    def lose_answer(self, to: Capability) -> None:
        self.sandbox.fail(match="POST *", fault="answer_lost")

    def break_down(self) -> None:
        self.sandbox.fail(times=None, status=503)

    def recover(self) -> None:
        self.sandbox.clear_faults()

    def refuse_access(self) -> None:
        self.sandbox.token = "another"

    def limit_rate(self) -> None:
        self.sandbox.bucket = 0

    def answer_with_web_page(self) -> None:
        self.sandbox.fail(fault="html")
