"""Stock transfers: where the goods go from and to at the warehouse, and what has to be told to it in which steps.

* A warehouse that knows goods in transit is told twice: SENT, then RECEIVED.
* Any other is told once, MOVED, when they are received; what was lost on the way is a stock adjustment at the source.
* Two warehouses, or goods that had left before the hub began: a stock adjustment at each place.
* One location for both outlets: nothing moves.
"""

from __future__ import annotations

from decimal import Decimal

from carts.alerting import clear_alert, raise_alert
from carts.encryption import CredentialsUnreadable
from carts.models import Alert, Cart, Consignment, ConsignmentLine, Location, StockAdjustment, StockTransfer
from carts.models import StockTransferStep as Step
from carts.remote import open_connector
from carts.stock_documents import make_adjustments, make_step, reference_of, start, start_steps
from carts.stock_effects import (
    ZERO,
    Placed,
    Quantities,
    add,
    by_sku,
    carried_by_adjustments,
    carried_by_steps,
    differences,
    wanted,
)
from carts.stock_requirements import missing_at_cart, missing_at_warehouse, missing_location
from carts.stock_stores import ADJUSTMENTS, TRANSFERS, Store
from connectors.errors import ConnectorError
from connectors.ports import StockTransferWriter
from connectors.records import ConsignmentState
from connectors.registry import connector_class

Status, Effect = StockTransfer.Status, StockAdjustment.Effect
WAITS = "transfer_waits"
ONE_STEP = "{warehouse} books a transfer in one step: it is told once the goods are received."
TWO_WAREHOUSES = "The two locations belong to different warehouses: each gets a stock adjustment."


def transfer_of(consignment: Consignment) -> StockTransfer:
    transfer, _ = StockTransfer.objects.get_or_create(
        consignment=consignment,
        defaults={"merchant_id": consignment.merchant_id, "reference": reference_of(consignment)},
    )
    transfer.consignment = consignment
    return transfer


