"""What every record of the fake retailer shares: ids, the global version counter, change feeds, the clock.

Source: vend.md sections 4 (versions and cursors) and 9 (formats).
"""

from __future__ import annotations

import random
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from connectors.sandbox import Refusal

# The documented examples reach beyond signed 32 bits (vend.md section 4).
FIRST_VERSION = 4_284_638_488
CACHE_BYTES = 256 * 1024 * 1024

PRICE_PLACES = Decimal("0.00001")
CENTS = Decimal("0.01")

Event = Callable[[str, Any], None]


class Record(dict[str, Any]):
    """One record of the retailer, in the field names of API 2.0; fields can be read as attributes as well."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Versioned(Protocol):
    def __getitem__(self, name: str, /) -> Any: ...


R = TypeVar("R", bound=Versioned)


class Feed(Generic[R]):
    """Records by id, and the order in which they last changed: a changed record moves to the end."""

    def __init__(self) -> None:
        self.by_id: dict[str, R] = {}
        self._versions: list[int] = []
        self._ids: list[str] = []
        self._cache: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[R]:
        return iter(list(self.by_id.values()))

    def put(self, record: R) -> None:
        """Takes a new record, or the new version of a known one."""
        self.by_id[record["id"]] = record
        self._versions.append(record["version"])
        self._ids.append(record["id"])
        if len(self._ids) > 2 * len(self.by_id) + 1000:
            self._compact()

    def drop(self, record_id: str) -> None:
        """Forgets a record altogether; it leaves the feed without a trace."""
        self.by_id.pop(record_id, None)

    def _compact(self) -> None:
        kept = [(v, i) for v, i in zip(self._versions, self._ids, strict=True) if self._is_current(v, i)]
        self._versions = [version for version, _ in kept]
        self._ids = [record_id for _, record_id in kept]

    def _is_current(self, version: int, record_id: str) -> bool:
        record = self.by_id.get(record_id)
        return record is not None and record["version"] == version

    def since(self, after: int = 0, before: int | None = None) -> Iterator[R]:
        """Records with a version above ``after`` (and below ``before``), in ascending order of version."""
        for place in range(bisect_right(self._versions, after), len(self._versions)):
            version = self._versions[place]
            if before is not None and version >= before:
                return
            if self._is_current(version, self._ids[place]):
                yield self.by_id[self._ids[place]]

    def latest_first(self, after: int = 0, before: int | None = None) -> Iterator[R]:
        """The same in descending order of version."""
        for place in range(len(self._versions) - 1, -1, -1):
            version = self._versions[place]
            if version <= after:
                return
            if (before is None or version < before) and self._is_current(version, self._ids[place]):
                yield self.by_id[self._ids[place]]

    def encoded(self, record: R, shape: str, encode: Callable[[R], bytes]) -> bytes:
        """The JSON of a record in one shape, kept until the record changes."""
        key = (record["id"], shape)
        kept = self._cache.get(key)
        if kept and kept[0] == record["version"]:
            return kept[1]
        text = encode(record)
        if kept:
            self._cached_bytes -= len(kept[1])
        if self._cached_bytes + len(text) <= CACHE_BYTES:
            self._cache[key] = (record["version"], text)
            self._cached_bytes += len(text)
        elif kept:
            del self._cache[key]
        return text


class StoreCore:
    """The retailer's clock, ids and version counter. All state is guarded by ``lock`` (re-entrant)."""

    def __init__(self, seed: int, now: Callable[[], datetime]) -> None:
        self.lock = threading.RLock()
        self.random = random.Random(seed)
        self.now = now
        self.version = FIRST_VERSION
        self.on_event: Event = lambda kind, record: None
        self._next_number = 184_467_000

    def new_id(self) -> str:
        """A lower-case UUID that looks like version 1, the same for the same seed and history."""
        bits = self.random.getrandbits(128)
        bits = (bits & ~(0xF000 << 64) & ~(0xC000 << 48)) | (1 << 76) | (0x8000 << 48)
        return str(UUID(int=bits))

    def new_number(self) -> int:
        """An int64 id, for fulfilments and customer addresses."""
        self._next_number += self.random.randint(1, 97)
        return self._next_number

    def next_version(self) -> int:
        """Strictly increasing for the whole retailer, with gaps."""
        self.version += self.random.randint(1, 3)
        return self.version

    def touch(self, feed: Feed[Record], record: Record) -> Record:
        """A record was created or changed: new version, new ``updated_at``, end of its feed."""
        record["version"] = self.next_version()
        if "updated_at" in record:
            record["updated_at"] = self.now()
        feed.put(record)
        return record


def id_of(record_or_id: Any) -> str:
    """The id of a record, or the id itself."""
    return record_or_id if isinstance(record_or_id, str) else str(record_or_id["id"])


def decimal_of(value: Any) -> Decimal:
    """Any number, or text of one, as an exact Decimal. Raises ``Refusal`` 400."""
    if isinstance(value, Decimal):
        return value
    try:
        return Decimal(str(value))
    except ArithmeticError:
        raise bad_request(f"{value!r} is not a number.") from None


def to_price(value: Decimal) -> Decimal:
    """Prices and taxes have up to five decimals (vend.md section 9)."""
    if value == value.to_integral_value():
        return value.quantize(Decimal(1))
    return value.quantize(PRICE_PLACES, ROUND_HALF_UP).normalize()


def to_cents(value: Decimal) -> Decimal:
    return value.quantize(CENTS, ROUND_HALF_UP)


def quantity_text(value: Decimal) -> str:
    """Consignment quantities and costs: decimal strings such as "10.00000" (vend.md section 3.10)."""
    return str(value.quantize(PRICE_PLACES, ROUND_HALF_UP))


def legacy_time(moment: datetime | None) -> str | None:
    """The 2.0 form: ``2026-09-18T01:37:56+00:00``."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}+00:00"


def dated_time(moment: datetime | None) -> str | None:
    """The dated form: ``2026-09-18T01:37:56Z``."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def bare_time(moment: datetime | None) -> str | None:
    """The 0.9 and webhook form, UTC without saying so: ``2026-09-18 01:37:56``."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def parse_time(text: Any) -> datetime:
    """Any of the forms above. Raises ``Refusal`` 400."""
    if isinstance(text, datetime):
        return text if text.tzinfo else text.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise bad_request(f"{text!r} is not a time.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


CARD_LIKE = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")


def mask_cards(fields: dict[str, Any]) -> dict[str, Any]:
    """Text with what looks like a card number masked: the real thing does so without a word (vend.md 3.12). Ids stay."""
    return {
        name: CARD_LIKE.sub(masked, value) if isinstance(value, str) and not name.endswith("id") else value
        for name, value in fields.items()
    }


def masked(found: re.Match[str]) -> str:
    """Keeps numbers that fail the check digit of payment cards; phone numbers mostly do."""
    digits = [int(letter) for letter in found[0] if letter.isdigit()]
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return found[0] if sum(doubled) % 10 else re.sub(r"\d", "*", found[0])


def bad_request(message: str) -> Refusal:
    return Refusal(400, {"errors": {"global": [message]}, "reference": "sandbox"})


def unprocessable(message: str) -> Refusal:
    return Refusal(422, {"errors": {"global": [message]}, "reference": "sandbox"})


def not_found(what: str) -> Refusal:
    return Refusal(404, {"error": "Not Found", "message": f"{what} was not found."})


def conflict(message: str) -> Refusal:
    return Refusal(409, {"error": message})
