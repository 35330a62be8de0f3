"""The set-up form of a cart or a warehouse, generated from what its connector declares."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction
from django.db.models import Q

from carts.access_alerts import in_words
from carts.encryption import CredentialsUnreadable
from carts.forms.fields import DateInput, HubForm
from carts.location_list import switched_by_a_person
from carts.models import Cart, Connection, Location, Merchant, StockFrom, Warehouse
from carts.setup import (
    SetupErrors,
    check_cart_links,
    check_settings,
    finish_new_connection,
    keep_stock_locations,
    set_functions,
)
from carts.shared_tokens import others_with_token, replace_token
from carts.stock_places import named
from connectors.base import Connector
from connectors.functions import FUNCTIONS_BY_ROLE, Function, FunctionFacts, Role
from connectors.settings_fields import FieldKind, SettingField

LONGEST_INTERVAL = 60 * 24 * 7

Choices = list[tuple[str, str]]


class OfWarehouse:
    """Every option names its warehouse, so that the page can show the chosen warehouse's locations only."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, *args, **kwargs)  # type: ignore[misc]
        location = getattr(value, "instance", None)
        if location is not None:
            option["attrs"]["data-warehouse"] = str(location.warehouse_id)
        return option


class LocationSelect(OfWarehouse, forms.Select):
    pass


class LocationCheckboxes(OfWarehouse, forms.CheckboxSelectMultiple):
    pass


