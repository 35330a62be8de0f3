"""Asking for reconciliations, and keeping what they find: ages carried on, accepted things left alone, one alert."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from carts.alerting import clear_alert, raise_alert
from carts.models import Alert, Cart
from connectors.functions import Function
from syncjobs.models import Mismatch, Reconciliation, Run
from syncjobs.schedule import request_run

State = Mismatch.State
ALERT_KIND = "reconciliation"
# What an ordinary daily look covers. The last minutes are left out: what was just sold is still on its way.
DAYS = timedelta(days=7)
ON_ITS_WAY = timedelta(minutes=10)
LONGEST_PERIOD = timedelta(days=400)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Finding:
    cause: str
    subject: str
    label: str
    here: str = ""
    there: str = ""
    order_id: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.cause, self.subject


class PeriodInvalid(Exception):
    """The text says what is wrong with the period."""


def default_period(now: datetime) -> tuple[datetime, datetime]:
    until = now - ON_ITS_WAY
    return until - DAYS, until


def request_reconciliation(
    cart: Cart, trigger: str, since: datetime | None = None, until: datetime | None = None, requested_by: str = ""
) -> tuple[Reconciliation, Run]:
    """Queues a comparison. Raises ``PeriodInvalid``."""
    now = timezone.now()
    _, last = default_period(now)
    until = min(until or last, last)
    since = since or until - DAYS
    if since >= until:
        raise PeriodInvalid("The period must begin before it ends, and at least ten minutes ago.")
    if until - since > LONGEST_PERIOD:
        raise PeriodInvalid(f"A period may have {LONGEST_PERIOD.days} days at most.")
    with transaction.atomic():
        report = Reconciliation.objects.create(cart=cart, since=since, until=until, requested_by=requested_by[:150])
        run = request_run(cart, Function.RECONCILIATION, trigger, requested_by=requested_by)
        Reconciliation.objects.filter(pk=report.pk).update(run=run)
    return report, run


def next_report(cart: Cart, run: Run) -> Reconciliation:
    """The oldest comparison that was asked for, or the ordinary one of today."""
    waiting = Reconciliation.objects.filter(cart=cart, state=Reconciliation.State.QUEUED).order_by("pk").first()
    if waiting is not None:
        return waiting
    since, until = default_period(timezone.now())
    return Reconciliation.objects.create(cart=cart, run=run, since=since, until=until)


def keep(report: Reconciliation, findings: Iterable[Finding], order_ids: set[int], whole_stock: bool) -> None:
    """Stores what was found. Known mismatches keep their age; those of this period that were not found again are gone.
    ``order_ids``: the orders that were looked at, so that others' mismatches stay open."""
    now = timezone.now()
    found = {finding.key: finding for finding in findings}
    known = {(row.cause, row.subject): row for row in open_mismatches(report.cart)}
    accepted = set(
        Mismatch.objects.filter(cart=report.cart, state=State.ACCEPTED).values_list("cause", "subject", "here", "there")
    )
    new, again = [], []
    for key, finding in found.items():
        if key in known:
            row = known.pop(key)
            row.here, row.there, row.report_id, row.last_seen_at = finding.here, finding.there, report.pk, now
            row.state = State.OPEN
            again.append(row)
        elif (*key, finding.here, finding.there) not in accepted:
            new.append(mismatch(report, finding, now))
    gone = [row.pk for row in known.values() if was_looked_at(row, report, order_ids, whole_stock)]
    with transaction.atomic():
        Mismatch.objects.bulk_create(new, batch_size=BATCH)
        Mismatch.objects.bulk_update(again, ["here", "there", "report", "last_seen_at", "state"], batch_size=BATCH)
        Mismatch.objects.filter(pk__in=gone).update(state=State.GONE, settled_at=now, settled_by="hub")
        Reconciliation.objects.filter(pk=report.pk).update(
            state=Reconciliation.State.DONE, finished_at=now, found=len(new) + len(again), counts=report.counts
        )
        tell(report.cart)


def mismatch(report: Reconciliation, finding: Finding, now: datetime) -> Mismatch:
    return Mismatch(
        cart=report.cart,
        report=report,
        cause=finding.cause,
        subject=finding.subject[:200],
        label=finding.label[:200],
        order_id=finding.order_id,
        here=finding.here[:200],
        there=finding.there[:200],
        first_seen_at=now,
        last_seen_at=now,
    )


def was_looked_at(row: Mismatch, report: Reconciliation, order_ids: set[int], whole_stock: bool) -> bool:
    if row.cause == Mismatch.Cause.STOCK_DIFFERS:
        return whole_stock
    if row.order_id is not None:
        return row.order_id in order_ids
    # An order that was missing here: looked for again when its report's period is within this one.
    before = row.report
    return before is None or (report.since <= before.since and before.until <= report.until) or order_came(row)


def order_came(row: Mismatch) -> bool:
    return row.cart.orders.filter(external_id=row.subject).exists()


def open_mismatches(cart: Cart) -> Iterable[Mismatch]:
    return Mismatch.objects.filter(cart=cart, state__in=[State.OPEN, State.FIXING]).select_related("cart", "report")


def tell(cart: Cart) -> None:
    """One alert per cart, closed when nothing is open any more."""
    number = Mismatch.objects.filter(cart=cart, state=State.OPEN).count()
    if not number:
        clear_alert(cart.merchant_id, ALERT_KIND, str(cart.pk))
        return
    things = "1 thing does" if number == 1 else f"{number} things do"
    raise_alert(
        cart.merchant,
        ALERT_KIND,
        str(cart.pk),
        f"{cart}: {things} not agree between cart, hub and warehouse.",
        fix="Open the list, look at cause and both values, and choose Fix or Accept.",
        link=f"/admin/syncjobs/mismatch/?cart={cart.pk}&state=open",
        connection=cart,
        severity=Alert.Severity.WARNING,
    )


def accept(row: Mismatch, reason: str, actor: str) -> None:
    """Leaves this difference alone as long as both sides keep saying what they say now."""
    Mismatch.objects.filter(pk=row.pk).update(
        state=State.ACCEPTED, settled_at=timezone.now(), settled_by=actor[:150], note=reason[:300]
    )
    tell(row.cart)
