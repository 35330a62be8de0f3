"""Template filters of the product's own pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils.safestring import SafeString

from carts import badges
from connectors.functions import Function
from connectors.redaction import mask_text

register = template.Library()


@register.filter
def money(amount: Any, currency: str = "") -> str:
    return badges.money(amount, currency)


@register.filter
def quantity(value: Any) -> str:
    return badges.quantity(value)


@register.filter
def signed(value: Any) -> str:
    return badges.signed(value)


def known(moment: datetime | str | None) -> datetime | None:
    """A template writes an empty text for what is not there."""
    return moment if isinstance(moment, datetime) else None


@register.filter
def clock(moment: datetime | str | None, empty: str = "never") -> SafeString:
    return badges.clock(known(moment), empty)


@register.filter
def due(moment: datetime | str | None) -> SafeString:
    return badges.due(known(moment))


@register.filter
def moment(moment: datetime | str | None, empty: str = "–") -> SafeString:
    return badges.day_and_time(known(moment), empty)


@register.filter
def health(connection: Any) -> SafeString:
    return badges.health_badge(connection)


@register.simple_tag
def badge(state: str, words: str = "", tone: str = "") -> SafeString:
    return badges.state_badge(state, words, tone)


@register.simple_tag
def took(start: datetime | None, end: datetime | None) -> str:
    return badges.duration(start, end)


@register.filter
def function_name(key: str) -> str:
    try:
        return Function(key).label
    except ValueError:
        return key.replace("_", " ").title()


@register.filter
def readable(text: str) -> str:
    """A remote's text for people: secrets and card numbers masked, JSON laid out."""
    masked = mask_text(text or "")
    try:
        return json.dumps(json.loads(masked), indent=2, ensure_ascii=False)
    except ValueError:
        return masked


@register.filter
def header_lines(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in (headers or {}).items())


@register.filter
def address_lines(address: Mapping[str, str] | None) -> list[str]:
    """A postal address as it is written on a parcel."""
    if not address:
        return []
    town = " ".join(part for part in (address.get("postcode"), address.get("city")) if part)
    lines = [
        address.get("name"),
        address.get("company"),
        address.get("street1"),
        address.get("street2"),
        address.get("suburb"),
        ", ".join(part for part in (town, address.get("state")) if part),
        address.get("country"),
    ]
    return [line for line in lines if line]


PAGE_TITLES = {
    "runs": "Sync history",
    "API calls": "API log",
    "webhook events": "Webhooks",
    "pick orders": "Pick list",
    "outlet levels": "Shop stock",
    "pick returns": "Returns",
}


@register.filter
def page_title(title: object) -> object:
    """A list's name as the navigation says it."""
    return PAGE_TITLES.get(str(title), title)


@register.filter
def cut_words(key: str) -> str:
    """``outcome_unknown`` -> ``outcome unknown``."""
    return str(key).replace("_", " ")


@register.filter
def preview_cell(value: str) -> str | SafeString:
    """A value of a preview: times in the user's zone, everything else as it is."""
    try:
        at = datetime.fromisoformat(value) if len(value) > 15 and "T" in value else None
    except ValueError:
        at = None
    return badges.day_and_time(at) if at is not None and at.tzinfo else value
