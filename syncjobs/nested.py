"""A run inside a run: another function must be done first."""

from __future__ import annotations

import time

from carts.models import Connection
from connectors.functions import Function
from syncjobs.context import RunContext
from syncjobs.models import Run
from syncjobs.schedule import request_run

WAIT_SECONDS = 20.0
POLL_SECONDS = 0.05


def run_first(context: RunContext, function: Function, connection: Connection | None = None) -> Run | None:
    """Runs ``function`` of the same connection (or of this one) to its end, now, from a start that lies after this call.
    Returns the finished run, or None when the function is switched off. When another worker reads the same feed, waits
    for it and reads again after it."""
    connection = connection or context.connection
    if not connection.function_is_on(function):
        return None
    from syncjobs.runner import claim_run, execute

    deadline = time.monotonic() + WAIT_SECONDS
    run = request_run(connection, function, Run.Trigger.HUB)
    while True:
        claimed = claim_run(run.pk, context.owner)
        if claimed is not None:
            finished = execute(claimed, context.owner, stopping=context.stopping)
            if function is Function.ORDER_DOWNLOAD:
                context.run.count(order_reads=1)
            return finished
        run = Run.objects.get(pk=run.pk)
        if run.state in (Run.State.DONE, Run.State.FAILED, Run.State.CANCELLED):
            # Another worker took it; it started after it was asked for, so it saw everything.
            return run
        if time.monotonic() > deadline:
            return run
        time.sleep(POLL_SECONDS)
