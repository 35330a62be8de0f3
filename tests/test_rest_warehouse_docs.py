"""docs/rest-warehouse.md and its client script are true: every command runs against a live hub."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.utils import timezone

from carts import book_leases
from carts.models import (
    ApiToken,
    Location,
    PickLine,
    PickOrder,
    PickReturn,
    PickReturnLine,
    PickShipment,
    StockLevel,
    StockMovement,
    Warehouse,
)
from carts.rest_book import RestBook
from connectors.rest import webhooks
from connectors.rest.webhooks import OutgoingWebhook, WebhookSender
from tests.factories import ADDRESS, PLACED_AT, make_merchant, make_outbound, make_rest_warehouse
from tests.wms_listener import WmsListener

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "rest-warehouse.md").read_text()
SCRIPT = ROOT / "docs" / "examples" / "wms_client.py"

pytestmark = pytest.mark.django_db(transaction=True)


def client_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wms_client", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The script


@pytest.fixture
def warehouse() -> Warehouse:
    return make_rest_warehouse()


def status(warehouse: Warehouse, reference: str) -> str:
    return str(PickOrder.objects.get(warehouse=warehouse, reference=reference).status)


def run_script(live_server: Any, warehouse: Warehouse, **shelves: str) -> str:
    environment = {
        "HUB": f"{live_server.url}/api/v1",
        "TOKEN": ApiToken.issue(warehouse.merchant)[1],
        "WAREHOUSE": str(warehouse.pk),
        "SHELVES": json.dumps(shelves),
    }
    command = [sys.executable, str(SCRIPT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_works_a_round(live_server: Any, warehouse: Warehouse) -> None:
    book = RestBook(warehouse.pk)
    book.receive([make_outbound("A", (("SHIRT", "2"), ("HAT", "1"))), make_outbound("B", (("BOOK", "1"),))])
    book.receive([make_outbound("C", (("HAT", "1"),))])
    going = PickOrder.objects.get(reference="C")
    book_leases.acknowledge(warehouse.pk, {going.pk: ""}, "")
    book.cancel("C", "Voided")

    said = run_script(live_server, warehouse, SHIRT="10", HAT="4")

    assert said.splitlines() == [
        "counted 2 SKUs, 0 of them outdated",
        "refused #B",
        "cancelled #C",
        "shipped #A in 2 cartons: shipped",
    ]
    assert [status(warehouse, name) for name in "ABC"] == ["shipped", "refused", "cancelled"]
    levels = {level.sku: (level.available, level.on_hand) for level in StockLevel.objects.all()}
    assert levels == {"SHIRT": (8, 8), "HAT": (3, 3)}
    assert run_script(live_server, warehouse, SHIRT="8", HAT="3") == "counted 2 SKUs, 0 of them outdated\n"


def test_the_script_s_other_calls(live_server: Any, warehouse: Warehouse) -> None:
    module = client_script()
    token = ApiToken.issue(warehouse.merchant)[1]
    hub = module.Hub(f"{live_server.url}/api/v1", token, warehouse.pk)
    assert hub.change("receipt-1", {"SHIRT": "5"})["created"] == 1
    assert hub.change("receipt-1", {"SHIRT": "5"})["repeated"]
    with pytest.raises(module.Refused) as refused:
        hub.change("receipt-1", {"SHIRT": "6"})
    assert refused.value.status == 409
    assert StockMovement.objects.count() == 1


@pytest.mark.parametrize("where", ["script", "page"])
def test_the_check_of_a_signature(where: str, monkeypatch: Any) -> None:
    if where == "script":
        is_genuine = client_script().is_genuine
    else:
        [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        namespace: dict[str, Any] = {}
        exec(code, namespace)  # noqa: S102
        is_genuine = namespace["is_genuine"]
    with WmsListener() as wms:
        sender = WebhookSender(wms.url, ["new", "old"], extra_hosts=frozenset({wms.host}))
        sender.send(OutgoingWebhook(event_id="1", topic="order.ready", body='{"topic": "order.ready", "name": "Zoë"}'))
        monkeypatch.setattr(webhooks, "utc_now", lambda: PLACED_AT)
        sender.send(OutgoingWebhook(event_id="2", topic="order.ready", body="{}"))
        sender.close()
        [now, long_ago], [body, other] = wms.headers, wms.bodies
    assert is_genuine(now, body, "new")
    assert is_genuine(now, body, "old")
    assert not is_genuine(now, body, "else")
    assert not is_genuine(now, body + b" ", "new")
    assert not is_genuine(long_ago, other, "new")


# The page


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    found = [command for block in blocks for command in re.split(r"\n(?=curl)", block.strip())]
    return [command for command in found if command.startswith("curl")]


def add_order(warehouse: Warehouse, place: Location, pk: int, **lines: str) -> PickOrder:
    order = PickOrder.objects.create(
        pk=pk,
        warehouse=warehouse,
        location=place,
        reference=f"7-sale-{pk}",
        number=f"#{pk}",
        ship_to=ADDRESS.as_dict(),
        placed_at=PLACED_AT,
    )
    for number, (sku, quantity) in enumerate(lines.items(), 1):
        name = sku.replace("_", "-")
        PickLine.objects.create(
            pick_order=order, reference=f"line-{number}", sku=name, sku_key=name.lower(), quantity=Decimal(quantity)
        )
    return order


def an_hour_passes() -> None:
    """What was done is long done: the page's ``counted_at`` is of a whole second."""
    before = timezone.now() - timedelta(hours=1)
    PickShipment.objects.update(shipped_at=before, booked_at=before)
    PickOrder.objects.filter(answered_at__isnull=False).update(answered_at=before)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed on this machine")
def test_every_command_of_the_page_runs_in_its_order(live_server: Any) -> None:
    """The page's own ids are those of this world, so the commands run as they stand there."""
    warehouse = Warehouse.objects.create(pk=3, merchant=make_merchant(), name="Main", connector="rest", is_active=True)
    place = Location.objects.create(warehouse=warehouse, name="Main location", external_id="main", is_default=True)
    add_order(warehouse, place, 41, SHIRT_M="2", HAT="1")
    add_order(warehouse, place, 42, HAT="1")
    add_order(warehouse, place, 43, HAT="2")
    PickOrder.objects.filter(pk=43).update(acknowledged_at=timezone.now(), cancel_requested_at=timezone.now())
    returned = PickReturn.objects.create(
        pk=7, warehouse=warehouse, location=place, reference="return-7", number="R7", placed_at=PLACED_AT
    )
    PickReturnLine.objects.create(
        pick_return=returned, reference="line-1", sku="HAT", sku_key="hat", quantity=Decimal(1)
    )
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HUB": f"{live_server.url}/api/v1",
        "AUTH": f"Authorization: Bearer {ApiToken.issue(warehouse.merchant)[1]}",
    }
    found = commands()
    assert len(found) >= 12
    for command in found:
        an_hour_passes()
        checked = command.replace("curl ", "curl -sS --fail-with-body ", 1)
        done = subprocess.run(
            ["bash", "-c", checked], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    states = dict(PickOrder.objects.values_list("pk", "status"))
    assert states == {41: "shipped", 42: "refused", 43: "cancelled"}
    assert PickOrder.objects.get(pk=41).shipments.count() == 2
    levels = {level.sku: level.on_hand for level in StockLevel.objects.all()}
    assert levels == {"SHIRT-M": 34, "HAT": 3}
