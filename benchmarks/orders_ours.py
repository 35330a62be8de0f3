"""Measured process: Order Download as a worker does it. Prints seconds, peak memory and the rows written."""

from __future__ import annotations

import json
import time

from benchmarks.hub import make_cart, make_merchant, make_warehouse, open_hub, server_from_environment
from benchmarks.processes import peak_memory_mb

OWNER = "bench"


def main() -> None:
    open_hub()
    from benchmarks.order_rows import row_counts
    from carts.models import Cart
    from connectors.functions import Function, Lane
    from syncjobs.models import Run
    from syncjobs.runner import claim_runs, execute
    from syncjobs.schedule import request_run

    cart: Cart = make_cart(make_warehouse(make_merchant()), server_from_environment())
    before, cpu = row_counts(), time.process_time()
    queued = request_run(cart, Function.ORDER_DOWNLOAD, Run.Trigger.SCHEDULE)
    started = time.perf_counter()
    while runs := claim_runs(OWNER, [Lane.ORDERS], 10):
        for run in runs:
            execute(run, OWNER, seconds=60)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    queued.refresh_from_db()
    if queued.state != Run.State.DONE:
        raise RuntimeError(f"The run ended as {queued.state}: {queued.error}")
    rows = {name: count - before[name] for name, count in row_counts().items()}
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak_memory_mb(), "rows": rows}))


if __name__ == "__main__":
    main()
