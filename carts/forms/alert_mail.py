"""How a person wants to hear of a merchant's alerts."""

from __future__ import annotations

from typing import Any

from django import forms

from carts.alert_subjects import SUBJECTS
from carts.forms.fields import HubForm


class AlertSubscriptionForm(HubForm):
    is_on = forms.BooleanField(label="Send me this merchant's alerts by e-mail", required=False)
    address = forms.EmailField(label="Your e-mail address", required=False, max_length=254)
    at_once = forms.MultipleChoiceField(
        label="At once",
        required=False,
        choices=[(subject.key, subject.label) for subject in SUBJECTS],
        widget=forms.CheckboxSelectMultiple,
        help_text="One mail when the alert opens, however often its cause is seen. A cause that comes and goes is told "
        "again after six hours at the earliest.",
    )
    digest_hours = forms.TypedMultipleChoiceField(
        label="Digest of everything else at",
        required=False,
        coerce=int,
        choices=[(hour, f"{hour:02}:00") for hour in range(24)],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "im-hours"}),
        help_text="In your time zone. One mail with all alerts that are open then and that you were not told of before; "
        "no mail when there is none.",
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("is_on") and not data.get("address") and "address" not in self.errors:
            self.add_error("address", "Enter the address that the mails shall go to.")
        if data.get("is_on") and not data.get("at_once") and not data.get("digest_hours"):
            self.add_error("digest_hours", "Choose at least one hour, or something that you want to hear of at once.")
        return data
