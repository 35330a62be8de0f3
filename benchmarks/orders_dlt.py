"""Measured process, in the environment of requirements-bench.txt: dlt loads the same endpoint into its own tables.

The pipeline runs as a user would run it: the ``rest_api`` source, then extract, normalize and load with dlt's defaults and
without telemetry. ``append`` writes every sale anew each time; ``merge`` keeps one row per sale, as the hub does.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dlt
from dlt.sources.rest_api import rest_api_source

SALES_PER_PAGE = 500


def sales() -> Any:
    """The endpoint as dlt's own ``rest_api`` source describes it."""
    return rest_api_source(
        {
            "client": {
                "base_url": f"{os.environ['BENCH_URL']}/api/2026-07/",
                "auth": {"type": "bearer", "token": os.environ["BENCH_TOKEN"]},
            },
            "resources": [
                {
                    "name": "sales",
                    "primary_key": "id",
                    "endpoint": {
                        "path": "sales",
                        "params": {"page_size": SALES_PER_PAGE},
                        "data_selector": "data",
                        "paginator": {"type": "cursor", "cursor_path": "version.max", "cursor_param": "after"},
                    },
                }
            ],
        }
    )


def with_password(database_url: str) -> str:
    """dlt refuses an address without a password, even where the server asks for none."""
    parts = urlsplit(database_url)
    user = parts.netloc if parts.password else parts.netloc.replace("@", ":unused@")
    return urlunsplit(parts._replace(scheme="postgresql", netloc=user))


def main() -> None:
    database_url, folder, mode = sys.argv[1:4]
    destination: Any
    if database_url.startswith("sqlite"):
        destination = dlt.destinations.sqlalchemy(credentials=database_url)
    else:
        destination = dlt.destinations.postgres(credentials=with_password(database_url))
    pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination=destination, dataset_name="bench")
    before = time.process_time()
    started = time.perf_counter()
    pipeline.run(sales(), write_disposition=mode)
    seconds = time.perf_counter() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used) - before
    rows = pipeline.last_trace.last_normalize_info.row_counts
    own = {name: count for name, count in rows.items() if not name.startswith("_")}
    print(json.dumps({"seconds": seconds, "cpu": cpu, "rows": own}))


if __name__ == "__main__":
    main()
