"""One of everything that the API shows, for one merchant."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Model
from django.utils import timezone

from carts import order_flow
from carts.models import (
    Alert,
    Consignment,
    ConsignmentLine,
    Customer,
    Merchant,
    Order,
    Outlet,
    PickOrder,
    PickReturn,
    Product,
    Refund,
    RefundLine,
    ShopProduct,
    StockAdjustment,
    StockAdjustmentLine,
    StockLevel,
    StockMovement,
    StockTransfer,
    StockTransferLine,
    StockTransferStep,
)
from carts.setup import default_functions, set_functions
from carts.warehouse_book import WarehouseBook
from connectors.functions import Function
from connectors.records import ShipmentLineRecord, ShipmentRecord
from syncjobs.models import (
    ApiCall,
    ApiCallBody,
    Delivery,
    DeliveryAttempt,
    FailedRecord,
    Mismatch,
    Reconciliation,
    Run,
    WebhookEvent,
    WmsWebhook,
)
from syncjobs.outbound import outbound_order
from tests.factories import NUMBERS, PLACED_AT, make_builtin_warehouse, make_cart, make_order

# Nobody listens there, and the hub may not talk to it: no test of a cart leaves this machine.
VEND_OPTIONS = {"vend_url": "http://127.0.0.1:1", "outlet_name": "Main Outlet"}
VEND_CREDENTIALS = {"access_token": "lsxs_pt_secret"}


@dataclass(frozen=True)
class World:
    """A merchant and one row of each model."""

    merchant: Merchant
    rows: dict[type[Model], Any]

    def __getitem__(self, model: type[Any]) -> Any:
        return self.rows[model]


def make_world(merchant: Merchant) -> World:
    number = next(NUMBERS)
    warehouse = make_builtin_warehouse(merchant)
    cart = make_cart(warehouse, options=VEND_OPTIONS, credentials=VEND_CREDENTIALS)
    set_functions(cart, default_functions(cart))
    location = warehouse.locations.get()
    level = StockLevel.objects.create(
        location=location, sku=f"SKU-{number}", available=5, on_hand=7, read_at=PLACED_AT, changed_at=PLACED_AT
    )
    customer = Customer.objects.create(connection=cart, external_id=f"customer-{number}", first_name="Ada")
    order = at_warehouse(make_order(cart, (("SKU-1", "3"), ("SKU-2", "1.5")), customer=customer))
    order_flow.add_shipment(
        order.pk,
        ShipmentRecord(
            external_id=f"parcel-{number}",
            order_reference=order.reference,
            shipped_at=PLACED_AT,
            lines=(ShipmentLineRecord(sku="SKU-1", quantity=Decimal(1)),),
        ),
    )
    delivery = Delivery.objects.create(
        connection=warehouse, order=order, kind="order", reference=order.reference, state="done", run_at=PLACED_AT
    )
    DeliveryAttempt.objects.create(delivery=delivery, number=1, started_at=PLACED_AT)
    refund = Refund.objects.create(
        merchant=merchant,
        cart=cart,
        warehouse=warehouse,
        location=location,
        order=order,
        external_id=f"return-{number}",
        number=f"R{number}",
        reference=f"return-{number}",
        amount=Decimal("11.50"),
        placed_at=PLACED_AT,
    )
    RefundLine.objects.create(
        refund=refund, order_line=order.lines.first(), external_id="1", sku="SKU-1", quantity=Decimal(1), amount=10
    )
    shared = {"merchant": merchant, "connector": "vend", "store": "shop", "changed_at": PLACED_AT, "cart": cart}
    consignment = Consignment.objects.create(
        **shared, external_id=f"received-{number}", number="CAR-25", kind="transfer", state="sent"
    )
    ConsignmentLine.objects.create(consignment=consignment, product_id_at_cart="p1", sku="SKU-1", received=Decimal(5))
    adjustment = StockAdjustment.objects.create(
        merchant=merchant,
        consignment=consignment,
        warehouse=warehouse,
        location=location,
        reference=f"CAR-25-{number}",
        effect="received",
        source="search",
        happened_at=PLACED_AT,
    )
    StockAdjustmentLine.objects.create(
        adjustment=adjustment, product_id_at_cart="p1", sku="SKU-1", sku_key="sku-1", quantity=Decimal(5)
    )
    transfer = StockTransfer.objects.create(
        merchant=merchant, consignment=consignment, reference=f"T-{number}", warehouse=warehouse, from_location=location
    )
    step = StockTransferStep.objects.create(
        merchant=merchant,
        transfer=transfer,
        warehouse=warehouse,
        step="sent",
        reference=f"T-{number}-sent",
        source="search",
        happened_at=PLACED_AT,
    )
    StockTransferLine.objects.create(step=step, product_id_at_cart="p1", sku="SKU-1", sku_key="a", quantity=Decimal(1))
    movement = StockMovement.objects.create(
        location=location, sku="SKU-1", cause="csv", quantity=Decimal(5), on_hand=5, available=5, moved_at=PLACED_AT
    )
    run = Run.objects.create(
        connection=cart,
        function=Function.ORDER_DOWNLOAD,
        feed=Function.ORDER_DOWNLOAD,
        lane="orders",
        trigger="schedule",
        state="done",
        run_at=PLACED_AT,
        counts={"created": 1},
    )
    call = ApiCall.objects.create(
        connection=cart, run=run, method="GET", url="https://shop.example/sales", status=200, started_at=PLACED_AT
    )
    ApiCallBody.objects.create(call=call, request=b"", response=ApiCallBody.pack('{"data": []}'))
    pick_return = PickReturn.objects.create(
        warehouse=warehouse, location=location, reference=refund.reference, number=refund.number, placed_at=PLACED_AT
    )
    in_shop = Product.objects.create(
        connection=cart, external_id=f"shop-{number}", sku=f"SKU{number}", name="Article in the shop"
    )
    rows = [
        ShopProduct.objects.get(pk=in_shop.pk),
        PickOrder.objects.get(warehouse=warehouse),
        pick_return,
        warehouse,
        cart,
        location,
        level,
        customer,
        order,
        refund,
        consignment,
        adjustment,
        transfer,
        movement,
        delivery,
        run,
        call,
        Outlet.objects.create(connection=cart, external_id=f"outlet-{number}", name="Main Outlet"),
        Product.objects.create(
            connection=warehouse,
            external_id=f"product-{number}",
            sku=f"SKU-{number}",
            name="Article",
            prices={"Retail": "20.00"},
            tags=["new"],
        ),
        Alert.objects.create(merchant=merchant, connection=cart, kind="outage", key=f"{number}", message="It is down."),
        Reconciliation.objects.create(cart=cart, since=PLACED_AT, until=PLACED_AT, state="done"),
        Mismatch.objects.create(
            cart=cart,
            cause=Mismatch.Cause.TOTAL_DIFFERS,
            subject=f"sale-{number}",
            label=f"sale-{number}",
            order=order,
            first_seen_at=PLACED_AT,
            last_seen_at=PLACED_AT,
        ),
        FailedRecord.objects.create(
            connection=cart,
            function=Function.ORDER_DOWNLOAD,
            external_id=f"sale-{number}",
            cause="unreadable",
            reason="It has no date.",
            payload='{"id": "sale"}',
        ),
        WebhookEvent.objects.create(
            connection=cart,
            state="done",
            topic="sale.update",
            headers={"content-type": "application/json"},
            body=b"{}",
            processed_at=timezone.now(),
        ),
        WmsWebhook.objects.create(
            warehouse=warehouse,
            topic="order.ready",
            subject=order.reference,
            body="{}",
            run_at=PLACED_AT,
            created_at=PLACED_AT,
        ),
    ]
    return World(merchant, {type(row): row for row in rows})


def at_warehouse(order: Order) -> Order:
    """The order as it is after it was sent: at the built-in warehouse it stands in the book."""
    if order.warehouse is not None and order.warehouse.connector == "builtin":
        WarehouseBook(order.warehouse_id).receive([outbound_order(order, list(order.lines.all()))])
    Order.objects.filter(pk=order.pk).update(status=Order.Status.AT_WAREHOUSE, at_warehouse_at=timezone.now())
    order.refresh_from_db()
    return order
