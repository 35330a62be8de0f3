"""What a sale's status words mean: the legacy word of API 2.0, or state and attributes of the dated family.

Source: vend.md sections 3.5 (translation) and 8 (meaning).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from connectors.records import RemoteOrderState

# (state, attribute) -> legacy word; "" stands for a sale without attributes.
LEGACY_WORDS: dict[tuple[str, str], str] = {
    ("pending", ""): "OPEN",
    ("closed", ""): "CLOSED",
    ("pending", "onaccount"): "ONACCOUNT",
    ("closed", "onaccount"): "ONACCOUNT_CLOSED",
    ("pending", "layby"): "LAYBY",
    ("closed", "layby"): "LAYBY_CLOSED",
    ("pending", "delivery"): "AWAITING_DISPATCH",
    ("closed", "delivery"): "DISPATCHED_CLOSED",
    ("pending", "pickup"): "AWAITING_PICKUP",
    ("closed", "pickup"): "PICKED_UP_CLOSED",
    ("pending", "service"): "SERVICE",
    ("closed", "service"): "SERVICE_CLOSED",
}
# These two states decide alone, whatever the attributes say.
DECIDED_STATES = {"parked": "SAVED", "voided": "VOIDED"}
ATTRIBUTES_BY_WEIGHT = ("delivery", "pickup", "layby", "onaccount", "service")

MEANINGS: dict[str, RemoteOrderState] = {
    "SAVED": RemoteOrderState.DRAFT,
    "OPEN": RemoteOrderState.OPEN,
    "CLOSED": RemoteOrderState.COMPLETE,
    "ONACCOUNT": RemoteOrderState.OPEN,
    "ONACCOUNT_CLOSED": RemoteOrderState.COMPLETE,
    "LAYBY": RemoteOrderState.OPEN,
    "LAYBY_CLOSED": RemoteOrderState.COMPLETE,
    "AWAITING_DISPATCH": RemoteOrderState.OPEN,
    "DISPATCHED_CLOSED": RemoteOrderState.COMPLETE,
    "AWAITING_PICKUP": RemoteOrderState.OPEN,
    "PICKED_UP_CLOSED": RemoteOrderState.COMPLETE,
    "SERVICE": RemoteOrderState.OPEN,
    "SERVICE_CLOSED": RemoteOrderState.COMPLETE,
    "VOIDED": RemoteOrderState.CANCELLED,
}
# Legacy word -> (state, attribute): the same table the other way round.
STATES: dict[str, tuple[str, str]] = {
    **{word: pair for pair, word in LEGACY_WORDS.items()},
    **{word: (state, "") for state, word in DECIDED_STATES.items()},
}
# Which attribute a legacy word carries, so that both families tell delivery and pickup apart.
ATTRIBUTE_OF_WORD = {word: attribute for (_, attribute), word in LEGACY_WORDS.items() if attribute}


@dataclass(frozen=True, slots=True)
class SaleStatus:
    """``words`` are all legacy words that fit (a sale may be on account *and* to be delivered), the weightiest first.
    ``unknown`` is the word of Vend's that nobody knows, "" if all are known."""

    state: RemoteOrderState
    words: tuple[str, ...]
    attributes: frozenset[str]
    unknown: str = ""

    @property
    def label(self) -> str:
        return " + ".join(self.words)


def read_status(status: str, state: str, attributes: Sequence[str]) -> SaleStatus:
    """The meaning of a sale's words. ``status`` is the legacy word ("" in the dated family)."""
    return _read_status(status.strip(), state.strip(), tuple(attributes))


@lru_cache(maxsize=512)
def _read_status(status: str, state: str, attributes: tuple[str, ...]) -> SaleStatus:
    word = status.upper()
    marks = [attribute.strip().lower() for attribute in attributes if attribute.strip()]
    known = [mark for mark in ATTRIBUTES_BY_WEIGHT if mark in marks]
    decided = DECIDED_STATES.get(state.lower())
    if decided or word in ("SAVED", "VOIDED"):
        word = decided or word
        return SaleStatus(MEANINGS[word], (word,), frozenset(known))
    if word and word not in MEANINGS:
        return SaleStatus(RemoteOrderState.UNKNOWN, (status,), frozenset(known), unknown=f"status “{status}”")
    if word:
        carried = ATTRIBUTE_OF_WORD.get(word)
        known = [mark for mark in ATTRIBUTES_BY_WEIGHT if mark in known or mark == carried]
        others = [LEGACY_WORDS.get((state.lower(), mark), word) for mark in known]
        words = [word, *(other for other in others if other != word)]
    elif state.lower() in ("pending", "closed"):
        words = [LEGACY_WORDS[state.lower(), mark] for mark in known] or [LEGACY_WORDS[state.lower(), ""]]
    else:
        label = " + ".join([state or "no state", *marks])
        return SaleStatus(RemoteOrderState.UNKNOWN, (label,), frozenset(known), unknown=f"state “{state}”")
    strange = [mark for mark in marks if mark not in ATTRIBUTES_BY_WEIGHT]
    if strange:
        return SaleStatus(
            RemoteOrderState.UNKNOWN,
            (*words, *strange),
            frozenset(known),
            unknown=f"attribute “{strange[0]}”",
        )
    return SaleStatus(MEANINGS[words[0]], tuple(words), frozenset(known))


def state_of(word: str) -> tuple[str, tuple[str, ...]]:
    """A legacy word in the dated family's terms: state and attributes; ("", ()) for a word nobody knows."""
    state, attribute = STATES.get(word.strip().upper(), ("", ""))
    return state, (attribute,) if attribute else ()


def legacy_word(state: str, attributes: Sequence[str]) -> str:
    """State and attributes as the one legacy word that weighs most; "" when nobody knows them."""
    status = read_status("", state, attributes)
    return "" if status.unknown else status.words[0]
