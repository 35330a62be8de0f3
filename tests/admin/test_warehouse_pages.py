"""The built-in warehouse: pick list, stock and products."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from carts.models import PickOrder, Product, StockLevel
from tests.admin.worlds import Shop


@pytest.fixture
def pick_order(shop: Shop) -> PickOrder:
    found: PickOrder = shop.objects["pickorder"]
    return found


def ship(client: Client, pick_order: PickOrder, quantity: str, **data: Any) -> str:
    line = pick_order.lines.get()
    form = {f"line_{line.pk}": quantity, "carrier": "NZ Post", "tracking_number": "NZ1", **data}
    url = reverse("admin:carts_pickorder_ship", args=[pick_order.pk])
    text = client.post(url, form, follow=True).content.decode()
    pick_order.refresh_from_db()
    return text


class TestPickList:
    def test_open_orders_are_listed_with_what_to_pick(self, pick_order: PickOrder, member: Client) -> None:
        text = member.get(reverse("admin:carts_pickorder_changelist")).content.decode()
        assert pick_order.number in text
        assert "2 in 1 line" in text

    def test_a_walk_in_customer_is_called_so(self, pick_order: PickOrder, member: Client) -> None:
        PickOrder.objects.update(customer_name="")
        text = member.get(reverse("admin:carts_pickorder_changelist")).content.decode()
        assert "Walk-in customer" in text

    def test_done_ones_are_left_out_until_asked_for(self, pick_order: PickOrder, member: Client) -> None:
        PickOrder.objects.update(status="shipped")
        url = reverse("admin:carts_pickorder_changelist")
        assert pick_order.number not in member.get(url).content.decode()
        assert pick_order.number in member.get(url, {"status": "shipped"}).content.decode()

    def test_the_form_offers_what_is_open(self, pick_order: PickOrder, member: Client) -> None:
        url = reverse("admin:carts_pickorder_ship", args=[pick_order.pk])
        assert 'value="2"' in member.get(url).content.decode()
        assert not pick_order.shipments.exists()

    def test_partly_then_completely(self, pick_order: PickOrder, member: Client) -> None:
        ship(member, pick_order, "0.5")
        assert pick_order.status == PickOrder.Status.PARTLY_SHIPPED
        ship(member, pick_order, "1.5", tracking_url="https://track.example/NZ1")
        assert pick_order.status == PickOrder.Status.SHIPPED
        assert pick_order.shipments.last().tracking_url == "https://track.example/NZ1"
        assert "nothing is left to ship" in ship(member, pick_order, "1")

    @pytest.mark.parametrize(
        ("quantity", "message"),
        [
            ("3", "Only 2 are still open."),
            ("-1", "cannot be negative"),
            ("many", "Enter a number."),
            ("0", "at least one line"),
        ],
    )
    def test_mistakes_are_told(self, pick_order: PickOrder, member: Client, quantity: str, message: str) -> None:
        assert message in ship(member, pick_order, quantity)
        assert not pick_order.shipments.exists()

    def test_a_cancelled_order_is_not_shipped(self, pick_order: PickOrder, member: Client) -> None:
        PickOrder.objects.update(status="cancelled")
        ship(member, pick_order, "1")
        assert not pick_order.shipments.exists()

    def test_the_list_for_paper(self, pick_order: PickOrder, member: Client) -> None:
        text = member.get(reverse("admin:carts_pickorder_print")).content.decode()
        assert "SKU-1" in text
        assert "1 Queen Street" in text


class TestStock:
    def test_a_level_is_set(self, shop: Shop, member: Client) -> None:
        level = shop.objects["stocklevel"]
        url = reverse("admin:carts_stocklevel_change", args=[level.pk])
        assert member.post(url, {"available": "7.5"}).status_code == 302
        level.refresh_from_db()
        assert level.available == Decimal("7.5")

    def test_a_new_level(self, shop: Shop, other_shop: Shop, member: Client) -> None:
        url = reverse("admin:carts_stocklevel_add")
        foreign = member.post(url, {"location": other_shop.location.pk, "sku": "NEW", "available": "4"})
        assert "Select a valid choice" in foreign.content.decode()
        member.post(url, {"location": shop.location.pk, "sku": "NEW", "available": "4"})
        assert StockLevel.objects.get(sku="NEW").location == shop.location

    def test_out_and_in_again(self, shop: Shop, member: Client) -> None:
        export = member.get(reverse("admin:carts_stocklevel_export"))
        content = b"".join(export.streaming_content)
        assert b"Alpha-SKU,5" in content
        changed = content.replace(b"Alpha-SKU,5", b"Alpha-SKU,9")
        self.upload(member, shop, changed)
        assert StockLevel.objects.get(sku="Alpha-SKU").available == Decimal(9)

    def upload(self, client: Client, shop: Shop, content: bytes) -> str:
        form = {"warehouse": shop.warehouse.pk, "file": SimpleUploadedFile("stock.csv", content)}
        return client.post(reverse("admin:carts_stocklevel_import"), form, follow=True).content.decode()

    def test_bad_lines_are_named_and_the_others_go_in(self, shop: Shop, member: Client) -> None:
        text = self.upload(member, shop, b"location,sku,available\n,GOOD,3\nnowhere,BAD,1\n,WORSE,many\n")
        assert StockLevel.objects.filter(sku="GOOD").exists()
        assert "The warehouse has no location nowhere." in text
        assert "is not a number" in text

    def test_a_file_that_is_no_table(self, shop: Shop, member: Client) -> None:
        assert "could not be used" in self.upload(member, shop, b"\x89PNG\r\n\x1a\n")

    def test_stock_of_other_systems_is_read_only(self, shop: Shop, member: Client) -> None:
        shop.warehouse.connector = "vend"
        shop.warehouse.save()
        level = shop.objects["stocklevel"]
        member.post(reverse("admin:carts_stocklevel_change", args=[level.pk]), {"available": "99"})
        level.refresh_from_db()
        assert level.available == Decimal(5)


class TestProducts:
    def form(self, **more: str) -> dict[str, str]:
        return {"sku": "TENT", "name": "Tent", "prices": "Retail: 349\nWholesale: 199,50", "is_active": "on", **more}

    def test_a_product_with_its_price_lists(self, shop: Shop, member: Client) -> None:
        member.post(reverse("admin:carts_product_add"), self.form())
        product = Product.objects.get(sku="TENT")
        assert product.connection_id == shop.warehouse.pk
        assert product.prices == {"Retail": "349.00", "Wholesale": "199.50"}

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"prices": "Retail 349"}, "is not a price"),
            ({"prices": "Retail: -1"}, "is not a price"),
            ({"prices": "Retail: NaN"}, "is not a price"),
            ({"sku": "alpha-sku"}, "already a product with this SKU"),
            ({"sku": ""}, "This field is required."),
        ],
    )
    def test_mistakes_are_told(self, shop: Shop, member: Client, changed: dict[str, str], message: str) -> None:
        text = member.post(reverse("admin:carts_product_add"), self.form(**changed)).content.decode()
        assert message in text
        assert not Product.objects.filter(sku="TENT").exists()

    def test_products_of_a_shop_are_changed_there(self, shop: Shop, member: Client) -> None:
        product = Product.objects.create(connection=shop.cart, external_id="p", sku="SHOP", name="Shop's own")
        url = reverse("admin:carts_product_edit", args=[product.pk])
        assert "change it there" in member.post(url, self.form(), follow=True).content.decode()
        product.refresh_from_db()
        assert product.name == "Shop's own"

    def test_out_and_in_again(self, shop: Shop, member: Client) -> None:
        content = b"".join(member.get(reverse("admin:carts_product_export")).streaming_content)
        assert b"price:Retail" in content
        form = {
            "warehouse": shop.warehouse.pk,
            "file": SimpleUploadedFile("products.csv", content.replace(b"12.50", b"13.75")),
        }
        member.post(reverse("admin:carts_product_import"), form)
        assert shop.warehouse.products.get(sku="Alpha-SKU").prices == {"Retail": "13.75"}
