"""One comparison, part by part. Each part is stored before the next begins, so that memory follows the part, and a run
that gives way, or dies, goes on where it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from django.db.models import Count, Q

from carts.models import Order
from connectors.errors import ConnectorError
from connectors.functions import Function
from syncjobs.context import RunContext
from syncjobs.flows.reconciliation.cart import CartSide
from syncjobs.flows.reconciliation.feeds import Feeds
from syncjobs.flows.reconciliation.look import Look, Rows, Window, was_done, windows
from syncjobs.flows.reconciliation.prices import PriceSide
from syncjobs.flows.reconciliation.stock import StockSide
from syncjobs.flows.reconciliation.warehouse import WarehouseSide
from syncjobs.models import Mismatch, Reconciliation
from syncjobs.reconciliation import (
    CART_CAUSES,
    HUB_CAUSES,
    MOST_PER_CAUSE,
    ORDER_CAUSES,
    PRICE_CAUSES,
    STOCK_CAUSES,
    WAREHOUSE_CAUSES,
    Cause,
    Finding,
    finish,
    keep,
    open_mismatches,
    ordinary_report,
    settle_gone,
    waiting_report,
)

# Open mismatches from outside the period are looked at one by one, those first that were not looked at longest.
MOST_LOOKED_AT_AGAIN = 200
ORDERS, EARLIER, STOCK, PRICES = "orders", "earlier", "stock", "prices"


def reconcile(context: RunContext) -> None:
    """Everything that was asked for; the ordinary comparison of the day if nothing was."""
    report: Reconciliation | None = waiting_report(context.cart) or ordinary_report(context.cart, context.run)
    while report is not None:
        comparison = Comparison(context, report)
        try:
            comparison.carry_out()
        except ConnectorError as error:
            Reconciliation.objects.filter(pk=report.pk).update(error=str(error))
            raise
        finally:
            comparison.close()
        report = waiting_report(context.cart)


class Comparison:
    def __init__(self, context: RunContext, report: Reconciliation) -> None:
        report.cart = context.cart
        self.context = context
        self.report = report
        self.look = Look(context, report)
        feeds = Feeds(self.look)
        self.carts = CartSide(self.look, feeds)
        self.warehouses = WarehouseSide(self.look, feeds)
        self.stock = StockSide(self.look, feeds)
        self.prices = PriceSide(self.look)
        mine = Mismatch.objects.filter(report=report).order_by().values_list("cause")
        self.listed: Counter[str] = Counter(dict(mine.annotate(Count("pk"))))
        self.new = int(report.progress.get("new", 0))

    def close(self) -> None:
        self.warehouses.close()

    def carry_out(self) -> None:
        Reconciliation.objects.filter(pk=self.report.pk).update(run=self.context.run.pk)
        steps = {ORDERS: self.orders, EARLIER: self.earlier, STOCK: self.levels, PRICES: self.price_lists}
        reached = list(steps).index(self.report.progress.get("step", ORDERS))
        for name, step in list(steps.items())[reached:]:
            if self.report.progress.get("step", ORDERS) != name:
                self.save(name)
            step()
        for cause, number in self.listed.items():
            if number > MOST_PER_CAUSE:
                self.look.leave_out(f"{Cause(cause).label}: {number} in all, {MOST_PER_CAUSE} of them are listed.")
        with self.context.page(None):
            finish(self.report, self.listed, self.new)
        self.context.run.count(compared=sum(self.report.counts.values()), different=self.listed.total())

    def save(self, step: str, at: datetime | None = None) -> None:
        """Where to go on; then gives way if the run's time is over."""
        self.report.progress = {"step": step, "at": at.isoformat() if at else "", "new": self.new}
        with self.context.page(None):
            Reconciliation.objects.filter(pk=self.report.pk).update(
                progress=self.report.progress, counts=self.report.counts, left_out=self.report.left_out
            )
        self.context.check_slice()

    def part(self, findings: Iterator[Finding], looked_at: Callable[[], Rows]) -> None:
        """Stores what a part finds, and settles what it looked at and did not find again."""
        self.new += keep(self.report, findings, self.listed)
        with self.context.page(None):
            settle_gone(self.report, looked_at(), self.look.undecided)
        self.look.undecided.clear()

    # --- orders --------------------------------------------------------------------------------------------------------

    def orders(self) -> None:
        at = self.report.progress.get("at", "")
        begin = datetime.fromisoformat(at) if at else self.report.since
        for window in windows(self.report.cart, begin, self.report.until):
            self.part(self.of_window(window), lambda window=window: self.known_of(window))  # type: ignore[misc]
            self.save(ORDERS, window.until)

    def known_of(self, window: Window) -> Rows:
        known = open_mismatches(self.report.cart).filter(cause__in=self.settled_causes())
        return known.filter(placed_at__gte=window.since, placed_at__lt=window.until)

    def of_window(self, window: Window) -> Iterator[Finding]:
        if self.cart_may_be_compared():
            yield from self.carts.findings(window)
        else:
            here = Order.objects.filter(cart=self.report.cart, placed_at__gte=window.since, placed_at__lt=window.until)
            self.look.count("orders_here", here.count())
        yield from self.warehouses.findings(window)

    def cart_may_be_compared(self) -> bool:
        """Until the first download is through, everything is on its way."""
        functions = (Function.ORDER_DOWNLOAD, Function.ORDER_CANCEL_DOWNLOAD)
        if not any(self.report.cart.function_is_on(function) for function in functions):
            return True
        if was_done(self.report.cart, *functions):
            return True
        self.look.leave_out("The cart's orders were not compared: Order Download has not been through yet.")
        return False

    def settled_causes(self) -> set[Cause]:
        """Those about orders that this comparison can tell: not the cart's before the first download, and not the
        warehouses' while one of them does not answer."""
        causes: set[Cause] = set(HUB_CAUSES)
        if self.cart_may_be_compared():
            causes |= CART_CAUSES
        return causes | (WAREHOUSE_CAUSES if not self.warehouses.failed else set())

    def earlier(self) -> None:
        """Open mismatches of orders from before the period (or after it): they close themselves, too."""
        report = self.report
        outside = Q(placed_at=None) | Q(placed_at__lt=report.since) | Q(placed_at__gte=report.until)
        known = open_mismatches(report.cart).filter(outside, cause__in=ORDER_CAUSES)
        rows = list(known.exclude(report=report).order_by("last_seen_at", "pk")[:MOST_LOOKED_AT_AGAIN])
        if rows:
            ids = [row.pk for row in rows]
            self.part(
                self.of_earlier(rows),
                lambda: open_mismatches(report.cart).filter(pk__in=ids, cause__in=self.settled_causes()),
            )

    def of_earlier(self, rows: Sequence[Mismatch]) -> Iterator[Finding]:
        if self.cart_may_be_compared():
            yield from self.carts.look_again([row.subject for row in rows if row.cause in CART_CAUSES])
        ids = {row.order_id for row in rows if row.cause not in CART_CAUSES and row.order_id is not None}
        orders = Order.objects.filter(pk__in=ids).order_by()
        yield from self.warehouses.of_orders(orders, counts_suffice=False)

    # --- levels and prices -----------------------------------------------------------------------------------------------

    def levels(self) -> None:
        places = self.stock.places
        if places is None:
            self.part(iter(()), lambda: self.known(STOCK_CAUSES))
        elif self.stock.may_compare():
            self.part(self.stock.findings(places), lambda: self.known(STOCK_CAUSES))

    def price_lists(self) -> None:
        rules = self.prices.rules
        if rules is None:
            self.part(iter(()), lambda: self.known(PRICE_CAUSES))
        elif self.prices.may_compare():
            self.part(self.prices.findings(rules), lambda: self.known(PRICE_CAUSES))

    def known(self, causes: Iterable[str]) -> Rows:
        return open_mismatches(self.report.cart).filter(cause__in=causes)
