"""Stock control: orders, transfers, returns to the supplier, counts. Source: vend.md 3.10.

As with sales, stock follows one rule: what a consignment *should* have moved is computed from its type, status and
lines, and the difference to what it moved so far is booked. Moments of movement are assumptions (3.10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.vend.sandbox_core import Feed, Record, bad_request, decimal_of, id_of, not_found, unprocessable
from connectors.vend.sandbox_fulfilments import FulfilmentBook

ZERO = Decimal(0)
BULK_ROWS = 500
MOST_FILTERS = 25
FILTER_FIELDS = {"product_type": "product_type_id", "brand": "brand_id", "supplier": "supplier_id", "product": "id"}

TRANSITIONS: dict[str, dict[str, frozenset[str]]] = {
    "SUPPLIER": {
        "OPEN": frozenset({"SENT", "CANCELLED"}),
        "SENT": frozenset({"DISPATCHED", "RECEIVED", "CANCELLED"}),
        "DISPATCHED": frozenset({"RECEIVED", "CANCELLED"}),
    },
    "OUTLET": {"OPEN": frozenset({"SENT", "CANCELLED"}), "SENT": frozenset({"RECEIVED", "CANCELLED"})},
    "RETURN": {"OPEN": frozenset({"SENT", "CANCELLED"})},
    "STOCKTAKE": {
        "STOCKTAKE": frozenset({"STOCKTAKE_SCHEDULED", "STOCKTAKE_IN_PROGRESS", "CANCELLED", "CLOSED"}),
        "STOCKTAKE_SCHEDULED": frozenset({"STOCKTAKE_IN_PROGRESS", "CANCELLED", "CLOSED"}),
        "STOCKTAKE_IN_PROGRESS": frozenset({"STOCKTAKE_IN_PROGRESS_PROCESSED", "CANCELLED", "CLOSED"}),
        "STOCKTAKE_IN_PROGRESS_PROCESSED": frozenset({"STOCKTAKE_COMPLETE", "CANCELLED", "CLOSED"}),
        "STOCKTAKE_COMPLETE": frozenset({"CLOSED"}),
    },
}
FIRST_STATUSES: dict[str, frozenset[str]] = {
    "SUPPLIER": frozenset({"OPEN", "SENT"}),
    "OUTLET": frozenset({"OPEN"}),
    "RETURN": frozenset({"OPEN"}),
    "STOCKTAKE": frozenset({"STOCKTAKE", "STOCKTAKE_SCHEDULED", "STOCKTAKE_IN_PROGRESS"}),
}
# Where lines cannot be deleted any more.
KEPT_LINES = {
    "SUPPLIER": frozenset({"DISPATCHED", "RECEIVED", "CANCELLED"}),
    "OUTLET": frozenset({"SENT", "RECEIVED"}),
    "RETURN": frozenset({"SENT"}),
    "STOCKTAKE": frozenset({"STOCKTAKE_COMPLETE", "CLOSED"}),
}
FROZEN = frozenset({"RECEIVED", "CANCELLED", "CLOSED", "STOCKTAKE_COMPLETE"})
LINE_STATUSES = {"SENT": "SENT_SUCCESS", "RECEIVED": "RECEIVE_SUCCESS", "STOCKTAKE_COMPLETE": "STOCKTAKE_SUCCESS"}
EVENTS = {"SENT": "consignment.send", "RECEIVED": "consignment.receive", "STOCKTAKE_COMPLETE": "consignment.receive"}
EDITABLE = ("name", "supplier_id", "supplier_invoice", "reference", "consignment_date", "due_at", "source_outlet_id")


class ConsignmentBook(FulfilmentBook):
    """Consignments with their lines. ``stocktake_delay``: seconds until a count has its lines (default none: they are
    there when the consignment is read next)."""

    def __init__(self, seed: int, now: Callable[[], datetime], tax_exclusive: bool) -> None:
        self.consignment_feed: Feed[Record] = Feed()
        self.consignment_lines: dict[str, Feed[Record]] = {}
        self.stocktake_delay = 0.0
        self._booked: dict[str, dict[tuple[str, str], Decimal]] = {}
        super().__init__(seed, now, tax_exclusive)

    @property
    def consignments(self) -> list[Record]:
        with self.lock:
            self.process_stocktakes()
            return [record for record in self.consignment_feed if record["deleted_at"] is None]

    def consignment(self, consignment: Any) -> Record:
        record = self.consignment_feed.by_id.get(id_of(consignment))
        if record is None or record["deleted_at"] is not None:
            raise not_found("The consignment")
        return record

    def lines_of(self, consignment: Any) -> list[Record]:
        """``product_id, product_sku, count, received, cost, is_included, status``; quantities as ``Decimal``."""
        with self.lock:
            return list(self.consignment_lines[id_of(consignment)])

    # What people do in the shop, in one step

    def order_stock(self, outlet: Any, lines: Iterable[tuple[Any, Any]], name: str = "", **fields: Any) -> Record:
        """A stock order that is ordered, sent and received in full."""
        with self.lock:
            order = self.add_consignment("SUPPLIER", outlet, lines, name=name, **fields)
            self.move_consignment(order, "SENT")
            for line in self.lines_of(order):
                self.write_line(order, line["product_id"], received=line["count"])
            return self.move_consignment(order, "RECEIVED")

    def return_stock(self, outlet: Any, lines: Iterable[tuple[Any, Any]], name: str = "", **fields: Any) -> Record:
        """A return to the supplier, sent."""
        with self.lock:
            return self.move_consignment(self.add_consignment("RETURN", outlet, lines, name=name, **fields), "SENT")

    def transfer_stock(
        self, source: Any, target: Any, lines: Iterable[tuple[Any, Any]], name: str = "", receive: bool = True
    ) -> Record:
        """A transfer between outlets, sent, and received in full when ``receive``."""
        with self.lock:
            transfer = self.add_consignment("OUTLET", target, lines, name=name, source_outlet=source)
            self.move_consignment(transfer, "SENT")
            return self.move_consignment(transfer, "RECEIVED") if receive else transfer

    def count_stock(self, outlet: Any, counted: Iterable[tuple[Any, Any]], name: str = "") -> Record:
        """An inventory count of the given products, completed."""
        with self.lock:
            rows = [(id_of(product), decimal_of(quantity)) for product, quantity in counted]
            filters = [{"type": "product", "value": product_id} for product_id, _ in rows]
            count = self.add_consignment(
                "STOCKTAKE", outlet, name=name, status="STOCKTAKE_IN_PROGRESS", filters=filters
            )
            self._process_stocktake(count)
            for product_id, quantity in rows:
                self.write_line(count, product_id, received=quantity)
            return self.move_consignment(count, "STOCKTAKE_COMPLETE")

    # Consignments

    def add_consignment(
        self,
        kind: str,
        outlet: Any,
        lines: Iterable[tuple[Any, Any]] = (),
        name: str = "",
        status: str = "",
        source_outlet: Any = None,
        **fields: Any,
    ) -> Record:
        """A new consignment with (product, count) lines. Raises ``Refusal`` 400 and 422."""
        with self.lock:
            if kind not in TRANSITIONS:
                raise bad_request(f"{kind!r} is no consignment type.")
            status = status or ("STOCKTAKE_SCHEDULED" if kind == "STOCKTAKE" else "OPEN")
            if status not in FIRST_STATUSES[kind]:
                raise unprocessable(f"A {kind} consignment cannot be created as {status}.")
            if kind == "OUTLET" and source_outlet is None:
                raise unprocessable("A transfer needs source_outlet_id.")
            if len(fields.get("filters") or ()) > MOST_FILTERS:
                raise bad_request(f"At most {MOST_FILTERS} filters.")
            record = self._blank_consignment(kind, self.find_outlet(outlet), name, status)
            if source_outlet is not None:
                record["source_outlet_id"] = self.find_outlet(source_outlet)["id"]
            unknown = sorted(set(fields) - set(record))
            if unknown:
                raise bad_request(f"A consignment has no field {', '.join(unknown)}.")
            record |= fields
            self.consignment_lines[record["id"]] = Feed()
            self._booked[record["id"]] = {}
            self.touch(self.consignment_feed, record)
            for product, count in lines:
                self.write_line(record, id_of(product), count=count)
            return record

    def _blank_consignment(self, kind: str, outlet: Record, name: str, status: str) -> Record:
        return Record(
            id=self.new_id(),
            name=name or f"{kind.title()} {len(self.consignment_feed) + 1}",
            type=kind,
            status=status,
            outlet_id=outlet["id"],
            source_outlet_id=None,
            supplier_id=None,
            supplier_invoice=None,
            reference=None,
            consignment_date=self.now(),
            due_at=None,
            received_at=None,
            show_inactive=False,
            filters=[],
            product_count=0,
            total_count_gain=None,
            total_cost_gain=None,
            total_count_loss=None,
            total_cost_loss=None,
            created_at=self.now(),
            updated_at=self.now(),
            deleted_at=None,
        )

    def move_consignment(self, consignment: Any, status: str) -> Record:
        """Changes the status along the workflow of the type, with its effects on stock and lines, and tells the
        webhooks, one delivery per line. Raises ``Refusal`` 422 for a step that is not allowed."""
        with self.lock:
            record = self.consignment(consignment)
            kind, before = record["type"], record["status"]
            if status == before:
                return record
            if status not in TRANSITIONS[kind].get(before, frozenset()):
                raise unprocessable(f"A {kind} consignment cannot go from {before} to {status}.")
            lines = self.lines_of(record)
            if kind == "SUPPLIER" and status != "CANCELLED" and not lines:
                raise unprocessable("The order has no products.")
            if kind == "SUPPLIER" and status == "RECEIVED" and not any(line["received"] for line in lines):
                raise unprocessable("Nothing was received yet.")
            record["status"] = status
            if kind == "OUTLET" and status == "SENT":
                for line in lines:
                    if line["cost"] is None:
                        line["cost"] = self.inventory_row(line["product_id"], record["source_outlet_id"])[
                            "average_cost"
                        ]
            if kind == "OUTLET" and status == "RECEIVED" and all(line["received"] is None for line in lines):
                for line in lines:
                    line["received"] = line["count"]
            if status == "RECEIVED":
                record["received_at"] = self.now()
            for line in lines:
                if status in LINE_STATUSES:
                    line["status"] = LINE_STATUSES[status]
                    self._touch_line(record, line)
            return self._consignment_changed(record, EVENTS.get(status, ""))

    def _consignment_changed(self, record: Record, event: str = "") -> Record:
        lines = self.lines_of(record)
        record["product_count"] = len(lines)
        if record["status"] == "STOCKTAKE_COMPLETE":
            self._write_differences(record, lines)
        self.touch(self.consignment_feed, record)
        self._settle_consignment(record)
        if event:
            for line in lines:
                self.on_event(event, line_event(record, line))
        return record

    @staticmethod
    def _write_differences(record: Record, lines: list[Record]) -> None:
        for word, sign in (("gain", 1), ("loss", -1)):
            found = [
                (((line["received"] or ZERO) - line["count"]) * sign, line["cost"] or ZERO)
                for line in lines
                if line["is_included"]
            ]
            record[f"total_count_{word}"] = sum((n for n, _ in found if n > 0), ZERO) * sign
            record[f"total_cost_{word}"] = sum((n * cost for n, cost in found if n > 0), ZERO) * sign

    def _settle_consignment(self, record: Record) -> None:
        wanted = self._should_move(record)
        booked = self._booked[record["id"]]
        for key in {**booked, **wanted}:
            product_id, outlet_id = key
            self.move(product_id, outlet_id, wanted.get(key, ZERO) - booked.get(key, ZERO))
        self._booked[record["id"]] = wanted

    def _should_move(self, record: Record) -> dict[tuple[str, str], Decimal]:
        """Stock added (below 0: taken) by (product, outlet)."""
        kind, status, outlet_id = record["type"], record["status"], record["outlet_id"]
        moves: dict[tuple[str, str], Decimal] = {}
        for line in self.lines_of(record):
            product_id, count, received = line["product_id"], line["count"], line["received"] or ZERO
            if kind == "SUPPLIER" and status == "RECEIVED":
                moves[(product_id, outlet_id)] = received
            elif kind == "RETURN" and status == "SENT":
                moves[(product_id, outlet_id)] = -count
            elif kind == "OUTLET" and status in ("SENT", "RECEIVED"):
                moves[(product_id, record["source_outlet_id"])] = -count
                if status == "RECEIVED":
                    moves[(product_id, outlet_id)] = received
            elif kind == "STOCKTAKE" and status in ("STOCKTAKE_COMPLETE", "CLOSED") and line["is_included"]:
                moves[(product_id, outlet_id)] = received - count
        if status == "CLOSED" and record["total_count_gain"] is None:
            return {}
        return moves

    def edit_consignment(self, consignment: Any, changes: Mapping[str, Any]) -> Record:
        """``PUT consignments/{id}``: the mandatory fields are repeated, a new status moves it on. Raises ``Refusal``:
        400 for missing fields, 422 for what is frozen or must not change."""
        with self.lock:
            record = self.consignment(consignment)
            missing = [name for name in ("name", "outlet_id", "type") if not changes.get(name)]
            if missing:
                raise bad_request(f"{', '.join(missing)} must be repeated.")
            if changes["type"] != record["type"]:
                raise unprocessable("The type cannot change.")
            if record["status"] in FROZEN and changes.get("status", record["status"]) not in ("CLOSED",):
                raise unprocessable(f"A consignment that is {record['status']} cannot change.")
            record |= {name: changes[name] for name in EDITABLE if name in changes}
            if changes.get("status") and changes["status"] != record["status"]:
                return self.move_consignment(record, changes["status"])
            return self._consignment_changed(record)

    def delete_consignment(self, consignment: Any) -> None:
        with self.lock:
            record = self.consignment(consignment)
            if record["status"] in FROZEN - {"CANCELLED"}:
                raise unprocessable(f"A consignment that is {record['status']} cannot be deleted.")
            if record["status"] != "CANCELLED":
                self.move_consignment(record, "CANCELLED")
            record["deleted_at"] = self.now()
            self.touch(self.consignment_feed, record)

    # Lines

    def line(self, consignment: Any, product: Any) -> Record:
        try:
            return self.consignment_lines[id_of(consignment)].by_id[id_of(product)]
        except KeyError:
            raise not_found("The product in this consignment") from None

    def write_line(self, consignment: Any, product: Any, *, add: bool = False, **quantities: Any) -> Record:
        """Sets, or with ``add`` adds to, ``count``, ``received`` and ``cost`` of a line, made when it is not there.
        Nothing is forbidden here, so that tests can correct a received consignment; the API's own rules are in
        ``send_line``. Stock follows."""
        with self.lock:
            record = self.consignment(consignment)
            feed = self.consignment_lines[record["id"]]
            line = feed.by_id.get(id_of(product)) or self._new_line(self.product(product))
            for name, value in quantities.items():
                if value is not None:
                    line[name] = decimal_of(value) + ((line[name] or ZERO) if add else ZERO)
            self._touch_line(record, line)
            self._consignment_changed(record)
            return line

    def correct_line(self, consignment: Any, product: Any, **quantities: Any) -> Record:
        """A person corrects a line of a consignment that is done already (more received, counted again): stock follows
        and the webhook of its status is sent for this line."""
        with self.lock:
            record = self.consignment(consignment)
            line = self.write_line(record, product, **quantities)
            if record["status"] in EVENTS:
                self.on_event(EVENTS[record["status"]], line_event(record, line))
            return line

    def _touch_line(self, record: Record, line: Record) -> None:
        line["updated_at"] = self.now()
        self.touch(self.consignment_lines[record["id"]], line)

    def _new_line(self, product: Record) -> Record:
        return Record(
            id=product["id"],
            product_id=product["id"],
            product_sku=product["sku"],
            count=ZERO,
            received=None,
            cost=None,
            is_included=True,
            status="PENDING",
            created_at=self.now(),
            updated_at=self.now(),
            deleted_at=None,
        )

    def send_line(self, consignment: Any, product: Any, body: Mapping[str, Any], *, add: bool) -> Record:
        """A line written over the API. Raises ``Refusal`` 422 where the status does not allow it."""
        with self.lock:
            record, target = self.consignment(consignment), self.product(product)
            kind, status = record["type"], record["status"]
            if status in FROZEN or (kind == "RETURN" and status == "SENT"):
                raise unprocessable(f"The lines of a consignment that is {status} cannot change.")
            if kind == "SUPPLIER" and target["is_composite"]:
                raise unprocessable("Composite products cannot be ordered.")
            quantities = {name: body[name] for name in ("count", "received", "cost") if body.get(name) is not None}
            if kind == "OUTLET" and status == "OPEN" and "received" in quantities:
                raise unprocessable("Nothing can be received before the transfer is sent.")
            if kind == "OUTLET" and status != "OPEN" and "cost" in quantities:
                raise unprocessable("The cost can only be set while the transfer is open.")
            if kind == "STOCKTAKE" and status != "STOCKTAKE_IN_PROGRESS_PROCESSED" and "received" in quantities:
                raise unprocessable("The count is not ready yet.")
            line = self.write_line(record, target, add=add, **quantities)
            if kind == "SUPPLIER" and status == "SENT" and "received" in quantities:
                self.move_consignment(record, "DISPATCHED")
            return line

    def send_bulk(self, consignment: Any, rows: Any) -> dict[str, dict[str, Decimal]]:
        """Many lines at once. On stock orders the values are **added** (count while open or sent, received once
        dispatched); elsewhere they are set. Raises ``Refusal`` 400 and 422."""
        with self.lock:
            record = self.consignment(consignment)
            if not isinstance(rows, list) or not 1 <= len(rows) <= BULK_ROWS:
                raise bad_request(f"1 to {BULK_ROWS} rows are expected.")
            if any(row.get("count") is None and row.get("received") is None for row in rows):
                raise bad_request("Every row needs count or received.")
            supplier = record["type"] == "SUPPLIER"
            if supplier and record["status"] == "OPEN" and any(row.get("received") is not None for row in rows):
                for row in rows:
                    self.write_line(record, row["product_id"])
                self.move_consignment(record, "SENT")
            answer: dict[str, dict[str, Decimal]] = {}
            for row in rows:
                line = self.send_line(record, row.get("product_id") or "", row, add=supplier)
                answer[line["product_id"]] = {
                    name: line[name] for name in ("count", "received") if row.get(name) is not None
                }
            return answer

    def delete_line(self, consignment: Any, product: Any) -> None:
        with self.lock:
            record = self.consignment(consignment)
            self.line(record, product)
            if record["status"] in KEPT_LINES[record["type"]]:
                raise unprocessable(f"Lines of a consignment that is {record['status']} cannot be deleted.")
            self.consignment_lines[record["id"]].drop(id_of(product))
            self._consignment_changed(record)

    # Counts

    def process_stocktakes(self) -> None:
        """The background job of the real thing: counts in progress get their lines once their time has come."""
        due = self.now() - timedelta(seconds=self.stocktake_delay)
        for record in self.consignment_feed:
            if record["status"] == "STOCKTAKE_IN_PROGRESS" and record["updated_at"] <= due:
                self._process_stocktake(record)

    def _process_stocktake(self, record: Record) -> None:
        """Adds every product that a filter names (all of them without filters) with its level as expected count."""
        for product in self.products:
            if self._is_counted(product, record):
                line = self._new_line(product)
                line["count"] = self.level(product, record["outlet_id"])
                line["cost"] = self.inventory_row(product["id"], record["outlet_id"])["average_cost"]
                self._touch_line(record, line)
        self.move_consignment(record, "STOCKTAKE_IN_PROGRESS_PROCESSED")

    def _is_counted(self, product: Record, record: Record) -> bool:
        if not product["has_inventory"] or not (product["active"] or record["show_inactive"]):
            return False
        return not record["filters"] or any(self._named_by(product, row) for row in record["filters"])

    @staticmethod
    def _named_by(product: Record, row: Mapping[str, Any]) -> bool:
        if row.get("type") == "tag":
            return row.get("value") in product["tag_ids"]
        return bool(product[FILTER_FIELDS.get(row.get("type", ""), "id")] == row.get("value"))


def line_event(record: Record, line: Record) -> Record:
    """What ``consignment.send`` and ``consignment.receive`` tell: one item per delivery. The real shape is not known
    (vend.md section 7); this one can be read by every way of finding the consignment's id."""
    return Record(
        id=record["id"],
        consignment_id=record["id"],
        product_id=line["product_id"],
        product_sku=line["product_sku"],
        count=str(line["count"]),
        received=str(line["received"] or ZERO),
        cost=None if line["cost"] is None else str(line["cost"]),
        status=line["status"],
        consignment={name: record[name] for name in ("id", "name", "type", "status", "outlet_id", "source_outlet_id")},
    )
