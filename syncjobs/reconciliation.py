"""Asking for reconciliations, and keeping what they find: ages carried on, accepted things left alone, one alert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from carts.alerting import clear_alert, raise_alert
from carts.models import Alert, Cart
from connectors.functions import Function
from syncjobs.models import Mismatch, Reconciliation, Run, Schedule
from syncjobs.schedule import request_run

State = Mismatch.State
Cause = Mismatch.Cause
ALERT_KIND = "reconciliation"
# What an ordinary daily look covers. The last minutes are left out: what was just sold is still on its way.
DAYS = timedelta(days=7)
ON_ITS_WAY = timedelta(minutes=10)
LONGEST_PERIOD = timedelta(days=400)
BATCH = 500
# More of one cause are counted, but not listed: they are one trouble, not thousands.
MOST_PER_CAUSE = 5000
# What is new is looked at again soon, and so is what somebody mended: the alert need not stay open until tomorrow.
LOOK_AGAIN = timedelta(hours=1)
LOOK_AGAIN_AFTER_FIX = timedelta(minutes=15)

# What is said about single orders, by whom.
CART_CAUSES = frozenset(
    {Cause.MISSING_HERE, Cause.MISSING_AT_CART, Cause.CANCELLED_AT_CART, Cause.CANCELLED_HERE, Cause.TOTAL_DIFFERS}
)
HUB_CAUSES = frozenset({Cause.NOT_SENT, Cause.NOT_CONFIRMED})
WAREHOUSE_CAUSES = frozenset(
    {
        Cause.MISSING_AT_WAREHOUSE,
        Cause.ALIVE_AT_WAREHOUSE,
        Cause.CANCELLED_AT_WAREHOUSE,
        Cause.SHIPPED_AT_WAREHOUSE,
        Cause.ARRIVED_UNKNOWN,
        Cause.TOTAL_AT_WAREHOUSE,
    }
)
ORDER_CAUSES = CART_CAUSES | HUB_CAUSES | WAREHOUSE_CAUSES
STOCK_CAUSES = frozenset({Cause.STOCK_DIFFERS})
PRICE_CAUSES = frozenset({Cause.RETAIL_PRICE_DIFFERS, Cause.SUPPLY_PRICE_DIFFERS})

NO_PRICE = "none"

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    cause: str
    subject: str
    label: str
    here: str = ""
    there: str = ""
    place: str = ""
    order_id: int | None = None
    placed_at: datetime | None = None

    @property
    def key(self) -> Key:
        """As it is stored."""
        return self.cause, self.subject[:200]


class PeriodInvalid(Exception):
    """The text says what is wrong with the period."""


# --- asking ----------------------------------------------------------------------------------------------------------


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


def waiting_report(cart: Cart) -> Reconciliation | None:
    """The oldest comparison that was asked for, or begun, and is not done."""
    return Reconciliation.objects.filter(cart=cart, state=Reconciliation.State.QUEUED).order_by("pk").first()


def ordinary_report(cart: Cart, run: Run) -> Reconciliation:
    since, until = default_period(timezone.now())
    return Reconciliation.objects.create(cart=cart, run=run, since=since, until=until)


def look_again(cart: Cart, after: timedelta) -> None:
    """Brings the next comparison forward, if there is to be one at all."""
    at = timezone.now() + after
    Schedule.objects.filter(connection_id=cart.pk, function=Function.RECONCILIATION, next_run_at__gt=at).update(
        next_run_at=at
    )


# --- keeping ---------------------------------------------------------------------------------------------------------


def keep(report: Reconciliation, findings: Iterable[Finding], listed: Counter[str]) -> int:
    """Stores what was found, in batches. Known mismatches keep their age, accepted ones stay accepted while both sides
    say what they said. ``listed`` counts the report's mismatches by cause. Returns how many are new."""
    new, batch = 0, {}
    for finding in findings:
        batch[finding.key] = finding
        if len(batch) >= BATCH:
            new += keep_batch(report, batch, listed)
            batch = {}
    return new + keep_batch(report, batch, listed)


