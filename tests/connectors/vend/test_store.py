"""What a store says about itself is kept, and asked for again before a *no* is believed."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.budget import utc_now
from connectors.errors import ConfigurationInvalid, ContractBroken
from connectors.functions import Function
from connectors.records import Hint
from connectors.store_facts import StoreFact, StoreFacts
from connectors.vend.connector import OutletAddressMissing, VendConnector
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.conftest import Connect


def sale_at(sandbox: VendSandbox, outlet: int = 0) -> None:
    sandbox.store.add_sale(outlet=sandbox.store.outlets[outlet], lines=[(sandbox.store.products[0], 1)])


def kept_by(connector: VendConnector) -> StoreFacts:
    """What a hub would find in its database after this connector's run."""
    return StoreFacts("vend:store", connector.environment.store_facts.take_changed())


class TestKept:
    def test_a_second_run_asks_nothing_that_the_first_one_asked(self, sandbox: VendSandbox, connect: Connect) -> None:
        sale_at(sandbox)
        first = connect()
        list(first.read_orders(""))
        sandbox.reset_calls()
        (page,) = connect(store_facts=kept_by(first)).read_orders("")
        assert len(page.records) == 1
        assert sandbox.counts == {"GET /sales": 2}

    def test_what_was_learned_is_told_once(self, connect: Connect) -> None:
        connector = connect()
        connector.find_outlet()
        facts = connector.environment.store_facts
        assert facts.take_changed().keys() == {"outlets"}
        assert facts.take_changed() == {}

    @pytest.mark.parametrize("age", [timedelta(hours=1), -timedelta(hours=1)], ids=["old", "of a clock that is ahead"])
    def test_what_is_old_is_asked_again(self, sandbox: VendSandbox, connect: Connect, age: timedelta) -> None:
        body = b'[{"id": "o", "name": "Main Outlet"}]'
        connector = connect(store_facts=StoreFacts("s", {"outlets": StoreFact(body, utc_now() - age)}))
        assert connector.find_outlet().external_id == sandbox.store.outlets[0]["id"]

    @pytest.mark.parametrize("body", [b"[", b"{}", b"[5]"])
    def test_what_cannot_be_read_any_more_is_asked_again(
        self, sandbox: VendSandbox, connect: Connect, body: bytes
    ) -> None:
        kept = StoreFacts("s", {name: StoreFact(body, utc_now()) for name in ("outlets", "retailer", "taxes")})
        sale_at(sandbox)
        (page,) = connect(store_facts=kept).read_orders("")
        assert page.records[0].currency

    def test_an_answer_that_cannot_be_read_is_not_kept(self, sandbox: VendSandbox, connect: Connect) -> None:
        sandbox.fail(match="GET /retailer", fault="html", times=None)
        connector = connect()
        with pytest.raises(ContractBroken):
            list(connector.read_products(""))
        assert kept_by(connector).get("retailer") is None


