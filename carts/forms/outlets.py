"""The form that adds carts for the other outlets of a store: one row for each outlet without a cart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from carts.forms.connections import input_for
from carts.forms.fields import HubForm
from carts.models import Cart, Location
from carts.outlet_carts import LONGEST_NAME, WantedCart, default_names, fitting_location, own_access_of
from carts.outlets import OutletPlace

# Four fields for each stay below the number of fields that one request may hold.
MOST_ROWS = 100


class OutletCartsForm(HubForm):
    """``wanted`` holds what was chosen; ``show_errors`` takes what ``add_carts`` found."""

    test = forms.BooleanField(label="Test each new cart at once", required=False, initial=True)

    def __init__(self, *args: Any, source: Cart, places: Sequence[OutletPlace], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.source = source
        self.places = [place for place in places if place.is_free][:MOST_ROWS]
        own = own_access_of(source)
        self.own_access = [field for field in source.connector_class.Credentials.fields() if field.name in own]
        active = Location.objects.filter(warehouse_id=source.warehouse_id, is_active=True)
        self.locations = {str(location.pk): location for location in active}
        names = default_names(source, self.places)
        for place in self.places:
            self.add_row(place, names[place.outlet.external_id])
        self.style_inputs()

    def add_row(self, place: OutletPlace, name: str) -> None:
        outlet, number = place.outlet, place.outlet.pk
        self.fields[f"add_{number}"] = forms.BooleanField(
            label=f"Add a cart for {outlet}", required=False, initial=True
        )
        self.fields[f"name_{number}"] = forms.CharField(
            label=f"Name of the cart for {outlet}", max_length=LONGEST_NAME, required=False, initial=name
        )
        if self.locations:
            fitting = fitting_location(outlet, self.locations.values())
            self.fields[f"location_{number}"] = forms.ChoiceField(
                choices=[("", "The warehouse's default location"), *self.locations.items()],
                label=f"Location of {outlet}",
                required=False,
                initial=fitting.pk if fitting else "",
            )
        for setting in self.own_access:
            field = input_for(setting, None, has_stored=False)
            field.label, field.help_text = f"{setting.label} of {outlet}", ""
            field.short_label = setting.label  # type: ignore[attr-defined]
            field.widget.attrs["placeholder"] = f"The same as {self.source}"
            self.fields[f"own_{number}_{setting.name}"] = field

    def rows(self) -> list[dict[str, Any]]:
        """The inputs of each outlet, for the table."""
        return [
            {
                "outlet": place.outlet,
                "add": self[f"add_{place.outlet.pk}"],
                "name": self[f"name_{place.outlet.pk}"],
                "location": self[name] if (name := f"location_{place.outlet.pk}") in self.fields else None,
                "own": [self[f"own_{place.outlet.pk}_{setting.name}"] for setting in self.own_access],
            }
            for place in self.places
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not any(cleaned.get(f"add_{place.outlet.pk}") for place in self.places):
            raise forms.ValidationError("Tick the outlets that are to get a cart.")
        return cleaned

    @property
    def wanted(self) -> list[WantedCart]:
        cleaned = self.cleaned_data
        return [
            WantedCart(
                outlet=place.outlet,
                name=cleaned[f"name_{place.outlet.pk}"],
                location=self.locations.get(cleaned.get(f"location_{place.outlet.pk}", "")),
                credentials={
                    setting.name: value
                    for setting in self.own_access
                    if (value := cleaned[f"own_{place.outlet.pk}_{setting.name}"])
                },
            )
            for place in self.places
            if cleaned[f"add_{place.outlet.pk}"]
        ]

    def show_errors(self, errors: Mapping[str, Mapping[str, str]]) -> None:
        numbers = {place.outlet.external_id: place.outlet.pk for place in self.places}
        for outlet_id, fields in errors.items():
            for name, text in fields.items():
                field = f"{name}_{numbers.get(outlet_id)}"
                if name == "credentials" and self.own_access:
                    field = f"own_{numbers.get(outlet_id)}_{self.own_access[0].name}"
                self.add_error(field if field in self.fields else None, text)
