"""What the tests ask of a destination: its connector, and a hand inside the remote that it talks to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

import pytest

from connectors.base import Connector
from connectors.records import LevelRecord, Page, ShipmentRecord
from tests.connectors.destinations.capabilities import Capability


@dataclass(frozen=True, slots=True)
class Parcel:
    """What someone at the warehouse hands over in one piece. ``lines`` maps SKU -> quantity; None: all that is open."""

    lines: Mapping[str, int] | None = None
    carrier: str = "NZ Post"
    tracking_number: str = ""


class Destination(ABC):
    """A destination under test. One is opened for each test; tests share nothing but the remote's own past.

    Everything that a person does at the remote is a method here. Methods that belong to something in ``lacks`` are never
    called and need not be there.
    """

    key: ClassVar[str]
    lacks: ClassVar[Mapping[Capability, str]] = {}
    marks: ClassVar[Sequence[pytest.MarkDecorator]] = ()
    connector: Connector

    @classmethod
    @abstractmethod
    def opened(cls, request: pytest.FixtureRequest) -> AbstractContextManager[Self]:
        """The destination, ready to use; closed at the end. Fixtures are had by ``request.getfixturevalue``; a database
        needs ``pytest.mark.django_db`` in ``marks``."""

    @abstractmethod
    def another_connector(self) -> Connector:
        """As another worker would open it: nothing that the first one remembers."""

    # What is there

    @abstractmethod
    def article(self, stock: int = 0) -> str:
        """A new article that the remote knows, with stock at the first location; returns its SKU: letters and digits."""

    @property
    @abstractmethod
    def location_ids(self) -> Sequence[str]:
        """The locations' ids; two at least if it has several. The first is where orders go that name none."""

    def put_stock(self, sku: str, quantity: int, location_id: str = "") -> None:
        """Someone there sets what lies on the shelf."""
        raise NotImplementedError

    # What arrived

    @abstractmethod
    def orders_under(self, reference: str) -> list[dict[str, Decimal]]:
        """Every order that the remote holds under this reference and did not cancel: SKU -> quantity."""

    def returns_under(self, reference: str) -> list[dict[str, Decimal]]:
        """Every return that the remote holds under this reference: SKU -> quantity."""
        raise NotImplementedError

    # What people do there

    def ship(self, reference: str, *parcels: Parcel) -> None:
        """Someone there picks, packs and hands over: the parcels leave together."""
        raise NotImplementedError

    # Trouble

    def lose_answer(self, to: Capability) -> None:
        """The next call that makes an order (a return, ...) there is carried out, and its answer never comes."""
        raise NotImplementedError

    def break_down(self) -> None:
        """From now on every call fails with an error of the remote's own, and nothing is carried out."""
        raise NotImplementedError

    def recover(self) -> None:
        """Everything answers again."""
        raise NotImplementedError

    def refuse_access(self) -> None:
        """The credentials are not accepted any more."""
        raise NotImplementedError

    def limit_rate(self) -> None:
        """The next call is refused in the remote's own way, because there were too many."""
        raise NotImplementedError

    def answer_with_web_page(self) -> None:
        """The next call is answered with a sign-in page and status 200; nothing is carried out."""
        raise NotImplementedError

    # For all

    @classmethod
    def can(cls, capability: Capability) -> bool:
        return capability not in cls.lacks

    @property
    def ports(self) -> Any:
        """The connector, whatever ports it has."""
        return self.connector

    def shipments_of(self, reference: str, cursor: str = "") -> list[ShipmentRecord]:
        return [one for one in records(self.ports.read_shipments(cursor)) if one.order_reference == reference]

    def level(self, sku: str, location_id: str = "") -> LevelRecord:
        """The level of an article as the connector tells it, read from the beginning."""
        place = location_id or self.location_ids[0]
        found = [one for one in records(self.ports.read_levels("")) if (one.sku, one.location_id) == (sku, place)]
        assert len(found) == 1, f"{len(found)} levels of {sku} at {place}"
        return found[0]


def records(pages: Iterator[Page[Any]]) -> list[Any]:
    return [record for page in pages for record in page.records]


def last_cursor(pages: Iterator[Page[Any]], before: str = "") -> str:
    """Where a reader goes on after its last page."""
    for page in pages:
        before = page.cursor
    return before
