"""Open connectors of one drain, kept between batches so that network connections are reused."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from carts.models import Connection
from carts.remote import open_connector
from connectors.base import Connector
from syncjobs.call_log import CallBuffer

MOST_OPEN = 16


class OpenConnectors:
    """Connectors by connection, closed when settings changed or too many are open. Belongs to one thread."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, tuple[Any, Connector, CallBuffer]] = OrderedDict()

    def get(self, connection_id: int) -> tuple[Connection, Connector, CallBuffer]:
        """(the connection as stored now, its connector, the call log the connector writes to). One query."""
        connection = Connection.objects.select_related("merchant").get(pk=connection_id)
        stamp, connector, calls = self._open.pop(connection_id, (None, None, None))
        if connector is None or calls is None or stamp != connection.updated_at:
            if connector is not None:
                connector.close()
            calls = CallBuffer(connection_id)
            connector = open_connector(connection, calls)
        self._open[connection_id] = (connection.updated_at, connector, calls)
        while len(self._open) > MOST_OPEN:
            _, (_, oldest, _) = self._open.popitem(last=False)
            oldest.close()
        return connection, connector, calls

    def close(self) -> None:
        for _, connector, _ in self._open.values():
            connector.close()
        self._open.clear()
