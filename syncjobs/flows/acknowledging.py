"""Telling a warehouse which shipments are stored here, so that it stops offering them.

Only what is committed is told (law 1): a worker that dies between the commit and the telling leaves the shipment on
offer, and the next run takes it once more, finds it booked, and tells then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from connectors.errors import ConnectorError
from connectors.functions import Function
from connectors.ports import ShipmentAcknowledger
from connectors.records import ShipmentRecord
from syncjobs.context import RunContext
from syncjobs.failures import Failure, record_failures, settle_external

ORDERS_AT_ONCE = 20


class Acknowledgement:
    """Of one run. Its trouble never keeps shipments from being taken: the first ends the telling, and is raised by
    ``finish`` when everything is read."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.is_wanted = isinstance(context.connector, ShipmentAcknowledger)
        self.trouble: ConnectorError | None = None

    def tell(self, stored: Sequence[ShipmentRecord]) -> None:
        """Called after the page of these shipments is committed, a few orders at a time: raises ``SliceOver`` in between
        when others wait, and the rest is offered again. The session is one of its own: the reader's is fetching the next
        page."""
        orders: dict[str, list[ShipmentRecord]] = {}
        for record in stored if self.is_wanted else ():
            if record.acknowledgement:
                orders.setdefault(record.acknowledgement, []).append(record)
        waiting = list(orders.values())
        while waiting and self.trouble is None:
            now, waiting = waiting[:ORDERS_AT_ONCE], waiting[ORDERS_AT_ONCE:]
            self.tell_some([record for records in now for record in records])
            if waiting:
                self.context.check_slice()

    def tell_some(self, records: Sequence[ShipmentRecord]) -> None:
        warehouse = cast(ShipmentAcknowledger, self.context.second_connector)
        try:
            results = warehouse.acknowledge_shipments(records)
        except ConnectorError as error:
            self.trouble = error
            return
        refused = [
            Failure(
                external_id=result.reference,
                cause="not_acknowledged",
                reason=f"The shipment is booked, but the warehouse refused to hear so: {result.reason}",
                fix=result.fix,
            )
            for result in results
            if not result.ok
        ]
        connection = self.context.connection
        with self.context.page(None):
            rejected = record_failures(connection, Function.SHIPMENT_PICKUP, refused)
            settle_external(connection, Function.SHIPMENT_PICKUP, [one.reference for one in results if one.ok])
            self.context.run.count(acknowledged=len(results) - len(refused), rejected=rejected)

    def finish(self) -> None:
        if self.trouble is not None:
            raise self.trouble
