"""Connections: what a cart and a warehouse have in common, and what they have of their own."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from carts.encryption import EncryptedJSONField, SealedCredentials, decrypt
from carts.models.merchants import Merchant
from carts.signals import warehouse_changed
from connectors.base import Connector
from connectors.functions import FUNCTIONS_BY_ROLE, Function, FunctionFacts, Role
from connectors.registry import all_connectors, connector_class


def new_webhook_secret() -> str:
    return secrets.token_urlsafe(24)


class Connection(models.Model):
    """One set-up remote system: connector, credentials, options, health."""

    class RoleChoices(models.TextChoices):
        CART = Role.CART.value, "Cart"
        WAREHOUSE = Role.WAREHOUSE.value, "Warehouse"

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="connections")
    role = models.CharField(max_length=10, choices=RoleChoices.choices, editable=False)
    name = models.CharField(max_length=120)
    connector = models.CharField(max_length=40)
    credentials = EncryptedJSONField(blank=True, default="", editable=False)
    options = models.JSONField(blank=True, default=dict)
    is_active = models.BooleanField(
        "switched on", default=False, help_text="Only a connection that is switched on is synced."
    )
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    webhook_secret = models.CharField(max_length=64, default=new_webhook_secret, editable=False)

    tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    test_ok = models.BooleanField(null=True, editable=False)
    test_steps = models.JSONField(default=list, blank=True, editable=False)
    last_success_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, default="", editable=False)
    webhook_received_at = models.DateTimeField(null=True, blank=True, editable=False)
    webhook_rejected_at = models.DateTimeField(null=True, blank=True, editable=False)
    webhook_rejection = models.CharField(max_length=200, blank=True, default="", editable=False)
    # The last look at what the remote has registered, what it found, and when the next one is due (None: at once).
    webhooks_checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    webhooks_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    webhook_steps = models.JSONField(default=list, blank=True, editable=False)
    # While a remote is down, nobody calls it before this time (law 7); set by the engine.
    resting_until = models.DateTimeField(null=True, blank=True, editable=False)
    failures_in_a_row = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["merchant", "role", "name"], name="connection_name_is_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def connector_class(self) -> type[Connector]:
        return connector_class(self.connector)

    def read_credentials(self) -> SealedCredentials:
        """The credentials in the clear, for building a connector only."""
        if isinstance(self.credentials, dict):
            return SealedCredentials(self.credentials)
        return SealedCredentials(decrypt(self.credentials) if self.credentials else {})

    @property
    def is_in_hub(self) -> bool:
        """Is it a warehouse of the hub's own, whose book is kept here?"""
        return self.connector_class.stores_in_hub

    @property
    def has_credentials(self) -> bool:
        return bool(self.credentials)

    @property
    def possible_functions(self) -> dict[Function, FunctionFacts]:
        """What this connection's system can do on its side, in the order of the screens."""
        facts = FUNCTIONS_BY_ROLE[Role(self.role)]
        return {function: facts[function] for function in self.connector_class.functions(Role(self.role))}

    @property
    def health(self) -> str:
        """One word for lists: off, untested, failing or well."""
        if not self.is_active:
            return "off"
        if self.last_error_at and (self.last_success_at is None or self.last_error_at > self.last_success_at):
            return "failing"
        if self.last_success_at is None:
            return "waiting"
        return "well"

    @property
    def webhooks_in_order(self) -> bool | None:
        """By the last look; None when nobody has looked yet."""
        return all(step["ok"] for step in self.webhook_steps) if self.webhooks_checked_at else None

    def function_is_on(self, function: Function) -> bool:
        return self.function_settings.filter(function=function, is_on=True).exists()

    def switched_on_functions(self) -> list[Function]:
        on = set(self.function_settings.filter(is_on=True).values_list("function", flat=True))
        return [function for function in FUNCTIONS_BY_ROLE[Role(self.role)] if function in on]


class WarehouseManager(models.Manager["Warehouse"]):
    def in_hub(self) -> models.QuerySet[Warehouse]:
        """The warehouses whose book is kept here."""
        return self.filter(connector__in=[kind.key for kind in all_connectors() if kind.stores_in_hub])

    def create(self, **fields: Any) -> Warehouse:
        return super().create(**{**fields, "role": Role.WAREHOUSE.value})


