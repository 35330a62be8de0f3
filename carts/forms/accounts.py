"""Forms about people: merchants, API tokens, preferences."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms

from carts.forms.fields import HubForm
from carts.models import ApiToken


def zone_choices() -> list[tuple[str, str]]:
    """Time zones as people know them: places, and UTC."""
    places = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix/")))
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in places)]


class ZoneField(forms.ChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=zone_choices, **kwargs)

    def valid_value(self, value: Any) -> bool:
        return value in available_timezones()


class PreferenceForm(HubForm):
    time_zone = ZoneField(label="Time zone", help_text="All dates and times on your screens are shown in this zone.")


class TokenForm(HubForm):
    """A new API token of one of the user's merchants."""

    merchant = forms.ModelChoiceField(None, label="Merchant", empty_label=None)
    name = forms.CharField(
        label="Name", max_length=100, help_text="What it is for, for example Accounting export. Only you see it."
    )
    read_only = forms.BooleanField(
        label="Read only", required=False, help_text="A read-only token can look at everything and change nothing."
    )

    def __init__(self, *args: Any, merchants: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["merchant"]
        field.queryset = merchants
        if len(merchants) == 1:
            field.initial = merchants[0]
            field.widget = forms.HiddenInput()
            field.widget.choices = field.choices

    def issue(self) -> tuple[ApiToken, str]:
        cleaned = self.cleaned_data
        return ApiToken.issue(cleaned["merchant"], name=cleaned["name"], read_only=cleaned["read_only"])
