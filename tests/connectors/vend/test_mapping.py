"""Sales as orders: one test per case that shops really have (vend.md sections 3.3 to 3.6, 8 and 10)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.records import OrderRecord, OutletRecord, RemoteOrderState
from connectors.vend import shapes
from connectors.vend.catalogue import outlet_record
from connectors.vend.errors import Unreadable
from connectors.vend.families import SaleReader
from connectors.vend.mapping import SaleContext, order_from_sale, outlet_id_of
from connectors.vend.status import LEGACY_WORDS, MEANINGS, read_status
from tests.connectors.vend import payloads
from tests.connectors.vend.payloads import as_json, discount_line, flat_sale, line, payment, sale

SALES = SaleReader()
OUTLET: OutletRecord = outlet_record(shapes.Reader(shapes.Outlet).read(as_json(payloads.outlet())))


# More brackets than any reader goes down into.
DEEP = b'{"id": "5e", "surprise": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def context(**changes: Any) -> SaleContext:
    facts: dict[str, Any] = {
        "outlet": OUTLET,
        "currency": "USD",
        "discount_product_id": payloads.DISCOUNT_PRODUCT_ID,
        "tax_names": {payloads.RATE_ID: "GST"},
        "fallback_ship_to": OUTLET.address,
    }
    return SaleContext(**facts | changes)


def order(record: dict[str, Any], **options: Any) -> OrderRecord:
    raw = as_json(record)
    return order_from_sale(SALES.read(raw), raw, context(**options))


def flat_order(record: dict[str, Any], **options: Any) -> OrderRecord:
    raw = as_json(record)
    return order_from_sale(SALES.read(raw), raw, context(**options))


def test_closed_sale_becomes_a_complete_order() -> None:
    found = order(sale())
    assert (found.external_id, found.number, found.version) == (payloads.SALE_ID, "MR-1036", 413)
    assert (found.state, found.remote_status, found.importable) == (RemoteOrderState.COMPLETE, "CLOSED", True)
    assert found.placed_at == datetime(2026, 9, 18, 1, 37, 56, tzinfo=UTC)
    assert found.updated_at == datetime(2026, 9, 18, 1, 37, 59, tzinfo=UTC)
    assert (found.currency, found.subtotal, found.tax_total, found.total) == ("USD", 200, 30, 230)
    assert (found.customer_id, found.note, found.ship_method) == (payloads.CUSTOMER_ID, "leave at desk", "")
    (goods,) = found.lines
    assert (goods.product_id, goods.quantity, goods.unit_price) == (payloads.PRODUCT_ID, 2, 100)
    assert (goods.total, goods.tax, goods.ships) == (200, 30, True)
    (paid,) = found.payments
    assert (paid.name, paid.amount, paid.kind) == ("Cash", 230, "1")
    assert paid.paid_at == datetime(2026, 9, 18, 1, 37, 54, tzinfo=UTC)
    (tax,) = found.charges
    assert (tax.kind, tax.name, tax.amount, tax.external_id) == ("tax", "GST", 30, payloads.RATE_ID)
    assert found.fallback_ship_to == OUTLET.address
    assert found.raw == as_json(sale())
    assert (found.hold_reason, found.skip_reason, found.return_for) == ("", "", "")


def test_the_flat_sale_of_2_0_gives_the_same_order() -> None:
    dated, flat = order(sale()), flat_order(flat_sale())
    for name in OrderRecord.__slots__:
        if name != "raw":
            assert getattr(flat, name) == getattr(dated, name), name


def test_number_falls_back_to_receipt_number_short_code_and_id() -> None:
    assert order(sale(invoice_number="")).number == "MR-1036"
    assert order(sale(invoice_number=None, receipt_number=None)).number == "xamfvy"
    assert order(sale(invoice_number=None, receipt_number="", short_code=None)).number == payloads.SALE_ID
    assert order(sale(invoice_number=1036)).number == "1036"


def test_tax_inclusive_store_keeps_five_decimals() -> None:
    record = sale(
        line_items=[line(quantity=1, price=2.63158, tax={"amount": 0.39474, "total": 0.39474})],
        totals={"price": 2.63158, "price_incl_tax": 3.02632, "tax": 0.39474},
        taxes=[{"id": payloads.RATE_ID, "tax": 0.39474}],
    )
    found = order(record)
    assert found.lines[0].unit_price == Decimal("2.63158")
    assert (found.subtotal, found.tax_total, found.total) == (
        Decimal("2.63158"),
        Decimal("0.39474"),
        Decimal("3.02632"),
    )


def test_money_never_passes_through_a_float() -> None:
    raw = as_json(sale()).replace(b'"price": 200.0, "price_incl', b'"price": 12345678901.123456789, "price_incl')
    found = order_from_sale(SALES.read(raw), raw, context())
    assert found.subtotal == Decimal("12345678901.123456789")


def test_totals_are_kept_as_sent_even_when_they_do_not_add_up() -> None:
    found = order(sale(totals={"price": 199.99, "price_incl_tax": 231.0, "tax": 30.5}))
    assert (found.subtotal, found.tax_total, found.total) == (Decimal("199.99"), Decimal("30.5"), Decimal("231.0"))
    assert order(sale(totals={"price": 200.0, "tax": 30.0})).total == 230


@pytest.mark.parametrize(
    ("state", "attributes", "word", "meaning"),
    [
        ("parked", [], "SAVED", RemoteOrderState.DRAFT),
        ("pending", [], "OPEN", RemoteOrderState.OPEN),
        ("closed", [], "CLOSED", RemoteOrderState.COMPLETE),
        ("voided", [], "VOIDED", RemoteOrderState.CANCELLED),
        ("pending", ["onaccount"], "ONACCOUNT", RemoteOrderState.OPEN),
        ("closed", ["onaccount"], "ONACCOUNT_CLOSED", RemoteOrderState.COMPLETE),
        ("pending", ["layby"], "LAYBY", RemoteOrderState.OPEN),
        ("closed", ["layby"], "LAYBY_CLOSED", RemoteOrderState.COMPLETE),
        ("pending", ["delivery"], "AWAITING_DISPATCH", RemoteOrderState.OPEN),
        ("closed", ["delivery"], "DISPATCHED_CLOSED", RemoteOrderState.COMPLETE),
        ("pending", ["pickup"], "AWAITING_PICKUP", RemoteOrderState.OPEN),
        ("closed", ["pickup"], "PICKED_UP_CLOSED", RemoteOrderState.COMPLETE),
        ("pending", ["service"], "SERVICE", RemoteOrderState.OPEN),
        ("closed", ["service"], "SERVICE_CLOSED", RemoteOrderState.COMPLETE),
    ],
)
def test_every_status_of_both_families(state: str, attributes: list[str], word: str, meaning: RemoteOrderState) -> None:
    dated = order(sale(state=state, attributes=attributes), order_status=word)
    assert (dated.remote_status, dated.state, dated.importable) == (word, meaning, True)
    legacy = flat_order(flat_sale(status=word, state=None, attributes=None), order_status=word)
    assert (legacy.remote_status, legacy.state, legacy.importable) == (word, meaning, True)


def test_the_tables_of_status_words_agree() -> None:
    assert {*LEGACY_WORDS.values(), "SAVED", "VOIDED"} == set(MEANINGS)


def test_only_the_chosen_status_is_imported() -> None:
    on_account = sale(state="pending", attributes=["onaccount"])
    found = order(on_account)
    assert not found.importable
    assert found.skip_reason == "The sale's status is ONACCOUNT; this cart takes CLOSED sales."
    assert order(on_account, order_status="ONACCOUNT").importable


def test_all_except_voided_and_saved() -> None:
    everything = "ALL_EXCEPT_VOIDED_SAVED"
    for state, attributes in (("closed", []), ("pending", ["delivery"]), ("pending", ["layby"]), ("pending", [])):
        assert order(sale(state=state, attributes=attributes), order_status=everything).importable
    for state in ("voided", "parked"):
        found = order(sale(state=state), order_status=everything)
        assert not found.importable
        assert "except VOIDED and SAVED" in found.skip_reason


def test_a_sale_on_account_that_is_to_be_delivered_fits_both_statuses() -> None:
    record = sale(state="pending", attributes=["onaccount", "delivery"])
    assert order(record, order_status="ONACCOUNT").importable
    assert order(record, order_status="ONACCOUNT").remote_status == "AWAITING_DISPATCH + ONACCOUNT"
    assert order(record).ship_method == "delivery"
    legacy = flat_order(
        flat_sale(status="ONACCOUNT", state="pending", attributes=["onaccount", "delivery"]), order_status="ONACCOUNT"
    )
    assert legacy.importable
    assert legacy.ship_method == "delivery"


def test_void_after_import_is_a_cancellation() -> None:
    found = order(sale(state="voided", _metadata={"version": 500}))
    assert (found.state, found.importable, found.version) == (RemoteOrderState.CANCELLED, False, 500)
    assert order(sale(state="voided", attributes=["whatever"])).state is RemoteOrderState.CANCELLED
    assert flat_order(flat_sale(status="VOIDED", state="voided")).state is RemoteOrderState.CANCELLED


def test_a_deleted_sale_is_a_cancellation() -> None:
    found = order(sale(deleted_at="2026-09-19T00:00:00Z"))
    assert (found.state, found.importable) == (RemoteOrderState.CANCELLED, False)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"state": "frozen"}, "state “frozen”"),
        ({"attributes": ["drone"]}, "attribute “drone”"),
        ({"state": None}, "state “”"),
    ],
)
def test_an_unknown_word_is_imported_and_held(changes: dict[str, Any], word: str) -> None:
    found = order(sale(**changes))
    assert (found.state, found.importable) == (RemoteOrderState.UNKNOWN, True)
    assert word in found.hold_reason


def test_an_unknown_legacy_status_is_imported_and_held() -> None:
    found = flat_order(flat_sale(status="TELEPORTED", state="closed"))
    assert (found.state, found.importable, found.remote_status) == (RemoteOrderState.UNKNOWN, True, "TELEPORTED")
    assert "status “TELEPORTED”" in found.hold_reason


def test_a_parked_sale_with_an_unknown_attribute_is_still_parked() -> None:
    found = order(sale(state="parked", attributes=["drone"]))
    assert (found.state, found.importable) == (RemoteOrderState.DRAFT, False)


def test_earliest_order_date_leaves_out_older_sales() -> None:
    day = datetime(2026, 9, 18, tzinfo=UTC)
    assert order(sale(date="2026-09-18T00:00:00Z"), earliest=day).importable
    early = order(sale(date="2026-09-17T23:59:59Z"), earliest=day)
    assert not early.importable
    assert early.skip_reason == "The sale is older than the cart's earliest order date (2026-09-18)."


def test_pickup_and_delivery_name_the_ship_method() -> None:
    assert order(sale(state="pending", attributes=["pickup"])).ship_method == "pickup"
    assert order(sale(state="pending", attributes=["delivery"])).ship_method == "delivery"
    legacy = flat_sale(status="AWAITING_PICKUP", state=None, attributes=None)
    assert flat_order(legacy).ship_method == "pickup"


def test_the_sale_level_discount_is_folded_into_the_order() -> None:
    found = order(sale(line_items=[line(), discount_line(20.0, tax=3.0)], totals={"price": 180.0, "tax": 27.0}))
    assert len(found.lines) == 1
    assert found.discount_total == 20
    (discount,) = [charge for charge in found.charges if charge.kind == "discount"]
    assert (discount.amount, discount.tax) == (-20, -3)
    assert (found.subtotal, found.total) == (180, 207)


def test_a_line_discount_stays_on_its_line() -> None:
    found = order(sale(line_items=[line(pricing={"discount": 5.0, "discount_total": 10.0})]))
    assert found.lines[0].discount == 10
    assert found.lines[0].unit_price == 100
    assert found.discount_total == 0


def test_missing_line_totals_follow_from_the_unit_values() -> None:
    bare = line(quantity=3, price=10.0, pricing={"total": None, "discount": 1.0, "discount_total": None})
    bare["tax"] = {"amount": 1.5}
    (found,) = order(sale(line_items=[bare])).lines
    assert (found.total, found.discount, found.tax) == (30, 3, Decimal("4.5"))


def test_voided_lines_and_lines_of_nothing_are_left_out() -> None:
    found = order(sale(line_items=[line(1), line(2, status="VOIDED"), line(3, quantity=0), line(4, status="SAVED")]))
    assert [part.external_id[-1] for part in found.lines] == ["1", "4"]


def test_a_sale_without_goods_is_no_order() -> None:
    found = order(sale(line_items=[]))
    assert (found.importable, found.skip_reason) == (False, "The sale holds no goods.")
    assert not order(sale(line_items=None)).importable
    assert not order(sale(line_items=[discount_line()])).importable


def test_gift_card_lines_do_not_ship() -> None:
    found = order(sale(line_items=[line(1), line(2, gift_card_number="GC-1")]))
    assert [part.ships for part in found.lines] == [True, False]


def test_fractional_quantity() -> None:
    (found,) = order(sale(line_items=[line(quantity=0.375, price=8.0, pricing={"total": 3.0})])).lines
    assert (found.quantity, found.total) == (Decimal("0.375"), 3)


def test_a_return_is_no_order_and_names_the_sale_it_returns() -> None:
    record = sale(
        line_items=[
            line(quantity=-2, **{"return": {"is_return": True, "reason": "too small"}}, tax={"total": -30.0}),
        ],
        totals={"price": -200.0, "price_incl_tax": -230.0, "tax": -30.0},
        payments=[payment(-230.0)],
        **{"return": {"is_return": True, "original_sale_id": "5e-original", "return_sale_ids": []}},
    )
    found = order(record)
    assert (found.importable, found.return_for) == (False, "5e-original")
    assert "return" in found.skip_reason
    (goods,) = found.lines
    assert (goods.quantity, goods.total, goods.tax, goods.unit_price) == (2, 200, 30, 100)
    assert (found.total, found.payments[0].amount) == (-230, -230)


def test_a_return_of_the_flat_family() -> None:
    record = flat_sale(return_for="5e-original")
    record["line_items"][0] |= {"quantity": -2, "is_return": True, "price_total": -200.0}
    found = flat_order(record)
    assert (found.importable, found.return_for, found.lines[0].quantity) == (False, "5e-original", 2)


def test_negative_lines_alone_are_a_return_without_original() -> None:
    found = order(sale(line_items=[line(quantity=-1)]))
    assert (found.importable, found.return_for, found.lines[0].quantity) == (False, "", 1)


def test_a_sale_marked_as_return_is_none_of_ours_even_with_positive_lines() -> None:
    found = order(sale(**{"return": {"is_return": True, "original_sale_id": "5e-original"}}))
    assert (found.importable, found.return_for, len(found.lines)) == (False, "5e-original", 1)


def test_an_exchange_imports_the_new_lines_only() -> None:
    back = line(2, quantity=-1, **{"return": {"is_return": True, "reason": None}})
    found = order(sale(line_items=[line(1, quantity=3), back], note="swap"))
    assert found.importable
    assert [part.quantity for part in found.lines] == [3]
    assert found.note == "swap\nExchange: 1 returned line is not part of this order."
    assert found.return_for == ""


def test_adjustments_become_charges() -> None:
    record = sale(
        adjustments=[
            {"name": "Card fee", "adjustment_type": "NON_CASH_FEE", "total": 3.5, "tax_components": []},
            {
                "name": "Staff",
                "adjustment_type": "DISCOUNT",
                "total": 10.0,
                "tax_components": [{"rate_id": payloads.RATE_ID, "total_tax": 1.5}],
            },
            {"name": "Tip", "type": "TIP", "value": 5, "tax_components": None},
            {"name": "", "adjustment_type": "NEW_THING", "total": 1},
        ]
    )
    found = order(record)
    rest = [(charge.kind, charge.name, charge.amount, charge.tax) for charge in found.charges if charge.kind != "tax"]
    assert rest == [
        ("fee", "Card fee", Decimal("3.5"), 0),
        ("discount", "Staff", -10, Decimal("-1.5")),
        ("tip", "Tip", 5, 0),
        ("new_thing", "New Thing", 1, 0),
    ]
    assert found.discount_total == 10


@pytest.mark.parametrize("wrapped", [False, True])
def test_shipping_paid_in_the_web_shop(wrapped: bool) -> None:
    charges: Any = [
        {"name": "Standard Shipping", "source_id": "s1", "total": 12.5, "total_tax": 1.88, "total_incl": 14.38},
        {"name": "Gift wrap", "source_id": "s2", "total": 4.0, "total_tax": 0.6, "total_incl": 4.6},
    ]
    if wrapped:
        charges = {"total": 16.5, "total_tax": 2.48, "total_incl": 18.98, "charges": charges}
    same_money = {"name": "Standard Shipping", "adjustment_type": "ECOM_CUSTOM_CHARGE", "total": 12.5}
    found = order(sale(ecom_custom_charges=charges, adjustments=[same_money]))
    assert found.shipping_total == Decimal("12.5")
    rest = [(charge.kind, charge.amount) for charge in found.charges if charge.kind != "tax"]
    assert rest == [("shipping", Decimal("12.5")), ("charge", 4)]


def test_shipping_as_an_adjustment_alone() -> None:
    found = order(sale(adjustments=[{"name": "Courier", "adjustment_type": "ECOM_CUSTOM_CHARGE", "total": 9}]))
    assert found.shipping_total == 9


def test_a_surcharge_of_the_totals_is_counted_once() -> None:
    totals = {"price": 200.0, "price_incl_tax": 230.0, "tax": 30.0, "surcharge": 2.3}
    assert [c.amount for c in order(sale(totals=totals)).charges if c.kind == "surcharge"] == [Decimal("2.3")]
    named = {"name": "Card", "adjustment_type": "SURCHARGE", "total": 2.3}
    assert [c.name for c in order(sale(totals=totals, adjustments=[named])).charges if c.kind == "surcharge"] == [
        "Card"
    ]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"id": payloads.RATE_ID, "tax": 30.0}, "GST"),
        ({"id": payloads.RATE_ID, "amount": 30.0}, "GST"),
        ({"name": "VAT", "rate": 0.2, "amount": 30.0}, "VAT"),
        ({"id": "unknown-rate", "amount": "30.0"}, "Tax"),
    ],
)
def test_every_documented_shape_of_a_tax_row(row: dict[str, Any], name: str) -> None:
    (tax,) = [charge for charge in order(sale(taxes=[row])).charges if charge.kind == "tax"]
    assert (tax.name, tax.amount) == (name, 30)


def test_several_payments_and_none_that_was_taken_back() -> None:
    gone = payment(1.0, deleted_at="2026-09-18T02:00:00Z")
    found = order(sale(payments=[payment(100.0), payment(130.0, name="Gift Card", kind=118), gone]))
    assert [(paid.name, paid.amount, paid.kind) for paid in found.payments] == [
        ("Cash", 100, "1"),
        ("Gift Card", 130, "118"),
    ]


def test_walk_in_sale_without_customer() -> None:
    found = order(sale(customer_id=None))
    assert found.customer_id == ""
    assert found.fallback_ship_to is not None
    assert order(sale(), fallback_ship_to=None).fallback_ship_to is None


def test_non_latin_text_survives() -> None:
    found = order(sale(note="お届けは午後に — для Юлии", line_items=[line(note="赤いリボン")]))
    assert found.note == "お届けは午後に — для Юлии"
    assert found.lines[0].note == "赤いリボン"


def test_a_sale_of_a_thousand_lines() -> None:
    found = order(sale(line_items=[line(number, quantity=1) for number in range(1, 1001)]))
    assert len(found.lines) == 1000
    assert len({part.external_id for part in found.lines}) == 1000


def test_numbers_as_texts_and_texts_as_numbers() -> None:
    record = sale(
        invoice_number=1036,
        totals={"price": "200.00", "price_incl_tax": "230.00", "tax": "30.00"},
        line_items=[line(pricing={"price": "100.00000", "total": "200.00000"})],
        payments=[payment("230.00", kind=1)],
        _metadata={"version": "413"},
    )
    found = order(record)
    assert (found.number, found.total, found.version) == ("1036", 230, 413)
    assert (found.lines[0].unit_price, found.payments[0].kind) == (100, "1")


def test_empty_values_count_as_absent() -> None:
    record = sale(
        adjustments={}, taxes="", totals={"price": 200, "tax": 30, "price_incl_tax": ""}, source=sale()["source"]
    )
    record["line_items"][0]["pricing"]["discount_total"] = ""
    record["line_items"][0]["return"] = []
    found = order(record)
    assert (found.total, found.lines[0].discount) == (230, 0)


def test_a_sale_with_nothing_but_the_least() -> None:
    found = order(
        {"id": "5e", "state": "closed", "created_at": "2026-09-18T01:37:56Z", "line_items": [{"quantity": 1}]}
    )
    assert (found.number, found.total, found.version, found.importable) == ("5e", 0, 0, True)
    assert found.lines[0].product_id == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-09-18T01:37:56Z", datetime(2026, 9, 18, 1, 37, 56, tzinfo=UTC)),
        ("2026-09-18T01:37:56+00:00", datetime(2026, 9, 18, 1, 37, 56, tzinfo=UTC)),
        ("2026-09-18T13:37:56+12:00", datetime(2026, 9, 18, 1, 37, 56, tzinfo=UTC)),
        ("2026-09-18 01:37:56", datetime(2026, 9, 18, 1, 37, 56, tzinfo=UTC)),
        ("2026-09-18T01:37:56.123Z", datetime(2026, 9, 18, 1, 37, 56, 123000, tzinfo=UTC)),
    ],
)
def test_every_form_of_time(given: str, expected: datetime) -> None:
    assert order(sale(date=given)).placed_at == expected


def test_a_sale_without_date_counts_from_its_creation() -> None:
    assert order(sale(date=None)).placed_at == datetime(2026, 9, 11, 21, 9, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "has no id"),
        ({"date": "yesterday", "created_at": None, "updated_at": None}, "date “yesterday” cannot be read"),
        ({"date": None, "created_at": None, "updated_at": None}, "has no date"),
        ({"totals": {"price": "NaN"}}, "impossible number NaN"),
        ({"totals": {"price": 1e300}}, "impossible number"),
        ({"line_items": [{"quantity": "Infinity"}]}, "impossible number"),
        ({"line_items": "none"}, "line_items"),
        ({"totals": {"price": "ten"}}, "decimal"),
        ({"state": {"word": "closed"}}, "state"),
    ],
)
def test_what_cannot_be_mapped_says_why(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        order(sale(**changes))


@pytest.mark.parametrize(
    "raw", [b"null", b"5", b'"text"', b"[]", b'{"id": "5e"', b'{"id": "\xff"}', b"", pytest.param(DEEP, id="deep")]
)
def test_what_is_no_record_at_all(raw: bytes) -> None:
    with pytest.raises(Unreadable, match="The record cannot be read"):
        SALES.read(raw)


def test_half_a_character_is_replaced() -> None:
    raw = as_json(sale()).replace(b"leave at desk", rb"leave \ud83d at desk")
    found = order_from_sale(SALES.read(raw), raw, context())
    assert found.note == "leave ? at desk"


def test_the_outlet_of_a_sale() -> None:
    def outlet_of(record: dict[str, Any]) -> str:
        return outlet_id_of(SALES.read(as_json(record)))

    assert outlet_of(sale()) == payloads.OUTLET_ID
    assert outlet_of(sale(source={"register_id": payloads.REGISTER_ID})) == payloads.OUTLET_ID  # by its payment
    assert outlet_of(sale(source=None, payments=[])) == ""


def test_status_words_are_read_in_any_case() -> None:
    assert read_status("closed", "", ()).state is RemoteOrderState.COMPLETE
    assert read_status("", "Closed", ("OnAccount",)).words == ("ONACCOUNT_CLOSED",)
