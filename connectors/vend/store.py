"""What a Vend store says about itself: outlets, registers, taxes and the retailer's own record (vend.md section 3.2).

Asked for once in a quarter of an hour for all carts of the store together, and again before a *no* is believed: an outlet
that is missing, or has no address, may have been put right a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Generic, TypeVar, cast

import msgspec

from connectors.errors import ContractBroken, PermissionMissing, RecordRefused
from connectors.records import OutletRecord
from connectors.store_facts import StoreFacts
from connectors.vend import catalogue, shapes
from connectors.vend.client import FeedPage, VendClient
from connectors.vend.errors import Unreadable
from connectors.vend.shapes import text

LIFETIME = timedelta(minutes=15)

OUTLET_SHAPE = shapes.Reader(shapes.Outlet)
REGISTER_SHAPE = shapes.Reader(shapes.Register)
TAX_SHAPE = shapes.Reader(shapes.Tax)
RETAILER_SHAPE = shapes.Reader(shapes.Retailer)

T = TypeVar("T")
AnswerT = TypeVar("AnswerT", covariant=True)


@dataclass(frozen=True, slots=True)
class Question(Generic[AnswerT]):
    """Something that a store can be asked. ``read`` understands the records of the answer, or raises ``Unreadable``."""

    name: str
    ask: Callable[[VendClient], Iterable[bytes]]
    read: Callable[[Iterable[bytes]], AnswerT]


class Store:
    """One store. ``kept`` holds what was asked before, by whomever; the answers given here are put there."""

    def __init__(self, client: Callable[[], VendClient], kept: StoreFacts) -> None:
        self._client = client
        self._kept = kept
        self._seen: dict[str, Any] = {}
        self._asked: set[str] = set()
        self.tax_names: Mapping[str, str] = TaxNames(self)

    # --- asking ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Begins a new look at the store: until the next one, nothing is asked twice."""
        self._seen.clear()
        self._asked.clear()
        self.tax_names = TaxNames(self)

    def forget(self) -> None:
        """Nothing that was kept counts any more."""
        self.look()
        self._kept.forget()

    def answer(self, question: Question[T]) -> T:
        """Raises ``ContractBroken`` when Vend's answer cannot be read."""
        if question.name not in self._seen:
            kept = self.kept_answer(question, LIFETIME)
            if kept is None:
                self._ask(question)
            else:
                self._seen[question.name] = kept
        return cast(T, self._seen[question.name])

    def renew(self, question: Question[Any]) -> bool:
        """Asks again what was kept from before this look. False: this look has asked it already."""
        if question.name in self._asked:
            return False
        self._ask(question)
        return True

    def kept_answer(self, question: Question[T], lifetime: timedelta | None = None) -> T | None:
        """Without asking anybody. None when nobody asked, or not for so long."""
        kept = self._kept.get(question.name, lifetime)
        try:
            return None if kept is None else question.read(msgspec.json.decode(kept, type=list[msgspec.Raw]))
        except (Unreadable, msgspec.MsgspecError):
            return None

    def _ask(self, question: Question[Any]) -> None:
        self._asked.add(question.name)
        records = list(question.ask(self._client()))
        try:
            self._seen[question.name] = question.read(records)
        except Unreadable as error:
            raise ContractBroken(f"Vend's answer about its {question.name} cannot be read: {error}") from error
        self._kept.put(question.name, msgspec.json.encode([msgspec.Raw(record) for record in records]))

    # --- outlets and registers ---------------------------------------------------------------------------------------

    def outlets(self) -> list[OutletRecord]:
        """Those that are not deleted."""
        return [outlet for outlet in self.answer(OUTLETS) if not outlet.deleted]

    def outlet_named(self, name: str) -> OutletRecord | None:
        """The outlet with exactly this name. None when the store has none, as it is now."""
        found = named(name, self.answer(OUTLETS))
        return named(name, self.answer(OUTLETS)) if found is None and self.renew(OUTLETS) else found

    def has_news_of(self, outlet_ids: Iterable[str]) -> bool:
        """Are there outlets among these that were not known before? Then they were asked for again just now."""
        known = {outlet.external_id for outlet in self.answer(OUTLETS)}
        return not known.issuperset(outlet_ids) and self.renew(OUTLETS)

    def outlet_of_register(self, register_id: str) -> str:
        """The id of the outlet, "" when the store knows no such register."""
        found = outlet_of(register_id, self.answer(REGISTERS))
        return outlet_of(register_id, self.answer(REGISTERS)) if not found and self.renew(REGISTERS) else found

    def is_elsewhere(self, outlet_name: str, outlet_id: str, register_id: str) -> bool:
        """Does something at this outlet, or register, certainly not concern the outlet of that name? Judged by what is
        kept, however old; what is not known may concern it."""
        own = named(outlet_name, self.kept_answer(OUTLETS) or ())
        place = outlet_id or outlet_of(register_id, self.kept_answer(REGISTERS) or ())
        return own is not None and place not in ("", own.external_id)

    # --- money -------------------------------------------------------------------------------------------------------

    @property
    def facts(self) -> catalogue.StoreFacts:
        return self.answer(RETAILER)


