"""Carts and warehouses: set up, changed, tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.connection_reports import TestReportSerializer, TestStepSerializer
from carts.api.errors import Conflict, ProblemSerializer, as_validation_error, conflicts_told
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter
from carts.api.outlets import OutletsMixin
from carts.api.scoping import MerchantField, MerchantScopedMixin, ScopedRelatedField, may_write, merchant_for
from carts.api.settings_values import SettingsValues
from carts.connection_test import run_test
from carts.encryption import CredentialsUnreadable
from carts.models import Cart, Connection, Location, StockFrom, Warehouse
from carts.remote import webhook_url
from carts.removal import StillNeeded, delete_connection
from carts.setup import (
    SetupErrors,
    check_cart_links,
    check_settings,
    finish_new_connection,
    keep_stock_locations,
    set_functions,
)
from connectors.functions import FUNCTIONS_BY_ROLE, Function, Role
from connectors.registry import all_connectors, connector_class

LONGEST_INTERVAL = 31 * 24 * 60


class FunctionKeys(serializers.ListField):
    """Shown: the functions that are on, read from the settings that were fetched for the whole page at once."""

    child = serializers.CharField(max_length=40)

    def get_attribute(self, instance: Connection) -> list[str]:
        on = {setting.function for setting in instance.function_settings.all() if setting.is_on}
        return [function.value for function in FUNCTIONS_BY_ROLE[Role(instance.role)] if function in on]


class Intervals(serializers.DictField):
    """Shown: the minutes of every function that the connection can do."""

    child = serializers.IntegerField(min_value=0, max_value=LONGEST_INTERVAL)

    def get_attribute(self, instance: Connection) -> dict[str, int]:
        return {setting.function: setting.minutes for setting in instance.function_settings.all()}


class ConnectionSerializer(HubSerializer):
    """What carts and warehouses have in common. ``role`` is set by the sub-class."""

    role: ClassVar[Role]

    merchant = MerchantField()
    credentials = SettingsValues(
        kind="Credentials",
        write_only=True,
        required=False,
        help_text="Never shown again. On change, a credential that is left out keeps its value.",
    )
    options = SettingsValues(
        kind="Options", required=False, help_text="On change, an option that is left out keeps its value."
    )
    functions = FunctionKeys(
        required=False,
        help_text="The functions that are on. Left out for a new connection: all that both sides can do, beta and push "
        "functions excepted.",
    )
    intervals = Intervals(
        required=False,
        help_text="Minutes between two runs, for each function; 0 for those that run as soon as there is something "
        "to do.",
    )
    is_active = serializers.BooleanField(default=True, help_text="Only a connection that is switched on is synced.")
    health = serializers.CharField(read_only=True, help_text="off, waiting, well or failing.")
    test_steps = TestStepSerializer(many=True, read_only=True)
    webhook_url = serializers.SerializerMethodField(
        help_text="Where the remote system reports changes. Secret: shown only to those who may change the connection."
    )

    webhook_rejection = serializers.CharField(read_only=True, help_text="Why the last webhook that was rejected was.")
    webhooks_in_order = serializers.BooleanField(
        read_only=True, allow_null=True, help_text="By the last look at what the remote has registered, once a day."
    )
    webhook_steps = TestStepSerializer(many=True, read_only=True, help_text="What that look found.")

    class Meta:
        fields = [
            "id",
            "uuid",
            "merchant",
            "name",
            "connector",
            "credentials",
            "options",
            "functions",
            "intervals",
            "is_active",
            "health",
            "tested_at",
            "test_ok",
            "test_steps",
            "last_success_at",
            "last_error_at",
            "last_error",
            "resting_until",
            "webhook_url",
            "webhook_received_at",
            "webhook_rejected_at",
            "webhook_rejection",
            "webhooks_checked_at",
            "webhooks_in_order",
            "webhook_steps",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [
            "uuid",
            "tested_at",
            "test_ok",
            "last_success_at",
            "last_error_at",
            "last_error",
            "resting_until",
            "webhook_received_at",
            "webhook_rejected_at",
            "webhooks_checked_at",
        ]

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_webhook_url(self, connection: Connection) -> str | None:
        return webhook_url(connection) if may_write(self.context["request"]) else None

    def validate_connector(self, key: str) -> str:
        if isinstance(self.instance, Connection) and key != self.instance.connector:
            raise serializers.ValidationError("A connection stays with its system. Add another connection instead.")
        able = [kind.key for kind in all_connectors() if self.role in kind.roles]
        if key not in able:
            raise serializers.ValidationError(f"Choose one of: {', '.join(able)}.")
        return key

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Checks what needs knowledge of the system, or of other rows."""
        known = self.instance if isinstance(self.instance, Connection) else None
        if known is None:
            given["merchant"] = merchant_for(self.context["request"], given)
        elif given.get("merchant", known.merchant) != known.merchant:
            raise serializers.ValidationError({"merchant": ["A connection stays with its merchant."]})
        self.check_name(known, given)
        if known is None or "options" in given or "credentials" in given:
            self.check_settings(known, given)
        key = known.connector if known else given["connector"]
        check_functions(key, self.role, given.get("functions", ()), given.get("intervals", {}))
        return given

    def check_name(self, known: Connection | None, given: Mapping[str, Any]) -> None:
        merchant = known.merchant if known else given["merchant"]
        others = Connection.objects.filter(merchant=merchant, role=self.role, name=given.get("name"))
        if others.exclude(pk=known.pk if known else None).exists():
            raise serializers.ValidationError({"name": [name_taken(self.role)]})

    def check_settings(self, known: Connection | None, given: dict[str, Any]) -> None:
        stored: Mapping[str, Any] = {}
        if known is not None:
            try:
                stored = known.read_credentials()
            except CredentialsUnreadable:
                stored = {}  # then all of them must be given again
        options = {**(known.options if known else {}), **given.get("options", {})}
        kind = connector_class(known.connector if known else given["connector"])
        try:
            given["options"], given["credentials"] = check_settings(kind, options, given.get("credentials", {}), stored)
        except SetupErrors as error:
            raise as_validation_error(error) from error

    def create(self, given: dict[str, Any]) -> Connection:
        functions, intervals = given.pop("functions", None), given.pop("intervals", {})
        connection: Connection = self.Meta.model(**given)  # type: ignore[attr-defined]
        self.check_links(connection)
        with conflicts_told(name=name_taken(self.role)), transaction.atomic():
            connection.save()
            finish_new_connection(connection, functions)
            if intervals:
                set_functions(connection, connection.switched_on_functions(), intervals)
        return connection

    def update(self, connection: Connection, given: dict[str, Any]) -> Connection:
        functions, intervals = given.pop("functions", None), given.pop("intervals", {})
        if "options" in given or "credentials" in given:
            # What was found out with the old settings says nothing about the new ones.
            given |= {"tested_at": None, "test_ok": None, "test_steps": [], "resting_until": None}
        for name, value in given.items():
            setattr(connection, name, value)
        self.check_links(connection)
        with conflicts_told(name=name_taken(self.role)), transaction.atomic():
            if given:
                connection.save(update_fields=[*given, "updated_at"])
            if functions is not None or intervals:
                on = connection.switched_on_functions() if functions is None else functions
                set_functions(connection, on, intervals)
        return connection

    def check_links(self, connection: Connection) -> None:
        """Checks what the connection points to. Override."""


