"""Money, whatever a sale mixes: the hub's total is Vend's, and the parts explain it or the difference is on record."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.records import ZERO, OrderRecord
from connectors.sandbox.wire import encode_json
from connectors.vend import shapes
from connectors.vend.catalogue import outlet_record
from connectors.vend.errors import Unreadable
from connectors.vend.families import SaleReader
from connectors.vend.mapping import SaleContext, order_from_sale
from connectors.vend.sandbox_sale import Sale
from connectors.vend.sandbox_shapes import sale_dated, sale_legacy
from connectors.vend.sandbox_store import VendStore
from tests.connectors.vend import payloads
from tests.connectors.vend.payloads import as_json, discount_line, line, sale

FIXED = settings(
    deadline=None, derandomize=True, max_examples=60, database=None, suppress_health_check=list(HealthCheck)
)
READER = SaleReader()
OUTLET = outlet_record(shapes.Reader(shapes.Outlet).read(as_json(payloads.outlet())))


@cache
def shop(tax_exclusive: bool) -> VendStore:
    """A store with five products and three taxes, one of them of two rates."""
    store = VendStore(1, lambda: datetime(2026, 9, 18, 1, 37, 56, tzinfo=UTC), tax_exclusive)
    store.fill(1, 1, 5, 2)
    store.add_tax("Reduced", Decimal("0.09"))
    both = store.add_tax("State", Decimal("0.0625"))
    both["rates"].append({"id": store.new_id(), "name": "City", "rate": Decimal("0.02375"), "display_name": "City"})
    return store


def read(record: bytes, discount_product_id: str) -> OrderRecord:
    context = SaleContext(
        outlet=OUTLET, discount_product_id=discount_product_id, order_status="ALL_EXCEPT_VOIDED_SAVED"
    )
    return order_from_sale(READER.read(record), record, context)


def explained(order: OrderRecord, sign: int = 1) -> Decimal:
    """What the parts add up to, and what is on record as unexplained. ``sign`` -1: the lines come back."""
    beside = sum((charge.amount for charge in order.charges if charge.kind != "tax"), ZERO)
    return sign * sum((row.total for row in order.lines), ZERO) + beside + order.tax_total + order.unexplained


def rounding(order: OrderRecord) -> Decimal:
    return Decimal("0.01") + Decimal("0.00001") * (len(order.lines) + len(order.charges))


# --- sales by the sandbox's own arithmetic ---------------------------------------------------------------------------

money = st.decimals(min_value=0, max_value=5000, places=5)
cents = st.decimals(min_value=0, max_value=300, places=2)
quantities = st.one_of(st.integers(1, 12).map(Decimal), st.decimals(min_value="0.001", max_value=9, places=3))


@st.composite
def sale_lines(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        row: dict[str, Any] = {
            "product": draw(st.integers(0, 4)),
            "quantity": draw(quantities),
            "price": draw(money),
            "discount": draw(cents),
            "tax": draw(st.one_of(st.none(), money)),
            "tax_id": draw(st.integers(0, 3)),
            "loyalty_value": draw(cents),
            "status": draw(st.sampled_from(["CONFIRMED", "CONFIRMED", "VOIDED", "SAVED"])),
        }
        if draw(st.booleans()):
            row["gift_card_number"] = "GC-1"
        rows.append(row)
    return rows


adjustments = st.builds(
    lambda kind, value, tax: {
        "name": kind.title(),
        "adjustment_type": kind,
        "value": -value if kind == "DISCOUNT" else value,
        "tax_components": [{"rate_id": "r", "total_tax": -tax if kind == "DISCOUNT" else tax}],
    },
    st.sampled_from(["NON_CASH_FEE", "DISCOUNT", "TIP", "SURCHARGE"]),
    cents,
    cents,
)
ecom_charges = st.builds(
    lambda name, value, tax: {"name": name, "total": value, "total_tax": tax, "total_incl": value + tax},
    st.sampled_from(["Shipping", "Gift wrap", "Courier"]),
    cents,
    cents,
)


def make_sale(store: VendStore, rows: list[dict[str, Any]], **fields: Any) -> Sale:
    taxes = list(store.tax_feed)
    lines = []
    for row in rows:
        fixed = row | {"product": store.products[row["product"]], "tax_id": taxes[row["tax_id"]]["id"]}
        lines.append({name: value for name, value in fixed.items() if value is not None})
    return store.add_sale(lines=lines, **fields)


@FIXED
@given(
    tax_exclusive=st.booleans(),
    rows=sale_lines(),
    discount=st.one_of(st.none(), cents),
    fees=st.lists(adjustments, max_size=3),
    charges=st.lists(ecom_charges, max_size=2),
    flat=st.booleans(),
)
def test_the_parts_of_a_sale_explain_its_total(
    tax_exclusive: bool,
    rows: list[dict[str, Any]],
    discount: Decimal | None,
    fees: list[dict[str, Any]],
    charges: list[dict[str, Any]],
    flat: bool,
) -> None:
    store = shop(tax_exclusive)
    sold = make_sale(store, rows, discount=discount, adjustments=fees, ecom_custom_charges=charges)
    order = read(encode_json(sale_legacy(sold) if flat else sale_dated(sold)), store.discount_product["id"])
    assert (order.subtotal, order.tax_total) == (sold.total_price, sold.total_tax)
    assert order.total == sold.total_price_incl
    assert order.unexplained == 0
    assert explained(order) == pytest.approx(order.total, abs=rounding(order))
    assert order.shipping_total == sum((row["total"] for row in charges if row["name"] != "Gift wrap"), ZERO)


@FIXED
@given(rows=sale_lines(), discount=st.one_of(st.none(), cents), flat=st.booleans())
def test_the_parts_of_a_return_explain_its_total(
    rows: list[dict[str, Any]], discount: Decimal | None, flat: bool
) -> None:
    store = shop(tax_exclusive=True)
    back = store.return_sale(make_sale(store, rows, discount=discount))
    order = read(encode_json(sale_legacy(back) if flat else sale_dated(back)), store.discount_product["id"])
    assert order.total == back.total_price_incl
    assert order.unexplained == 0
    if order.lines and order.return_for:
        assert explained(order, sign=-1) == pytest.approx(order.total, abs=rounding(order))


@FIXED
@given(sold=sale_lines(), returned=sale_lines())
def test_the_parts_of_an_exchange_explain_its_total(sold: list[dict[str, Any]], returned: list[dict[str, Any]]) -> None:
    store = shop(tax_exclusive=True)
    exchange = make_sale(store, [*sold, *(row | {"quantity": -row["quantity"]} for row in returned)])
    order = read(encode_json(sale_dated(exchange)), store.discount_product["id"])
    assert order.total == exchange.total_price_incl
    assert order.unexplained == 0


@FIXED
@given(
    rows=sale_lines(),
    stated=st.dictionaries(st.sampled_from(["total_price", "total_tax", "total_price_incl"]), cents, min_size=1),
)
def test_totals_that_do_not_add_up_are_kept_and_the_difference_is_recorded(
    rows: list[dict[str, Any]], stated: dict[str, Decimal]
) -> None:
    store = shop(tax_exclusive=True)
    sold = make_sale(store, rows, **stated)
    order = read(encode_json(sale_dated(sold)), store.discount_product["id"])
    assert order.total == sold.total_price_incl
    assert explained(order) == pytest.approx(order.total, abs=rounding(order))


# --- raw records with any numbers ------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(min_value=-1e6, max_value=1e6, allow_nan=False),
    st.decimals(min_value=-(10**5), max_value=10**5, places=5).map(str),
    st.sampled_from([None, 0, "", 1e13, -1e13, 1e300]),
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these fields, or none."""
    return st.fixed_dictionaries({}, optional=fields)


