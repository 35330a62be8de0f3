"""Masks secrets and card-like numbers before anything is stored or logged."""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "[masked]"
SECRET_HEADERS = {
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-signature",
    "signature",
}
SECRET_NAMES = (
    "access_token|refresh_token|client_secret|password|passwd|secret|api_key|apikey|api_user|authorization|token|"
    "private_key|card_number|cvv|cvc|pan"
)

_JSON_SECRET = re.compile(rf'("(?:{SECRET_NAMES})"\s*:\s*")(?:[^"\\]|\\.)*(")', re.IGNORECASE)
# ``code`` is OAuth's in addresses and forms; in JSON it is mostly a product's.
_FORM_SECRET = re.compile(rf"((?:^|[?&])(?:{SECRET_NAMES}|code)=)[^&\s]+", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer|Basic|Session)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
# Runs of 13 to 19 digits, plain or in groups split by one space or dash; never a part of a longer number, a decimal
# or a hex id (UUIDs hold long digit runs now and then). The first digit is looked for first and what stands before it
# afterwards: a pattern that begins with a look back is tried at every character.
_CARD = re.compile(r"[2-6](?<![0-9A-Za-z.-][2-6])[0-9](?:[ -]?[0-9]){11,17}(?![0-9A-Za-z.-])")


# What a text must hold (in small letters) for a pattern to match: looking for it takes a tenth of the time.
_JSON_MARK = re.compile("|".join(f'"{name}"' for name in SECRET_NAMES.split("|")))
_BEARER_MARKS = ("bearer", "basic", "session")


def mask_text(text: str) -> str:
    """The text with secrets and card-like numbers masked."""
    folded = text.casefold()
    if _JSON_MARK.search(folded):
        text = _JSON_SECRET.sub(rf"\g<1>{MASK}\g<2>", text)
    if "=" in folded:
        text = _FORM_SECRET.sub(rf"\g<1>{MASK}", text)
    if any(mark in folded for mark in _BEARER_MARKS):
        text = _BEARER.sub(rf"\g<1> {MASK}", text)
    return _CARD.sub(_mask_card, text)


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: MASK if name.lower() in SECRET_HEADERS else mask_text(value) for name, value in headers.items()}


def mask_url(url: str) -> str:
    return _FORM_SECRET.sub(rf"\g<1>{MASK}", url)


def _mask_card(match: re.Match[str]) -> str:
    digits = [int(character) for character in match.group() if character.isdigit()]
    return f"[card …{match.group()[-4:]}]" if _passes_luhn(digits) else match.group()


def _passes_luhn(digits: list[int]) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        if position % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total % 10 == 0