def check_functions(connector: str, role: Role, functions: Iterable[str], intervals: Mapping[str, int]) -> None:
    """Every function named must be one that the system can do, and polled ones need an interval."""
    kind = connector_class(connector)
    possible = kind.functions(role)
    can_do = f"{kind.label} can do: {', '.join(possible)}."
    errors: dict[str, Any] = {}
    unknown = [name for name in functions if name not in possible]
    if unknown:
        errors["functions"] = [f"{kind.label} cannot do: {', '.join(unknown)}. {can_do}"]
    wrong: dict[str, list[str]] = {}
    for name, minutes in intervals.items():
        if name not in possible:
            wrong[name] = [can_do]
        elif minutes == 0 and FUNCTIONS_BY_ROLE[role][Function(name)].minutes:
            wrong[name] = ["Enter at least 1 minute."]
    if wrong:
        errors["intervals"] = wrong
    if errors:
        raise serializers.ValidationError(errors)


def name_taken(role: Role) -> str:
    return f"There is another {role.value} with this name."


# What a cart points to, and what must fit together.
LINKS = frozenset({"warehouse", "location", "stock_from", "stock_locations"})


class CartSerializer(ConnectionSerializer):
    role = Role.CART

    warehouse = ScopedRelatedField(
        queryset=Warehouse.objects.all(),
        required=False,
        allow_null=True,
        help_text="Where this cart's orders go and its stock comes from.",
    )
    location = ScopedRelatedField(
        queryset=Location.objects.all(),
        merchant_path="warehouse__merchant",
        required=False,
        allow_null=True,
        help_text="The warehouse location that belongs to this cart: its orders are sent there, and the outlet's stock "
        "adjustments and transfers are booked there. Empty: the warehouse's default location.",
    )
    stock_from = serializers.ChoiceField(
        choices=StockFrom.choices,
        default=StockFrom.LOCATION,
        help_text="Whose stock the shop shows: `location` (the cart's own), `set` (those of `stock_locations`, added up) or "
        "`all` (all locations of the warehouse, added up; new ones count by themselves). Locations that are not in use "
        "never count.",
    )
    stock_locations = ScopedRelatedField(
        queryset=Location.objects.all(),
        merchant_path="warehouse__merchant",
        many=True,
        required=False,
        help_text="For `stock_from` = `set`: the locations whose stock is added up; the one that the orders go to must be "
        "among them. Empty otherwise.",
    )

    class Meta(ConnectionSerializer.Meta):
        model = Cart
        fields = [
            *ConnectionSerializer.Meta.fields,
            "warehouse",
            "location",
            "stock_from",
            "stock_locations",
            "outlet",
        ]
        read_only_fields = [*ConnectionSerializer.Meta.read_only_fields, "outlet"]

    def create(self, given: dict[str, Any]) -> Connection:
        self.are_links_given = True
        self.chosen: list[Location] | None = given.pop("stock_locations", None)
        with transaction.atomic():
            return self.with_places(super().create(given))

    def update(self, connection: Connection, given: dict[str, Any]) -> Connection:
        self.are_links_given = not LINKS.isdisjoint(given)
        self.chosen = given.pop("stock_locations", None)
        with transaction.atomic():
            return self.with_places(super().update(connection, given))

    def with_places(self, connection: Connection) -> Connection:
        assert isinstance(connection, Cart)
        keep_stock_locations(connection, self.places_of(connection))
        return connection

    def places_of(self, cart: Cart) -> list[Location]:
        """The set that is given, else the one that is stored and that a cart with a set keeps."""
        if self.chosen is not None:
            return self.chosen
        return list(cart.stock_locations.all()) if cart.pk and cart.stock_from == StockFrom.SET else []

    def check_links(self, connection: Connection) -> None:
        assert isinstance(connection, Cart)
        if not self.are_links_given:
            return  # what went wrong elsewhere meanwhile keeps nobody from renaming a cart, or from switching it off
        try:
            check_cart_links(connection, self.places_of(connection))
        except SetupErrors as error:
            raise as_validation_error(error) from error