class ConnectionForm(HubForm):
    """One form for every connector. ``save`` leaves all rules to ``carts.setup``."""

    name = forms.CharField(label="Name", max_length=120, help_text="How you call it, for example Queen Street shop.")

    def __init__(
        self,
        *args: Any,
        kind: type[Connector],
        role: Role,
        merchants: Any,
        connection: Connection | None = None,
        **kwargs: Any,
    ) -> None:
        self.kind, self.role, self.connection, self.merchants = kind, role, connection, merchants
        super().__init__(*args, **kwargs)
        stored = connection.options if connection else {}
        stored_credentials = self.stored_credentials()
        self.add_merchant()
        for field in kind.Credentials.fields():
            value = stored_credentials.get(field.name)
            shown = None if field.secret else value
            self.fields[f"credentials__{field.name}"] = input_for(field, shown, has_stored=bool(value))
        self.same_token = others_with_token(connection) if connection else []
        if self.same_token:
            self.fields["also_for"] = forms.BooleanField(
                label=f"Replace it for {in_words(self.same_token)} too",
                help_text="They get in with the same one.",
                required=False,
                initial=True,
            )
        for field in kind.Options.fields():
            self.fields[f"options__{field.name}"] = input_for(field, stored.get(field.name), has_stored=False)
        if role is Role.CART:
            self.add_warehouse()
        self.add_functions()
        if connection is not None:
            self.fields["name"].initial = connection.name
        self.style_inputs()

    def stored_credentials(self) -> dict[str, Any]:
        """What was entered before; nothing when no key opens it, then it must be entered again."""
        try:
            return self.connection.read_credentials() if self.connection else {}
        except CredentialsUnreadable:
            return {}

    # Fields ----------------------------------------------------------------------------------------------------------

    def add_merchant(self) -> None:
        if self.connection is not None:
            return
        choice = forms.ModelChoiceField(self.merchants, label="Merchant", empty_label=None)
        if len(self.merchants) == 1:
            choice.initial = self.merchants[0]
            choice.widget = forms.HiddenInput()
        self.fields = {"merchant": choice, **self.fields}

    def add_warehouse(self) -> None:
        warehouses = Warehouse.objects.filter(merchant__in=self.merchants).select_related("merchant")
        locations = Location.objects.filter(warehouse__merchant__in=self.merchants)
        cart = self.connection if isinstance(self.connection, Cart) else None
        chosen = list(cart.stock_locations.all()) if cart else []
        if cart is not None:
            warehouses = warehouses.filter(merchant_id=cart.merchant_id)
            locations = locations.filter(warehouse__merchant_id=cart.merchant_id)
        # One that was chosen and then switched off is still the one that was chosen.
        kept = [place.pk for place in chosen] + ([cart.location_id] if cart and cart.location_id else [])
        locations = locations.filter(Q(is_active=True) | Q(pk__in=kept)).select_related("warehouse")
        several = cart is None and len(self.merchants) > 1
        self.fields["warehouse"] = NamedChoiceField(
            warehouses,
            label="Warehouse",
            required=False,
            empty_label="Not chosen yet",
            initial=cart.warehouse_id if cart else None,
            help_text="Where this cart's orders go and its stock comes from.",
            with_merchant=several,
        )
        self.fields["location"] = LocationChoiceField(
            locations,
            label="Sync Inventory With Warehouse",
            required=False,
            empty_label="The warehouse's default location",
            initial=cart.location_id if cart else None,
            widget=LocationSelect(),
            help_text="The one warehouse location that belongs to this cart: its orders are sent there, and the outlet's stock "
            "adjustments and transfers are booked there. Its stock is shown in the shop, unless Stock From says otherwise.",
        )
        self.fields["stock_from"] = forms.ChoiceField(
            choices=StockFrom.choices,
            label="Stock From",
            required=False,
            initial=cart.stock_from if cart else StockFrom.LOCATION,
            help_text="Whose stock the shop shows. With all locations, new ones of the warehouse count by themselves. "
            "Locations that are not in use never count. Orders go to the cart's own location all the same.",
        )
        self.fields["stock_locations"] = LocationsField(
            locations,
            label="Locations whose stock is added up",
            required=False,
            initial=[place.pk for place in chosen],
            widget=LocationCheckboxes(),
            help_text="The cart's own location must be among them: its orders are taken from there.",
        )
        if cart is None and len(warehouses) == 1:
            self.fields["warehouse"].initial = warehouses[0].pk

    @property
    def possible(self) -> dict[Function, FunctionFacts]:
        facts = FUNCTIONS_BY_ROLE[self.role]
        return {function: facts[function] for function in self.kind.functions(self.role)}

    def add_functions(self) -> None:
        settings = (
            {setting.function: setting for setting in self.connection.function_settings.all()}
            if self.connection
            else {}
        )
        for function, facts in self.possible.items():
            setting = settings.get(function.value)
            self.fields[f"on__{function.value}"] = forms.BooleanField(
                label=function.label, required=False, initial=setting.is_on if setting else facts.default_on
            )
            if facts.minutes:
                self.fields[f"minutes__{function.value}"] = forms.IntegerField(
                    label=f"Minutes between two runs of {function.label}",
                    min_value=1,
                    max_value=LONGEST_INTERVAL,
                    required=False,
                    initial=setting.minutes if setting and setting.minutes else facts.minutes,
                    widget=forms.NumberInput(attrs={"class": "im-short", "aria-label": f"{function.label}: minutes"}),
                )

    # Sections of the page --------------------------------------------------------------------------------------------

    def general(self) -> list[forms.BoundField]:
        return [self[name] for name in ("merchant", "name") if name in self.fields]

    def of_group(self, group: str, *, advanced: bool) -> list[forms.BoundField]:
        fields = (self.kind.Credentials if group == "credentials" else self.kind.Options).fields()
        return [self[f"{group}__{field.name}"] for field in fields if field.advanced == advanced]

    def credential_fields(self) -> list[forms.BoundField]:
        also = [self["also_for"]] if self.same_token else []
        return self.of_group("credentials", advanced=False) + also

    def option_fields(self) -> list[forms.BoundField]:
        return self.of_group("options", advanced=False)

    def advanced_fields(self) -> list[forms.BoundField]:
        return self.of_group("credentials", advanced=True) + self.of_group("options", advanced=True)

    def advanced_has_errors(self) -> bool:
        return any(field.errors for field in self.advanced_fields())

    def warehouse_fields(self) -> list[forms.BoundField]:
        names = ["warehouse", "location", "stock_from", "stock_locations"]
        if "stock_locations" in self.fields and not self.fields["stock_locations"].queryset.exists():
            names.remove("stock_locations")  # there is none to choose yet
        return [self[name] for name in names if name in self.fields]

    def function_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "function": function,
                "facts": facts,
                "is_beta": "beta" in facts.help.lower(),
                "is_push": not facts.default_on and "beta" not in facts.help.lower(),
                "on": self[f"on__{function.value}"],
                "minutes": self[f"minutes__{function.value}"] if facts.minutes else None,
                "label": function.label,
            }
            for function, facts in self.possible.items()
        ]

    # Checks ----------------------------------------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self.check_name(cleaned)
        self.check_connector_settings(cleaned)
        if self.role is Role.CART:
            self.check_links(cleaned)
        return cleaned

    def merchant(self) -> Merchant | None:
        return self.connection.merchant if self.connection else self.cleaned_data.get("merchant")

    def check_name(self, cleaned: dict[str, Any]) -> None:
        name, merchant = cleaned.get("name"), self.merchant()
        if not name or merchant is None:
            return
        taken = Connection.objects.filter(merchant=merchant, role=self.role, name=name)
        if self.connection is not None:
            taken = taken.exclude(pk=self.connection.pk)
        if taken.exists():
            self.add_error("name", f"There is already a {self.role.value} with this name. Choose another one.")

    def check_connector_settings(self, cleaned: dict[str, Any]) -> None:
        given = {group: self.given(cleaned, group) for group in ("options", "credentials")}
        stored = self.stored_credentials()
        try:
            self.options, self.credentials = check_settings(self.kind, given["options"], given["credentials"], stored)
        except SetupErrors as error:
            for group, errors in error.errors.items():
                for name, text in errors.items():
                    field = f"{group}__{name}"
                    if field in self.fields and not self.has_error(field):
                        self.add_error(field, text)
                    elif field not in self.fields:
                        self.add_error(None, text)

    @staticmethod
    def given(cleaned: dict[str, Any], group: str) -> dict[str, Any]:
        prefix = f"{group}__"
        return {name.removeprefix(prefix): value for name, value in cleaned.items() if name.startswith(prefix)}

    def check_links(self, cleaned: dict[str, Any]) -> None:
        merchant, warehouse = self.merchant(), cleaned.get("warehouse")
        if merchant is None:
            return
        probe = Cart(
            merchant=merchant,
            warehouse=warehouse,
            location=cleaned.get("location"),
            stock_from=cleaned.get("stock_from") or StockFrom.LOCATION,
        )
        cleaned["stock_from"] = probe.stock_from
        if probe.stock_from != StockFrom.SET:
            # What is ticked beside another choice is not shown on the page, and does not count.
            cleaned["stock_locations"] = []
        try:
            check_cart_links(probe, list(cleaned.get("stock_locations") or ()))
        except SetupErrors as error:
            for field, text in error.errors.items():
                self.add_error(field, text)
        able = set(warehouse.possible_functions) if warehouse else None
        for function, facts in self.possible.items():
            if able is not None and facts.counterpart not in (None, *able) and cleaned.get(f"on__{function.value}"):
                self.add_error(
                    f"on__{function.value}", f"{warehouse} cannot do its part of this. Switch it off for now."
                )

    # Saving ----------------------------------------------------------------------------------------------------------

    def save(self) -> Connection:
        cleaned = self.cleaned_data
        model = Cart if self.role is Role.CART else Warehouse
        on = [function.value for function in self.possible if cleaned[f"on__{function.value}"]]
        minutes = {
            function.value: cleaned[f"minutes__{function.value}"]
            for function in self.possible
            if cleaned.get(f"minutes__{function.value}")
        }
        with transaction.atomic():
            connection = self.connection or model(merchant=cleaned["merchant"], connector=self.kind.key)
            settings_changed = (connection.options, self.stored_credentials()) != (self.options, self.credentials)
            connection.name = cleaned["name"]
            connection.options = self.options
            connection.credentials = self.credentials
            if settings_changed:
                # The last test said something about other settings.
                connection.tested_at, connection.test_ok, connection.test_steps = None, None, []
            if isinstance(connection, Cart):
                connection.warehouse, connection.location = cleaned["warehouse"], cleaned["location"]
                connection.stock_from = cleaned["stock_from"]
            connection.save()
            if isinstance(connection, Cart):
                keep_stock_locations(connection, cleaned["stock_locations"])
            if self.connection is None:
                finish_new_connection(connection, on)
            set_functions(connection, on, minutes)
            if cleaned.get("also_for") and self.given_own_access():
                replace_token(self.same_token, self.credentials)
        return connection

    def given_own_access(self) -> list[str]:
        """The parts of the cart's own token that were entered."""
        return [name for name in self.kind.own_access if self.cleaned_data.get(f"credentials__{name}")]


