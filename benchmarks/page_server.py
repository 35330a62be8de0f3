"""The Vend sandbox in a process of its own, its pages of sales encoded ahead of time.

``python -m benchmarks.page_server --sales 20000`` prints one line of JSON when it is ready. Then it takes lines on its
standard input: ``latency 0.1``, ``reset``, ``counts``, ``sell`` (with ``--live``: answered with the sale's id).
"""

from __future__ import annotations

import argparse
import json
import sys

from connectors.sandbox import Request, Response
from connectors.sandbox.server import Handler
from connectors.vend.sandbox import VendSandbox
from connectors.vend.sandbox_sales_routes import LARGEST_SALES_PAGE

RATE_LIMIT = 10_000_000


class PageServer(VendSandbox):
    """Remembers every page it ever served."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.record_bodies = False
        self.is_live = False
        self.pages: dict[tuple[str, ...], Response] = {}
        self.store.on_event = lambda kind, record: None  # nobody listens to webhooks here

    def answer(self, request: Request, handler: Handler | None) -> Response:
        if self.is_live or request.method != "GET" or request.template != "/sales":
            return super().answer(request, handler)
        key = (request.path, request.first("after"), request.first("page_size"))
        page = self.pages.get(key)
        if page is None:
            page = self.pages[key] = super().answer(request, handler)
        return page


def sell(server: PageServer) -> str:
    """A new sale of one article."""
    store = server.store
    sale = store.add_sale(outlet=store.outlets[0]["id"], lines=[(store.products[0], 1)])
    return str(sale["id"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sales", type=int, default=0)
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--page-size", type=int, default=LARGEST_SALES_PAGE, help="the most sales in one page")
    parser.add_argument("--live", action="store_true", help="sales come in while it serves: no page is remembered")
    options = parser.parse_args()
    server = PageServer(
        outlets=1,
        sales=options.sales,
        products=options.products,
        customers=200,
        seed=7,
        rate_limit=RATE_LIMIT,
        lines_per_sale=3,
    )
    server.is_live = options.live
    server._sales.pager.largest = options.page_size
    with server:
        outlet = server.store.outlets[0]["name"]
        print(json.dumps({"url": server.url, "host": server.host, "token": server.token, "outlet": outlet}), flush=True)
        for line in sys.stdin:
            word, *values = line.split()
            if word == "latency":
                server.latency = float(values[0])
            elif word == "reset":
                server.reset_calls()
            elif word == "sell":
                print(json.dumps({"id": sell(server)}), flush=True)
                continue
            print(json.dumps(server.counts), flush=True)


if __name__ == "__main__":
    main()
