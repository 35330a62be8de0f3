"""The minute tick that django-q2 carries: what must happen even when every drain is busy."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from django_q.brokers import get_broker

from carts.alert_mail import send_alert_mails
from syncjobs.drain import sweep
from syncjobs.latency import prune_latencies
from syncjobs.models import WorkerProcess
from syncjobs.retention import prune
from syncjobs.schedule import dispatch_due

WORKER_IS_DEAD_AFTER = timedelta(minutes=2)
PRUNE_MINUTE = 17


def tick() -> None:
    now = timezone.now()
    sweep()
    dispatch_due(now)
    send_alert_mails(now)
    for worker in WorkerProcess.objects.filter(beat_at__lt=now - WORKER_IS_DEAD_AFTER):
        worker.delete()
        get_broker(worker.name).delete_queue()
    if now.minute == PRUNE_MINUTE:
        prune()
        prune_latencies(now)