raw_lines = some(
    id=st.just("6a"),
    product=some(id=st.sampled_from(["p1", payloads.DISCOUNT_PRODUCT_ID])),
    quantity=numbers,
    status=st.sampled_from(["CONFIRMED", "VOIDED", None]),
    pricing=some(price=numbers, total=numbers, discount=numbers, discount_total=numbers),
    tax=some(amount=numbers, total=numbers),
    gift_card_number=st.sampled_from([None, "GC-1", 77]),
    **{"return": some(is_return=st.sampled_from([True, False, None, "1"]))},
)
raw_sales = some(
    totals=some(price=numbers, price_incl_tax=numbers, tax=numbers, loyalty=numbers, surcharge=numbers),
    taxes=st.lists(some(id=st.just("r"), tax=numbers, amount=numbers), max_size=2),
    line_items=st.lists(raw_lines, max_size=4),
    adjustments=st.lists(
        some(adjustment_type=st.sampled_from(["TIP", "DISCOUNT", "ECOM_CUSTOM_CHARGE"]), total=numbers, value=numbers),
        max_size=2,
    ),
    ecom_custom_charges=st.lists(
        some(name=st.sampled_from(["Post", ""]), total=numbers, total_tax=numbers), max_size=2
    ),
    **{"return": some(original_sale_id=st.sampled_from([None, "5f"]))},
)


