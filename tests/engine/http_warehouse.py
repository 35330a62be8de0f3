"""A warehouse that is a real remote: orders go to it over HTTP, and it takes whatever it is sent - twice, if a hub sends
twice. It can stop in the middle of a request and wait."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from connectors.base import Connector, Environment
from connectors.errors import RecordRefused
from connectors.functions import Role
from connectors.http import HttpSession
from connectors.ports import CancellationWriter, OrderChangeWriter, OrderWriter
from connectors.records import OutboundCancellation, OutboundOrder, OutboundOrderChange, TestStep, WriteResult
from connectors.sandbox.server import SandboxServer
from connectors.sandbox.wire import Request, Response
from connectors.settings_fields import FieldKind, Settings, setting

KEY = "http_warehouse"
CHANGING_KEY = "changing_warehouse"
LONGEST_WAIT_SECONDS = 30.0


class WarehouseServer(SandboxServer):
    """``halt_at`` names a point ("before" or "after" it accepts an order) where the next order stops: ``halted`` tells
    that one has got there, ``go_on`` lets it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[str] = []
        self.asked: list[str] = []
        # What it was told after that, in order: ("change" or "cancel", the reference it came under).
        self.told: list[tuple[str, str]] = []
        self.contents: dict[str, dict[str, str]] = {}
        self.packed: set[str] = set()
        self.halt_at = ""
        self.halted = threading.Event()
        self.go_on = threading.Event()

    @property
    def doubled(self) -> list[str]:
        return [reference for reference, times in Counter(self.accepted).items() if times > 1]

    def halt(self, point: str) -> None:
        self.halted.clear()
        self.go_on.clear()
        self.halt_at = point

    def stop(self) -> None:
        self.go_on.set()
        super().stop()

    def resolve(self, request: Request):  # type: ignore[no-untyped-def]
        if request.method == "PUT":
            request.template = "/orders/{reference}"
            return self.change
        if request.method == "DELETE":
            request.template = "/orders/{reference}"
            return self.cancel
        request.template = "/orders" if request.method == "POST" else "/orders/{reference}"
        return self.take if request.method == "POST" else self.find

    def change(self, request: Request) -> Response:
        order, told = unquote(request.path.rpartition("/")[2]), request.json()
        if order in self.packed:
            return Response.json({"error": "The order is packed."}, 422)
        self.told.append(("change", told["reference"]))
        self.contents[order] = told["lines"]
        return Response.json({"id": f"wh-{order}"})

    def cancel(self, request: Request) -> Response:
        order = unquote(request.path.rpartition("/")[2])
        if order in self.packed:
            return Response.json({"error": "The order is packed."}, 422)
        self.told.append(("cancel", order))
        return Response.json({"id": f"wh-{order}"})

    def take(self, request: Request) -> Response:
        reference = request.json()["reference"]
        self.pause("before")
        self.accepted.append(reference)
        self.contents[reference] = request.json().get("lines", {})
        self.pause("after")
        return Response.json({"id": f"wh-{reference}"}, 201)

    def pause(self, point: str) -> None:
        if self.halt_at == point:
            self.halt_at = ""
            self.halted.set()
            self.go_on.wait(LONGEST_WAIT_SECONDS)

    def find(self, request: Request) -> Response:
        reference = unquote(request.path.rpartition("/")[2])
        self.asked.append(reference)
        if reference in self.accepted:
            return Response.json({"id": f"wh-{reference}"})
        return Response.json({"error": "Not Found"}, 404)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpWarehouseOptions(Settings):
    url: str = setting("URL", kind=FieldKind.URL, required=True)


class HttpWarehouse(Connector, OrderWriter, CancellationWriter):
    key = KEY
    label = "HTTP warehouse"
    roles = frozenset({Role.WAREHOUSE})
    Options = HttpWarehouseOptions

    def __init__(self, options: HttpWarehouseOptions, credentials: Settings, environment: Environment) -> None:
        super().__init__(options, credentials, environment)
        self.session = HttpSession(
            options.url,
            hosts=self.host_policy(environment),
            budget=environment.budgets.get(options.url),
            call_log=environment.call_log,
        )

    def order_batch_size(self) -> int:
        return 1

    def send_orders(self, orders: Sequence[OutboundOrder]) -> Sequence[WriteResult]:
        return [
            WriteResult.done(
                order.reference,
                self.session.request(
                    "POST", "/orders", json={"reference": order.reference, "lines": lines_of(order)}
                ).decode(dict)["id"],
            )
            for order in orders
        ]

    def find_sent(self, reference: str) -> str | None:
        response = self.session.request("GET", f"/orders/{reference}", accept=(404,))
        return None if response.status == 404 else response.decode(dict)["id"]

    def cancel_order(self, cancellation: OutboundCancellation) -> WriteResult:
        return WriteResult.done(cancellation.reference, cancellation.remote_id)

    def test(self) -> Iterator[TestStep]:
        yield TestStep(name="Server", ok=True, message="It is there.")

    def close(self) -> None:
        self.session.close()


class ChangingWarehouse(HttpWarehouse, OrderChangeWriter):
    """The same, and it can change and cancel what it has - until it is packed."""

    key = CHANGING_KEY

    def change_order(self, change: OutboundOrderChange) -> WriteResult:
        body = {"reference": change.reference, "lines": lines_of(change.order)}
        answer = self.session.request("PUT", f"/orders/{change.order.reference}", json=body)
        return WriteResult.done(change.reference, answer.decode(dict)["id"])

    def cancel_order(self, cancellation: OutboundCancellation) -> WriteResult:
        try:
            self.session.request("DELETE", f"/orders/{cancellation.reference}")
        except RecordRefused as error:
            return WriteResult.rejected(cancellation.reference, error.message)
        return WriteResult.done(cancellation.reference)


def lines_of(order: OutboundOrder) -> dict[str, str]:
    return {line.sku: f"{line.quantity:f}" for line in order.lines}
