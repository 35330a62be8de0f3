"""The company that the hub works for in Tryton, its warehouses, currencies and countries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from connectors.errors import ConfigurationInvalid
from connectors.tryton.client import TrytonClient
from connectors.tryton.wire import Domain

WAREHOUSE_FIELDS = ("name", "code", "active", "storage_location", "output_location", "input_location")


class CompanyRow(msgspec.Struct):
    id: int
    rec_name: str = ""
    timezone: str | None = None
    currency: CurrencyRow | None = msgspec.field(name="currency.", default=None)


class CurrencyRow(msgspec.Struct):
    id: int
    code: str = ""


class CodeRow(msgspec.Struct):
    id: int
    code: str | None = None
    name: str | None = None


class WarehouseRow(msgspec.Struct):
    id: int
    name: str
    code: str | None = None
    active: bool = True
    storage_location: int | None = None
    output_location: int | None = None
    input_location: int | None = None


class LocationUnknown(Exception):
    """Tryton has no such warehouse, or it cannot be used. The text says which; ``fix`` what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Place:
    """A Tryton warehouse with its zones. Stock that may be sold lies in storage or waits in output."""

    id: int
    name: str
    code: str
    is_active: bool
    storage: int
    output: int

    @property
    def key(self) -> str:
        return str(self.id)

    @property
    def shelves(self) -> list[int]:
        return sorted({self.storage, self.output})


class Company:
    """Facts that hold for as long as a connector is open, each asked for once."""

    def __init__(self, client: TrytonClient, name: str, warehouse: str) -> None:
        self.client = client
        self.name = name
        self.default_warehouse = warehouse

    @cached_property
    def row(self) -> CompanyRow:
        """The company that is named, else the user's own. From now on all calls are made for it."""
        fields = ("rec_name", "timezone", "currency.code")
        preferences = self.client.preferences
        allowed = [int(one) for one in preferences.get("companies") or () if one]
        own = preferences.get("company")
        rows = {row.id: row for row in self.client.read("company.company", allowed, fields, CompanyRow)}
        if self.name:
            named = [row for row in rows.values() if row.rec_name.strip().casefold() == self.name.casefold()]
            if not named:
                known = ", ".join(row.rec_name for row in rows.values()) or "none at all"
                raise ConfigurationInvalid(
                    f"The hub's Tryton user does not work for a company “{self.name}”. It works for: {known}.",
                    fix="Correct the company's name, or give the user that company in Tryton.",
                )
            row = named[0]
        elif own in rows:
            row = rows[own]
        else:
            raise ConfigurationInvalid(
                "The hub's Tryton user works for no company.",
                fix="In Tryton open the user and choose its companies and its current company.",
            )
        self.client.context |= {"company": row.id, "companies": [row.id]}
        return row

    @property
    def id(self) -> int:
        return self.row.id

    @cached_property
    def zone(self) -> tzinfo:
        try:
            return ZoneInfo(self.row.timezone) if self.row.timezone else UTC
        except (ZoneInfoNotFoundError, ValueError):
            return UTC

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    # Places

    @cached_property
    def places(self) -> list[Place]:
        """Every warehouse, disabled ones included; those without a storage zone hold nothing and are left out."""
        self.row  # noqa: B018 - the context must name the company
        rows = self.client.find(
            "stock.location", [["type", "=", "warehouse"]], WAREHOUSE_FIELDS, WarehouseRow, active_test=False
        )
        return [
            Place(
                row.id,
                row.name,
                row.code or "",
                row.active,
                row.storage_location,
                row.output_location or row.storage_location,
            )
            for row in rows
            if row.storage_location
        ]

    def place(self, wanted: str) -> Place:
        """By id, code or name; "" is the default. Raises ``LocationUnknown``."""
        name = wanted.strip() or self.default_warehouse
        active = [place for place in self.places if place.is_active]
        if not name:
            if active:
                return active[0]
            raise LocationUnknown("Tryton has no active warehouse.", "Make one in Tryton under Inventory & Stock.")
        for found in (
            [place for place in self.places if place.key == name],
            [place for place in active if place.code and place.code.casefold() == name.casefold()],
            [place for place in active if place.name.casefold() == name.casefold()],
        ):
            if len(found) == 1:
                if found[0].is_active:
                    return found[0]
                raise LocationUnknown(
                    f"The Tryton warehouse {found[0].name} is not active.",
                    "Activate it in Tryton, or choose another location in the cart's settings.",
                )
        raise LocationUnknown(
            f"Tryton has no warehouse {name}.",
            "Choose a location of this warehouse in the cart's settings, or correct Location in the warehouse's.",
        )

    # Codes

    def currency(self, code: str) -> int:
        """The currency's id. Raises ``ConfigurationInvalid``."""
        own = self.row.currency
        if own is not None and (not code or own.code.casefold() == code.casefold()):
            return own.id
        found = self.ids_by_code("currency.currency", [["code", "=", code.upper()]])
        if not found:
            raise ConfigurationInvalid(
                f"Tryton has no currency {code}.",
                fix=f"In Tryton open Currency > Currencies and add {code}, with a rate.",
            )
        return next(iter(found.values()))

    @cached_property
    def countries(self) -> dict[str, int]:
        """Country code -> id."""
        return self.ids_by_code("country.country", [])

    def ids_by_code(self, model: str, domain: Domain) -> dict[str, int]:
        rows = self.client.find(model, domain, ("code", "name"), CodeRow)
        return {row.code.upper(): row.id for row in rows if row.code}
