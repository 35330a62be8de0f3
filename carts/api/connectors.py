"""The systems that can be connected, with what they do and what must be entered. Nothing here belongs to a merchant."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, viewsets
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from carts.setup import roles_of
from connectors.base import Connector
from connectors.functions import FUNCTIONS_BY_ROLE
from connectors.registry import CONNECTORS, all_connectors, connector_class
from connectors.settings_fields import SettingField


class ChoiceSerializer(serializers.Serializer):
    value = serializers.CharField()
    label = serializers.CharField()


class SettingFieldSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    help = serializers.CharField()
    kind = serializers.CharField(help_text="text, url, choice, boolean, date or integer.")
    default = serializers.JSONField(allow_null=True)
    choices = ChoiceSerializer(many=True)
    required = serializers.BooleanField()
    secret = serializers.BooleanField()
    advanced = serializers.BooleanField()


class ConnectorFunctionSerializer(serializers.Serializer):
    key = serializers.CharField()
    label = serializers.CharField()
    help = serializers.CharField()
    minutes = serializers.IntegerField(help_text="The default interval; 0 = as soon as there is something to do.")
    default_on = serializers.BooleanField()


class ConnectorSerializer(serializers.Serializer):
    key = serializers.CharField()
    label = serializers.CharField()
    summary = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField(), help_text="cart, warehouse or both.")
    functions = serializers.DictField(
        child=ConnectorFunctionSerializer(many=True), help_text="What it can do, for each of its roles."
    )
    options = SettingFieldSerializer(many=True)
    credentials = SettingFieldSerializer(many=True)


def connector_facts(connector: type[Connector]) -> dict[str, Any]:
    roles = roles_of(connector)
    return {
        "key": connector.key,
        "label": connector.label,
        "summary": connector.summary,
        "roles": [role.value for role in roles],
        "functions": {
            role.value: [
                {
                    "key": function.value,
                    "label": function.label,
                    "help": FUNCTIONS_BY_ROLE[role][function].help,
                    "minutes": FUNCTIONS_BY_ROLE[role][function].minutes,
                    "default_on": FUNCTIONS_BY_ROLE[role][function].default_on,
                }
                for function in connector.functions(role)
            ]
            for role in roles
        },
        "options": [setting_facts(field) for field in connector.Options.fields()],
        "credentials": [setting_facts(field) for field in connector.Credentials.fields()],
    }


def setting_facts(field: SettingField) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "help": field.help,
        "kind": field.kind.value,
        "default": None if field.secret else field.default,
        "choices": [{"value": value, "label": label} for value, label in field.choices],
        "required": field.required,
        "secret": field.secret,
        "advanced": field.advanced,
    }


class ConnectorViewSet(viewsets.GenericViewSet):
    """The systems the hub can talk to."""

    serializer_class = ConnectorSerializer
    lookup_field = "key"
    lookup_url_kwarg = "key"
    filter_backends = ()

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset([connector_facts(connector) for connector in all_connectors()])
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(parameters=[OpenApiParameter("key", str, OpenApiParameter.PATH, description="For example `vend`.")])
    def retrieve(self, request: Request, key: str) -> Response:
        if key not in CONNECTORS:
            raise NotFound
        return Response(self.get_serializer(connector_facts(connector_class(key))).data)
