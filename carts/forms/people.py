"""Who looks after something."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q

from carts.admin.scoping import SUPPORT_GROUP
from carts.forms.fields import HubForm


class AssignForm(HubForm):
    """Only people who may see the merchant's things."""

    person = forms.ModelChoiceField(get_user_model().objects.none(), label="Assign to", empty_label="Nobody")

    def __init__(self, *args: Any, merchants: set[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["person"]
        field.queryset = people_who_may_see(merchants)
        field.required = False


def people_who_may_see(merchants: set[int]) -> Any:
    """Staff who see every one of these merchants."""
    people = get_user_model().objects.filter(is_active=True, is_staff=True)
    team = Q(is_superuser=True) | Q(groups__name__iexact=SUPPORT_GROUP)
    members = Q(memberships__merchant__in=merchants) if len(merchants) == 1 else Q(pk__in=[])
    return people.filter(team | members).distinct()