class TransferPlan:
    """Brings the documents of one transfer in line with what the shop says. Called with the consignment locked.

    ``problem`` afterwards: why it waits, "" if it does not. ``pending``: what moved in the shop and no document carries
    yet.
    """

    def __init__(self, consignment: Consignment, store: Store, lines: list[ConsignmentLine], source: str) -> None:
        self.consignment = consignment
        self.store = store
        self.lines = lines
        self.source = source
        self.transfer = transfer_of(consignment)
        self.stored = facts_of(self.transfer)
        self.taken_back = consignment.taken_back_at is not None
        self.is_received = consignment.state == ConsignmentState.RECEIVED and not self.taken_back
        self.sent_before = consignment.history == Consignment.History.SENT
        self.problem = ""
        self.pending: Placed = {}

    def carry_out(self) -> None:
        self.find_places()
        start, end = self.transfer.from_location, self.transfer.to_location
        if start is None or end is None:
            self.wait(self.unknown_side())
        elif start == end:
            self.finish(Status.NOTHING, f"Both outlets belong to the location {start}, so nothing has to move.")
        elif start.warehouse_id != end.warehouse_id or self.sent_before:
            self.by_adjustments(start, end)
        else:
            self.by_steps(start, end)
        if start is not None and end is not None:
            clear_alert(self.consignment.merchant_id, WAITS, f"{self.consignment.pk}")

    # Where

    def find_places(self) -> None:
        """The locations of the two outlets' carts; fixed once something was made of them."""
        if self.transfer.steps.exists() or self.consignment.adjustments.exists():
            return
        for name, cart in (("from_location", self.consignment.source_cart), ("to_location", self.consignment.cart)):
            place = cart.stock_location() if cart is not None else None
            setattr(self.transfer, name, place if place is not None and place.is_active else None)
        one = self.transfer.from_location
        other = self.transfer.to_location
        same = one is not None and other is not None and one.warehouse_id == other.warehouse_id
        self.transfer.warehouse_id = one.warehouse_id if same and one is not None else None
        if not same:
            self.transfer.has_transit = None
        self.save()

    def unknown_side(self) -> str:
        """Why it waits: the outlet whose cart, or the cart whose location, is missing."""
        consignment = self.consignment
        for cart, outlet_id in (
            (consignment.source_cart, consignment.source_outlet_id_at_cart),
            (consignment.cart, consignment.outlet_id_at_cart),
        ):
            if cart is None:
                return f"There is no cart for the outlet “{self.store.outlet_name(outlet_id)}”."
            if cart.warehouse is None:
                return f"{cart} has no warehouse."
            lacking = next(missing_location(cart), None)
            if lacking is not None:
                return lacking.message
        return "The locations of the two outlets are not known."

    def wait(self, reason: str) -> None:
        """Nothing goes out with one place blank. It goes on by itself once the place is known."""
        self.problem = reason
        self.finish(Status.WAITING, reason)
        self.note_pending()
        raise_alert(
            self.consignment.merchant,
            WAITS,
            f"{self.consignment.pk}",
            f"{self.consignment.title} waits: {reason}",
            fix="Add a cart for that outlet with its warehouse location and click Test, or choose the location in the cart "
            "that is there. The transfer then goes out by itself.",
            link=f"/admin/carts/consignment/{self.consignment.pk}/change/",
            connection=self.consignment.cart or self.consignment.source_cart,
            severity=Alert.Severity.WARNING,
        )

    # What

    def left(self, carried: Quantities) -> Quantities:
        if self.taken_back or self.sent_before:
            return {}
        return wanted(self.consignment, self.lines, Effect.SENT, carried)

    def arrived(self, carried: Quantities) -> Quantities:
        if not self.is_received:
            return {}
        return wanted(self.consignment, self.lines, Effect.RECEIVED, carried)

    def by_adjustments(self, start_place: Location, end: Location) -> None:
        carried_out = carried_by_adjustments(self.consignment, Effect.SENT)
        carried_in = carried_by_adjustments(self.consignment, Effect.RECEIVED)
        out = differences(minus(self.left(minus(carried_out))), carried_out)
        into = differences(self.arrived(carried_in), carried_in)
        self.adjust(start_place, Effect.SENT, out)
        self.adjust(end, Effect.RECEIVED, into)
        self.problem = self.start_adjustments()
        both = "" if start_place.warehouse_id == end.warehouse_id else TWO_WAREHOUSES
        self.finish(self.progress(), self.problem or both)

    def by_steps(self, start_place: Location, end: Location) -> None:
        blocker = self.blocker()
        if self.transfer.has_transit is None:
            blocker = self.ask_for_transit() or blocker
        if self.transfer.has_transit is None:
            self.problem = blocker
            self.finish(Status.WAITING, blocker)
            self.note_pending()
            return
        remark = ""
        if self.transfer.has_transit:
            for kind, want in ((Step.Step.SENT, self.left), (Step.Step.RECEIVED, self.arrived)):
                carried = carried_by_steps(self.consignment, kind)
                make_step(self.transfer, kind, differences(want(carried), carried), self.lines, self.source)
        else:
            self.in_one_step(start_place, end)
            if not self.is_received and not self.taken_back:
                remark = ONE_STEP.format(warehouse=self.transfer.warehouse)
        start_steps(self.transfer, blocker)
        self.problem = blocker or self.start_adjustments()
        self.finish(self.progress(), self.problem or remark)

    def in_one_step(self, start_place: Location, end: Location) -> None:
        """What arrived has moved; what left and did not arrive is lost at the source, what came on top is found at the
        end."""
        if not self.is_received and not self.taken_back:
            self.note_pending()
            return
        moved = carried_by_steps(self.consignment, Step.Step.MOVED)
        lost = carried_by_adjustments(self.consignment, Effect.SENT)
        found = carried_by_adjustments(self.consignment, Effect.RECEIVED)
        left = self.left(total(moved, minus(lost)))
        arrived = self.arrived(total(moved, found))
        both = {
            product_id: min(left.get(product_id, ZERO), arrived.get(product_id, ZERO))
            for product_id in {**left, **arrived}
        }
        make_step(self.transfer, Step.Step.MOVED, differences(both, moved), self.lines, self.source)
        self.adjust(start_place, Effect.SENT, differences(minus(total(left, minus(both))), lost))
        self.adjust(end, Effect.RECEIVED, differences(total(arrived, minus(both)), found))

    def adjust(self, place: Location, effect: str, quantities: Quantities) -> None:
        make_adjustments(self.consignment, place, effect, quantities, self.lines, self.source, one_per_item=False)

    def note_pending(self) -> None:
        """What Inventory Sync must know although no document carries it."""
        add(self.pending, self.transfer.from_location, by_sku(self.lines, self.left({})), -1)
        add(self.pending, self.transfer.to_location, by_sku(self.lines, self.arrived({})), +1)

    # Whether

    def blocker(self) -> str:
        """Why the transfer may not go out; "" if it may. One of the two carts must want transfers to be passed on."""
        carts: list[Cart] = [cart for cart in (self.consignment.source_cart, self.consignment.cart) if cart is not None]
        if not carts:
            return "The carts of both outlets are gone."
        lacking = [next(missing_at_cart(cart, self.store, TRANSFERS), None) for cart in carts]
        if all(lacking):
            return str(lacking[0])
        assert self.transfer.warehouse is not None
        return str(next(missing_at_warehouse(self.transfer.warehouse, self.store, TRANSFERS), ""))

    def start_adjustments(self) -> str:
        """Lets the adjustments of this transfer go out. Returns why one waits."""
        problem = ""
        for adjustment in self.consignment.adjustments.order_by("pk").select_related("warehouse"):
            lacking = str(next(missing_at_warehouse(adjustment.warehouse, self.store, ADJUSTMENTS), ""))
            start(adjustment, lacking)
            if adjustment.status == adjustment.Status.WAITING:
                problem = problem or lacking
        return problem

    def ask_for_transit(self) -> str:
        """Does the warehouse know goods in transit? Fixed for this transfer from then on. Returns why that is unknown."""
        warehouse = self.transfer.warehouse
        assert warehouse is not None
        if not issubclass(connector_class(warehouse.connector), StockTransferWriter):
            return ""
        try:
            connector = open_connector(warehouse)
        except (ConnectorError, CredentialsUnreadable) as error:
            return str(error)
        try:
            self.transfer.has_transit = connector.knows_transit()  # type: ignore[attr-defined]
        except ConnectorError as error:
            return str(error)
        finally:
            connector.close()
        return ""

    def progress(self) -> str:
        if self.problem:
            return Status.WAITING
        if self.taken_back:
            return Status.CANCELLED
        return Status.RECEIVED if self.is_received else Status.IN_TRANSIT

    def finish(self, status: str, problem: str) -> None:
        self.transfer.status, self.transfer.problem = status, problem
        self.save()

    def save(self) -> None:
        facts = facts_of(self.transfer)
        if facts != self.stored:
            self.transfer.save()
            self.stored = facts


def facts_of(transfer: StockTransfer) -> tuple[object, ...]:
    return (
        transfer.warehouse_id,
        transfer.from_location_id,
        transfer.to_location_id,
        transfer.has_transit,
        transfer.status,
        transfer.problem,
    )


def minus(quantities: Quantities) -> Quantities:
    return {product_id: -quantity for product_id, quantity in quantities.items()}


def total(one: Quantities, other: Quantities) -> Quantities:
    return {
        product_id: one.get(product_id, Decimal(0)) + other.get(product_id, Decimal(0))
        for product_id in {**one, **other}
    }
