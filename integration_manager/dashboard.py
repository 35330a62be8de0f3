"""The dashboard: the admin's first page. A constant number of queries, however many carts and orders there are."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from carts.admin.filters import start_of
from carts.admin.orders import orders_to_decide
from carts.admin.scoping import scoped, sees_everything, visible_merchants, works_here
from carts.models import Alert, Connection, Order
from carts.order_search import of_all_merchants, since
from connectors.functions import Lane, Role
from integration_manager.throughput import SPANS, charts, words
from syncjobs.admin.workers import START_HINT, worker_state
from syncjobs.latency import Step, Tally, latencies
from syncjobs.models import Delivery, Run, Schedule

ALERTS_SHOWN = 6
CONNECTIONS_SHOWN = 50

Status = Order.Status
ATTENTION = (Status.HELD, Status.ERROR)

LANE_LABELS = {Lane.ORDERS: "Orders", Lane.STOCK: "Stock", Lane.CATALOGUE: "Products and customers"}


def dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    context["title"] = "Dashboard"
    if not works_here(request.user):
        context["has_no_merchant"] = True
        return context
    now = timezone.now()
    connections = list(
        scoped(Connection.objects.all(), request.user, "merchant")
        .select_related("merchant")
        .order_by("role", "name")[:CONNECTIONS_SHOWN]
    )
    context |= {
        "show_merchants": sees_everything(request.user),
        "workers": worker_state(now),
        "worker_hint": START_HINT,
        "first_steps": first_steps(request, connections),
    }
    if context["first_steps"]:
        return context
    orders = scoped(Order.objects.all(), request.user, "merchant")
    span = SPANS.get(request.GET.get("span", ""), SPANS["24h"])
    series = charts(orders, span, now)
    alerts = scoped(Alert.objects.filter(status=Alert.Status.OPEN), request.user, "merchant")
    return context | {
        "tiles": tiles(orders, alerts.count()),
        "alerts": list(alerts.select_related("connection", "merchant")[:ALERTS_SHOWN]),
        "connections": health_rows(connections),
        "paused": paused_functions(request),
        "latencies": latency_rows(connections, span.key, now),
        "latency_steps": Step.labels,
        "lanes": lanes(request, now),
        "span": span,
        "spans": list(SPANS.values()),
        "series": series,
        "stored_chart": stored_chart(series),
        "latency_chart": latency_chart(series),
        "chart_options": chart_options(with_legend=False),
        "latency_options": chart_options(with_legend=True),
    }


def first_steps(request: HttpRequest, connections: list[Connection]) -> list[dict[str, Any]]:
    """What a fresh installation needs, in order; empty as soon as there is a cart."""
    roles = {connection.role for connection in connections}
    if "cart" in roles:
        return []
    has_merchant = visible_merchants(request.user).exists()
    return [
        {
            "title": "Create a merchant",
            "text": "The seller whose orders are moved. Its people see its data and nobody else's.",
            "url": "admin:carts_merchant_add",
            "done": has_merchant,
            "open": not has_merchant and request.user.is_superuser,
        },
        {
            "title": "Add a warehouse",
            "text": "Where the goods are and orders are shipped. The built-in one is ready in a minute.",
            "url": "admin:carts_warehouse_add",
            "done": "warehouse" in roles,
            "open": has_merchant and "warehouse" not in roles,
        },
        {
            "title": "Add a cart",
            "text": "Where you sell, for example a Vend outlet. Test it, look at the preview, switch it on.",
            "url": "admin:carts_cart_add",
            "done": False,
            "open": "warehouse" in roles,
        },
    ]


def tiles(orders: Any, open_alerts: int) -> dict[str, int]:
    """A few small looks into indexes, never through all orders."""
    today = start_of(timezone.localdate())
    waiting = of_all_merchants(orders).filter(status__in=[Status.NEW, Status.AT_WAREHOUSE, *ATTENTION])
    by_status = dict(waiting.order_by().values_list("status").annotate(Count("pk")))
    counts = {
        "today": since(orders, today).filter(stored_at__gte=today).count(),
        "waiting": by_status.get(Status.NEW, 0),
        "at_warehouse": by_status.get(Status.AT_WAREHOUSE, 0),
        "attention": sum(by_status.get(status, 0) for status in ATTENTION),
    }
    counts["attention"] += orders.filter(pk__in=orders_to_decide()).exclude(status__in=ATTENTION).count()
    return {**counts, "alerts": open_alerts}


def paused_functions(request: HttpRequest) -> list[Schedule]:
    """What a person holds, longest first. One query."""
    held = scoped(Schedule.objects.filter(paused_at__isnull=False), request.user, "connection__merchant")
    return list(held.select_related("connection__merchant").order_by("paused_at")[:ALERTS_SHOWN])


def health_rows(connections: list[Connection]) -> list[dict[str, Any]]:
    """Every connection with its next run. One query."""
    next_runs = dict(
        Schedule.objects.filter(
            connection__in=[connection.pk for connection in connections],
            setting__is_on=True,
            setting__minutes__gt=0,
            connection__is_active=True,
        )
        .order_by()
        .values_list("connection_id")
        .annotate(next=Min("next_run_at"))
    )
    return [
        {
            "connection": connection,
            "role": connection.get_role_display(),
            "url_name": f"admin:carts_{connection.role}_change",
            "next_run": next_runs.get(connection.pk),
        }
        for connection in connections
    ]


def latency_rows(connections: list[Connection], span: str, now: datetime) -> list[dict[str, Any]]:
    """Per cart: half, 95 % and the slowest of its orders, step by step. Carts without orders are left out. One query."""
    carts = [connection for connection in connections if connection.role == Role.CART]
    found = latencies([cart.pk for cart in carts], span, now)
    return [
        {
            "cart": cart,
            "steps": [
                {"label": step.label, "values": values_of(found[cart.pk, step]) if (cart.pk, step) in found else None}
                for step in Step
            ],
        }
        for cart in carts
        if any((cart.pk, step) in found for step in Step)
    ]


def values_of(tally: Tally) -> dict[str, str]:
    return {
        "half": words(tally.percentile(0.5)),
        "most": words(tally.percentile(0.95)),
        "slowest": words(tally.slowest),
    }


def lanes(request: HttpRequest, now: datetime) -> list[dict[str, Any]]:
    """What waits and runs, per lane, and the deliveries. Four queries: each state has a small index of its own."""
    runs = scoped(Run.objects.order_by(), request.user, "connection__merchant")
    due = per_lane(runs.filter(state=Run.State.QUEUED, run_at__lte=now))
    running = per_lane(runs.filter(state=Run.State.RUNNING))
    deliveries = scoped(Delivery.objects.order_by(), request.user, "connection__merchant")
    # Found by themselves: SQLite would look for them through all deliveries of the user's connections.
    few = Delivery.objects.order_by().values("pk")
    rows = [
        {"label": label, "due": due.get(lane.value, 0), "running": running.get(lane.value, 0)}
        for lane, label in LANE_LABELS.items()
    ]
    waiting = {
        "label": "Deliveries to warehouses",
        "due": deliveries.filter(pk__in=few.filter(state__in=[Delivery.State.PENDING, Delivery.State.RETRY])).count(),
        "running": deliveries.filter(pk__in=few.filter(state=Delivery.State.SENDING)).count(),
    }
    return [*rows, waiting]


def per_lane(runs: QuerySet[Run]) -> dict[str, int]:
    return dict(runs.values_list("lane").annotate(Count("pk")))


# Charts --------------------------------------------------------------------------------------------------------------


def stored_chart(series: dict[str, Any]) -> str:
    return json.dumps(
        {
            "labels": series["labels"],
            "datasets": [
                {
                    "label": "Orders downloaded",
                    "data": series["stored"],
                    "backgroundColor": "var(--color-primary-500)",
                    "borderRadius": 3,
                    "maxBarThickness": 24,
                }
            ],
        }
    )


def latency_chart(series: dict[str, Any]) -> str:
    line = {"tension": 0.25, "pointRadius": 3, "borderWidth": 2, "spanGaps": True}
    return json.dumps(
        {
            "labels": series["labels"],
            "datasets": [
                {
                    **line,
                    "label": "Half of the orders within",
                    "data": series["p50"],
                    "borderColor": "var(--color-primary-500)",
                    "backgroundColor": "var(--color-primary-500)",
                },
                {
                    **line,
                    "label": "95 % within",
                    "data": series["p95"],
                    "borderColor": "var(--color-orange-500)",
                    "backgroundColor": "var(--color-orange-500)",
                },
            ],
        }
    )


def chart_options(*, with_legend: bool) -> str:
    grey = "#9ca3af"
    ticks = {"color": grey, "maxTicksLimit": 8, "maxRotation": 0, "autoSkip": True}
    return json.dumps(
        {
            "responsive": True,
            "maintainAspectRatio": False,
            "animation": False,
            "interaction": {"mode": "index", "intersect": False},
            "plugins": {
                "legend": {
                    "display": with_legend,
                    "position": "bottom",
                    "labels": {"color": grey, "usePointStyle": True, "boxHeight": 6},
                }
            },
            "scales": {
                "x": {"grid": {"display": False}, "ticks": ticks},
                "y": {
                    "beginAtZero": True,
                    "ticks": {"color": grey, "maxTicksLimit": 5, "precision": 0 if not with_legend else 2},
                    "title": {"display": with_legend, "text": "seconds", "color": grey},
                    "grid": {"color": "rgba(156, 163, 175, .2)"},
                },
            },
        }
    )
