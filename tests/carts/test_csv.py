from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from carts import product_csv, stock_csv
from carts.csv_table import ImportResult, LineProblem
from carts.models import Product, StockLevel, Warehouse
from carts.product_csv import import_products, price_lists, product_header, product_rows
from carts.stock_csv import import_stock, stock_rows
from carts.warehouse_book import WarehouseBook
from tests.factories import make_builtin_warehouse, make_location, make_outbound

pytestmark = pytest.mark.django_db


@pytest.fixture
def warehouse() -> Warehouse:
    return make_builtin_warehouse()


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def problems(result: ImportResult) -> list[tuple[int, str]]:
    return [(problem.line, problem.message) for problem in result.problems]


def stock(warehouse: Warehouse) -> dict[tuple[str, str], Decimal]:
    levels = StockLevel.objects.filter(location__warehouse_id=warehouse.pk)
    return {(place, sku): number for place, sku, number in levels.values_list("location__name", "sku", "available")}


class TestStock:
    def test_import(self, warehouse: Warehouse) -> None:
        make_location(warehouse, name="South shed", external_id="s-1")
        result = import_stock(
            warehouse,
            b"location,sku,available\nmain,A,5\ns-1,A,1.25\nsouth SHED,B,-2\n,C,0\n",
        )
        assert (result.ok, result.applied, result.created) == (True, 4, 4)
        assert stock(warehouse) == {
            ("Main location", "A"): 5,
            ("South shed", "A"): Decimal("1.25"),
            ("South shed", "B"): -2,
            ("Main location", "C"): 0,
        }

    @pytest.mark.parametrize(
        "content",
        [
            "\ufeffSKU,Available\nA,1.5\n",
            "sku;available\nA;1,5\n",
            "sku;available\nA;1.5\n",
            ' Available , "Sku"\r\n 1.5 , A \r\n',
            "\n\nsku,available\n\n,\nA,1.50000\n\n",
            "sku,available\rA,+1.5\r",
            'sku,available\n"A","1.5"',
        ],
    )
    def test_files_as_people_save_them(self, warehouse: Warehouse, content: str) -> None:
        result = import_stock(warehouse, content.encode())
        assert problems(result) == []
        assert stock(warehouse) == {("Main location", "A"): Decimal("1.5")}

    def test_bad_lines_are_reported_and_the_others_are_applied(self, warehouse: Warehouse) -> None:
        content = "\n".join(
            [
                "location,sku,available,remark",
                "main,GOOD-1,1,",
                "nowhere,A,1,",
                "main,,1,",
                "main,B,many,",
                "main,C,,",
                "main,D,0.000001,",
                "main,E,99999999999,",
                "main,F,1,x,y",
                'main,"two',
                'lines",1,',
                "main,G,1e5,",
                "main,H,1_000,",
                "main,I,٣,",
                "main,GOOD-2,2",
                f"main,{'x' * 201},1,",
                "main,J\0,1,",
            ]
        )
        result = import_stock(warehouse, content.encode())
        assert problems(result) == [
            (3, "The warehouse has no location nowhere."),
            (4, "The SKU is missing."),
            (5, "The available “many” is not a number."),
            (6, "The column available is empty."),
            (7, "The available “0.000001” has more than 5 decimals."),
            (8, "99999999999 is not a possible quantity."),
            (9, "This line has 5 columns, the header 4. Put texts that hold a “,” in double quotes."),
            (12, "The available “1e5” is not a number."),
            (13, "The available “1_000” is not a number."),
            (14, "The available “٣” is not a number."),
            (16, f"The SKU {'x' * 40}… is longer than 200 characters."),
            (17, "This line holds a character that cannot be stored."),
        ]
        assert result.ignored_columns == ["remark"]
        assert {sku for _, sku in stock(warehouse)} == {"GOOD-1", "two\nlines", "GOOD-2"}
        assert result.summary == (
            "3 lines taken: 3 new, 0 changed, 0 as before. 12 lines could not be used. "
            "Columns without meaning here: remark."
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "The column sku is missing. The first line must name the columns: sku, available."),
            (b"A,5\n", "The column sku is missing. The first line must name the columns: sku, available."),
            (b"sku,SKU,available\n", "The column sku is there twice."),
            (
                "sku,available\nGr\xfcn,1".encode("latin-1"),
                "The file is not in UTF-8. In a spreadsheet, save it as “CSV UTF-8 (comma delimited)”.",
            ),
        ],
    )
    def test_files_that_cannot_be_used(self, warehouse: Warehouse, content: bytes, message: str) -> None:
        result = import_stock(warehouse, content)
        assert result.problems == [LineProblem(1, message)]
        assert stock(warehouse) == {}

    def test_a_cell_beyond_reason_spoils_only_its_line(self, warehouse: Warehouse) -> None:
        result = import_stock(warehouse, b"sku,available\nA,1\n" + b"x" * 200_000 + b",1\nB,2\n")
        assert [line for line, _ in problems(result)] == [3]
        assert stock(warehouse) == {("Main location", "A"): 1, ("Main location", "B"): 2}

    def test_a_thousands_point_is_not_guessed_at(self, warehouse: Warehouse) -> None:
        result = import_stock(warehouse, b"sku;available\nA;1.234,5\n")
        assert problems(result) == [(2, "The available “1.234,5” is not a number.")]

    def test_the_last_line_for_a_sku_wins(self, warehouse: Warehouse) -> None:
        result = import_stock(warehouse, b"sku,available\nA,1\na,2\nA,3\n")
        assert (result.applied, result.created) == (3, 1)
        assert stock(warehouse) == {("Main location", "A"): 3}

    def test_open_orders_are_reckoned_with(self, warehouse: Warehouse) -> None:
        WarehouseBook(warehouse.pk).receive([make_outbound("", (("A", "4"),))])
        import_stock(warehouse, b"sku,available\nA,10\n")
        level = StockLevel.objects.get()
        assert (level.available, level.on_hand) == (10, 14)

    def test_what_is_exported_can_be_imported(self, warehouse: Warehouse) -> None:
        nameless = make_location(warehouse, name="Shed; big", external_id="")
        book = WarehouseBook(warehouse.pk)
        main = book.find_location()
        book.set_available(
            [(main, "A,1", Decimal("1.5")), (main, '"B"', Decimal(-3)), (nameless, "ñ-山", Decimal("0.00001"))]
        )
        make_builtin_warehouse()
        rows = list(stock_rows(warehouse))
        assert rows == [("main", '"B"', "-3"), ("main", "A,1", "1.5"), ("Shed; big", "ñ-山", "0.00001")]
        for delimiter in ",;":
            result = import_stock(warehouse, as_csv(stock_csv.HEADER, rows, delimiter))
            assert (problems(result), result.unchanged) == ([], 3)

    def test_an_apostrophe_before_a_formula_sign_is_taken_away(self, warehouse: Warehouse) -> None:
        import_stock(warehouse, b"sku,available\n'=1+1,1\n'@home,2\n'plain,3\n")
        assert {sku for _, sku in stock(warehouse)} == {"=1+1", "@home", "'plain"}

    def test_10000_lines(self, warehouse: Warehouse, django_assert_max_num_queries: Callable[[int], Any]) -> None:
        lines = "".join(f"main,SKU-{number},{number % 7}\n" for number in range(10_000))
        content = f"location,sku,available\n{lines}".encode()
        with django_assert_max_num_queries(335):
            assert import_stock(warehouse, content).created == 10_000
        with django_assert_max_num_queries(100):
            assert import_stock(warehouse, content).unchanged == 10_000
        with django_assert_max_num_queries(1):
            assert sum(1 for _ in stock_rows(warehouse)) == 10_000

    def test_another_warehouse_is_not_touched(self, warehouse: Warehouse) -> None:
        other = make_builtin_warehouse()
        import_stock(other, b"sku,available\nA,1\n")
        import_stock(warehouse, b"sku,available\nA,2\n")
        assert stock(other) == {("Main location", "A"): 1}
        assert list(stock_rows(warehouse)) == [("main", "A", "2")]


