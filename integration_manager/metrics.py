"""``/metrics`` for Prometheus: what waits, what runs, what happened lately. docs/operations.md lists every metric.

Everything is read from the database at the moment of asking, so it is the same whichever process answers. What happened
is counted over the last five minutes: rows expire, so a total since the beginning would fall.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from carts.models import Alert, Cart, Order
from connectors.functions import Lane
from syncjobs.latency import SPANS, latencies
from syncjobs.models import ApiCall, Delivery, DeliveryAttempt, DrainSlot, Run, WebhookEvent, WorkerProcess
from syncjobs.models.latency import CLASS_ENDS, LatencyCount
from syncjobs.readiness import WORKER_IS_SILENT_AFTER

LATELY = timedelta(minutes=5)
LOOPBACK = ("127.0.0.1", "::1")
# A subset of CLASS_ENDS: a thousand carts shall not make a million lines.
BUCKET_ENDS = (1, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
WAITING = (Delivery.State.PENDING, Delivery.State.RETRY)


def metrics(request: HttpRequest) -> HttpResponse:
    """With METRICS_TOKEN set, for whoever brings it; without, for this machine only."""
    if not may_read(request):
        return HttpResponse(
            "Send the METRICS_TOKEN of this installation as a bearer token.\n", status=403, content_type="text/plain"
        )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HubCollector(timezone.now()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def may_read(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    if token:
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode())
    is_direct = "X-Forwarded-For" not in request.headers and "Forwarded" not in request.headers
    return is_direct and request.META.get("REMOTE_ADDR") in LOOPBACK


def buckets_of(counts: Sequence[int]) -> Iterator[tuple[str, float]]:
    """Cumulative, at some of the class ends, as Prometheus wants them."""
    running = 0
    for end, count in zip(CLASS_ENDS, counts, strict=False):
        running += count
        if end in BUCKET_ENDS:
            yield str(float(end)), running
    yield "+Inf", sum(counts)


class HubCollector(Collector):
    """All figures of one moment. A constant number of queries."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("hub", "This installation.", value={"version": settings.VERSION})
        yield from self.queues()
        yield from self.runs()
        yield from self.deliveries()
        yield from self.calls()
        yield from self.orders()
        yield from self.latencies()
        yield from self.alerts()
        yield from self.workers()

    def queues(self) -> Iterator[Metric]:
        """What is due and has not begun. ``kind``: run_LANE, delivery_KIND or webhook."""
        depth = GaugeMetricFamily("hub_queue_depth", "Things that are due and have not begun.", labels=["kind"])
        age = GaugeMetricFamily(
            "hub_queue_oldest_seconds", "For how long the oldest of them has been due.", labels=["kind"]
        )
        found: dict[str, tuple[int, datetime | None]] = {f"run_{lane.value}": (0, None) for lane in Lane}
        found |= {f"delivery_{kind}": (0, None) for kind in Delivery.Kind.values}
        found["webhook"] = (0, None)
        due_runs = Run.objects.filter(state=Run.State.QUEUED, run_at__lte=self.now).order_by()
        for lane, number, oldest in due_runs.values_list("lane").annotate(Count("pk"), Min("run_at")):
            found[f"run_{lane}"] = number, oldest
        due_deliveries = Delivery.objects.filter(state__in=WAITING, run_at__lte=self.now).order_by()
        for kind, number, oldest in due_deliveries.values_list("kind").annotate(Count("pk"), Min("run_at")):
            found[f"delivery_{kind}"] = number, oldest
        waiting = WebhookEvent.objects.filter(state=WebhookEvent.State.RECEIVED)
        webhooks = waiting.aggregate(number=Count("pk"), oldest=Min("received_at"))
        found["webhook"] = webhooks["number"], webhooks["oldest"]
        for kind, (number, oldest) in found.items():
            depth.add_metric([kind], number)
            age.add_metric([kind], (self.now - oldest).total_seconds() if oldest else 0)
        yield depth
        yield age

    def runs(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("hub_runs_running", "Runs at work.", labels=["lane"])
        counts = dict(Run.objects.filter(state=Run.State.RUNNING).order_by().values_list("lane").annotate(Count("pk")))
        for lane in Lane:
            running.add_metric([lane.value], counts.get(lane.value, 0))
        yield running
        lately = GaugeMetricFamily(
            "hub_runs_5m", "Runs queued within five minutes, by function and state.", labels=["function", "state"]
        )
        rows = Run.objects.filter(queued_at__gt=self.now - LATELY).order_by().values_list("function", "state")
        for function, state, number in rows.annotate(Count("pk")):
            lately.add_metric([function, state], number)
        yield lately

    def deliveries(self) -> Iterator[Metric]:
        open_now = GaugeMetricFamily(
            "hub_deliveries", "Deliveries that are not done, by kind and state.", labels=["kind", "state"]
        )
        rows = Delivery.objects.filter(Q(state__in=WAITING) | Q(state=Delivery.State.SENDING)).order_by()
        for kind, state, number in rows.values_list("kind", "state").annotate(Count("pk")):
            open_now.add_metric([kind, state], number)
        failed = Delivery.objects.filter(state=Delivery.State.FAILED).order_by()
        for kind, number in failed.values_list("kind").annotate(Count("pk")):
            open_now.add_metric([kind, Delivery.State.FAILED.value], number)
        yield open_now
        attempts = GaugeMetricFamily(
            "hub_delivery_attempts_5m", "Attempts to deliver within five minutes, by outcome.", labels=["outcome"]
        )
        recent = DeliveryAttempt.objects.filter(started_at__gt=self.now - LATELY).order_by()
        for outcome, number in recent.values_list("outcome").annotate(Count("pk")):
            attempts.add_metric([outcome or "running"], number)
        yield attempts

    def calls(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "hub_api_calls_5m",
            "Calls to remote systems within five minutes, by status (0: no answer).",
            labels=["status"],
        )
        recent = ApiCall.objects.filter(started_at__gt=self.now - LATELY).order_by()
        for status, number in recent.values_list("status").annotate(Count("pk")):
            family.add_metric([str(status or 0)], number)
        yield family

    def orders(self) -> Iterator[Metric]:
        """Only those that somebody or something still has to do with: finished ones may be millions."""
        family = GaugeMetricFamily("hub_orders_open", "Orders that are not finished, by status.", labels=["status"])
        unfinished = [Order.Status.NEW, Order.Status.AT_WAREHOUSE, Order.Status.HELD, Order.Status.ERROR]
        rows = Order.objects.filter(status__in=unfinished).order_by().values_list("status").annotate(Count("pk"))
        counts = dict(rows)
        for status in unfinished:
            family.add_metric([status.value], counts.get(status.value, 0))
        yield family

    def latencies(self) -> Iterator[Metric]:
        """Since the beginning as a histogram, the last 24 hours and 30 days as quantiles (1 is the slowest)."""
        ever = HistogramMetricFamily(
            "hub_order_latency_seconds", "How long orders took, by cart and step.", labels=["cart", "name", "step"]
        )
        names = dict(Cart.objects.values_list("pk", "name"))
        for row in LatencyCount.objects.filter(period=LatencyCount.Period.EVER).order_by("cart_id", "step"):
            labels = [str(row.cart_id), names[row.cart_id], row.step]
            ever.add_metric(labels, list(buckets_of(row.counts)), row.seconds)
        yield ever
        lately = GaugeMetricFamily(
            "hub_order_latency_quantile_seconds",
            "The same within a window.",
            labels=["cart", "name", "step", "window", "quantile"],
        )
        for window in SPANS:
            for (cart_id, step), tally in latencies(names, window, self.now).items():
                labels = [str(cart_id), names[cart_id], step, window]
                for quantile, value in (
                    ("0.5", tally.percentile(0.5)),
                    ("0.95", tally.percentile(0.95)),
                    ("1", tally.slowest),
                ):
                    lately.add_metric([*labels, quantile], value or 0)
        yield lately

    def alerts(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("hub_alerts_open", "Open alerts, by kind and severity.", labels=["kind", "severity"])
        rows = Alert.objects.filter(status=Alert.Status.OPEN).order_by().values_list("kind", "severity")
        for kind, severity, number in rows.annotate(Count("pk")):
            family.add_metric([kind, severity], number)
        yield family

    def workers(self) -> Iterator[Metric]:
        alive = WorkerProcess.objects.filter(beat_at__gt=self.now - WORKER_IS_SILENT_AFTER, stopping=False)
        yield GaugeMetricFamily("hub_workers", "Worker processes that beat within a minute.", value=alive.count())
        slots = DrainSlot.objects.filter(worker__in=alive.values("pk"))
        busy = slots.filter(beat_at__gt=self.now - timedelta(seconds=10)).exclude(doing="").count()
        yield GaugeMetricFamily("hub_worker_slots_busy", "Slots of these that are at work.", value=busy)
        restarts = sum(alive.values_list("restarts", flat=True))
        yield GaugeMetricFamily("hub_worker_restarts", "How often their clusters were replaced.", value=restarts)
