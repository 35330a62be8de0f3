"""What orders tell the movement side (``syncjobs`` listens), always inside the transaction that changes the order."""

from django.dispatch import Signal

# An order may go to its warehouse now: make (or revive) its delivery. Arguments: order.
order_ready = Signal()
# An order must not go out (held or cancelled): withdraw its delivery. Arguments: order. A receiver answers False when
# the order is being sent at this very moment and cannot be stopped any more.
order_withdrawn = Signal()
# An order that the warehouse has must be cancelled there. Arguments: order, reason.
cancellation_wanted = Signal()
# A shipment was booked on an order: the cart may want to know. Arguments: order, shipment.
shipment_booked = Signal()
# A change of an order that the warehouse has may go there: make (or revive) its delivery, or hold it. Arguments: change.
change_ready = Signal()
# A change must not go out: withdraw its delivery. Arguments: change. A receiver answers False when that is too late.
change_withdrawn = Signal()
# A refund may go to its warehouse now: make (or revive) its delivery, or say why not. Arguments: refund.
refund_ready = Signal()
# A refund must not go out: withdraw its delivery. Arguments: refund. A receiver answers False when that is too late.
refund_withdrawn = Signal()
# The built-in warehouse closed a return. Arguments: warehouse, reference, came (False: it will not come), actor.
return_closed = Signal()
# Something changed in the built-in warehouse's book. Arguments: warehouse, what ("shipments", "answers" or "stock").
book_changed = Signal()
# Something that the WMS behind a REST warehouse wants to know. Arguments: warehouse, topic, subject (plain JSON values).
wms_told = Signal()
# Someone clicked Test. Arguments: connection, ok.
connection_tested = Signal()
# A person gave the hub access again: what waited for it may go on. Arguments: connection.
access_renewed = Signal()
# A stock adjustment, or a step of a stock transfer, may go to its warehouse now. Arguments: document.
stock_document_ready = Signal()
# A stock document must not go out: withdraw its delivery. Arguments: document. A receiver answers False when that is too
# late.
stock_document_withdrawn = Signal()
# A cart has another warehouse now. Arguments: cart.
warehouse_changed = Signal()
# Somebody wants a consignment to be read again from its shop. Arguments: consignment, cart.
consignment_wanted = Signal()
