"""Forms about orders: an address, a correction, a cancellation, a shipment."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms

from carts.forms.fields import HubForm, ReasonForm
from carts.models import Order, OrderLine, PickLine
from carts.models.fields import plain_decimal
from connectors.records import Address

ADDRESS_LABELS = {
    "name": "Name",
    "company": "Company",
    "street1": "Street and number",
    "street2": "Address line 2",
    "suburb": "Suburb",
    "city": "City",
    "state": "State or region",
    "postcode": "Postcode",
    "country": "Country",
    "phone": "Phone",
    "email": "E-mail",
}
NEEDED = ("street1", "city", "country")


class CancelForm(ReasonForm):
    tell_warehouse = forms.BooleanField(
        label="Ask the warehouse to cancel it too",
        required=False,
        initial=True,
        help_text="Only matters for orders that the warehouse already has. Switched off: cancelled here only.",
    )


class AddressForm(HubForm):
    """The ship-to address of an order that was not sent yet."""

    def __init__(self, *args: Any, can_release: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        add_address_fields(self)
        if can_release:
            self.fields["release"] = release_field()
        self.style_inputs()

    def address(self) -> Address:
        return address_in(self)


class ItemsForm(HubForm):
    """The SKUs of an order that was not sent yet."""

    def __init__(self, *args: Any, lines: Iterable[OrderLine], can_release: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        add_sku_fields(self, lines)
        if can_release:
            self.fields["release"] = release_field()
        self.style_inputs()

    def skus(self) -> dict[int, str]:
        return skus_in(self)


class CorrectionForm(HubForm):
    """What a warehouse may have refused in an order: its address, its ship method, its SKUs; and whether it goes again."""

    def __init__(self, *args: Any, order: Order, lines: Iterable[OrderLine], **kwargs: Any) -> None:
        address = {name: order.ship_to.get(name, "") for name in ADDRESS_LABELS}
        kwargs["initial"] = {**address, "ship_method": order.ship_method, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        add_sku_fields(self, lines)
        self.fields["ship_method"] = forms.CharField(
            label="Ship method", max_length=120, required=False, help_text="As the warehouse knows it. May stay empty."
        )
        add_address_fields(self)
        self.fields["reprocess"] = forms.BooleanField(
            label="Reprocess it now: the order goes to the warehouse next", required=False, initial=True
        )
        self.style_inputs()

    def changes(self) -> dict[str, Any]:
        """As ``carts.order_edits.change_unsent`` takes them."""
        return {
            "ship_to": address_in(self).as_dict(),
            "ship_method": self.cleaned_data["ship_method"],
            "skus": skus_in(self),
        }


def add_address_fields(form: forms.Form) -> None:
    for name, label in ADDRESS_LABELS.items():
        form.fields[name] = forms.CharField(label=label, max_length=200, required=name in NEEDED)
    form.fields["country"].help_text = "Two letters, for example NZ, US or DE."


def address_in(form: forms.Form) -> Address:
    return Address.from_dict({name: form.cleaned_data[name].strip() for name in ADDRESS_LABELS})


def add_sku_fields(form: forms.Form, lines: Iterable[OrderLine]) -> None:
    for line in lines:
        if line.ships:
            quantity = plain_decimal(line.quantity)
            form.fields[f"sku_{line.pk}"] = forms.CharField(
                label=f"SKU of {quantity} × {line.name or line.sku or 'an item without name'}",
                max_length=200,
                initial=line.sku,
                help_text="As the warehouse knows it.",
            )


def skus_in(form: forms.Form) -> dict[int, str]:
    return {
        int(name.removeprefix("sku_")): value for name, value in form.cleaned_data.items() if name.startswith("sku_")
    }


def release_field() -> forms.BooleanField:
    return forms.BooleanField(label="Release the order: it goes to the warehouse next", required=False, initial=True)


class ParcelForm(HubForm):
    """Carrier and tracking of one shipment."""

    carrier = forms.CharField(label="Carrier", max_length=120, required=False, help_text="For example DHL or NZ Post.")
    method = forms.CharField(label="Service", max_length=120, required=False, help_text="For example Express.")
    tracking_number = forms.CharField(label="Tracking number", max_length=200, required=False)
    tracking_url = forms.URLField(
        label="Tracking link", max_length=500, required=False, assume_scheme="https", help_text="May stay empty."
    )


class ShipForm(ParcelForm):
    """Mark shipped: the parcel, and how much of each line is in it (prefilled with what is open)."""

    def __init__(self, *args: Any, lines: Iterable[PickLine], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = [line for line in lines if line.open_quantity > 0]
        for line in self.lines:
            self.fields[self.name_of(line)] = forms.DecimalField(
                label=f"Quantity of {line.sku or line.name}",
                min_value=Decimal(0),
                max_value=line.open_quantity,
                max_digits=16,
                decimal_places=5,
                required=False,
                initial=plain_decimal(line.open_quantity),
                widget=forms.NumberInput(attrs={"class": "im-short", "step": "any"}),
                error_messages={
                    "max_value": f"Only {plain_decimal(line.open_quantity)} are still open.",
                    "min_value": "A quantity cannot be negative.",
                },
            )
        self.style_inputs()

    @staticmethod
    def name_of(line: PickLine) -> str:
        return f"line_{line.pk}"

    def rows(self) -> list[tuple[PickLine, forms.BoundField]]:
        return [(line, self[self.name_of(line)]) for line in self.lines]

    def parcel_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("carrier", "method", "tracking_number", "tracking_url")]

    def quantities(self) -> dict[PickLine, Decimal]:
        chosen = {line: self.cleaned_data.get(self.name_of(line)) or Decimal(0) for line in self.lines}
        return {line: quantity for line, quantity in chosen.items() if quantity > 0}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and not self.quantities():
            raise forms.ValidationError("Enter a quantity for at least one line.")
        return cleaned
