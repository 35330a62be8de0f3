"""What a Tryton server says when something went wrong, in the types that the engine knows.

Business errors arrive with status 200 and ``error``. Tryton undoes what a failed call did, except for what it does
afterwards of its own accord (processing a sale that was just confirmed).
"""

from __future__ import annotations

from typing import Any

from connectors.budget import utc_now
from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    RecordRefused,
    RemoteUnavailable,
)
from connectors.http import DEFAULT_RATE_LIMIT_WAIT

PASSWORD_FIX = "Enter the user name and the password of a Tryton user in the warehouse's settings, then click Test."
RIGHTS_FIX = (
    "In Tryton open Administration > Users > Users and give the hub's user the groups Sales, Stock, Stock Force "
    "Assignment and Party Administration, then click Test."
)
# Tryton module -> the models that only it has.
MODULES = {
    "sale": ("sale.sale", "sale.line"),
    "stock": (
        "stock.location",
        "stock.move",
        "stock.inventory",
        "stock.inventory.line",
        "stock.shipment.out",
        "stock.shipment.out.return",
        "stock.shipment.internal",
    ),
    "product": ("product.product", "product.template"),
    "party": ("party.party", "party.address", "party.contact_mechanism"),
    "company": ("company.company",),
}


class QuestionAsked(RecordRefused):
    """Tryton asks its user whether to go on (a warning). ``name`` is what a yes would be given to."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(
            f"Tryton asks before it goes on: {message}",
            fix="Look at the document in Tryton and carry it out there, then release it here.",
        )
        self.name = name


def error_of(method: str, error: Any, *, reads: bool) -> ConnectorError:
    """The typed error for the ``error`` of an answer."""
    kind, detail = parts_of(error)
    message = sentence(detail)
    if kind == "UserError":
        if denied(detail):
            return PermissionMissing(f"Tryton does not let the hub's user do this: {message}", fix=RIGHTS_FIX)
        return RecordRefused(f"Tryton says: {message}", fix="Correct it in Tryton or here, then send it again.")
    if kind == "UserWarning" and isinstance(detail, list) and len(detail) > 1:
        return QuestionAsked(str(detail[0]), str(detail[1]))
    if kind == "LoginException":
        return AuthenticationFailed("Tryton does not accept the log-in.", fix=PASSWORD_FIX)
    if kind == "RateLimitException":
        return RateLimited("Tryton takes no more log-ins for now.", retry_at=utc_now() + DEFAULT_RATE_LIMIT_WAIT)
    if kind == "ConcurrencyException":
        return RemoteUnavailable("Somebody changed the same record in Tryton at the same moment.")
    if kind == "MissingDependenciesException":
        return ConfigurationInvalid(f"Tryton cannot start its modules: {message}", fix="Install them on the server.")
    return fault_of(method, str(kind), reads=reads)


def fault_of(method: str, text: str, *, reads: bool) -> ConnectorError:
    """An error that Tryton did not expect itself. A model that it does not have looks the same."""
    model = method.removeprefix("model.").rpartition(".")[0]
    if text == f"'{model}'":
        module = next((name for name, models in MODULES.items() if model in models), "")
        if module:
            return ConfigurationInvalid(
                f"Tryton has no {model}: its module {module} is not activated.",
                fix=f"In Tryton open Administration > Modules, activate {module}, then click Test.",
            )
        return ConfigurationInvalid(f"Tryton has no {model}.", fix="Activate the module that has it, then click Test.")
    message = f"Tryton failed at {method}: {text[:300] or 'it does not say why'}."
    fix = "If it lasts, look at the log of the Tryton server."
    return ContractBroken(message, fix=fix) if reads else OutcomeUnknown(message)


def parts_of(error: Any) -> tuple[Any, Any]:
    """``["UserError", [message, description, ...]]``, or ``[text, traceback]``."""
    if isinstance(error, list) and error:
        return error[0], error[1] if len(error) > 1 else ""
    return error, ""


def sentence(detail: Any) -> str:
    """Message and description as one text, without what is only for Tryton's own client."""
    texts = [str(text).strip() for text in detail[:2] if text] if isinstance(detail, list) else [str(detail).strip()]
    said = " ".join(text for text in texts if text and not text.startswith("Within groups"))
    return " ".join(said.split())[:500] or "no reason was given"


def denied(detail: Any) -> bool:
    """Is it the user's rights? Tryton then names the groups that the user is in."""
    return isinstance(detail, list) and len(detail) > 1 and str(detail[1] or "").startswith("Within groups")