class TestNoIsAskedAgain:
    def test_an_outlet_that_was_added(self, sandbox: VendSandbox, connect: Connect) -> None:
        first = connect()
        first.find_outlet()
        sandbox.store.add_outlet("New Shop")
        assert connect(store_facts=kept_by(first), outlet_name="New Shop").find_outlet().name == "New Shop"

    def test_one_that_does_not_exist_costs_one_more_look(self, sandbox: VendSandbox, connect: Connect) -> None:
        first = connect()
        first.find_outlet()
        sandbox.reset_calls()
        with pytest.raises(ConfigurationInvalid, match="no outlet named"):
            connect(store_facts=kept_by(first), outlet_name="Moon").find_outlet()
        assert sandbox.counts == {"GET /outlets": 2}

    def test_an_address_that_was_filled_in(self, sandbox: VendSandbox, connect: Connect) -> None:
        outlet = sandbox.store.add_outlet("Bare Outlet", address=False)
        first = connect(outlet_name="Bare Outlet")
        with pytest.raises(OutletAddressMissing):
            list(first.read_orders(""))
        sandbox.store.update_outlet(
            outlet, physical_address_1="1 Quay St", physical_city="Paris", physical_country_id="FR"
        )
        assert list(connect(store_facts=kept_by(first), outlet_name="Bare Outlet").read_orders("")) == []

    def test_a_tax_that_was_added(self, sandbox: VendSandbox, connect: Connect) -> None:
        sale_at(sandbox)
        first = connect()
        (page,) = first.read_orders("")
        tax = sandbox.store.add_tax("Luxury", Decimal("0.2"))
        sandbox.store.add_sale(lines=[{"product": sandbox.store.products[0], "quantity": 1, "tax_id": tax["id"]}])
        sandbox.reset_calls()
        (page,) = connect(store_facts=kept_by(first)).read_orders(page.cursor)
        assert [charge.name for charge in page.records[0].charges] == ["Luxury"]
        assert sandbox.count("GET /taxes") == 1

    def test_taxes_that_may_not_be_read_are_asked_for_once(self, sandbox: VendSandbox, connect: Connect) -> None:
        for _ in range(3):
            sale_at(sandbox)
        sandbox.fail(match="GET /taxes", status=403, times=None)
        (page,) = connect().read_orders("")
        assert {charge.name for record in page.records for charge in record.charges} == {"Tax"}
        assert sandbox.count("GET /taxes") == 1

    def test_a_register_that_was_added(self, sandbox: VendSandbox, connect: Connect) -> None:
        first = connect()
        first.store.outlet_of_register("none")
        there = sandbox.store.outlets[1]
        register = sandbox.store.add_register(there)
        assert connect(store_facts=kept_by(first)).store.outlet_of_register(register["id"]) == there["id"]

    def test_levels_of_an_outlet_that_was_made_anew(self, sandbox: VendSandbox, connect: Connect) -> None:
        store, old = sandbox.store, sandbox.store.outlets[0]
        first = connect()
        first.find_outlet()
        store.delete_outlet(old)
        new = store.add_outlet(old["name"])
        store.set_level(store.products[0]["id"], new["id"], 3)
        pages = list(connect(store_facts=kept_by(first), outlet_name=old["name"]).read_levels(""))
        assert {row.location_id for page in pages for row in page.records} == {new["id"]}


class TestElsewhere:
    """A webhook that names another outlet, or a register of one."""

    @pytest.fixture
    def connector(self, connect: Connect) -> VendConnector:
        first = connect()
        first.learn_places()
        return connect(store_facts=kept_by(first))

    def hint(self, connector: VendConnector, topic: str, **payload: object) -> Hint:
        (hint,) = connector.read_webhook({"X-Hub-Topic": topic}, json.dumps({"id": "x", **payload}).encode())
        return hint

    @pytest.mark.parametrize("topic", ["sale.update", "inventory.update"])
    @pytest.mark.parametrize("form", ["outlet_id", "outlet", "source"])
    def test_by_the_outlet(self, sandbox: VendSandbox, connector: VendConnector, topic: str, form: str) -> None:
        for place, elsewhere in enumerate((False, True)):
            outlet_id = sandbox.store.outlets[place]["id"]
            value = {"outlet_id": outlet_id, "outlet": {"id": outlet_id}, "source": {"outlet_id": outlet_id}}[form]
            hint = self.hint(connector, topic, **{form: value})
            assert (hint.elsewhere, hint.functions == ()) == (elsewhere, elsewhere)

    def test_by_the_register(self, sandbox: VendSandbox, connector: VendConnector) -> None:
        for outlet, elsewhere in zip(sandbox.store.outlets, (False, True), strict=True):
            register = next(row for row in sandbox.store.registers if row["outlet_id"] == outlet["id"])
            assert self.hint(connector, "sale.update", register_id=register["id"]).elsewhere is elsewhere

    def test_what_is_not_known_concerns_the_cart(self, connector: VendConnector, connect: Connect) -> None:
        assert not self.hint(connector, "sale.update", register_id="new").elsewhere
        assert not self.hint(connector, "sale.update").elsewhere
        assert not self.hint(connect(), "inventory.update", outlet_id="any").elsewhere
        assert not self.hint(connect(outlet_name="Moon"), "inventory.update", outlet_id="any").elsewhere

    def test_products_and_customers_belong_to_all_outlets(self, connector: VendConnector) -> None:
        hint = self.hint(connector, "product.update", outlet_id="another")
        assert not hint.elsewhere and hint.functions == (Function.PRODUCT_PICKUP,)

    def test_asks_nobody(self, sandbox: VendSandbox, connector: VendConnector) -> None:
        sandbox.reset_calls()
        self.hint(connector, "sale.update", register_id="new")
        assert sandbox.counts == {}
