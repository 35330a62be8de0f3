"""A merchant with one of everything the admin shows, and the people who look at it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from carts.models import (
    Alert,
    ApiToken,
    Cart,
    Consignment,
    ConsignmentLine,
    Customer,
    Membership,
    Merchant,
    Order,
    OrderEvent,
    OrderPayload,
    OutletLevel,
    PickOrder,
    PickReturn,
    Product,
    ProductLink,
    Refund,
    RefundLine,
    Shipment,
    ShipmentLine,
    ShopProduct,
    StockAdjustment,
    StockAdjustmentLine,
    StockLevel,
    StockMovement,
    StockTransfer,
    Warehouse,
)
from carts.setup import finish_new_connection
from carts.stock_keys import links_changed
from carts.warehouse_book import WarehouseBook
from connectors.functions import Function
from syncjobs.models import (
    ApiCall,
    ApiCallBody,
    Delivery,
    DeliveryAttempt,
    FailedRecord,
    Mismatch,
    Run,
    WebhookEvent,
    WmsWebhook,
)
from syncjobs.outbound import outbound_order
from syncjobs.refund_delivery import outbound_refund
from tests.factories import make_builtin_warehouse, make_cart, make_merchant, make_order

SECRET = "token-that-nobody-may-see-4711"

User = Any


@dataclass
class Shop:
    """One merchant's world. ``mark`` is in every name, so that a leak can be seen in a page."""

    mark: str
    merchant: Merchant = field(init=False)
    warehouse: Warehouse = field(init=False)
    cart: Cart = field(init=False)
    order: Order = field(init=False)

    def __post_init__(self) -> None:
        mark = self.mark
        self.merchant = make_merchant(f"{mark} merchant")
        self.warehouse = make_builtin_warehouse(self.merchant, name=f"{mark} warehouse")
        self.location = self.warehouse.locations.get()
        self.cart = make_cart(
            self.warehouse,
            name=f"{mark} cart",
            options={"vend_url": "https://shop.retail.lightspeed.app", "outlet_name": f"{mark} outlet"},
            credentials={"access_token": SECRET},
        )
        finish_new_connection(self.cart)
        self.objects: dict[str, Any] = {
            "merchant": self.merchant,
            "warehouse": self.warehouse,
            "cart": self.cart,
        }
        self.order = self.add_order()
        self.fill()

    def add_order(self, **fields: Any) -> Order:
        number = f"{self.mark}-{uuid.uuid4().hex[:6]}"
        return make_order(self.cart, number=number, customer_name=f"{self.mark} customer", **fields)

    def add_refund(self, order: Order) -> Refund:
        """A return of one article, announced to the warehouse."""
        number = f"{self.mark}-back-{uuid.uuid4().hex[:6]}"
        refund = Refund.objects.create(
            merchant=self.merchant,
            cart=self.cart,
            warehouse=self.warehouse,
            location=self.location,
            order=order,
            external_id=number,
            number=number,
            reference=number,
            amount=Decimal(10),
            reason=f"{self.mark} reason",
            placed_at=timezone.now(),
        )
        RefundLine.objects.create(refund=refund, external_id="1", sku="A", sku_key="a", quantity=Decimal(1))
        WarehouseBook(self.warehouse.pk).announce_return(outbound_refund(refund))
        return refund

    def add_stock_documents(self) -> dict[str, Any]:
        """A stock order with its adjustment, and a transfer that waits for a cart."""
        mark, now = self.mark, timezone.now()
        values = {"merchant": self.merchant, "connector": "vend", "store": mark, "changed_at": now, "cart": self.cart}
        order = Consignment.objects.create(
            **values, external_id=f"{mark}-order", number=f"{mark}-order", kind="purchase", state="received"
        )
        ConsignmentLine.objects.create(
            consignment=order, product_id_at_cart=mark, sku=f"{mark}-SKU", sku_key=f"{mark}-sku", received=Decimal(5)
        )
        adjustment = StockAdjustment.objects.create(
            merchant=self.merchant,
            consignment=order,
            warehouse=self.warehouse,
            location=self.location,
            reference=f"{mark}-order-1",
            effect="received",
            source="search",
            status="error",
            problem=f"{mark} problem",
            happened_at=now,
        )
        StockAdjustmentLine.objects.create(
            adjustment=adjustment, product_id_at_cart=mark, sku=f"{mark}-SKU", sku_key="a", quantity=Decimal(5)
        )
        moved = Consignment.objects.create(
            **values, external_id=f"{mark}-move", number=f"{mark}-move", kind="transfer", state="sent"
        )
        transfer = StockTransfer.objects.create(
            merchant=self.merchant, consignment=moved, reference=f"{mark}-move", from_location=self.location
        )
        return {
            "consignment": order,
            "stockadjustment": adjustment,
            "stocktransfer": transfer,
            "stockmovement": StockMovement.objects.get(sku=f"{mark}-SKU"),
        }

    def fill(self) -> None:
        mark, now = self.mark, timezone.now()
        book = WarehouseBook(self.warehouse.pk)
        book.set_available([(self.location, f"{mark}-SKU", Decimal(5))])
        book.receive([outbound_order(self.order, list(self.order.lines.all()))])
        OrderEvent.objects.create(order=self.order, kind="stored", message=f"{mark} event")
        OrderPayload.objects.create(
            order=self.order, body=OrderPayload.pack(f'{{"access_token": "{SECRET}", "id": "{mark}"}}'.encode())
        )
        shipment = Shipment.objects.create(order=self.order, external_id=mark, carrier=mark, shipped_at=now)
        ShipmentLine.objects.create(shipment=shipment, order_line=self.order.lines.get(), quantity=Decimal(1))
        product = Product.objects.create(
            connection=self.warehouse, external_id=mark, sku=f"{mark}-SKU", name=mark, prices={"Retail": "12.50"}
        )
        in_shop = Product.objects.create(
            connection=self.cart, external_id=f"{mark}-in-shop", sku=f"{mark}SKU", name=f"{mark} in the shop"
        )
        ProductLink.objects.create(cart=self.cart, product=product, remote_id=in_shop.external_id, matched_by="hand")
        links_changed(self.cart, [in_shop.external_id], [product.pk])
        level = OutletLevel.objects.create(cart=self.cart, product=product, level=Decimal(3), read_at=now)
        customer = Customer.objects.create(connection=self.cart, external_id=mark, first_name=mark)
        mismatch = Mismatch.objects.create(
            cart=self.cart,
            cause=Mismatch.Cause.TOTAL_DIFFERS,
            subject=mark,
            label=f"{mark} order",
            order=self.order,
            here="1.00",
            there="2.00",
            first_seen_at=now,
            last_seen_at=now,
        )
        alert = Alert.objects.create(merchant=self.merchant, connection=self.cart, kind="test", key=mark, message=mark)
        refund = self.add_refund(self.order)
        token, _ = ApiToken.issue(self.merchant, name=f"{mark} token")
        run = self.add_run()
        delivery = Delivery.objects.create(
            connection=self.warehouse, kind="order", order=self.order, reference=self.order.reference, run_at=now
        )
        DeliveryAttempt.objects.create(delivery=delivery, number=1, started_at=now, message=mark)
        failed = FailedRecord.objects.create(
            connection=self.cart, function="order_download", external_id=mark, cause="unreadable", reason=mark
        )
        event = WebhookEvent.objects.create(connection=self.cart, topic=mark, body=f'{{"id": "{mark}"}}'.encode())
        call = ApiCall.objects.create(
            connection=self.cart, run=run, method="GET", url=f"https://shop.example/{mark}", status=200, started_at=now
        )
        ApiCallBody.objects.create(
            call=call, request_headers={"Authorization": f"Bearer {SECRET}"}, response=ApiCallBody.pack(mark)
        )
        # Setting stock asked for runs of its own.
        Run.objects.filter(connection=self.warehouse).delete()
        self.objects |= {
            "order": self.order,
            "refund": refund,
            "pickreturn": PickReturn.objects.get(reference=refund.reference),
            "pickorder": PickOrder.objects.get(reference=self.order.reference),
            **self.add_stock_documents(),
            "stocklevel": StockLevel.objects.get(sku=f"{mark}-SKU"),
            "product": product,
            "shopproduct": ShopProduct.objects.get(pk=in_shop.pk),
            "outletlevel": level,
            "customer": customer,
            "alert": alert,
            "apitoken": token,
            "run": run,
            "delivery": delivery,
            "failedrecord": failed,
            "mismatch": mismatch,
            "webhookevent": event,
            "wmswebhook": WmsWebhook.objects.create(
                warehouse=self.warehouse,
                topic=mark,
                subject=mark,
                body=f'{{"id": "{mark}"}}',
                run_at=now,
                created_at=now,
            ),
            "apicall": call,
        }

    def add_run(self, state: str = "done", **fields: Any) -> Run:
        now = timezone.now()
        values = {
            "function": Function.ORDER_DOWNLOAD,
            "feed": Function.ORDER_DOWNLOAD,
            "lane": "orders",
            "trigger": "person",
            "requested_by": f"{self.mark} person",
            "run_at": now,
            "started_at": now - timedelta(seconds=3),
            "finished_at": now if state == "done" else None,
            "counts": {"imported": 2},
            **fields,
        }
        return Run.objects.create(connection=self.cart, state=state, **values)


def make_user(name: str, *merchants: Merchant, is_superuser: bool = False, group: str = "") -> User:
    user = get_user_model().objects.create_user(
        name, f"{name}@example.com", f"{name}-password", is_staff=True, is_superuser=is_superuser
    )
    for merchant in merchants:
        Membership.objects.create(merchant=merchant, user=user)
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    return user
