"""Forms about stock and products of the built-in warehouse."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from carts.forms.fields import HubForm
from carts.models import Location, Product, Warehouse
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal

LARGEST_FILE = 20 * 1024 * 1024


class StockForm(HubForm):
    """What may be sold of one SKU at one location."""

    available = forms.DecimalField(
        label="Available",
        max_digits=16,
        decimal_places=5,
        help_text="What may be sold now, without what open orders still need.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )


class NewStockForm(StockForm):
    location = forms.ModelChoiceField(None, label="Location", empty_label=None)
    sku = forms.CharField(label="SKU", max_length=200)
    field_order = ("location", "sku", "available")

    def __init__(self, *args: Any, locations: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = PlaceField(locations, label="Location", empty_label=None)
        field.widget.attrs["class"] = "im-input"
        self.fields["location"] = field
        self.order_fields(self.field_order)


class PlaceField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Location) -> str:
        return f"{obj.warehouse.name}: {obj.name}"


class CsvForm(HubForm):
    """A CSV file for one warehouse."""

    warehouse = forms.ModelChoiceField(None, label="Warehouse", empty_label=None)
    file = forms.FileField(label="CSV file", widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))

    def __init__(self, *args: Any, warehouses: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["warehouse"]
        field.queryset = warehouses
        if len(warehouses) == 1:
            field.initial = warehouses[0]

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_FILE:
            raise forms.ValidationError("The file is larger than 20 MB. Split it into parts.")
        return file


class ProductForm(HubForm):
    """A product of the built-in warehouse, with its price lists as lines ``retail: 20.00``."""

    sku = forms.CharField(label="SKU", max_length=200)
    name = forms.CharField(label="Name", max_length=500)
    barcode = forms.CharField(label="Barcode", max_length=80, required=False)
    brand = forms.CharField(label="Brand", max_length=200, required=False)
    description = forms.CharField(label="Description", required=False, widget=forms.Textarea(attrs={"rows": 4}))
    prices = forms.CharField(
        label="Price lists",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "Retail: 20.00\nWholesale: 11.50"}),
        help_text="One price list a line: its name, a colon, the price. Carts choose a list by its name.",
    )
    is_active = forms.BooleanField(label="Sold at present", required=False, initial=True)

    def __init__(self, *args: Any, warehouse: Warehouse | None, product: Product | None = None, **kwargs: Any) -> None:
        self.warehouse, self.product = warehouse, product
        if product is not None:
            kwargs.setdefault("initial", initial_of(product))
        super().__init__(*args, **kwargs)

    def clean_sku(self) -> str:
        sku = str(self.cleaned_data["sku"]).strip()
        taken = Product.objects.filter(connection=self.warehouse, sku_key=sku_key(sku), deleted=False)
        if self.product is not None:
            taken = taken.exclude(pk=self.product.pk)
        if self.warehouse is not None and taken.exists():
            raise forms.ValidationError("There is already a product with this SKU.")
        return sku

    def clean_prices(self) -> dict[str, str]:
        prices: dict[str, str] = {}
        for line in str(self.cleaned_data["prices"]).splitlines():
            if not line.strip():
                continue
            name, colon, text = line.partition(":")
            try:
                amount = Decimal(text.strip().replace(",", "."))
            except InvalidOperation:
                amount = Decimal(-1)
            if not colon or not name.strip() or not amount.is_finite() or amount < 0:
                raise forms.ValidationError(f"“{line.strip()}” is not a price. Write for example Retail: 20.00")
            prices[name.strip()] = plain_decimal(amount, 2)
        return prices


def initial_of(product: Product) -> dict[str, Any]:
    fields = ("sku", "name", "barcode", "brand", "description", "is_active")
    prices = "\n".join(f"{name}: {price}" for name, price in product.prices.items())
    return {**{name: getattr(product, name) for name in fields}, "prices": prices}
