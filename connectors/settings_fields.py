"""Typed options and credentials: declared once as a dataclass, from which the admin form, the REST validation, the docs
and the parsing all follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, TypeVar


class FieldKind(StrEnum):
    TEXT = "text"
    URL = "url"
    CHOICE = "choice"
    BOOLEAN = "boolean"
    DATE = "date"
    INTEGER = "integer"


@dataclass(frozen=True, slots=True)
class SettingField:
    """One option or credential as screens and REST see it."""

    name: str
    label: str
    help: str
    kind: FieldKind
    default: Any
    required: bool
    choices: tuple[tuple[str, str], ...]
    secret: bool
    advanced: bool


class SettingErrors(Exception):
    """Wrong input, per field. ``errors`` maps field name -> a sentence that says what to do."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = dict(errors)


def setting(
    label: str,
    *,
    help: str = "",
    kind: FieldKind = FieldKind.TEXT,
    default: Any = "",
    required: bool = False,
    choices: Sequence[tuple[str, str]] = (),
    secret: bool = False,
    advanced: bool = False,
) -> Any:
    """Declares a field of an ``Options`` or ``Credentials`` dataclass."""
    facts = {
        "label": label,
        "help": help,
        "kind": FieldKind.CHOICE if choices else kind,
        "required": required,
        "choices": tuple(choices),
        "secret": secret,
        "advanced": advanced,
    }
    return dataclasses.field(default=default, metadata=facts)


SettingsT = TypeVar("SettingsT", bound="Settings")


@cache
def fields_of(kind: Any) -> tuple[SettingField, ...]:
    return tuple(
        SettingField(name=field.name, default=field.default, **field.metadata) for field in dataclasses.fields(kind)
    )


TRUE_WORDS = {"true", "yes", "1", "on"}
FALSE_WORDS = {"false", "no", "0", "off", ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Base of ``Options`` and ``Credentials``. Sub-classes are frozen keyword-only dataclasses made of ``setting()``."""

    UNKNOWN_TEXT: ClassVar[str] = "This system has no such setting."

    @classmethod
    def fields(cls) -> tuple[SettingField, ...]:
        return fields_of(cls)  # type: ignore[arg-type]

    @classmethod
    def parse(cls: type[SettingsT], data: Mapping[str, Any]) -> SettingsT:
        """Typed settings from untyped input (form, JSON). Raises ``SettingErrors`` naming every wrong field."""
        known = {field.name: field for field in cls.fields()}
        errors = {name: cls.UNKNOWN_TEXT for name in data if name not in known}
        values: dict[str, Any] = {}
        for name, field in known.items():
            try:
                values[name] = parse_value(field, data.get(name))
            except ValueError as error:
                errors[name] = str(error)
        if not errors:
            errors = dict(cls.check(values))
        if errors:
            raise SettingErrors(errors)
        return cls(**values)

    @classmethod
    def check(cls, values: dict[str, Any]) -> Mapping[str, str]:
        """Checks that need knowledge of the system (a URL's form, two fields together). Override; may also tidy
        ``values`` in place. Returns field name -> message."""
        return {}

    def as_json(self) -> dict[str, Any]:
        """The settings as plain JSON values, ready to be stored."""
        values: dict[str, Any] = {}
        for field in self.fields():
            value = getattr(self, field.name)
            values[field.name] = value.isoformat() if isinstance(value, date) else value
        return values


def parse_value(field: SettingField, value: Any) -> Any:
    """One field's value, typed. Raises ``ValueError`` with a sentence for the user."""
    if value is None or value == "":
        if field.required:
            raise ValueError(f"Enter the {field.label}.")
        return field.default
    if field.kind is FieldKind.BOOLEAN:
        return parse_boolean(value)
    if field.kind is FieldKind.DATE:
        return parse_date(value)
    if field.kind is FieldKind.INTEGER:
        try:
            return int(str(value))
        except ValueError:
            raise ValueError("Enter a whole number.") from None
    text = str(value).strip()
    if field.required and not text:
        raise ValueError(f"Enter the {field.label}.")
    return parse_choice(field, text) if field.kind is FieldKind.CHOICE else text


def parse_choice(field: SettingField, text: str) -> str:
    """The key of the choice that is meant: by its key or its label, in any upper and lower case."""
    wanted = text.casefold()
    for key, label in field.choices:
        if wanted in (key.casefold(), label.casefold()):
            return key
    raise ValueError("Choose one of: " + ", ".join(key for key, _ in field.choices) + ".")


def parse_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError("Say yes or no.")


def parse_date(value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        raise ValueError("Enter a date as YYYY-MM-DD.") from None