class WarehouseSerializer(ConnectionSerializer):
    role = Role.WAREHOUSE

    class Meta(ConnectionSerializer.Meta):
        model = Warehouse


class ConnectionFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    connector = django_filters.CharFilter()
    is_active = django_filters.BooleanFilter()
    merchant = django_filters.CharFilter(field_name="merchant__slug", label="The merchant's slug.")


class CartFilter(ConnectionFilter):
    warehouse = IdFilter()
    location = IdFilter()
    stock_from = django_filters.ChoiceFilter(choices=StockFrom.choices)


class ConnectionViewSet(MerchantScopedMixin, viewsets.ModelViewSet):
    """What carts and warehouses have in common."""

    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset().select_related("merchant").prefetch_related("function_settings")
        return rows.order_by("name", "pk")

    @extend_schema(request=None, responses=TestReportSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Checks every step of the set-up against the remote system, with what to do when one fails."""
        report = run_test(self.get_object())
        return Response(report.as_json())

    @extend_schema(responses={204: None, 409: ProblemSerializer})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: Connection) -> None:
        try:
            delete_connection(instance)
        except StillNeeded as error:
            raise Conflict(str(error)) from error

    def reload(self, connection: Connection) -> Connection:
        """The connection with everything that its JSON shows, as the database has it now."""
        return self.get_queryset().get(pk=connection.pk)  # type: ignore[no-any-return]

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        serializer.instance = self.reload(serializer.save())

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        serializer.instance = self.reload(serializer.save())


class CartViewSet(OutletsMixin, ConnectionViewSet):
    """Order sources. Each shop outlet is a cart of its own."""

    queryset = Cart.objects.all()
    serializer_class = CartSerializer
    filterset_class = CartFilter

    def get_queryset(self) -> QuerySet[Cart]:
        return super().get_queryset().prefetch_related("stock_locations")


class WarehouseViewSet(ConnectionViewSet):
    """Where orders are shipped from and stock comes from."""

    queryset = Warehouse.objects.all()
    serializer_class = WarehouseSerializer
    filterset_class = ConnectionFilter
