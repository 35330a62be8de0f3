"""E-mail of alerts: at once for what a user chose, the rest in a digest. One mail per cause, never per record.

Called every minute. Rows are made first and sent then, so a crash forgets nobody; at worst one mail arrives twice.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from smtplib import SMTPException
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string

from carts.alert_subjects import subject_of
from carts.models import Alert, AlertMail, AlertSubscription, Membership, Preference

logger = logging.getLogger(__name__)

# A cause that comes and goes is told at once once, and afterwards by digest.
SAME_CAUSE_AGAIN_AFTER = timedelta(hours=6)
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
GIVE_UP_AFTER = timedelta(days=2)
MOST_IN_ONE_MAIL = 50


def mail_is_set_up() -> bool:
    return bool(settings.EMAIL_URL)


def send_alert_mails(now: datetime) -> int:
    """Tells every subscriber what is to be told now. Returns the number of mails sent."""
    if not mail_is_set_up():
        return 0
    for subscription in AlertSubscription.objects.filter(
        is_on=True, user__is_active=True, merchant__is_active=True
    ).select_related("user__preference", "merchant"):
        queue(subscription, now)
    return send_queued(now)


def queue(subscription: AlertSubscription, now: datetime) -> None:
    """Makes the rows of what this subscriber has not been told yet."""
    hour = digest_hour(subscription, now)
    is_digest = hour is not None and hour > subscription.last_digest_at
    untold = Alert.objects.filter(merchant=subscription.merchant, status=Alert.Status.OPEN).exclude(
        mails__subscription=subscription
    )
    alerts = list(untold.order_by("first_seen_at", "pk"))
    with transaction.atomic():
        if is_digest:
            # The hour is taken by one worker only.
            mine = AlertSubscription.objects.filter(pk=subscription.pk, last_digest_at__lt=hour)
            is_digest = bool(mine.update(last_digest_at=hour))
        told_lately = set(
            AlertMail.objects.filter(
                subscription=subscription, at_once=True, created_at__gt=now - SAME_CAUSE_AGAIN_AFTER
            ).values_list("alert__kind", "alert__key")
        )
        rows = []
        for alert in alerts:
            at_once = subject_of(alert.kind).key in subscription.at_once
            at_once = at_once and (alert.kind, alert.key) not in told_lately
            if at_once or is_digest:
                rows.append(AlertMail(subscription=subscription, alert=alert, at_once=at_once, run_at=now))
        AlertMail.objects.bulk_create(rows, ignore_conflicts=True)


def digest_hour(subscription: AlertSubscription, now: datetime) -> datetime | None:
    """The latest digest hour that has come, today or yesterday, in the user's zone."""
    local = now.astimezone(zone_of(subscription))
    hours = {int(hour) for hour in subscription.digest_hours}
    for back in range(25):
        earlier = local - timedelta(hours=back)
        if earlier.hour in hours:
            return earlier.replace(minute=0, second=0, microsecond=0)
    return None


def zone_of(subscription: AlertSubscription) -> ZoneInfo:
    preference: Preference | None = getattr(subscription.user, "preference", None)
    return ZoneInfo(preference.time_zone if preference else subscription.merchant.time_zone)


def send_queued(now: datetime) -> int:
    """Sends what is queued: all of one subscription that is to be told together is one mail per cause at once, or one
    digest."""
    due = AlertMail.objects.filter(sent_at=None, run_at__lte=now)
    by_reader: dict[tuple[int, int], list[AlertMail]] = defaultdict(list)
    for row in due.select_related(
        "alert__connection", "alert__merchant", "subscription__user", "subscription__merchant"
    ).order_by("pk"):
        by_reader[row.subscription_id, row.pk if row.at_once else 0].append(row)
    return sum(send(rows, now) for rows in by_reader.values())


def send(rows: Sequence[AlertMail], now: datetime) -> bool:
    subscription = rows[0].subscription
    if not claim(rows, now):
        return False
    alerts = [row.alert for row in rows if row.alert.status == Alert.Status.OPEN]
    if not alerts or not may_read(subscription):
        # Closed before anybody was told, or not this person's business any more.
        AlertMail.objects.filter(pk__in=ids(rows)).delete()
        return False
    try:
        message_of(subscription, alerts, digest=not rows[0].at_once).send()
    except (SMTPException, OSError) as error:
        logger.warning("an alert mail to user %s could not be sent: %s", subscription.user_id, error)
        failed(rows, error, now)
        return False
    AlertMail.objects.filter(pk__in=ids(rows)).update(sent_at=now, error="")
    return True


def claim(rows: Sequence[AlertMail], now: datetime) -> bool:
    """Only one worker sends these: each row's next attempt is moved ahead before the first try."""
    next_try = now + RETRY_AFTER[min(rows[0].attempts, len(RETRY_AFTER) - 1)]
    claimed = AlertMail.objects.filter(pk__in=ids(rows), sent_at=None, run_at__lte=now).update(
        run_at=next_try, attempts=F("attempts") + 1
    )
    return claimed == len(rows)


def failed(rows: Sequence[AlertMail], error: Exception, now: datetime) -> None:
    mine = AlertMail.objects.filter(pk__in=ids(rows))
    mine.update(error=f"{error}"[:1000])
    mine.filter(created_at__lt=now - GIVE_UP_AFTER).delete()


def ids(rows: Iterable[AlertMail]) -> list[int]:
    return [row.pk for row in rows]


def may_read(subscription: AlertSubscription) -> bool:
    """Rights may have been taken away since."""
    user = subscription.user
    if not user.is_active or not user.email:
        return False
    team = user.is_staff and (user.is_superuser or user.groups.filter(name__iexact="support").exists())
    return team or Membership.objects.filter(user=user, merchant=subscription.merchant_id).exists()


def message_of(subscription: AlertSubscription, alerts: Sequence[Alert], *, digest: bool) -> EmailMessage:
    """One alert, or the digest of several: plain text, with what to do and where."""
    merchant = subscription.merchant
    subject = (
        f"{merchant}: {len(alerts)} open {'alert' if len(alerts) == 1 else 'alerts'}"
        if digest
        else f"{merchant}: {alerts[0].message}"
    )
    body = render_to_string(
        "mail/alerts.txt",
        {
            "merchant": merchant,
            "alerts": alerts[:MOST_IN_ONE_MAIL],
            "more": max(len(alerts) - MOST_IN_ONE_MAIL, 0),
            "hub": settings.PUBLIC_URL,
        },
    )
    return EmailMessage(" ".join(subject.split())[:150], body, to=[subscription.user.email])
