"""Dispatching: what it costs to queue the runs of many schedules that fall due at the same moment. Queries are counted."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from benchmarks.databases import Databases
from benchmarks.processes import hub_environment, measure
from benchmarks.report import Row

FEW, MANY = 50, 5_000
QUERIES_A_THOUSAND = 10


def run(databases: Databases, quick: bool) -> list[Row]:
    rows = []
    for kind in databases.kinds:
        with databases.fresh(kind) as url:
            answer = measure("benchmarks.dispatch", FEW, MANY, env=hub_environment(url))
        few, many = answer[str(FEW)], answer[str(MANY)]
        rows += [
            Row(
                f"Dispatch of {MANY:,} due schedules, {kind}: queries per 1,000 (inserts apart)",
                f"{many['queries']} queries, {many['inserts']} inserts",
                f"{few['queries']} for {FEW}",
                many["queries"] / (MANY / 1000),
                QUERIES_A_THOUSAND,
                at_most=True,
            ),
            Row(f"  time for them, {kind}", f"{many['seconds'] * 1000:.0f} ms", f"{few['seconds'] * 1000:.0f} ms"),
        ]
    return rows


# --- the measured process --------------------------------------------------------------------------------------------


def main() -> None:
    from benchmarks.hub import make_merchant, open_hub

    open_hub()
    merchant = make_merchant()
    answer = {}
    for number in sys.argv[1:]:
        make_due(merchant, int(number))
        answer[number] = {**dispatch(int(number)), **count_queries(int(number))}
    print(json.dumps(answer))


def make_due(merchant: Any, number: int) -> None:
    """Schedules of sixty different intervals, in place of those that were there."""
    from django.utils import timezone

    from carts.models import Connection, FunctionSetting
    from connectors.functions import Function
    from syncjobs.models import Schedule

    Connection.objects.all().delete()
    Connection.objects.bulk_create(
        Connection(merchant=merchant, name=f"W {one}", connector="builtin", role="warehouse", is_active=True)
        for one in range(number)
    )
    settings = FunctionSetting.objects.bulk_create(
        FunctionSetting(connection=owner, function=Function.SHIPMENT_PICKUP, is_on=True, minutes=1 + place % 60)
        for place, owner in enumerate(Connection.objects.all())
    )
    Schedule.objects.bulk_create(
        Schedule(setting=one, connection_id=one.connection_id, function=one.function, next_run_at=timezone.now())
        for one in settings
    )


def dispatch(number: int) -> dict[str, Any]:
    """One look of the dispatcher at schedules that are all due."""
    from django.utils import timezone

    from syncjobs.models import Run, Schedule
    from syncjobs.schedule import dispatch_due

    Run.objects.all().delete()
    Schedule.objects.update(next_run_at=timezone.now())
    started = time.perf_counter()
    dispatched = dispatch_due(timezone.now())
    seconds = time.perf_counter() - started
    if dispatched != number:
        raise RuntimeError(f"{dispatched} of {number} schedules were dispatched.")
    return {"seconds": seconds}


def count_queries(number: int) -> dict[str, Any]:
    """The same once more, counted. SQLite takes a few dozen rows an insert."""
    from django.db import connection as database
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(database) as queries:
        dispatch(number)
    statements = [query["sql"] for query in queries]
    inserts = sum(statement.startswith("INSERT") for statement in statements)
    own = 2  # of ``dispatch``: what was there is deleted, and all made due
    return {"queries": len(statements) - inserts - own, "inserts": inserts}


if __name__ == "__main__":
    main()
