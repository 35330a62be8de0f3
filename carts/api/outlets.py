"""The outlets of a cart's store, and carts for those that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.connection_reports import TestStepSerializer
from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import AddressSerializer
from carts.api.scoping import ScopedRelatedField
from carts.api.settings_values import SettingsValues
from carts.encryption import CredentialsUnreadable
from carts.models import Cart, Location
from carts.outlet_carts import LONGEST_NAME, OutletErrors, WantedCart, add_carts, default_names, run_tests
from carts.outlets import OutletPlace, has_outlets, look_for_outlets, survey
from connectors.errors import ConnectorError

MOST_AT_ONCE = 100


class OutletPlaceSerializer(serializers.Serializer[Any]):
    """One outlet of the store, as it was last seen."""

    external_id = serializers.CharField(source="outlet.external_id")
    name = serializers.CharField(source="outlet.name")
    address = AddressSerializer(source="outlet.address")
    deleted = serializers.BooleanField(source="outlet.deleted")
    carts = serializers.SerializerMethodField(help_text="The ids of the carts that serve it.")
    problem = serializers.CharField(help_text="What is wrong with it and what to do, or empty.")
    suggested_name = serializers.SerializerMethodField(help_text="For a new cart. Empty for an outlet that has one.")

    @extend_schema_field({"type": "array", "items": {"type": "integer"}})
    def get_carts(self, place: OutletPlace) -> list[int]:
        return [cart.pk for cart in place.carts]

    @extend_schema_field({"type": "string"})
    def get_suggested_name(self, place: OutletPlace) -> str:
        names: Mapping[str, str] = self.context["names"]
        return names.get(place.outlet.external_id, "")


class OutletPlacesSerializer(serializers.Serializer[Any]):
    outlets = OutletPlaceSerializer(many=True)


class WantedCartSerializer(serializers.Serializer[Any]):
    """A cart for one outlet."""

    external_id = serializers.CharField(max_length=120, help_text="The outlet's.")
    name = serializers.CharField(
        max_length=LONGEST_NAME, required=False, allow_blank=True, default="", help_text="Left out: `suggested_name`."
    )
    location = ScopedRelatedField(
        queryset=Location.objects.all(),
        merchant_path="warehouse__merchant",
        required=False,
        allow_null=True,
        default=None,
        help_text="Of the cart's warehouse. Empty: the warehouse's default location.",
    )
    credentials = SettingsValues(
        kind="Credentials",
        write_only=True,
        required=False,
        default=dict,
        help_text="An access of its own, for example `access_token`. Left out: the same as the cart's.",
    )


class OutletCartsSerializer(serializers.Serializer[Any]):
    """Which outlets are to get a cart."""

    outlets = WantedCartSerializer(
        many=True,
        required=False,
        max_length=MOST_AT_ONCE,
        help_text="Left out: every outlet that has none. Empty: none, the outlets are only looked up again.",
    )
    test = serializers.BooleanField(
        default=False, help_text="Test the new carts, as far as that takes no longer than a quarter of a minute."
    )


class NewCartSerializer(serializers.Serializer[Any]):
    """A cart that was added; all of it is at `carts/{id}/`."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    test_ok = serializers.BooleanField(allow_null=True, help_text="null: not tested yet, see `carts/{id}/test/`.")
    test_steps = TestStepSerializer(many=True)


class NewCartsSerializer(serializers.Serializer[Any]):
    carts = NewCartSerializer(many=True)


class OutletsMixin:
    """``carts/{id}/outlets/``."""

    @extend_schema(responses=OutletPlacesSerializer, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None, filterset_class=None)
    def outlets(self, request: Request, pk: str) -> Response:
        """The outlets of the cart's store as they were last seen, and the carts they have."""
        cart: Cart = self.get_object()  # type: ignore[attr-defined]
        places = survey(cart) if has_outlets(cart.connector_class) else []
        names = default_names(cart, [place for place in places if place.is_free])
        return Response({"outlets": OutletPlaceSerializer(places, many=True, context={"names": names}).data})

    @extend_schema(request=OutletCartsSerializer, responses={201: NewCartsSerializer, 409: ProblemSerializer})
    @outlets.mapping.post
    def add_outlet_carts(self, request: Request, pk: str) -> Response:
        """Looks the outlets up in the shop and adds a cart for each that is wanted, switched off: options, functions,
        intervals and warehouse are this cart's. All or none. Answers with the new carts."""
        cart: Cart = self.get_object()  # type: ignore[attr-defined]
        given = OutletCartsSerializer(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        if not has_outlets(cart.connector_class):
            raise Conflict(f"{cart.connector_class.label} has no outlets.")
        try:
            look_for_outlets(cart)
            made = add_carts(cart, wanted_carts(survey(cart), given.validated_data.get("outlets")))
        except (ConnectorError, CredentialsUnreadable) as error:
            raise Conflict(f"Nothing was added. {error} {getattr(error, 'fix', '')}".strip()) from error
        except OutletErrors as error:
            raise serializers.ValidationError({"outlets": in_fields(error)}) from error
        if given.validated_data["test"]:
            run_tests(made)
        return Response({"carts": NewCartSerializer(made, many=True).data}, status=201)


def wanted_carts(places: Sequence[OutletPlace], given: Sequence[Mapping[str, Any]] | None) -> list[WantedCart]:
    """Raises ``OutletErrors`` for outlets that the store does not have, or that are named twice."""
    if given is None:
        return [WantedCart(outlet=place.outlet) for place in places if place.is_free][:MOST_AT_ONCE]
    known = {place.outlet.external_id: place.outlet for place in places}
    errors, seen = {}, set()
    for row in given:
        outlet_id = row["external_id"]
        if outlet_id not in known:
            errors[outlet_id] = {"outlet": "The store has no such outlet."}
        elif outlet_id in seen:
            errors[outlet_id] = {"outlet": "It is named twice."}
        seen.add(outlet_id)
    if errors:
        raise OutletErrors(errors)
    return [
        WantedCart(
            outlet=known[row["external_id"]],
            name=row["name"].strip(),
            location=row["location"],
            credentials={name: value for name, value in row["credentials"].items() if value not in (None, "")},
        )
        for row in given
    ]


def in_fields(error: OutletErrors) -> dict[str, dict[str, list[str]]]:
    return {outlet: {name: [text] for name, text in fields.items()} for outlet, fields in error.errors.items()}
