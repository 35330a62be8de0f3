"""The log-in form: it stops those who guess passwords."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.forms import AuthenticationForm

from carts.log_in_limits import address_of, blocked_until, forget_account, in_words, note_failure, subjects_of

logger = logging.getLogger(__name__)


class LogInForm(AuthenticationForm):  # type: ignore[misc]
    """While an account or address is blocked not even the right password is looked at, so that waiting is no hint."""

    def clean(self) -> dict[str, Any]:
        if self.errors:
            return dict(super().clean())  # nothing was tried
        username, address = str(self.cleaned_data.get("username") or ""), address_of(self.request)
        subjects = subjects_of(username, address)
        now = timezone.now()
        if until := blocked_until(subjects, now):
            raise ValidationError(
                f"Too many wrong passwords for this account or from your network. Try again in {in_words(until, now)}.",
                code="blocked",
            )
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            note_failure(subjects, now)
            logger.warning("a log-in from %s failed", address)
            raise
        forget_account(subjects)
        return cleaned
