"""The life of a stock document of a shop: the one place where it is turned into documents for the warehouses.

Whatever is heard of a consignment, ``reconcile`` compares what it did in the shop with what documents carry already and
makes documents of the difference. So order, repetition and concurrency do not matter: the consignment's row is locked,
and the same look twice finds no difference.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from carts.alerting import clear_alert, raise_alert
from carts.models import (
    Alert,
    Cart,
    Consignment,
    ConsignmentLine,
    StockAdjustment,
    StockDocument,
    StockOnItsWay,
    StockTransfer,
    StockTransferStep,
)
from carts.order_flow import HUB, TransitionRefused
from carts.signals import consignment_wanted, stock_document_ready
from carts.stock_documents import (
    AnyDocument,
    change,
    documents_of,
    make_adjustments,
    start,
    start_steps,
    withdrawn,
)
from carts.stock_effects import (
    UNBOOKED,
    ZERO,
    Placed,
    add,
    carried_by_adjustments,
    carried_by_steps,
    differences,
    examine,
    has_moved,
    wanted,
)
from carts.stock_requirements import missing
from carts.stock_stores import ADJUSTMENTS, Store
from carts.transfer_plan import WAITS, TransferPlan

Kind, State, Status = Consignment.Kind, Consignment.State, Consignment.Status
Document, Effect = StockDocument.Status, StockAdjustment.Effect
Source = StockDocument.Source

REGROUP = "group_stock_adjustments"
LEFT_OUT, NOT_BOOKED = "stock_left_out", "stock_not_booked"
CANCELLED_LATE, UNKNOWN_STATUS = "consignment_cancelled", "consignment_status"
BEFORE_THE_START = "It was finished before the function was switched on, so the warehouse's books hold it already."
EFFECT_OF = {
    Kind.PURCHASE: Effect.RECEIVED,
    Kind.SUPPLIER_RETURN: Effect.SENT,
    Kind.COUNT: Effect.COUNTED,
    Kind.MANUAL: Effect.COUNTED,
}


def locked(consignment_id: int) -> Consignment:
    """The consignment as it is now, locked until the transaction ends."""
    return (
        Consignment.objects.select_for_update(of=("self",))
        .select_related("merchant", "cart__warehouse", "cart__location", "source_cart__warehouse")
        .get(pk=consignment_id)
    )


def reconcile(consignment: Consignment, store: Store, source: str) -> int:
    """Brings the documents of a consignment in line with what the shop says. Called with it locked, inside a transaction.
    Returns how many documents were made."""
    find_carts(consignment, store)
    before = number_of_documents(consignment)
    problem, pending = "", Placed()
    lines = list(consignment.lines.all())
    if consignment.history == Consignment.History.ALL:
        settle_status(consignment, Status.HISTORY, BEFORE_THE_START)
        return 0
    if consignment.state == State.UNKNOWN:
        words = f"The shop gives it the status {consignment.remote_status}, which the hub does not know."
        settle_status(consignment, consignment.status, words)
        tell(consignment, UNKNOWN_STATUS, f"{consignment.title}: {words}", "Look at it in the shop; tell support.")
        return 0
    clear_alert(consignment.merchant_id, UNKNOWN_STATUS, f"{consignment.pk}")
    if not has_moved(consignment.kind, consignment.state) and consignment.taken_back_at is None:
        nothing_moved(consignment)
    else:
        examine(consignment, lines)
        if consignment.kind == Kind.TRANSFER:
            plan = TransferPlan(consignment, store, lines, source)
            plan.carry_out()
            problem, pending = plan.problem, plan.pending
        else:
            problem = adjust(consignment, store, lines, source)
        settle_moved(consignment, lines, problem)
    refresh_on_its_way(consignment, pending)
    return number_of_documents(consignment) - before


def number_of_documents(consignment: Consignment) -> int:
    steps = StockTransferStep.objects.filter(transfer__consignment=consignment)
    return consignment.adjustments.count() + steps.count()


def find_carts(consignment: Consignment, store: Store) -> None:
    cart = store.cart_of(consignment.outlet_id_at_cart)
    source_cart = store.cart_of(consignment.source_outlet_id_at_cart) if consignment.source_outlet_id_at_cart else None
    if (consignment.cart, consignment.source_cart) != (cart, source_cart):
        consignment.cart, consignment.source_cart = cart, source_cart
        consignment.save(update_fields=["cart", "source_cart", "updated_at"])


# --- adjustments -----------------------------------------------------------------------------------------------------


def adjust(consignment: Consignment, store: Store, lines: list[ConsignmentLine], source: str) -> str:
    """Stock orders, returns, counts and manual adjustments. Returns why they wait, "" if they do not."""
    cart = consignment.cart
    if cart is None:
        return f"There is no cart for the outlet “{store.outlet_name(consignment.outlet_id_at_cart)}”."
    earlier = consignment.adjustments.order_by("pk").select_related("location").first()
    location = earlier.location if earlier is not None else cart.stock_location()
    lacking = next((one.message for one in missing(cart, store, ADJUSTMENTS) if one.blocks), "")
    if location is None:
        return lacking
    effect = EFFECT_OF[Kind(consignment.kind)]
    carried = carried_by_adjustments(consignment, effect)
    want = {} if consignment.taken_back_at is not None else wanted(consignment, lines, effect, carried)
    make_adjustments(
        consignment,
        location,
        effect,
        differences(want, carried),
        lines,
        source,
        one_per_item=source == Source.WEBHOOK and not cart.options.get(REGROUP),
    )
    for adjustment in consignment.adjustments.filter(status__in=[Document.WAITING, Document.NEW]).order_by("pk"):
        start(adjustment, lacking)
    return lacking if consignment.adjustments.filter(status=Document.WAITING).exists() else ""


# --- what becomes of the consignment ---------------------------------------------------------------------------------


def nothing_moved(consignment: Consignment) -> None:
    """It is still open, or was cancelled: nothing goes out. What had gone out before needs a person."""
    for document in documents_of(consignment, UNBOOKED):
        if withdrawn(document):
            change(document, Document.WITHDRAWN, "The document was taken back in the shop before this was sent.")
    transfer = StockTransfer.objects.filter(consignment=consignment).first()
    if transfer is not None and transfer.status != StockTransfer.Status.CANCELLED:
        transfer.status, transfer.problem = StockTransfer.Status.CANCELLED, ""
        transfer.save(update_fields=["status", "problem", "updated_at"])
    clear_alert(consignment.merchant_id, WAITS, f"{consignment.pk}")
    clear_alert(consignment.merchant_id, LEFT_OUT, f"{consignment.pk}")
    problem = ""
    if is_carried(consignment):
        word = "cancelled" if consignment.state == State.CANCELLED else "opened again"
        problem = f"It was {word} in the shop after it had been passed on."
        tell(
            consignment,
            CANCELLED_LATE,
            f"{consignment.title} was {word} in the shop after it had been passed on to the warehouse.",
            "Open it here and take back what was passed on, or correct the stock at the warehouse by hand.",
        )
    settle_status(consignment, Status.CANCELLED if consignment.state == State.CANCELLED else Status.OPEN, problem)


def is_carried(consignment: Consignment) -> bool:
    """Does the warehouse have (or may it have) anything of it, all documents taken together?"""
    adjusted = (carried_by_adjustments(consignment, effect) for effect in Effect.values)
    stepped = (carried_by_steps(consignment, step) for step in StockTransferStep.Step.values)
    return any(any(quantities.values()) for quantities in (*adjusted, *stepped))


def settle_moved(consignment: Consignment, lines: list[ConsignmentLine], problem: str) -> None:
    clear_alert(consignment.merchant_id, CANCELLED_LATE, f"{consignment.pk}")
    out = [line for line in lines if line.left_out]
    if consignment.taken_back_at is not None:
        settle_status(consignment, Status.CANCELLED, problem or "What was passed on was taken back.")
        return
    if problem:
        settle_status(consignment, Status.WAITING, problem)
        return
    if out:
        words = "; ".join(f"{line}: {line.remark}" for line in out[:5]) + (" …" if len(out) > 5 else "")
        if consignment.status != Status.PARTLY or consignment.problem != words:
            tell(
                consignment,
                LEFT_OUT,
                f"{consignment.title}: not everything could be passed on. {words}",
                "Correct the products in the shop: what was left out then goes by itself. Or book it by hand.",
            )
        settle_status(consignment, Status.PARTLY, words)
        return
    clear_alert(consignment.merchant_id, LEFT_OUT, f"{consignment.pk}")
    transfer = StockTransfer.objects.filter(consignment=consignment).first()
    words = transfer.problem if transfer is not None else ""
    live = [status for status in Document if status != Document.WITHDRAWN]
    goes = documents_of(consignment, live) or (
        transfer is not None and transfer.status == StockTransfer.Status.IN_TRANSIT
    )
    settle_status(consignment, Status.PASSED_ON if goes else Status.NOTHING, words)


def settle_status(consignment: Consignment, status: str, problem: str) -> None:
    if (consignment.status, consignment.problem) != (status, problem):
        consignment.status, consignment.problem = status, problem
        consignment.save(update_fields=["status", "problem", "updated_at"])


def tell(consignment: Consignment, kind: str, message: str, fix: str) -> None:
    raise_alert(
        consignment.merchant,
        kind,
        f"{consignment.pk}",
        message,
        fix=fix,
        link=f"/admin/carts/consignment/{consignment.pk}/change/",
        connection=consignment.cart or consignment.source_cart,
        severity=Alert.Severity.WARNING,
    )


# --- stock on its way ------------------------------------------------------------------------------------------------


def refresh_on_its_way(consignment: Consignment, pending: Placed) -> None:
    """Writes down what the shop's levels show already and the warehouse's do not: unbooked documents, and what no
    document carries yet."""
    placed: Placed = dict(pending)
    for document in documents_of(consignment, UNBOOKED):
        add_document(placed, document)
    write_on_its_way(consignment, placed)


def write_on_its_way(consignment: Consignment, placed: Placed) -> None:
    stored = {(row.location_id, row.sku_key): row for row in consignment.on_its_way.all()}
    since = consignment.changed_at or timezone.now()
    gone = [row.pk for place, row in stored.items() if placed.get(place) != row.quantity]
    if gone:
        StockOnItsWay.objects.filter(pk__in=gone).delete()
    StockOnItsWay.objects.bulk_create(
        StockOnItsWay(
            consignment=consignment, location_id=place[0], sku_key=place[1], quantity=quantity, changed_at=since
        )
        for place, quantity in placed.items()
        if quantity and (place not in stored or stored[place].quantity != quantity)
    )


def add_document(placed: Placed, document: AnyDocument) -> None:
    quantities = [(line.sku_key, line.quantity) for line in document.lines.all()]
    if isinstance(document, StockAdjustment):
        add(placed, document.location, quantities, +1)
        return
    if document.step != StockTransferStep.Step.RECEIVED:
        add(placed, document.transfer.from_location, quantities, -1)
    if document.step != StockTransferStep.Step.SENT:
        add(placed, document.transfer.to_location, quantities, +1)


def relabel_documents(cart: Cart, external_ids: Collection[str]) -> None:
    """These products of a cart are other articles at the warehouse now: documents that are not booked follow, and what is
    on its way. One query when there are none."""
    of_cart = Consignment.objects.filter(Q(cart=cart) | Q(source_cart=cart), on_its_way__isnull=False)
    ids = of_cart.filter(lines__product_id_at_cart__any_of=external_ids).order_by("pk").distinct()
    for pk in list(ids.values_list("pk", flat=True)):
        relabel_consignment(locked(pk))


def relabel_consignment(consignment: Consignment) -> None:
    lines = list(consignment.lines.all())
    before = {line.product_id_at_cart: line.sku_key for line in lines}
    examine(consignment, lines)
    moved = {line.product_id_at_cart: line for line in lines if before[line.product_id_at_cart] != line.sku_key}
    for document in documents_of(consignment, UNBOOKED):
        for part in document.lines.all():
            if (line := moved.get(part.product_id_at_cart)) is not None:
                part.sku, part.sku_key = line.sku_at_warehouse, line.sku_key
                part.save(update_fields=["sku", "sku_key"])
    keys = {before[product_id]: line.sku_key for product_id, line in moved.items()}
    placed: Placed = {}
    for row in consignment.on_its_way.all():
        place = row.location_id, keys.get(row.sku_key, row.sku_key)
        placed[place] = placed.get(place, ZERO) + row.quantity
    if moved:
        write_on_its_way(consignment, placed)


# --- what becomes of a document --------------------------------------------------------------------------------------


def consignment_of(document: AnyDocument) -> Consignment:
    """The consignment of a document, locked."""
    if isinstance(document, StockAdjustment):
        return locked(document.consignment_id)
    return locked(document.transfer.consignment_id)


def booked(document: AnyDocument, remote_id: str, remark: str, at: datetime) -> None:
    """The warehouse has booked it; ``remark`` says what of it was left out there. Called inside a transaction."""
    consignment = consignment_of(document)
    document.refresh_from_db()
    if document.status == Document.BOOKED:
        return
    document.booked_at = at
    document.save(update_fields=["booked_at", "updated_at"])
    change(document, Document.BOOKED, remark)
    if remark:
        tell(
            consignment,
            NOT_BOOKED,
            f"{consignment.title}: {document.warehouse} did not book all of it. {remark}",
            "Add what is missing at the warehouse and book it there by hand.",
        )
    if isinstance(document, StockTransferStep):
        if remote_id:
            StockTransfer.objects.filter(pk=document.transfer_id).update(remote_id=remote_id[:200])
        start_steps(document.transfer, "")
    keep_on_its_way(consignment)


def failed(document: AnyDocument, problem: str) -> None:
    """It could not be delivered and will not be tried again by itself. Called inside a transaction."""
    consignment_of(document)
    document.refresh_from_db()
    if document.status in UNBOOKED:
        change(document, Document.ERROR, problem)


def keep_on_its_way(consignment: Consignment) -> None:
    """The same as before, less what was booked or given up since."""
    transfer = StockTransfer.objects.filter(consignment=consignment).first()
    if transfer is None or transfer.steps.exists() or consignment.adjustments.exists():
        refresh_on_its_way(consignment, {})


# --- what people do --------------------------------------------------------------------------------------------------


def check_again(consignment_id: int, actor: str = HUB) -> Consignment:
    """Looks at a consignment again with the settings as they are now, and asks for a fresh reading from the shop."""
    with transaction.atomic():
        consignment = locked(consignment_id)
        reconcile(consignment, Store.of(consignment), Source.PERSON)
        ask_for(consignment)
        return consignment


def pass_on(consignment_id: int, actor: str = HUB) -> Consignment:
    """Lets a consignment go out that was finished before the start."""
    with transaction.atomic():
        consignment = locked(consignment_id)
        if consignment.history == Consignment.History.NOTHING:
            raise TransitionRefused(f"{consignment.title} is not held back.")
        consignment.history, consignment.released_at = Consignment.History.NOTHING, timezone.now()
        # A version of nothing: the next reading is newer, whatever it says.
        consignment.version = 0
        consignment.status, consignment.problem = Status.WAITING, f"Released by {actor}; it is read from the shop next."
        consignment.save(update_fields=["history", "released_at", "version", "status", "problem", "updated_at"])
        ask_for(consignment)
        return consignment


def take_back(consignment_id: int, actor: str = HUB) -> Consignment:
    """Has the warehouse undo what was passed on of a consignment that was cancelled in the shop."""
    with transaction.atomic():
        consignment = locked(consignment_id)
        if has_moved(consignment.kind, consignment.state) or not is_carried(consignment):
            raise TransitionRefused(f"There is nothing to take back of {consignment.title}.")
        consignment.taken_back_at = timezone.now()
        consignment.save(update_fields=["taken_back_at", "updated_at"])
        reconcile(consignment, Store.of(consignment), Source.PERSON)
        return consignment


def ask_for(consignment: Consignment) -> None:
    cart = consignment.cart or consignment.source_cart
    # An adjustment by hand never changes, and cannot be read by itself.
    if cart is not None and consignment.kind != Kind.MANUAL:
        consignment_wanted.send(Consignment, consignment=consignment, cart=cart)


def resend(document: AnyDocument, actor: str = HUB) -> None:
    """Sends a document (again). One that the warehouse may already have is looked up there first, never doubled."""
    with transaction.atomic():
        consignment = consignment_of(document)
        document.refresh_from_db()
        if document.status not in (Document.ERROR, Document.NEW, Document.BOOKED):
            raise TransitionRefused(
                f"{document} is {document.get_status_display().lower()}. {document.problem}".strip()
            )
        if document.status == Document.ERROR:
            change(document, Document.NEW, "")
        stock_document_ready.send(type(document), document=document)
        keep_on_its_way(consignment)


def cancel(document: AnyDocument, reason: str, actor: str = HUB) -> None:
    """A person has dealt with it in another way: it never goes out, and nothing takes its place."""
    with transaction.atomic():
        consignment = consignment_of(document)
        document.refresh_from_db()
        if document.status not in UNBOOKED:
            raise TransitionRefused(f"{document} is {document.get_status_display().lower()}; it cannot be cancelled.")
        if not withdrawn(document):
            raise TransitionRefused(f"{document} is on its way to {document.warehouse} and cannot be cancelled now.")
        change(document, Document.CANCELLED, f"Cancelled by {actor}: {reason}" if reason else f"Cancelled by {actor}.")
        if isinstance(document, StockTransferStep):
            start_steps(document.transfer, "")
        keep_on_its_way(consignment)


def resend_transfer(transfer_id: int, actor: str = HUB) -> StockTransfer:
    """Sends the steps of a transfer again that were refused."""
    transfer = StockTransfer.objects.get(pk=transfer_id)
    refused = list(transfer.steps.filter(status=Document.ERROR).order_by("pk"))
    if not refused:
        raise TransitionRefused(f"No step of transfer {transfer} was refused; there is nothing to send again.")
    for step in refused:
        resend(step, actor)
    return transfer


def cancel_transfer(transfer_id: int, reason: str, actor: str = HUB) -> StockTransfer:
    """A person has dealt with what the warehouse was not told yet."""
    transfer = StockTransfer.objects.get(pk=transfer_id)
    steps = list(transfer.steps.filter(status__in=UNBOOKED).order_by("pk"))
    if not steps:
        raise TransitionRefused(f"The warehouse has every step of transfer {transfer} that there is.")
    for step in steps:
        cancel(step, reason, actor)
    return transfer