class TestProducts:
    def product(self, warehouse: Warehouse, sku: str, **fields: Any) -> Product:
        return Product.objects.create(connection_id=warehouse.pk, external_id=f"id-{sku}", sku=sku, **fields)

    def test_import_creates_and_changes(self, warehouse: Warehouse) -> None:
        old = self.product(warehouse, "OLD", name="Old", brand="Acme", prices={"Retail": "9.00", "staff": "5.00"})
        same = self.product(warehouse, "SAME", name="Same", prices={"Retail": "1"})
        before = Product.objects.get(pk=same.pk).updated_at
        content = (
            "sku;name;Price:retail;price:Wholesale;barcode\n"
            "new-1;Brand new;20;11,123456;0042\n"
            "old;Renamed;;7;\n"
            "SAME;Same;1,00;;\n"
        )
        result = import_products(warehouse, content.encode())
        assert problems(result) == []
        assert (result.applied, result.created, result.changed, result.unchanged) == (3, 1, 1, 1)
        new = Product.objects.get(sku="new-1")
        assert (new.connection_id, new.sku_key, new.name, new.barcode) == (warehouse.pk, "new-1", "Brand new", "0042")
        assert new.prices == {"Retail": "20.00", "Wholesale": "11.123456"}
        assert new.is_active
        old.refresh_from_db()
        assert (old.name, old.sku, old.brand) == ("Renamed", "OLD", "Acme")
        assert old.prices == {"staff": "5.00", "Wholesale": "7.00"}
        same.refresh_from_db()
        assert (same.prices, same.updated_at) == ({"Retail": "1"}, before)

    def test_what_was_changed_is_in_the_feed(self, warehouse: Warehouse) -> None:
        product = self.product(warehouse, "A", name="Old")
        Product.objects.update(updated_at="2026-01-01T00:00:00Z")
        [page] = WarehouseBook(warehouse.pk).products("")
        assert len(page.records) == 1
        import_products(warehouse, b"sku,name\nA,New\n")
        [page] = WarehouseBook(warehouse.pk).products(page.cursor)
        assert [(record.name, record.version) for record in page.records] == [("New", product.version + 1)]

    def test_a_column_that_is_not_there_stays_as_it_is(self, warehouse: Warehouse) -> None:
        self.product(warehouse, "A", name="Name", description="Text", prices={"retail": "1.00"})
        import_products(warehouse, b"sku,barcode\nA,123\n")
        product = Product.objects.get()
        assert (product.name, product.description, product.barcode) == ("Name", "Text", "123")
        assert product.prices == {"retail": "1.00"}

    def test_bad_lines_are_reported_and_the_others_are_applied(self, warehouse: Warehouse) -> None:
        self.product(warehouse, "TWICE")
        Product.objects.create(connection_id=warehouse.pk, external_id="other", sku="twice")
        content = "\n".join(
            [
                "sku,name,barcode,price:retail,colour",
                "GOOD,Good,,1.50,blue",
                ",No SKU,,1,",
                "A,Price,,cheap,",
                "B,Price,,-1,",
                "C,Price,,1.1234567,",
                "D,Price,,100000000000000,",
                f"E,{'x' * 501},,1,",
                f"F,Barcode,{'1' * 81},1,",
                "Twice,Which?,,1,",
                "G,Name, with comma,,1,",
            ]
        )
        result = import_products(warehouse, content.encode())
        assert problems(result) == [
            (3, "The SKU is missing."),
            (4, "The price:retail “cheap” is not a number."),
            (5, "The price:retail -1 is not a possible price."),
            (6, "The price:retail “1.1234567” has more than 6 decimals."),
            (7, "The price:retail 100000000000000 is not a possible price."),
            (8, "The name is longer than 500 characters."),
            (9, "The barcode is longer than 80 characters."),
            (10, "2 products have the SKU Twice; give each its own first."),
            (11, "This line has 6 columns, the header 5. Put texts that hold a “,” in double quotes."),
        ]
        assert result.ignored_columns == ["colour"]
        assert (result.applied, result.created) == (1, 1)
        assert sorted(Product.objects.values_list("sku", flat=True)) == ["GOOD", "TWICE", "twice"]

    def test_a_price_column_needs_a_name(self, warehouse: Warehouse) -> None:
        result = import_products(warehouse, b"sku,price:\nA,1\n")
        assert problems(result) == [(1, "A price column has no name. Write price:retail, for example.")]

    def test_a_deleted_product_comes_back(self, warehouse: Warehouse) -> None:
        gone = self.product(warehouse, "A", deleted=True)
        assert import_products(warehouse, b"sku,name\nA,Back\n").changed == 1
        gone.refresh_from_db()
        assert (gone.deleted, gone.name) == (False, "Back")

    def test_later_lines_add_to_earlier_ones(self, warehouse: Warehouse) -> None:
        result = import_products(warehouse, b"sku,name,price:retail\nA,First,1\na,Second,2\n")
        assert (result.applied, result.created) == (2, 1)
        product = Product.objects.get()
        assert (product.sku, product.name, product.prices) == ("A", "Second", {"retail": "2.00"})

    def test_what_is_exported_can_be_imported(self, warehouse: Warehouse) -> None:
        self.product(
            warehouse, "A", name='Say "hi"', description="Two\nlines; and, more", prices={"retail": "20.00", "b2b": "1"}
        )
        self.product(warehouse, "B", name="山田", barcode="0012")
        self.product(warehouse, "GONE", deleted=True, prices={"old": "1"})
        self.product(make_builtin_warehouse(), "THEIRS", prices={"secret": "1"})
        lists = price_lists(warehouse)
        rows = list(product_rows(warehouse, lists))
        assert product_header(lists) == ["sku", "name", "barcode", "description", "price:b2b", "price:retail"]
        assert rows == [
            ["A", 'Say "hi"', "", "Two\nlines; and, more", "1", "20.00"],
            ["B", "山田", "0012", "", "", ""],
        ]
        for delimiter in ",;":
            result = import_products(warehouse, as_csv(product_header(lists), rows, delimiter))
            assert (problems(result), result.unchanged) == ([], 2)

    def test_another_warehouse_is_not_touched(self, warehouse: Warehouse) -> None:
        theirs = self.product(make_builtin_warehouse(), "A", name="Theirs")
        assert import_products(warehouse, b"sku,name\nA,Ours\n").created == 1
        theirs.refresh_from_db()
        assert theirs.name == "Theirs"

    def test_10000_lines(self, warehouse: Warehouse, django_assert_max_num_queries: Callable[[int], Any]) -> None:
        lines = "".join(f"SKU-{number},Name {number},{number % 7}.50\n" for number in range(10_000))
        content = f"sku,name,price:retail\n{lines}".encode()
        with django_assert_max_num_queries(400):
            assert import_products(warehouse, content).created == 10_000
        with django_assert_max_num_queries(60):
            assert import_products(warehouse, content).unchanged == 10_000
        assert sum(1 for _ in product_rows(warehouse, price_lists(warehouse))) == 10_000


def test_both_files_share_no_column_by_accident() -> None:
    assert set(stock_csv.HEADER) & set(product_csv.COLUMNS) == {"sku"}
