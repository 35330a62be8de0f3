"""The base of the admin's own forms: one look, labels and error texts tied to their inputs."""

from __future__ import annotations

from typing import Any

from django import forms

PLAIN_INPUTS = (forms.CheckboxInput, forms.HiddenInput, forms.RadioSelect, forms.CheckboxSelectMultiple)


class HubForm(forms.Form):
    """A form whose inputs look like the rest of the admin."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        self.style_inputs()

    def style_inputs(self) -> None:
        for field in self.fields.values():
            if not isinstance(field.widget, PLAIN_INPUTS):
                known = field.widget.attrs.get("class", "")
                if "im-" not in known:
                    field.widget.attrs["class"] = f"{known} im-input".strip()


class DateInput(forms.DateInput):
    """The browser's own date picker."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class ReasonForm(HubForm):
    """Why something is done; written into the history."""

    reason = forms.CharField(
        label="Reason", max_length=300, help_text="Written into the history, for whoever looks at this later."
    )


class OptionalReasonForm(ReasonForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False
