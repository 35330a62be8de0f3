"""Order Sending: one and many, what comes back, and what happens when nothing does."""

from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.errors import OutcomeUnknown, RemoteUnavailable
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.references import LONGEST, MARK, cust_ref_of
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.records import Address
from tests.connectors.integration_manager.conftest import Connect
from tests.connectors.integration_manager.making import BOWL, MUG, two_lines, web_order

CREATE = "POST /v1/cart/orders/cartrover"
BATCH = "POST /v1/cart/orders/batch"
LONG = "Bestellung Nr. 2026/07-00000000000000000000000001-9f3a2b1c"


class TestOne:
    def test_arrives_with_everything_a_wms_needs(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        address = Address(
            name="Ada King Byron",
            street1="1 Main St",
            street2="Apt 2",
            city="Reno",
            state="NV",
            postcode="89501",
            country="US",
            phone="5550100",
            email="ada@example.com",
        )
        order = web_order(ship_to=address, note="Leave at door", ship_method="Express")
        [result] = warehouse.send_orders([order])
        assert (result.ok, result.remote_id) == (True, "1001-9f3a2b1c")
        stored = sandbox.store.orders["1001-9f3a2b1c"]
        expected = {
            "cust_po_no": "WEB-1001",
            "order_date": "2026-07-01",
            "order_source": "Queen Street",
            "currency_code": "NZD",
            "ship_first_name": "Ada King",
            "ship_last_name": "Byron",
            "ship_company": None,
            "ship_address_1": "1 Main St",
            "ship_address_2": "Apt 2",
            "ship_city": "Reno",
            "ship_state": "NV",
            "ship_zip": "89501",
            "ship_country": "USA",
            "ship_phone": "5550100",
            "ship_e_mail": "ada@example.com",
            "ship_is_billing": True,
            "cust_last_name": "Byron",
            "ship_code": "Express",
            "shipping_instructions": "Leave at door",
            "location": None,
            "extra_fields": {MARK: "1001-9f3a2b1c"},
        }
        assert {name: stored[name] for name in expected} == expected
        assert stored["items"] == [
            {
                "line_no": 1,
                "item": "SKU-0001",
                "description": "Red mug",
                "quantity": 2,
                "price": Decimal("20.0000"),
                "discount": 0,
                "addl_discount": 0,
                "tax": Decimal("3.30"),
                "extended_amount": Decimal("40.00"),
                "line_item_id": "81",
                "line_comment": None,
            }
        ]

    def test_the_ship_method_of_the_options_helps_out(
        self, sandbox: IntegrationManagerSandbox, connect: Connect
    ) -> None:
        warehouse = connect(default_ship_method="GROUND")
        warehouse.send_orders([web_order(ship_method="")])
        assert sandbox.store.orders["1001-9f3a2b1c"]["ship_code"] == "GROUND"

    @pytest.mark.parametrize(("location", "named"), [("2353", "WEST"), ("", None), ("all", None)])
    def test_names_the_warehouse_that_is_to_ship(
        self,
        sandbox: IntegrationManagerSandbox,
        warehouse: IntegrationManagerWarehouse,
        location: str,
        named: str | None,
    ) -> None:
        """By name, though stock knows it by number."""
        sandbox.store.set_stock("SKU-0003", 5, "2353")
        warehouse.send_orders([web_order(location_id=location)])
        assert sandbox.store.orders["1001-9f3a2b1c"]["location"] == named

    def test_or_leaves_it_to_integration_manager(self, sandbox: IntegrationManagerSandbox, connect: Connect) -> None:
        connect(name_warehouse=False).send_orders([web_order(location_id="2352")])
        assert sandbox.store.orders["1001-9f3a2b1c"]["location"] is None
        assert sandbox.count("GET /v1/merchant/inventory") == 0

    def test_a_refusal_brings_the_reason(self, warehouse: IntegrationManagerWarehouse) -> None:
        incomplete = Address(name="Ada Byron", street1="1 Main St", city="Reno", country="US")
        [result] = warehouse.send_orders([web_order(ship_to=incomplete)])
        assert not result.ok
        assert "missing required field(s): ship_state, ship_zip" in result.reason
        assert "process sb" in result.reason, "the number that the remote's support asks for"
        assert result.fix

    def test_a_country_without_states_needs_none(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        [result] = warehouse.send_orders([web_order()])
        assert result.ok
        assert sandbox.store.orders["1001-9f3a2b1c"]["ship_state"] == "Auckland"


class TestMany:
    def test_go_in_one_call(self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
        orders = [web_order(f"{number}-9f3a2b1c") for number in range(warehouse.order_batch_size())]
        results = warehouse.send_orders(orders)
        assert {(result.reference, result.remote_id) for result in results} == {
            (order.reference, order.reference) for order in orders
        }
        assert (sandbox.count(BATCH), sandbox.count(CREATE)) == (1, 0)

    def test_the_bad_one_does_not_hurt_the_others(self, warehouse: IntegrationManagerWarehouse) -> None:
        bad = web_order("2-aaaaaaaa", ship_to=Address(name="Ada", street1="1", city="Reno", country="US", state="NV"))
        results = warehouse.send_orders([web_order("1-aaaaaaaa"), bad, web_order("3-aaaaaaaa")])
        assert {result.reference: result.ok for result in results} == {
            "1-aaaaaaaa": True,
            "2-aaaaaaaa": False,
            "3-aaaaaaaa": True,
        }
        assert "ship_zip" in next(result.reason for result in results if not result.ok)

    def test_a_duplicate_among_them_is_one_that_arrived(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order("1-aaaaaaaa")])
        results = warehouse.send_orders([web_order("1-aaaaaaaa"), web_order("2-aaaaaaaa")])
        assert all(result.ok for result in results) and len(results) == 2
        assert len(sandbox.store.orders) == 2

    def test_a_duplicate_that_cannot_be_looked_at_now_has_no_result(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        """The hub then asks before it sends again."""
        warehouse.send_orders([web_order("1-aaaaaaaa")])
        sandbox.fail(times=2, match="GET /v1/cart/orders/{cust_ref}", status=503)
        results = warehouse.send_orders([web_order("1-aaaaaaaa"), web_order("2-aaaaaaaa")])
        assert [result.reference for result in results] == ["2-aaaaaaaa"]

    def test_each_is_told_apart_in_every_habit_of_the_api(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        sandbox.wobbles = True
        bad = web_order("2-aaaaaaaa", ship_to=Address(name="Ada", street1="1", city="Reno", country="US", state="NV"))
        results = warehouse.send_orders([web_order("1-aaaaaaaa"), bad])
        assert [(result.reference, result.ok) for result in results] == [("1-aaaaaaaa", True), ("2-aaaaaaaa", False)]


class TestWithoutAnswer:
    @pytest.mark.parametrize("fault", ["answer_lost", "cut_body"])
    def test_an_order_that_arrived_is_found_and_not_sent_twice(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, fault: str
    ) -> None:
        sandbox.fail(match=CREATE, fault=fault)
        with pytest.raises(OutcomeUnknown):
            warehouse.send_orders([web_order()])
        assert warehouse.find_sent("1001-9f3a2b1c") == "1001-9f3a2b1c"
        assert sandbox.count(CREATE) == 1

    def test_a_gateway_that_gave_up_may_have_passed_it_on(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        sandbox.fail(match=BATCH, status=504, accepted=True)
        orders = [web_order("1-aaaaaaaa"), web_order("2-aaaaaaaa")]
        with pytest.raises(OutcomeUnknown):
            warehouse.send_orders(orders)
        assert [warehouse.find_sent(order.reference) for order in orders] == ["1-aaaaaaaa", "2-aaaaaaaa"]

    def test_one_that_never_arrived_is_not_found(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        sandbox.fail(match=CREATE, fault="never_received")
        with pytest.raises(OutcomeUnknown):
            warehouse.send_orders([web_order()])
        assert warehouse.find_sent("1001-9f3a2b1c") is None

    def test_a_web_page_proves_nothing(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        sandbox.fail(match=CREATE, fault="html")
        with pytest.raises(OutcomeUnknown):
            warehouse.send_orders([web_order()])

    def test_a_second_sending_makes_no_second_order(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        for _ in range(2):
            [result] = warehouse.send_orders([web_order()])
            assert (result.ok, result.remote_id) == (True, "1001-9f3a2b1c")
        assert len(sandbox.store.orders) == 1

    def test_while_nobody_can_say_nothing_is_said(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        sandbox.fail(times=2, match="GET /v1/cart/orders/{cust_ref}", status=502)
        with pytest.raises(RemoteUnavailable):
            warehouse.find_sent("1001-9f3a2b1c")


class TestReference:
    def test_a_long_or_strange_one_is_shortened_and_found_again(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        [result] = warehouse.send_orders([web_order(LONG)])
        [stored] = sandbox.store.orders.values()
        assert result.remote_id == stored["cust_ref"] == cust_ref_of(LONG)
        assert stored["cust_ref_original"] is None, "the remote had no reason to shorten it once more"
        assert warehouse.find_sent(LONG) == cust_ref_of(LONG)

    def test_another_order_with_the_same_number_is_not_taken_for_ours(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order()])
        sandbox.store.orders["1001-9f3a2b1c"]["extra_fields"] = {MARK: "somebody-elses"}
        assert warehouse.find_sent("1001-9f3a2b1c") is None
        [result] = warehouse.send_orders([web_order()])
        assert not result.ok and "another order" in result.reason

    def test_one_that_lost_its_mark_is_ours(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order()])
        sandbox.store.orders["1001-9f3a2b1c"]["extra_fields"] = []
        assert warehouse.find_sent("1001-9f3a2b1c") == "1001-9f3a2b1c"

    def test_a_remote_that_renames_is_followed(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        """The id that it answers with is the one that the hub keeps."""
        sandbox.store.longest_cust_ref = 6
        [result] = warehouse.send_orders([web_order()])
        assert result.remote_id == "1001-9"

    def test_each_reference_has_one_of_its_own(self) -> None:
        references = [f"{LONG}{number}" for number in range(1000)]
        short = {cust_ref_of(reference) for reference in references}
        assert len(short) == 1000
        assert all(len(one) <= LONGEST for one in short)
        assert all(cust_ref_of(one) != one for one in short), "none can be the plain reference of another order"

    @pytest.mark.parametrize("plain", ["1", "1001-9f3a2b1c", "A_b-9", "x" * LONGEST])
    def test_a_plain_one_stays(self, plain: str) -> None:
        assert cust_ref_of(plain) == plain

    @pytest.mark.parametrize("strange", ["", " ", "né-1", "a/b", "x" * (LONGEST + 1), "///"])
    def test_what_is_left_is_plain(self, strange: str) -> None:
        assert set(cust_ref_of(strange)) <= set("abcdefghijklmnopqrstuvwxyz234567-_.xn1")
        assert cust_ref_of(strange) == cust_ref_of(strange)


def test_orders_do_not_wait_for_the_bucket(sandbox: IntegrationManagerSandbox, connect: Connect) -> None:
    sandbox.bucket = 0
    warehouse = connect()
    assert [result.ok for result in warehouse.send_orders([web_order("1-aaaaaaaa"), two_lines("2-aaaaaaaa")])] == [
        True,
        True,
    ]


def test_what_is_not_goods_keeps_the_total(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    """A tip of 3.00 and 4.00 off: the sandbox checks the price rules to the cent."""
    tip = web_order("1-aaaaaaaa", total=Decimal("52.29"))
    half_taxed = replace(two_lines("2-aaaaaaaa"), tax_total=Decimal("4.00"), lines=(MUG, BOWL), total=Decimal("50.00"))
    by_weight = replace(MUG, quantity=Decimal("0.333"), unit_price=Decimal("9.99999"), tax=Decimal(0))
    weighed = web_order(
        "3-aaaaaaaa", lines=(by_weight,), total=Decimal("3.33"), tax_total=Decimal(0), shipping_total=Decimal(0)
    )
    assert [result.ok for result in warehouse.send_orders([tip, half_taxed, weighed])] == [True, True, True]
    stored = sandbox.store.orders
    money = ("sub_total", "sales_tax", "shipping_handling", "order_discount", "grand_total")
    assert [stored["1-aaaaaaaa"][name] for name in money] == [
        Decimal("40.00"), Decimal("3.30"), Decimal("8.99"), 0, Decimal("52.29")
    ]  # fmt: skip
    assert [stored["2-aaaaaaaa"][name] for name in money] == [
        Decimal("47.50"), Decimal("4.00"), Decimal("5.99"), Decimal("7.49"), Decimal("50.00")
    ]  # fmt: skip
    assert {item["tax"] for item in stored["2-aaaaaaaa"]["items"]} == {0}, "a sum that does not fit is left out"
    assert [stored["3-aaaaaaaa"][name] for name in money] == [Decimal("3.33"), 0, 0, 0, Decimal("3.33")]
