"""Connects what happens in ``carts`` with the movement here. Called once, when Django is ready."""

from __future__ import annotations

from django.db.models.signals import post_save
from django.utils import timezone

from carts import remote, signals
from carts.models import Connection, FunctionSetting, Warehouse
from carts.order_timeline import add_source
from connectors.functions import Function
from syncjobs import change_delivery, order_timeline, outbox, refund_delivery, stock_delivery, wms_outbox
from syncjobs.call_log import log_for
from syncjobs.flows.consignments import wake_waiting
from syncjobs.health import SETUP_KINDS, TRANSIENT_KINDS, hurry_deliveries
from syncjobs.models import Run, Schedule
from syncjobs.schedule import hurry, request_run, setting_saved

FUNCTION_OF_BOOK_CHANGE = {
    "shipments": Function.SHIPMENT_PICKUP,
    "answers": Function.ORDER_CANCEL_PICKUP,
    "stock": Function.INVENTORY_PICKUP,
}


def connect() -> None:
    remote.default_call_log = log_for
    signals.order_ready.connect(outbox.order_is_ready, dispatch_uid="outbox")
    signals.order_withdrawn.connect(outbox.order_is_withdrawn, dispatch_uid="outbox")
    signals.cancellation_wanted.connect(outbox.cancellation_is_wanted, dispatch_uid="outbox")
    signals.shipment_booked.connect(outbox.shipment_is_booked, dispatch_uid="outbox")
    signals.change_ready.connect(change_delivery.change_is_ready, dispatch_uid="outbox")
    signals.change_withdrawn.connect(change_delivery.change_is_withdrawn, dispatch_uid="outbox")
    signals.refund_ready.connect(refund_delivery.refund_is_ready, dispatch_uid="outbox")
    signals.refund_withdrawn.connect(refund_delivery.refund_is_withdrawn, dispatch_uid="outbox")
    signals.return_closed.connect(refund_delivery.return_is_closed, dispatch_uid="outbox")
    signals.stock_document_ready.connect(stock_delivery.document_is_ready, dispatch_uid="outbox")
    signals.stock_document_withdrawn.connect(stock_delivery.document_is_withdrawn, dispatch_uid="outbox")
    signals.consignment_wanted.connect(stock_delivery.consignment_is_wanted, dispatch_uid="outbox")
    signals.book_changed.connect(book_changed, dispatch_uid="schedule")
    signals.connection_tested.connect(connection_tested, dispatch_uid="schedule")
    signals.wms_told.connect(wms_outbox.wms_is_told, dispatch_uid="outbox")
    signals.connection_tested.connect(wms_outbox.warehouse_tested, dispatch_uid="outbox")
    signals.access_renewed.connect(access_renewed, dispatch_uid="schedule")
    for source in order_timeline.SOURCES:
        add_source(source)
    post_save.connect(setting_saved, sender=FunctionSetting, dispatch_uid="schedule")


def book_changed(sender: type, warehouse: Warehouse, what: str, **kwargs: object) -> None:
    """The built-in warehouse's book changed: what it concerns runs at once, not at the next interval."""
    function = FUNCTION_OF_BOOK_CHANGE[what]
    if warehouse.is_active and warehouse.function_is_on(function):
        request_run(warehouse, function, Run.Trigger.HUB)


def connection_tested(sender: type, connection: Connection, ok: bool, **kwargs: object) -> None:
    """After a good Test nothing waits for its back-off any more."""
    if ok:
        access_renewed(sender, connection)
        wake_waiting(connection)


def access_renewed(sender: type, connection: Connection, **kwargs: object) -> None:
    """What trouble or a refused access has stopped goes on: functions, and deliveries on their way."""
    now = timezone.now()
    Connection.objects.filter(pk=connection.pk, resting_until__gt=now).update(resting_until=None)
    hurry(connection, now)
    hurry_deliveries(connection, (*TRANSIENT_KINDS, *SETUP_KINDS), now)
    Schedule.objects.filter(connection_id=connection.pk).update(failures=0)