class Warehouse(Connection):
    """One configured WMS/OMS destination."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, parent_link=True, primary_key=True, related_name="as_warehouse"
    )
    locations_read_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was asked for its locations last."
    )

    objects = WarehouseManager()

    class Meta:
        ordering = ["name"]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.role = Role.WAREHOUSE.value
        super().save(*args, **kwargs)

    def default_location(self) -> Location | None:
        """The location used where none is named: the marked one, else the first active one."""
        return self.locations.filter(is_active=True).order_by("-is_default", "pk").first()


class Location(models.Model):
    """A place in a warehouse that holds stock. Disabled ones are left out of every sync.

    ``listed_name`` is what the warehouse's system calls it, ``listed_at`` when it listed it last. ``gone_since``: the
    system lists it no more, so the hub switched it off; it is switched on again when it is back. What a person switches
    off stays off, and has no ``gone_since``.
    """

    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE, related_name="locations")
    external_id = models.CharField(max_length=120, blank=True)
    name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False, help_text="Used where a cart names no location.")
    listed_name = models.CharField(max_length=120, blank=True, editable=False)
    listed_at = models.DateTimeField(null=True, blank=True, editable=False)
    gone_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Since when the warehouse's own system lists it no more, so that the hub switched it off.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["warehouse", "name"], name="location_name_is_unique"),
            models.UniqueConstraint(
                fields=["warehouse", "external_id"], condition=~Q(external_id=""), name="location_external_id_is_unique"
            ),
            models.UniqueConstraint(
                fields=["warehouse"], condition=Q(is_default=True), name="one_default_location_per_warehouse"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class StockFrom(models.TextChoices):
    """Whose stock a cart shows."""

    LOCATION = "location", "The cart's own location"
    SET = "set", "Chosen locations, added up"
    ALL = "all", "All locations of the warehouse, added up"


class CartManager(models.Manager["Cart"]):
    def create(self, **fields: Any) -> Cart:
        return super().create(**{**fields, "role": Role.CART.value})


class Cart(Connection):
    """One configured order source. Each shop outlet is its own cart."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, parent_link=True, primary_key=True, related_name="as_cart"
    )
    warehouse = models.ForeignKey(
        Warehouse,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="carts",
        help_text="Where this cart's orders go and its stock comes from.",
    )
    location = models.ForeignKey(
        Location,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="carts",
        verbose_name="Sync Inventory With Warehouse",
        help_text="The warehouse location that belongs to this cart: its orders go there, and its outlet's stock documents "
        "are booked there. Empty: the warehouse's default location.",
    )
    stock_from = models.CharField(
        max_length=10,
        choices=StockFrom.choices,
        default=StockFrom.LOCATION,
        help_text="Whose stock the shop shows. All: new locations count by themselves.",
    )
    stock_locations = models.ManyToManyField(
        Location,
        through="CartStockLocation",
        blank=True,
        related_name="shown_by",
        help_text="The locations whose stock is added up, where chosen ones are.",
    )
    outlet = models.ForeignKey(
        "Outlet", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )

    objects = CartManager()

    class Meta:
        ordering = ["name"]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.role = Role.CART.value
        names = kwargs.get("update_fields")
        may_move = self.pk is not None and (names is None or bool({"warehouse", "warehouse_id"} & set(names)))
        before = Cart.objects.filter(pk=self.pk).values_list("warehouse_id", flat=True) if may_move else []
        moves = any(warehouse_id != self.warehouse_id for warehouse_id in before)
        super().save(*args, **kwargs)
        if moves:
            warehouse_changed.send(Cart, cart=self)

    def stock_location(self) -> Location | None:
        """The one location that belongs to this cart: its orders go there, and its outlet's stock documents are booked
        there. Its own, else the warehouse's default."""
        if self.location_id:
            return self.location
        return self.warehouse.default_location() if self.warehouse else None

    def stock_places(self) -> list[Location]:
        """The locations whose stock this cart shows, added up. Those that are switched off are left out."""
        if self.warehouse is None:
            return []
        if self.stock_from == StockFrom.LOCATION:
            location = self.stock_location()
            return [location] if location is not None and location.is_active else []
        places = self.warehouse.locations if self.stock_from == StockFrom.ALL else self.stock_locations
        return [place for place in places.all() if place.is_active and place.warehouse_id == self.warehouse_id]


class CartStockLocation(models.Model):
    """A location is one of those whose stock a cart shows."""

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, db_index=False, related_name="+")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cart", "location"], name="cart_stock_location_is_unique")]

    def __str__(self) -> str:
        return f"{self.location} for {self.cart}"


class Outlet(models.Model):
    """A remote shop location found at a cart."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="outlets")
    external_id = models.CharField(max_length=120)
    name = models.CharField(max_length=200)
    currency = models.CharField(max_length=3, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    address = models.JSONField(default=dict, blank=True)
    deleted = models.BooleanField(default=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["connection", "external_id"], name="outlet_is_unique")]

    def __str__(self) -> str:
        return self.name


class FunctionSetting(models.Model):
    """Whether a connection does a function, and how often. 0 minutes = automatic: as soon as there is something to do."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="function_settings")
    function = models.CharField(max_length=40, choices=[(f.value, f.label) for f in Function])
    is_on = models.BooleanField("on", default=True)
    minutes = models.PositiveIntegerField("every … minutes", default=15)
    first_on_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was switched on for the first time."
    )

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["connection", "function"], name="function_setting_is_unique")]

    def __str__(self) -> str:
        return Function(self.function).label

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.is_on and self.first_on_at is None:
            self.first_on_at = timezone.now()
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "first_on_at"}
        super().save(*args, **kwargs)
