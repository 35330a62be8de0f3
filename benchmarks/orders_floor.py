"""Measured process: the floor of Order Download.

The shortest honest script: fetches and decodes the same pages with requests and msgspec into the same structs, and writes
the same rows with Django's ``bulk_create``, one transaction per page. It maps only what this server sends, keeps no
cursor, knows no lease, no redaction, no update of a known order, no failed record. ``--fetch-only`` stores nothing: one
page after another without gaps.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import requests
from django.db import transaction

from benchmarks.hub import make_cart, make_merchant, make_warehouse, open_hub, server_from_environment
from benchmarks.processes import peak_memory_mb
from connectors.vend import shapes

SALES_PER_PAGE = 500
OTHERS_PER_PAGE = 1000
LONGEST_BODY_BYTES = 256 * 1024
ZERO = Decimal(0)


class Feed:
    """One version feed, page after page: (url, status, headers, body, records as bytes)."""

    def __init__(self, server: dict[str, str]) -> None:
        self.base = f"{server['url']}/api/2026-07"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {server['token']}"
        self.page_decoder = msgspec.json.Decoder(shapes.RecordPage)

    def pages(self, resource, size, **params):
        after = 0
        while True:
            answer = self.session.get(
                f"{self.base}/{resource}", params={"after": after or None, "page_size": size, **params}
            )
            answer.raise_for_status()
            page = self.page_decoder.decode(answer.content)
            if not page.data:
                return
            after = page.version.max
            yield answer, [bytes(record) for record in page.data]


def fetch_only(feed):
    sale_decoder = msgspec.json.Decoder(shapes.Sale, strict=False)
    for resource in ("customers", "products"):
        for _ in feed.pages(resource, OTHERS_PER_PAGE, deleted="true"):
            pass
    for _, raws in feed.pages("sales", SALES_PER_PAGE):
        for raw in raws:
            sale_decoder.decode(raw)


def download(feed, cart):
    from carts.models import Customer, Product
    from carts.models.catalogue import sku_key

    product_decoder = msgspec.json.Decoder(shapes.Product, strict=False)
    customer_decoder = msgspec.json.Decoder(shapes.Customer, strict=False)
    outlet_address = {"name": "Bench Outlet", "street1": "1 Queen Street", "city": "Auckland", "country": "NZ"}
    location = cart.stock_location()
    products = {}
    for answer, raws in feed.pages("products", OTHERS_PER_PAGE, deleted="true"):
        rows = [product_decoder.decode(raw) for raw in raws]
        with transaction.atomic():
            Product.objects.bulk_create(
                Product(
                    connection_id=cart.pk,
                    external_id=row.id,
                    version=row.version,
                    sku=row.sku,
                    name=row.name,
                    sku_key=sku_key(row.sku),
                )
                for row in rows
            )
            log_call(cart, answer)
        products.update({row.id: row for row in rows})
    customers = {}
    for answer, raws in feed.pages("customers", OTHERS_PER_PAGE, deleted="true"):
        rows = [customer_decoder.decode(raw) for raw in raws]
        with transaction.atomic():
            stored = Customer.objects.bulk_create(
                Customer(
                    connection_id=cart.pk,
                    external_id=row.id,
                    version=row.version,
                    first_name=row.first_name or "",
                    last_name=row.last_name or "",
                    email=row.email or "",
                    ship_to=outlet_address,
                )
                for row in rows
            )
            log_call(cart, answer)
        customers.update({customer.external_id: customer for customer in stored})
    sale_decoder = msgspec.json.Decoder(shapes.Sale, strict=False)
    for answer, raws in feed.pages("sales", SALES_PER_PAGE):
        sales = [sale_decoder.decode(raw) for raw in raws]
        with transaction.atomic():
            store_page(cart, location, sales, raws, products, customers, outlet_address)
            log_call(cart, answer)


def store_page(cart, location, sales, raws, products, customers, outlet_address):
    from carts.models import Order, OrderEvent, OrderLine, OrderPayload
    from carts.models.catalogue import sku_key
    from syncjobs.models import Delivery

    now = datetime.now(UTC)
    orders = Order.objects.bulk_create(
        Order(
            merchant_id=cart.merchant_id,
            cart=cart,
            warehouse=cart.warehouse,
            location=location,
            external_id=sale.id,
            number=sale.invoice_number,
            reference=f"{sale.invoice_number}-{sale.id[-8:]}",
            remote_status="CLOSED",
            version=sale.metadata.version,
            placed_at=datetime.fromisoformat(sale.date),
            remote_updated_at=datetime.fromisoformat(sale.updated_at),
            currency="NZD",
            subtotal=sale.totals.price,
            tax_total=sale.totals.tax,
            total=sale.totals.price_incl_tax,
            customer=customers.get(sale.customer_id),
            note=sale.note or "",
            customer_name=customers[sale.customer_id].display_name if sale.customer_id in customers else "",
            ship_to=outlet_address,
            bill_to=outlet_address,
            payments=[
                {"name": paid.type.name, "amount": str(paid.amount), "paid_at": paid.date, "kind": paid.type.id}
                for paid in sale.payments
            ],
            charges=[{"kind": "tax", "name": "Tax", "amount": str(tax.tax), "tax": "0.00"} for tax in sale.taxes or ()],
        )
        for sale in sales
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            position=position,
            external_id=line.id,
            product_id_at_cart=line.product.id,
            sku=products[line.product.id].sku,
            sku_key=sku_key(products[line.product.id].sku),
            name=products[line.product.id].name,
            quantity=line.quantity,
            unit_price=line.pricing.price,
            discount=line.pricing.discount_total or ZERO,
            tax=line.tax.total,
            total=line.pricing.total,
        )
        for order, sale in zip(orders, sales, strict=True)
        for position, line in enumerate(sale.line_items, 1)
    )
    OrderEvent.objects.bulk_create(
        OrderEvent(order=order, kind="imported", message=f"Imported from {cart} as CLOSED.") for order in orders
    )
    OrderPayload.objects.bulk_create(
        OrderPayload(order=order, version=order.version, body=zlib.compress(raw, 1))
        for order, raw in zip(orders, raws, strict=True)
    )
    Delivery.objects.bulk_create(
        Delivery(connection_id=cart.warehouse_id, kind="order", order=order, reference=order.reference, run_at=now)
        for order in orders
    )


def log_call(cart, answer):
    from syncjobs.models import ApiCall, ApiCallBody

    call = ApiCall.objects.create(
        connection_id=cart.pk, method="GET", url=answer.url, status=answer.status_code, started_at=datetime.now(UTC)
    )
    ApiCallBody.objects.create(
        call=call, request_headers=dict(answer.request.headers), response_headers=dict(answer.headers),
        response=zlib.compress(answer.content[:LONGEST_BODY_BYTES], 1),
    )  # fmt: skip


def main() -> None:
    server = server_from_environment()
    feed = Feed(server)
    if "--fetch-only" in sys.argv:
        started = time.perf_counter()
        fetch_only(feed)
        print(json.dumps({"seconds": time.perf_counter() - started}))
        return
    open_hub()
    from benchmarks.order_rows import row_counts

    cart = make_cart(make_warehouse(make_merchant()), server)
    before, cpu = row_counts(), time.process_time()
    started = time.perf_counter()
    download(feed, cart)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    rows = {name: count - before[name] for name, count in row_counts().items()}
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak_memory_mb(), "rows": rows}))


if __name__ == "__main__":
    main()