class NamedChoiceField(forms.ModelChoiceField):
    """A choice of connections; names the merchant too where there are several."""

    def __init__(self, *args: Any, with_merchant: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.with_merchant = with_merchant

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.merchant.name})" if self.with_merchant else obj.name


class LocationChoiceField(forms.ModelChoiceField):
    """A choice of locations; says of one that it is switched off."""

    def label_from_instance(self, obj: Any) -> str:
        return named(obj)


class LocationsField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return named(obj)


def input_for(field: SettingField, stored: Any, *, has_stored: bool) -> forms.Field:
    """The input of one typed setting. What is required or well-formed is for the connector to say, so Django's own
    checks are left out."""
    initial = field.default if stored in (None, "") else stored
    common: dict[str, Any] = {"label": field.label, "help_text": field.help, "required": False}
    made: forms.Field
    if field.secret:
        hint = "Stored – leave empty to keep it" if has_stored else ""
        attrs = {"autocomplete": "new-password", "placeholder": hint, "spellcheck": "false"}
        made = forms.CharField(**common, strip=True, widget=forms.PasswordInput(render_value=False, attrs=attrs))
    elif field.kind is FieldKind.BOOLEAN:
        made = forms.BooleanField(**common, initial=bool(initial))
    elif field.kind is FieldKind.CHOICE:
        choices: Choices = list(field.choices)
        if not field.required and field.default in (None, ""):
            choices = [("", "Not chosen"), *choices]
        made = forms.ChoiceField(**common, choices=choices, initial=initial)
    elif field.kind is FieldKind.DATE:
        made = forms.DateField(**common, initial=initial or None, widget=DateInput())
    elif field.kind is FieldKind.INTEGER:
        made = forms.IntegerField(**common, initial=initial)
    else:
        mode = "url" if field.kind is FieldKind.URL else "text"
        made = forms.CharField(**common, initial=initial, widget=forms.TextInput(attrs={"inputmode": mode}))
    made.marked_required = field.required and not (field.secret and has_stored)  # type: ignore[attr-defined]
    return made


