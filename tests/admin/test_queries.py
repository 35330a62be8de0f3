"""Every list, and the dashboard, costs the same number of queries for 5 rows as for 50."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from carts.models import (
    Alert,
    AlertSubscription,
    ApiToken,
    Customer,
    OutletLevel,
    PickLine,
    PickOrder,
    Preference,
    Product,
    StockLevel,
)
from syncjobs.models import ApiCall, Delivery, FailedRecord, WebhookEvent
from tests.admin.worlds import Shop, make_user
from tests.factories import make_builtin_warehouse, make_cart, make_merchant

MOST_QUERIES = 25


def add_rows(shop: Shop, number: int) -> None:
    now = timezone.now()
    for index in range(number):
        mark = f"{timezone.now().timestamp()}-{index}"
        order = shop.add_order(status="held" if index % 3 else "at_warehouse", problem="No address.")
        pick_order = PickOrder.objects.create(
            warehouse=shop.warehouse, location=shop.location, reference=mark, number=mark, placed_at=now
        )
        PickLine.objects.create(pick_order=pick_order, reference="1", sku="A", sku_key="a", quantity=Decimal(2))
        shop.add_refund(order)
        StockLevel.objects.create(
            location=shop.location, sku=mark, available=Decimal(index), read_at=now, changed_at=now
        )
        product = Product.objects.create(connection=shop.cart, external_id=mark, sku=mark, prices={"retail": "1.00"})
        OutletLevel.objects.create(cart=shop.cart, product=product, level=Decimal(1), read_at=now)
        Customer.objects.create(connection=shop.cart, external_id=mark, last_name=mark)
        Alert.objects.create(merchant=shop.merchant, connection=shop.cart, kind="x", key=mark, message=mark)
        ApiToken.issue(shop.merchant, name=mark)
        run = shop.add_run(finished_at=now + timedelta(seconds=index))
        Delivery.objects.create(
            connection=shop.warehouse, kind="order", order=order, reference=mark, run_at=now, error="busy"
        )
        FailedRecord.objects.create(
            connection=shop.cart, function="order_download", external_id=mark, cause="x", reason="y"
        )
        WebhookEvent.objects.create(connection=shop.cart, topic="sale.update", body=b"{}")
        ApiCall.objects.create(connection=shop.cart, run=run, method="GET", url="https://x/y", started_at=now)
        make_cart(shop.warehouse, name=f"Cart {mark}", last_error="broken", last_error_at=now)
        make_builtin_warehouse(shop.merchant, name=f"Warehouse {mark}")
        make_merchant(f"Merchant {mark}")
        make_user(f"user-{mark}", shop.merchant)


def cost(client: Client, url: str) -> int:
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        response = client.get(url)
    assert response.status_code == 200, url
    return len(queries)


LISTS = (
    "carts_order",
    "carts_pickorder",
    "carts_pickreturn",
    "carts_refund",
    "carts_cart",
    "carts_warehouse",
    "carts_stocklevel",
    "carts_product",
    "carts_outletlevel",
    "carts_customer",
    "carts_alert",
    "carts_apitoken",
    "carts_merchant",
    "auth_user",
    "syncjobs_run",
    "syncjobs_delivery",
    "syncjobs_failedrecord",
    "syncjobs_webhookevent",
    "syncjobs_apicall",
)


def test_lists_and_dashboard_cost_the_same_however_long_they_are(
    shop: Shop, log_in: Callable[[Any], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    for model_admin in admin.site._registry.values():
        monkeypatch.setattr(model_admin, "list_per_page", 50, raising=False)
    client = log_in(make_user("root", is_superuser=True))
    urls = {name: reverse(f"admin:{name}_changelist") for name in LISTS}
    urls |= {"dashboard": reverse("admin:index"), "month": reverse("admin:index") + "?span=30d"}
    add_rows(shop, 5)
    few = {name: cost(client, url) for name, url in urls.items()}
    add_rows(shop, 45)
    many = {name: cost(client, url) for name, url in urls.items()}
    assert few == many
    assert max(many.values()) <= MOST_QUERIES, many


def test_lists_are_paged(db: None) -> None:
    for model, model_admin in admin.site._registry.items():
        if model not in (AlertSubscription, Preference):  # one page, no list
            assert 25 <= model_admin.list_per_page <= 50, model
