"""Measured process, in the environment of requirements-bench.txt: dlt loads the same endpoint into its own tables.

A plain resource is faster than dlt's ``rest_api`` source, so it is what the hub is compared with. The pipeline runs as a
user would run it: extract, normalize, load, with dlt's defaults and without telemetry. ``append`` writes every sale anew
each time; ``merge`` keeps one row per sale, as the hub does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dlt
import requests

SALES_PER_PAGE = 500


@dlt.resource(name="sales", primary_key="id")
def sales() -> Iterator[list[dict[str, Any]]]:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {os.environ['BENCH_TOKEN']}"
    after = None
    while True:
        answer = session.get(
            f"{os.environ['BENCH_URL']}/api/2026-07/sales", params={"after": after, "page_size": SALES_PER_PAGE}
        )
        answer.raise_for_status()
        page = answer.json()
        if not page["data"]:
            return
        after = page["version"]["max"]
        yield page["data"]


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
    started = time.perf_counter()
    pipeline.run(sales(), write_disposition=mode)
    seconds = time.perf_counter() - started
    rows = pipeline.last_trace.last_normalize_info.row_counts
    print(json.dumps({"seconds": seconds, "rows": {name: count for name, count in rows.items() if name[0] != "_"}}))


if __name__ == "__main__":
    main()
