"""The minute tick that django-q2 carries: what must happen even when every drain is busy."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone
from django_q.brokers import get_broker
from redis import RedisError

from carts import log_in_limits
from carts.alert_mail import send_alert_mails
from syncjobs.drain import sweep
from syncjobs.examination import announce
from syncjobs.latency import prune_latencies
from syncjobs.models import WorkerProcess
from syncjobs.retention import prune
from syncjobs.schedule import dispatch_due

logger = logging.getLogger(__name__)

WORKER_IS_DEAD_AFTER = timedelta(minutes=2)
PRUNE_MINUTE = 17


def tick() -> None:
    now = timezone.now()
    sweep()
    dispatch_due(now)
    send_alert_mails(now)
    try:
        announce()
    except RedisError:
        logger.warning("Redis does not answer; going on without it")
    for worker in WorkerProcess.objects.filter(beat_at__lt=now - WORKER_IS_DEAD_AFTER):
        worker.delete()
        get_broker(worker.name).delete_queue()
    if now.minute == PRUNE_MINUTE:
        prune()
        prune_latencies(now)
        log_in_limits.prune(now)
