"""Customers: an order's customer is found among Tryton's parties, or made; nothing of an existing one is overwritten."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from connectors.errors import RecordRefused
from connectors.records import Address
from connectors.tryton.client import TrytonClient
from connectors.tryton.company import Company
from connectors.tryton.options import STRICT
from connectors.tryton.wire import Domain, like

PARTY_FIELDS = ("name", "customer_tax_rule")
ADDRESS_FIELDS = ("party_name", "street", "city", "postal_code", "country", "subdivision")
TRIES_TO_MAKE = 5
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class AddressUnknown(Exception):
    """The address cannot be written in Tryton. The text says why; ``fix`` what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


class Party(msgspec.Struct):
    id: int
    name: str | None = None
    customer_tax_rule: int | None = None


class ContactRow(msgspec.Struct):
    id: int
    party: int
    type: str
    value: str | None = None


class AddressRow(msgspec.Struct):
    id: int
    party_name: str | None = None
    street: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: int | None = None
    subdivision: int | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        texts = (self.party_name, self.street, self.city, self.postal_code)
        return (*(" ".join((text or "").casefold().split()) for text in texts), self.country, self.subdivision)


class SubdivisionRow(msgspec.Struct):
    id: int
    code: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who buys, as the order tells it."""

    name: str
    email: str = ""
    phone: str = ""

    @classmethod
    def of(cls, name: str, email: str, address: Address | None, fallback: str) -> Customer:
        known = address or Address()
        named = name or known.company or known.name or email or known.email
        return cls(name=(named or fallback).strip(), email=(email or known.email).strip(), phone=known.phone.strip())


class Parties:
    """Finds or makes customers and their addresses."""

    def __init__(self, client: TrytonClient, company: Company, matching: str) -> None:
        self.client = client
        self.company = company
        self.matching = matching

    def party(self, customer: Customer, address: Address) -> Party:
        """Name with e-mail or phone; then, in normal matching, e-mail, then phone; in strict matching both together. A
        customer without either is one of that name who lives at that very address."""
        has_contact = customer.email or customer.phone
        found = self.by_contact(customer) if has_contact else self.by_address(customer, address)
        return found or self.make(customer)

    def by_contact(self, customer: Customer) -> Party | None:
        by_email = self.owners(
            [["type", "=", "email"], ["value", "ilike", like(customer.email)]] if customer.email else []
        )
        by_phone = self.owners(self.phone_domain(customer.phone) if customer.phone else [])
        parties = self.parties([["id", "in", sorted(by_email | by_phone)]]) if by_email | by_phone else []
        named = [party for party in parties if folded(party.name) == folded(customer.name)]
        if named:
            return named[0]
        if self.matching == STRICT:
            return next((party for party in parties if party.id in by_email & by_phone), None)
        for owners in (by_email, by_phone):
            for party in parties:
                if party.id in owners:
                    return party
        return None

    def phone_domain(self, phone: str) -> Domain:
        compact = re.sub(r"[^0-9+]", "", phone)
        same: Domain = ["OR", ["value", "=", phone]]
        if compact and self.client.has("party.contact_mechanism", "value_compact"):
            same.append(["value_compact", "=", compact])
        return [["type", "in", ["phone", "mobile"]], same]

    def owners(self, domain: Domain) -> set[int]:
        if not domain:
            return set()
        rows = self.client.find("party.contact_mechanism", domain, ("party", "type", "value"), ContactRow)
        return {row.party for row in rows}

    def by_address(self, customer: Customer, address: Address) -> Party | None:
        parties = self.parties([["name", "=", customer.name]])
        if not address.is_usable:
            return parties[0] if parties else None
        wanted = self.row_of(address).key
        return next((party for party in parties if wanted in {row.key for row in self.addresses(party.id)}), None)

    def parties(self, domain: Domain) -> list[Party]:
        """The oldest first."""
        return self.client.find("party.party", domain, PARTY_FIELDS, Party)

    def make(self, customer: Customer) -> Party:
        contacts = []
        if customer.email:
            kind = "email" if EMAIL.fullmatch(customer.email) else "other"
            contacts.append({"type": kind, "value": customer.email})
        if customer.phone:
            contacts.append({"type": "phone", "value": customer.phone})
        values: dict[str, Any] = {"name": customer.name}
        if contacts:
            values["contact_mechanisms"] = [["create", contacts]]
        for tries_left in reversed(range(TRIES_TO_MAKE)):
            try:
                [key] = self.client.create("party.party", [values])
            except RecordRefused:
                # Tryton numbers its parties itself; of two that are made at the same moment it may refuse one, because
                # both got the same number.
                if not tries_left:
                    raise
            else:
                break
        return Party(id=key, name=customer.name)

    # Addresses

    def addresses(self, party: int) -> list[AddressRow]:
        return self.client.find("party.address", [["party", "=", party]], ADDRESS_FIELDS, AddressRow)

    def address_ids(self, party: int, wanted: Sequence[Address]) -> list[int]:
        """The party's address for each of these; those that it does not have yet are added."""
        known = {row.key: row.id for row in reversed(self.addresses(party))}
        ids = []
        for address in wanted:
            row = self.row_of(address)
            if row.key not in known:
                [known[row.key]] = self.client.create("party.address", [{"party": party, **self.values_of(row)}])
            ids.append(known[row.key])
        return ids

    def row_of(self, address: Address) -> AddressRow:
        """An address as Tryton would tell it. Raises ``AddressUnknown`` for a country that Tryton does not have."""
        country = self.company.countries.get(address.country.strip().upper())
        if address.country.strip() and country is None:
            raise AddressUnknown(
                f"Tryton has no country with the code {address.country}.",
                "Load the countries into Tryton (trytond_import_countries), or add this one, then send the order again.",
            )
        subdivision = self.subdivision(country, address.state) if country and address.state.strip() else None
        city = address.city if subdivision or not address.state.strip() else f"{address.city} {address.state}"
        names = [name.strip() for name in (address.company, address.name) if name.strip()]
        streets = (address.street1, address.street2, address.suburb)
        return AddressRow(
            id=0,
            party_name=", ".join(dict.fromkeys(names)),
            street="\n".join(part.strip() for part in streets if part.strip()),
            city=city.strip(),
            postal_code=address.postcode.strip(),
            country=country,
            subdivision=subdivision,
        )

    @staticmethod
    def values_of(row: AddressRow) -> Mapping[str, Any]:
        return {name: getattr(row, name) or None for name in ADDRESS_FIELDS}

    def subdivision(self, country: int, state: str) -> int | None:
        """The state or region, by code (with or without that of the country) or name."""
        if not self.client.has_model("country.subdivision"):
            return None
        ending = f"%-{like(state.strip())}"
        rows = self.client.find(
            "country.subdivision",
            [
                ["country", "=", country],
                [
                    "OR",
                    ["code", "ilike", ending],
                    ["code", "ilike", like(state.strip())],
                    ["name", "ilike", like(state.strip())],
                ],
            ],
            ("code", "name"),
            SubdivisionRow,
            limit=2,
        )
        return rows[0].id if len(rows) == 1 else None


def folded(text: str | None) -> str:
    return " ".join((text or "").casefold().split())
