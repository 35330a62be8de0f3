"""What alerts are about, in the words of the people who choose which ones they want by e-mail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlertSubject:
    key: str
    label: str
    kinds: frozenset[str]


ACCESS = AlertSubject(
    "access",
    "A shop or warehouse refuses us, or its settings are wrong",
    frozenset(
        {"authentication", "permission", "configuration", "credentials", "outlet_address", "webhooks", "location_gone"}
    ),
)
UNREACHABLE = AlertSubject(
    "unreachable",
    "A shop or warehouse cannot be reached",
    frozenset({"unavailable", "outcome_unknown", "contract", "wms_webhooks"}),
)
ORDERS = AlertSubject(
    "orders",
    "An order or a return needs a decision",
    frozenset(
        {
            "changed_after_sending",
            "change_refused",
            "cancelled_after_shipping",
            "cancellation_refused",
            "warehouse_not_told",
            "refund_without_order",
            "refund_refused",
            "reconciliation",
        }
    ),
)
RECORDS = AlertSubject("records", "Records could not be processed", frozenset({"failed_records", "refused"}))
OTHER = AlertSubject("other", "Everything else", frozenset())

SUBJECTS = (ACCESS, UNREACHABLE, ORDERS, RECORDS, OTHER)
BY_KIND = {kind: subject for subject in SUBJECTS for kind in subject.kinds}


def subject_of(kind: str) -> AlertSubject:
    return BY_KIND.get(kind, OTHER)
