"""How far back a cart's first load goes, asked before the cart is switched on."""

from __future__ import annotations

from django import forms
from django.utils import timezone

from carts.forms.fields import DateInput, HubForm


class FirstLoadForm(HubForm):
    """Suggests today; only who empties it gets the whole history."""

    earliest_order_date = forms.DateField(
        label="Take sales from",
        required=False,
        initial=timezone.localdate,
        widget=DateInput,
        help_text="Every sale that is taken becomes an order and is sent to the warehouse, also one that was handed over the "
        "counter long ago. Sales made before this day are left out. Empty: everything that was ever sold there is taken "
        "and sent.",
    )
