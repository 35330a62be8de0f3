"""What the feeds still have to tell since the hub read them last: that is on its way, and no mismatch.

They are read only where something differs, after what is compared was read. Nothing is stored and no cursor moves: the
functions themselves go on from where they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar, cast

from carts.models import Connection
from connectors.base import Connector
from connectors.functions import Function
from connectors.ports import InventoryReader, OrderAnswerReader, OrderReader, ShipmentReader
from connectors.records import Page
from syncjobs.flows.reconciliation.look import Look
from syncjobs.schedule import feed_of, schedule_of

# A feed with more to tell than this is too far behind to judge by.
MOST_PAGES = 20

T = TypeVar("T")
# What is still to be told, by id; None: nobody can say.
Told = set[str] | None


class Feeds:
    def __init__(self, look: Look) -> None:
        self.look = look

    def orders(self) -> Told:
        """Ids of the cart's orders."""
        wanted = (Function.ORDER_DOWNLOAD, Function.ORDER_CANCEL_DOWNLOAD)
        reader = self.look.context.second_connector
        if not isinstance(reader, OrderReader):
            return set()
        return self.told(self.look.cart, wanted, reader.read_orders, lambda record: record.external_id)

    def levels(self) -> Told:
        """Ids of the cart's products whose level moved."""
        reader = cast(InventoryReader, self.look.context.second_connector)
        return self.told(
            self.look.cart, (Function.INVENTORY_SYNC,), reader.read_levels, lambda record: record.product_id
        )

    def shipments(self, warehouse: Connection, connector: Connector) -> Told:
        """References of orders of which something left."""
        if not isinstance(connector, ShipmentReader):
            return set()
        wanted = (Function.SHIPMENT_PICKUP,)
        return self.told(warehouse, wanted, connector.read_shipments, lambda record: record.order_reference)

    def answers(self, warehouse: Connection, connector: Connector) -> Told:
        """References of orders that the warehouse decided about."""
        if not isinstance(connector, OrderAnswerReader):
            return set()
        wanted = (Function.ORDER_CANCEL_PICKUP,)
        return self.told(warehouse, wanted, connector.read_answers, lambda record: record.order_reference)

    def told(
        self,
        connection: Connection,
        functions: tuple[Function, ...],
        read: Callable[[str], Iterator[Page[T]]],
        name: Callable[[T], str],
    ) -> Told:
        """Nothing is on its way where nobody fetches it."""
        on = [function for function in functions if connection.function_is_on(function)]
        if not on:
            return set()
        schedule = schedule_of(connection, feed_of(connection, on[0]))
        if schedule.last_success_at is None and not schedule.cursor:
            return None
        found: set[str] = set()
        for number, page in enumerate(self.look.told(read(schedule.cursor))):
            if number == MOST_PAGES:
                return None
            found.update(name(record) for record in page.records)
            found.update(reject.external_id for reject in page.rejects)
        return found
