"""Options and credentials as JSON. Their checks and their description follow from what each connector declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from connectors.base import Connector
from connectors.registry import all_connectors
from connectors.settings_fields import FieldKind, SettingField, Settings

LONGEST_TEXT = 5000
JSON_TYPES = {FieldKind.BOOLEAN: "boolean", FieldKind.INTEGER: "integer"}
JSON_FORMATS = {FieldKind.DATE: "date"}


class SettingsValues(serializers.Field):
    """An object of plain values. Whether they fit the connector is for ``carts.setup.check_settings`` to say."""

    default_error_messages = {
        "not_an_object": "Give an object with one value for each setting.",
        "not_plain": "Give a text, a number, true or false.",
        "too_long": f"This is too long: at most {LONGEST_TEXT} characters.",
        "not_text": "This text holds characters that cannot be stored.",
    }

    def __init__(self, *, kind: str, **kwargs: Any) -> None:
        """``kind`` is "Options" or "Credentials"."""
        self.kind = kind
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            self.fail("not_an_object")
        errors = {name: [text] for name, value in data.items() if (text := self.problem_of(value))}
        if errors:
            raise serializers.ValidationError(errors)
        return dict(data)

    def problem_of(self, value: Any) -> str:
        if value is None or isinstance(value, bool | int | float):
            return ""
        if not isinstance(value, str):
            return self.error_messages["not_plain"]
        if len(value) > LONGEST_TEXT:
            return self.error_messages["too_long"]
        try:
            ProhibitSurrogateCharactersValidator()(value)
        except serializers.ValidationError:
            return self.error_messages["not_text"]
        return self.error_messages["not_text"] if "\x00" in value else ""

    def to_representation(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return dict(value)


class DescribeSettingsValues(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """In the API's description: one alternative for each connector."""

    target_class = SettingsValues

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        kind: str = self.target.kind
        return {
            "anyOf": [
                settings_schema(connector, getattr(connector, kind), with_defaults=direction == "request")
                for connector in all_connectors()
            ]
        }


def settings_schema(connector: type[Connector], settings: type[Settings], with_defaults: bool) -> dict[str, Any]:
    return {
        "type": "object",
        "title": connector.key,
        "description": f"For {connector.label}.",
        "properties": {field.name: field_schema(field, with_defaults) for field in settings.fields()},
    }


def field_schema(field: SettingField, with_default: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": JSON_TYPES.get(field.kind, "string"), "title": field.label}
    if field.help:
        schema["description"] = field.help
    if field.kind in JSON_FORMATS:
        schema["format"] = JSON_FORMATS[field.kind]
    if field.choices:
        schema["enum"] = [key for key, _ in field.choices]
    if field.default is None:
        schema["nullable"] = True
    elif with_default and not field.required and not field.secret:
        schema["default"] = field.default
    return schema