class LocationForm(forms.ModelForm):
    class Meta:
        model = Location
        fields = ("name", "external_id", "is_active", "is_default")
        labels = {"external_id": "Id", "is_active": "In use", "is_default": "Default"}
        widgets = {
            "name": forms.TextInput(attrs={"class": "im-input", "aria-label": "Name"}),
            "external_id": forms.TextInput(attrs={"class": "im-input", "aria-label": "Id"}),
        }


class BaseLocationFormSet(forms.BaseInlineFormSet):
    """A warehouse's locations; exactly one of them is the default."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data.get("name")]
        defaults = [row for row in kept if row.get("is_default")]
        if len(defaults) > 1:
            raise forms.ValidationError("Only one location can be the default.")
        if kept and not any(row.get("is_active") for row in kept):
            raise forms.ValidationError("At least one location must be in use.")
        if defaults and not defaults[0].get("is_active"):
            raise forms.ValidationError("The default location must be in use.")

    def save(self, commit: bool = True) -> Any:
        with transaction.atomic():
            # The database allows one default at a time: take the old mark off before the new one is set.
            self.instance.locations.filter(is_default=True).update(is_default=False)
            for form in self.forms:
                if form.instance.pk and form.cleaned_data.get("is_default"):
                    self.instance.locations.filter(pk=form.instance.pk).update(is_default=True)
            saved = super().save(commit)
            for form in self.forms:
                if form.instance.pk and "is_active" in form.changed_data:
                    switched_by_a_person(form.instance)
            return saved


LocationFormSet = forms.inlineformset_factory(
    Warehouse, Location, form=LocationForm, formset=BaseLocationFormSet, fk_name="warehouse", extra=1, can_delete=False
)