class TaxNames(Mapping[str, str]):
    """Tax rate id -> name. Only for the eye: what is not found, or may not be read, is left out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._refused = False

    def _names(self, renewed: bool = False) -> Mapping[str, str]:
        if self._refused:
            return {}
        try:
            if renewed:
                self._store.renew(TAXES)
            return self._store.answer(TAXES)
        except (RecordRefused, ContractBroken, PermissionMissing):
            self._refused = True
            return {}

    def __getitem__(self, rate_id: str) -> str:
        names = self._names()
        return names[rate_id] if rate_id in names else self._names(renewed=True)[rate_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())


# --- questions and answers -------------------------------------------------------------------------------------------


def read_all(reader: shapes.Reader[T], records: Iterable[bytes]) -> Iterator[T]:
    """The readable ones."""
    for record in records:
        try:
            yield reader.read(record)
        except Unreadable:
            continue


def outlets_in(records: Iterable[bytes]) -> list[OutletRecord]:
    return [catalogue.outlet_record(outlet) for outlet in read_all(OUTLET_SHAPE, records) if outlet.id]


def registers_in(records: Iterable[bytes]) -> list[shapes.Register]:
    return list(read_all(REGISTER_SHAPE, records))


def tax_names_in(records: Iterable[bytes]) -> dict[str, str]:
    return {
        text(rate.id): text(rate.display_name) or text(rate.name) or text(tax.name)
        for tax in read_all(TAX_SHAPE, records)
        for rate in tax.rates or ()
    }


def facts_in(records: Iterable[bytes]) -> catalogue.StoreFacts:
    for record in records:
        return catalogue.store_facts(RETAILER_SHAPE.read(record))
    raise Unreadable("It is empty.")


def all_of(pages: Iterable[FeedPage]) -> Iterator[bytes]:
    return (record for page in pages for record in page.records)


OUTLETS = Question("outlets", lambda client: all_of(client.outlets(deleted=True)), outlets_in)
REGISTERS = Question("registers", lambda client: all_of(client.references("registers")), registers_in)
# The first page holds more taxes than any store has.
TAXES = Question("taxes", lambda client: all_of(islice(client.references("taxes"), 1)), tax_names_in)
RETAILER = Question("retailer", lambda client: [client.retailer()], facts_in)


def named(name: str, outlets: Iterable[OutletRecord]) -> OutletRecord | None:
    wanted = name.strip()
    return next((outlet for outlet in outlets if not outlet.deleted and outlet.name.strip() == wanted), None)


def outlet_of(register_id: str, registers: Iterable[shapes.Register]) -> str:
    return next((text(row.outlet_id) for row in registers if register_id and text(row.id) == register_id), "")