def keep_batch(report: Reconciliation, findings: dict[Key, Finding], listed: Counter[str]) -> int:
    if not findings:
        return 0
    now = timezone.now()
    rows = Mismatch.objects.filter(cart_id=report.cart_id, subject__any_of={subject for _, subject in findings})
    known: dict[Key, Mismatch] = {}
    accepted: set[tuple[str, str, str, str]] = set()
    for row in rows.filter(state__in=[State.OPEN, State.FIXING, State.ACCEPTED]):
        if row.state == State.ACCEPTED:
            accepted.add((row.cause, row.subject, row.here, row.there))
        else:
            known[row.cause, row.subject] = row
    new, again = [], []
    for key, finding in findings.items():
        row = mismatch(report, finding, now)
        before = known.get(key)
        if before is None and (*key, row.here, row.there) in accepted:
            continue
        if before is not None and before.report_id == report.pk:
            continue  # met twice in one comparison
        listed[finding.cause] += 1
        if before is not None:
            row.pk, row.first_seen_at = before.pk, before.first_seen_at
            again.append(row)
        elif listed[finding.cause] <= MOST_PER_CAUSE:
            new.append(row)
    changing = ["here", "there", "place", "placed_at", "order", "report", "last_seen_at", "state"]
    with transaction.atomic():
        Mismatch.objects.bulk_create(new, batch_size=BATCH, ignore_conflicts=True)
        Mismatch.objects.bulk_update(again, changing, batch_size=BATCH)
    return len(new)


def mismatch(report: Reconciliation, finding: Finding, now: datetime) -> Mismatch:
    return Mismatch(
        cart_id=report.cart_id,
        report=report,
        cause=finding.cause,
        subject=finding.subject[:200],
        label=finding.label[:200],
        order_id=finding.order_id,
        placed_at=finding.placed_at,
        place=finding.place[:200],
        here=finding.here[:200],
        there=finding.there[:200],
        first_seen_at=now,
        last_seen_at=now,
    )


def open_mismatches(cart: Cart) -> QuerySet[Mismatch]:
    return Mismatch.objects.filter(cart=cart, state__in=[State.OPEN, State.FIXING])


def settle_gone(report: Reconciliation, looked_at: QuerySet[Mismatch], undecided: set[Key]) -> None:
    """Those among these that this report looked at and did not find again are gone, save for what could not be decided
    now."""
    gone = [
        pk
        for pk, cause, subject in looked_at.filter(~Q(report=report) | Q(report=None)).values_list(
            "pk", "cause", "subject"
        )
        if (cause, subject) not in undecided
    ]
    for start in range(0, len(gone), BATCH):
        Mismatch.objects.filter(pk__in=gone[start : start + BATCH]).update(
            state=State.GONE, settled_at=timezone.now(), settled_by="hub"
        )


def finish(report: Reconciliation, listed: Counter[str], new: int) -> None:
    """The comparison is done; the alert says what is open now."""
    with transaction.atomic():
        Reconciliation.objects.filter(pk=report.pk).update(
            state=Reconciliation.State.DONE,
            finished_at=timezone.now(),
            found=listed.total(),
            counts=report.counts,
            left_out=report.left_out,
            progress={},
            error="",
        )
        tell(report.cart)
        if new:
            look_again(report.cart, LOOK_AGAIN)


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


def accept_all(rows: QuerySet[Mismatch], reason: str, actor: str) -> int:
    """The same for many. Returns how many."""
    carts = list(Cart.objects.filter(pk__in=rows.order_by().values("cart")).select_related("merchant"))
    with transaction.atomic():
        number = rows.order_by().update(
            state=State.ACCEPTED, settled_at=timezone.now(), settled_by=actor[:150], note=reason[:300]
        )
        for cart in carts:
            tell(cart)
    return number
