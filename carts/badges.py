"""Words and colours for states, the same on every page: a badge always has its text, never the colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from carts.models.fields import plain_decimal

TONES: Mapping[str, str] = {
    # orders
    "new": "info",
    "at_warehouse": "accent",
    "shipped": "good",
    "confirmed": "good",
    "held": "warn",
    "error": "bad",
    "cancelled": "quiet",
    # pick orders
    "open": "info",
    "partly_shipped": "warn",
    "refused": "bad",
    # refunds
    "not_sent": "quiet",
    # stock documents
    "passed_on": "good",
    "partly": "warn",
    "nothing": "quiet",
    "history": "quiet",
    "booked": "good",
    "withdrawn": "quiet",
    "in_transit": "info",
    # product links
    "hand": "good",
    "handle": "good",
    "sku": "good",
    "plain_sku": "info",
    "created": "good",
    "none": "bad",
    "ambiguous": "warn",
    # runs, deliveries, webhooks
    "queued": "quiet",
    "running": "info",
    "done": "good",
    "failed": "bad",
    "paused": "warn",
    "pending": "quiet",
    "sending": "info",
    "retry": "warn",
    "received": "info",
    "ignored": "quiet",
    "reprocessed": "good",
    # alerts
    "resolved": "good",
    "muted": "quiet",
    "warning": "warn",
    # connections
    "off": "quiet",
    "waiting": "info",
    "failing": "bad",
    "well": "good",
}

HEALTH_WORDS = {"off": "Switched off", "waiting": "Waiting for first run", "failing": "Failing", "well": "Working"}


def badge(text: str, tone: str = "quiet", title: str = "") -> SafeString:
    return format_html('<span class="im-badge im-{}" title="{}">{}</span>', tone, title, text)


def state_badge(state: str, words: str = "", tone: str = "") -> SafeString:
    """The badge of a state, coloured by ``TONES``."""
    return badge(words or state.replace("_", " ").capitalize(), tone or TONES.get(state, "quiet"))


def health_badge(connection: Any) -> SafeString:
    health = connection.health
    return badge(HEALTH_WORDS[health], TONES[health])


def muted(text: object) -> SafeString:
    return format_html('<span class="im-muted">{}</span>', text)


def money(amount: Decimal | str | None, currency: str = "") -> str:
    """``1,234.50 EUR``: at least two decimals, every decimal that was sent."""
    if amount is None or amount == "":
        return ""
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return f"{amount} {currency}".strip()
    text = plain_decimal(abs(value), 2)
    whole, _, decimals = text.partition(".")
    sign = "−" if value < 0 else ""
    return f"{sign}{int(whole):,}.{decimals} {currency}".strip()


def quantity(value: Decimal | str | None) -> str:
    if value is None or value == "":
        return "–"
    return plain_decimal(Decimal(str(value)))


def signed(value: Decimal | str | None) -> str:
    """``+3``, ``−2.5``: a change of a quantity."""
    if value is None or value == "":
        return "–"
    number = Decimal(str(value))
    return f"{'−' if number < 0 else '+'}{plain_decimal(abs(number))}"


def distance(moment: datetime, now: datetime | None = None) -> str:
    """``3 min ago``, ``in 2 h``: the one unit that matters."""
    delta = (now or timezone.now()) - moment
    seconds = int(abs(delta).total_seconds())
    if seconds < 45:
        return "just now" if delta >= timedelta(0) else "in a moment"
    for size, unit in ((86400 * 2, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            number = seconds // (86400 if unit == "days" else size)
            break
    else:
        number, unit = 1, "min"
    return f"{number} {unit} ago" if delta >= timedelta(0) else f"in {number} {unit}"


def clock(moment: datetime | None, empty: str = "never") -> SafeString:
    """A relative time that shows the exact one on hover (in the user's zone)."""
    return muted(empty) if moment is None else timed(moment, distance(moment))


def due(moment: datetime | None) -> SafeString:
    """When something happens next; what is overdue happens now."""
    if moment is None:
        return muted("–")
    return timed(moment, "now" if moment <= timezone.now() else distance(moment))


def timed(moment: datetime, words: str) -> SafeString:
    exact = date_format(timezone.localtime(moment), "j M Y, H:i:s T")
    return format_html('<time class="im-nowrap" datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, words)


def day_and_time(moment: datetime | None, empty: str = "–") -> SafeString:
    """A date and time in the user's zone."""
    if moment is None:
        return muted(empty)
    local = timezone.localtime(moment)
    style = "j M, H:i" if local.year == timezone.localtime().year else "j M Y, H:i"
    return format_html(
        '<time datetime="{}" class="im-nowrap" title="{}">{}</time>',
        moment.isoformat(),
        date_format(local, "j M Y, H:i:s T"),
        date_format(local, style),
    )


def duration(start: datetime | None, end: datetime | None) -> str:
    """How long something took, in the unit that people would say."""
    if start is None or end is None:
        return ""
    seconds = max((end - start).total_seconds(), 0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h".replace(".0 h", " h")


def count_of(number: int, singular: str, plural: str = "") -> str:
    """``1 order``, ``12 orders``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
