"""Customers: who is recognised, who is made, and that nothing of an existing party is overwritten."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import msgspec
import pytest
from msgspec import structs

from connectors.records import Address
from tests.connectors.tryton.conftest import Desk
from tests.factories import ADDRESS
from tests.local_tryton import TrytonWorld

NUMBERS = count(1)


class Person:
    """A customer nobody has seen before."""

    def __init__(self) -> None:
        number = next(NUMBERS)
        self.name = f"Grace Hopper {number}"
        self.email = f"grace{number}@example.com"
        self.phone = f"+64 21 555 {number:04d}"

    def order(self, **changes: Any) -> dict[str, Any]:
        told = {"name": self.name, "email": self.email, "phone": self.phone, **changes}
        return {
            "customer_name": told["name"],
            "customer_email": told["email"],
            "ship_to": structs.replace(ADDRESS, name=told["name"], phone=told["phone"]),
        }


@pytest.fixture
def person() -> Person:
    return Person()


def test_the_same_customer_is_one_party_with_one_address(tryton: TrytonWorld, desk: Desk, person: Person) -> None:
    first, second = desk.sent(**person.order()), desk.sent(**person.order())
    assert (first.party, first.shipment_address) == (second.party, second.shipment_address)
    moved = desk.sent(
        **{**person.order(), "ship_to": structs.replace(ADDRESS, street1="2 Elsewhere", name=person.name)}
    )
    assert moved.party == first.party
    assert moved.shipment_address != first.shipment_address


def test_customers_of_two_workers_at_the_same_moment(desk: Desk) -> None:
    """Tryton gives both parties the same number then, and refuses one of them."""
    article = desk.article()
    connectors = [desk.world.connect() for _ in range(3)]
    start = Barrier(len(connectors))

    def send(connector: Any, people: list[Person]) -> list[bool]:
        start.wait()
        return [desk.send((article, "1"), connector=connector, **one.order())[0].ok for one in people]

    people = [[Person() for _ in range(3)] for _ in connectors]
    with ThreadPoolExecutor(len(connectors)) as pool:
        results = list(pool.map(send, connectors, people))
    assert results == [[True] * 3] * 3


@pytest.mark.parametrize(
    ("changes", "normal", "strict"),
    [
        ({}, True, True),
        ({"email": "other@example.net"}, True, True),  # name and phone
        ({"phone": ""}, True, True),  # name and e-mail
        ({"email": "{email}"}, True, True),
        ({"name": "Somebody Else", "phone": ""}, True, False),  # e-mail alone
        ({"name": "Somebody Else", "email": ""}, True, False),  # phone alone
        ({"name": "Somebody Else"}, True, True),  # e-mail and phone together
        ({"email": "other@example.net", "phone": "+64 21 000"}, False, False),  # the name alone
    ],
)
def test_matching(
    tryton: TrytonWorld, desk: Desk, person: Person, changes: dict[str, str], normal: bool, strict: bool
) -> None:
    known = desk.sent(**person.order()).party
    told = {name: value.format(email=person.email.upper()) for name, value in changes.items()}
    for matching, expected in (("normal", normal), ("strict", strict)):
        other = desk.sent(connector=tryton.connect(customer_matching=matching), **person.order(**told)).party
        assert (other == known) is expected, matching


def test_a_known_party_is_never_overwritten(tryton: TrytonWorld, desk: Desk, person: Person) -> None:
    party = desk.sent(**person.order()).party
    desk.sent(**person.order(name="Another Name", phone=""))
    assert tryton.admin.read("party.party", [party], ("name",), dict)[0]["name"] == person.name


def test_without_e_mail_and_phone_the_name_and_the_address_decide(desk: Desk) -> None:
    walk_in = {"customer_name": "", "customer_email": ""}
    here = Address(street1="5 Lambton Quay", city="Wellington", country="NZ")
    first, second = (desk.sent(ship_to=here, **walk_in) for _ in range(2))
    elsewhere = desk.sent(ship_to=structs.replace(here, street1="6 Lambton Quay"), **walk_in)
    assert first.party == second.party != elsewhere.party


def test_an_e_mail_that_is_none_is_kept_as_something_else(desk: Desk, person: Person) -> None:
    assert desk.sent(**person.order(email="no e-mail")).party


class Row(msgspec.Struct):
    id: int
    party_name: str | None
    street: str | None
    city: str | None
    subdivision: int | None


def test_addresses(tryton: TrytonWorld, desk: Desk, person: Person) -> None:
    def written(**changes: Any) -> Row:
        sale = desk.sent(**{**person.order(), "ship_to": Address(country="NZ", **changes)})
        fields = ("party_name", "street", "city", "subdivision")
        return tryton.admin.read("party.address", [sale.shipment_address], fields, Row)[0]

    row = written(
        name="Ada", company="Acme", street1="1 Queen St", street2="Level 2", suburb="CBD", city="Auckland", state="AUK"
    )
    assert (row.party_name, row.street, row.city) == ("Acme, Ada", "1 Queen St\nLevel 2\nCBD", "Auckland")
    assert row.subdivision
    assert written(street1="2", city="Auckland", state="auckland").subdivision == row.subdivision
    assert (written(street1="3", city="Taupo", state="Waikato")).city == "Taupo Waikato"


def test_a_bill_goes_to_its_own_address(desk: Desk, person: Person) -> None:
    sale = desk.sent(**person.order(), bill_to=structs.replace(ADDRESS, street1="9 Office Park"))
    assert sale.invoice_address != sale.shipment_address
