"""Order Cancellation Sending: at the WMS, before it, twice, refused, without an answer."""

import pytest

from connectors.errors import OutcomeUnknown
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.records import OutboundCancellation
from tests.connectors.integration_manager.making import web_order

REF = "1001-9f3a2b1c"
WMS_CANCEL = "GET /v1/cart/orders/wms_cancel/{cust_ref}"
OLDER_CANCEL = "POST /v1/cart/orders/cancel/cartrover"
WANTED = OutboundCancellation(reference=REF, remote_id=REF, reason="Changed their mind")


@pytest.fixture(autouse=True)
def sent(warehouse: IntegrationManagerWarehouse) -> None:
    warehouse.send_orders([web_order(REF)])


def status(sandbox: IntegrationManagerSandbox) -> str:
    return str(sandbox.store.orders[REF]["order_status"])


def test_at_the_wms(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    sandbox.store.deliver()
    assert warehouse.cancel_order(WANTED).ok
    assert status(sandbox) == "canceled"
    assert sandbox.count(OLDER_CANCEL) == 0


def test_before_the_wms_has_it(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    assert warehouse.cancel_order(WANTED).ok
    assert status(sandbox) == "canceled"


def test_twice_is_done(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    sandbox.store.deliver()
    assert warehouse.cancel_order(WANTED).ok
    assert warehouse.cancel_order(WANTED).ok


def test_without_the_remotes_own_id(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    sandbox.store.deliver()
    assert warehouse.cancel_order(OutboundCancellation(reference=REF, remote_id="")).ok
    assert status(sandbox) == "canceled"


def test_too_late(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    """The refusal stands inside an answer that is itself a success."""
    sandbox.store.ship(REF)
    result = warehouse.cancel_order(WANTED)
    assert not result.ok
    assert "shipped" in result.reason and result.fix
    assert status(sandbox) == "shipped"


def test_a_wms_that_says_no_without_a_word(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.store.deliver()
    sandbox.store.refused_cancellations[REF] = " "
    result = warehouse.cancel_order(WANTED)
    assert not result.ok
    assert "gave no reason" in result.reason and "“at_wms”" in result.reason


def test_an_order_that_is_not_there(warehouse: IntegrationManagerWarehouse) -> None:
    result = warehouse.cancel_order(OutboundCancellation(reference="2-aaaaaaaa", remote_id=""))
    assert not result.ok and "not found" in result.reason


def test_a_lost_answer_is_unknown_and_asking_again_settles_it(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    """Though it is a GET, it is not repeated unasked."""
    sandbox.store.deliver()
    sandbox.fail(match=WMS_CANCEL, fault="answer_lost")
    with pytest.raises(OutcomeUnknown):
        warehouse.cancel_order(WANTED)
    assert sandbox.count(WMS_CANCEL) == 1
    assert warehouse.cancel_order(WANTED).ok


@pytest.mark.parametrize("wobbles", [False, True])
def test_every_habit_of_the_api(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, wobbles: bool
) -> None:
    sandbox.wobbles = wobbles
    sandbox.store.deliver()
    assert warehouse.cancel_order(WANTED).ok
    sandbox.store.ship(REF)
    assert not warehouse.cancel_order(WANTED).ok