@settings(FIXED, max_examples=250)
@given(changes=raw_sales)
@example(changes={"totals": {"price": 1e13, "tax": -1e13}, "line_items": []})
def test_any_numbers_give_an_order_that_adds_up_or_a_reason(changes: dict[str, Any]) -> None:
    record = sale(**changes)
    try:
        order = read(as_json(record), payloads.DISCOUNT_PRODUCT_ID)
    except Unreadable as error:
        assert str(error)
        return
    assert order.unexplained.adjusted() <= 13
    told = (record["totals"] or {}).get("price_incl_tax")
    if told not in (None, ""):
        assert order.total == Decimal(json.dumps(told).strip('"'))
    if "This sale is a return" not in order.skip_reason:
        assert explained(order) == pytest.approx(order.total, abs=rounding(order))


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_a_difference_is_recorded_with_its_sign() -> None:
    more = read(as_json(sale(totals={"price": 200.0, "price_incl_tax": 235.0, "tax": 30.0})), "")
    less = read(as_json(sale(totals={"price": 199.0, "price_incl_tax": 229.0, "tax": 30.0})), "")
    assert (more.unexplained, less.unexplained) == (5, -1)
    assert read(as_json(sale(totals=None)), "").unexplained == -200


def test_a_cent_of_rounding_is_no_difference() -> None:
    for total, left in (("230.01", "0"), ("229.99", "0"), ("230.02", "0.02")):
        record = as_json(sale(totals={"price": 200.0, "price_incl_tax": 0, "tax": 30.0})).replace(
            b'"price_incl_tax": 0', b'"price_incl_tax": ' + total.encode()
        )
        assert read(record, "").unexplained == Decimal(left)


def test_a_surcharge_paid_on_top_of_the_total_is_seen() -> None:
    totals = {"price": 200.0, "price_incl_tax": 230.0, "tax": 30.0, "surcharge": 2.5}
    order = read(as_json(sale(totals=totals)), "")
    assert [(charge.kind, charge.amount) for charge in order.charges if charge.kind != "tax"] == [("surcharge", 2.5)]
    assert order.unexplained == Decimal("-2.5")


def test_an_exchange_carries_the_goods_that_came_back_as_a_charge() -> None:
    back = line(2, quantity=-1, price=60.0, tax={"amount": 9.0, "total": -9.0})
    totals = {"price": 140.0, "price_incl_tax": 161.0, "tax": 21.0}
    order = read(as_json(sale(line_items=[line(1), back], totals=totals)), "")
    (charge,) = [charge for charge in order.charges if charge.kind == "return"]
    assert (charge.name, charge.amount, charge.tax) == ("Returned goods", -60, -9)
    assert (order.total, order.unexplained, len(order.lines)) == (161, 0, 1)


def test_a_return_takes_the_sale_discount_back() -> None:
    goods = line(1, quantity=-2, price=100.0, tax={"amount": 15.0, "total": -30.0})
    discount = discount_line(20.0, tax=-3.0) | {"quantity": 1}
    discount["pricing"]["total"] = 20.0
    totals = {"price": -180.0, "price_incl_tax": -207.0, "tax": -27.0}
    order = read(
        as_json(sale(line_items=[goods, discount], totals=totals, **{"return": {"original_sale_id": "5f"}})),
        payloads.DISCOUNT_PRODUCT_ID,
    )
    assert (order.total, order.unexplained, order.return_for) == (-207, 0, "5f")
    assert [charge.amount for charge in order.charges if charge.kind == "discount"] == [20]
