"""Price books per outlet (vend.md section 3.11)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import ContractBroken, PermissionMissing
from connectors.ports import PriceBookReader
from connectors.records import PriceRecord
from connectors.vend import client as client_module
from connectors.vend import prices, shapes
from connectors.vend.connector import VendConnector
from connectors.vend.errors import Unreadable
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.conftest import Connect
from tests.connectors.vend.payloads import as_json


def read(connector: VendConnector, outlet_id: str = "") -> list[PriceRecord]:
    return [record for page in connector.read_prices(outlet_id) for record in page.records]


def by_book(records: list[PriceRecord]) -> dict[str, list[Decimal]]:
    found: dict[str, list[Decimal]] = {}
    for record in records:
        found.setdefault(record.book.name, []).append(record.price)
    return found


@pytest.fixture
def books(sandbox: VendSandbox) -> VendSandbox:
    """A base price, a book for everyone and one for each of the two outlets, all of the same product."""
    store = sandbox.store
    product = store.products[0]
    here, there = store.outlets
    store.add_price_book_product(store.base_price_book, product, "34.80")
    everyone = store.add_price_book("Wholesale", valid_from="2026-09-01T00:00:00Z", valid_to="2026-10-01T00:00:00Z")
    store.add_price_book_product(everyone, product, "20.12345", min_units=Decimal(10), max_units=Decimal(99))
    for outlet, price in ((here, "30"), (there, "31")):
        book = store.add_price_book(f"Only {outlet['name']}", outlet_id=outlet["id"], restrict_to_platform_key="1")
        store.add_price_book_product(book, product, price)
    return sandbox


def test_the_connector_has_the_port() -> None:
    assert issubclass(VendConnector, PriceBookReader)


@pytest.mark.parametrize("version", ["2026-07", "2026-01", "2.0"])
def test_an_outlet_has_the_books_of_all_and_its_own(books: VendSandbox, connect: Connect, version: str) -> None:
    here, there = books.store.outlets
    connector = connect(api_version=version)
    base = books.store.base_price_book["name"]
    everywhere = {base: [Decimal("34.80")], "Wholesale": [Decimal("20.12345")]}
    assert by_book(read(connector, here["id"])) == everywhere | {f"Only {here['name']}": [Decimal(30)]}
    assert by_book(read(connector, there["id"])) == everywhere | {f"Only {there['name']}": [Decimal(31)]}
    assert len(read(connector)) == 4
    (page,) = connector.read_prices(here["id"])
    assert page.skipped == 1


def test_what_a_price_says(books: VendSandbox, connect: Connect) -> None:
    here = books.store.outlets[0]
    found = {record.book.name: record for record in read(connect(), here["id"])}
    wholesale, own = found["Wholesale"], found[f"Only {here['name']}"]
    assert (wholesale.product_id, wholesale.currency) == (books.store.products[0]["id"], "NZD")
    assert (wholesale.min_units, wholesale.max_units) == (10, 99)
    assert (wholesale.book.valid_from, wholesale.book.valid_to) == (
        datetime(2026, 9, 1, tzinfo=UTC),
        datetime(2026, 10, 1, tzinfo=UTC),
    )
    assert wholesale.book.customer_groups == ("All Customers",)
    assert wholesale.book.customer_group_ids == (books.store.all_customers_group_id,)
    assert (wholesale.book.outlet_ids, wholesale.book.platform, wholesale.book.is_base) == ((), "", False)
    assert (own.book.outlet_ids, own.book.platform) == ((here["id"],), "store")
    assert (own.min_units, own.max_units, own.book.valid_to) == (None, None, None)
    assert found[books.store.base_price_book["name"]].book.is_base
    assert wholesale.version > 0


def test_a_base_book_without_prices_is_filled_from_the_products(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.delete_product(store.products[5])
    found = read(connect(), store.outlets[0]["id"])
    prices_by_product = {record.product_id: record.price for record in found}
    assert {product["id"]: product["price_excluding_tax"] for product in store.products}.items() <= (
        prices_by_product.items()
    )
    assert {record.book.is_base for record in found} == {True}
    assert len(prices_by_product) == len(found)


def test_deleted_books_and_prices_are_left_out(books: VendSandbox, connect: Connect) -> None:
    store = books.store
    store.touch(store.price_book_feed, next(iter(store.price_book_feed)))
    for book in store.price_book_feed:
        if book["name"] == "Wholesale":
            book["deleted_at"] = store.now()
    for row in store.price_book_product_feed:
        if row["price"] == 30:
            row["deleted_at"] = store.now()
    assert by_book(read(connect(), store.outlets[0]["id"])) == {store.base_price_book["name"]: [Decimal("34.80")]}


def test_many_prices_come_in_pages(books: VendSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RECORDS_PER_PAGE", 2)
    pages = list(connect().read_prices(""))
    assert [len(page.records) for page in pages] == [2, 2]
    assert int(pages[0].cursor) < int(pages[1].cursor)


def test_names_of_groups_are_only_for_the_eye(books: VendSandbox, connect: Connect) -> None:
    books.fail(match="GET /customer_groups", status=403, times=None)
    assert {record.book.customer_groups for record in read(connect())} == {()}


def test_without_permission_there_are_no_prices(books: VendSandbox, connect: Connect) -> None:
    books.token_scopes = frozenset({"retailer:read", "customers:read"})
    with pytest.raises(PermissionMissing):
        read(connect())


# --- shapes ----------------------------------------------------------------------------------------------------------


def book(**fields: Any) -> Any:
    return prices.book_record(shapes.Reader(prices.PriceBook).read(as_json({"id": "b", **fields})), {"g": "Trade"})


def test_books_of_3_0_have_lists() -> None:
    found = book(customer_group_ids=["g", "h"], outlet_ids=["o1", "o2"], restrict_to_platform="2", type="base")
    assert (found.customer_group_ids, found.customer_groups) == (("g", "h"), ("Trade",))
    assert (found.outlet_ids, found.platform, found.is_base) == (("o1", "o2"), "online", True)


def test_a_book_that_says_nothing_holds_everywhere() -> None:
    found = book(customer_group_id="", outlet_id=None, valid_from="", valid_to="never")
    assert (found.outlet_ids, found.customer_group_ids, found.platform) == ((), (), "")
    assert (found.valid_from, found.valid_to, found.is_base) == (None, None, False)


def test_a_price_that_cannot_be_read_is_a_reject_of_its_own() -> None:
    page = prices.page_of(
        prices.FeedPage([b'{"id":"1","price":"x"}', b'{"id":"2","product_id":"p"}', b"nonsense"], "7"),
        lambda raw: prices.price_record(prices.PRICES.read(raw), book(), "NZD"),
    )
    assert [reject.external_id for reject in page.rejects] == ["1", "2", ""]
    assert (page.records, page.cursor) == ([], "7")
    with pytest.raises(Unreadable):
        prices.price_record(prices.PRICES.read(b"{}"), book(), "NZD")


def test_0_units_are_no_bound() -> None:
    row = prices.PRICES.read(b'{"id":"1","product_id":"p","price":"2.50","min_units":0,"max_units":null}')
    found = prices.price_record(row, book(), "NZD")
    assert (found.price, found.min_units, found.max_units) == (Decimal("2.50"), None, None)


def test_a_book_that_cannot_be_read_stops_the_reading(books: VendSandbox, connect: Connect) -> None:
    next(iter(books.store.price_book_feed))["valid_from"] = {"a": 1}
    with pytest.raises(ContractBroken, match="price book"):
        read(connect())
