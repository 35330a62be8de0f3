"""Vend POS (Lightspeed Retail X-Series) as a cart: one connection serves one outlet of one store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import cached_property, partial
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec import structs

from connectors.base import Connector, Environment
from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    PermissionMissing,
    RateLimited,
    RecordRefused,
)
from connectors.functions import Role
from connectors.oauth import TokenKeeper, TokenSet
from connectors.records import (
    Address,
    ConsignmentRecord,
    CustomerRecord,
    Hint,
    LevelChange,
    LevelRecord,
    OrderRecord,
    OutboundShipment,
    OutletRecord,
    Page,
    PriceRecord,
    ProductFamilyChange,
    ProductRecord,
    ProductRules,
    Reject,
    TestStep,
    WriteResult,
)
from connectors.settings_fields import Settings
from connectors.vend import (
    catalogue,
    consignments,
    manual_adjustments,
    mapping,
    oauth,
    product_push,
    selftest,
    shapes,
    stock,
    webhooks,
)
from connectors.vend.client import PEEK, FeedPage, VendClient
from connectors.vend.errors import OutletAddressMissing, Unreadable
from connectors.vend.families import SaleReader
from connectors.vend.fulfilment import confirm
from connectors.vend.options import ABSOLUTE, DOMAIN, LEGACY_VERSION, VendCredentials, VendOptions
from connectors.vend.prices import read as prices_at
from connectors.vend.shapes import text
from connectors.vend.store import OUTLETS, REGISTERS, Store

__all__ = ["OutletAddressMissing", "VendConnector"]

SALES = SaleReader()
PRODUCTS = shapes.Reader(shapes.Product)
CUSTOMERS = shapes.Reader(shapes.Customer)
STOCK_ROWS = shapes.Reader(shapes.InventoryRow)
FULFILMENTS = shapes.Reader(shapes.Fulfillment)
ADDRESSES = shapes.Reader(shapes.CustomerAddress)

ShapeT = TypeVar("ShapeT")
RecordT = TypeVar("RecordT")


class VendConnector(Connector):
    key = "vend"
    label = "Vend POS (Lightspeed Retail X-Series)"
    summary = "Sales of one outlet as orders, the warehouse's stock back to that outlet. One cart for each outlet."
    roles = frozenset({Role.CART})
    domains = (DOMAIN,)
    Options = VendOptions
    Credentials = VendCredentials
    outlet_option = "outlet_name"
    own_access = ("access_token",)
    plain_skus = True

    def __init__(self, options: VendOptions, credentials: VendCredentials, environment: Environment) -> None:
        super().__init__(options, credentials, environment)
        self.options = options
        self.credentials = credentials
        self.outlet_id = ""
        self.store = Store(lambda: self.client, environment.store_facts)
        # None: access by a personal token.
        self.keeper: TokenKeeper | None = None
        if not credentials.access_token:
            self.keeper = TokenKeeper(environment.credential_store, lambda tokens: oauth.renew(self, tokens))

    @classmethod
    def store_key(cls, options: Settings) -> str:
        """A store is a host of its own, with a rate limit of its own."""
        assert isinstance(options, VendOptions)
        return f"vend:{urlsplit(options.vend_url).netloc}"

    @cached_property
    def client(self) -> VendClient:
        """Raises ``ConfigurationInvalid`` when the URL is not one the hub may talk to."""
        url = self.options.vend_url
        session = oauth.session_for(
            f"{url}/api/{self.options.api_version}",
            self.keeper or self.credentials.access_token,
            hosts=self.host_policy(self.environment),
            budget=self.environment.budgets.get(self.store_key(self.options)),
            call_log=self.environment.call_log,
        )
        return VendClient(session, url, dated=self.is_dated)

    @property
    def is_dated(self) -> bool:
        """Does this cart speak the dated family, or API 2.0?"""
        return self.options.api_version != LEGACY_VERSION

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    # --- access through an app (OAuth) -------------------------------------------------------------------------------

    def permissions(self) -> Sequence[tuple[str, str]]:
        return [(scope.name, scope.purpose) for scope in oauth.SCOPES]

    def authorize_url(self, state: str, redirect_uri: str) -> str:
        return oauth.authorize_url(self, state, redirect_uri)

    def exchange_code(self, params: Mapping[str, str], redirect_uri: str) -> TokenSet:
        return oauth.exchange(self, params, redirect_uri)

    # --- orders ------------------------------------------------------------------------------------------------------

    def read_orders(self, cursor: str) -> Iterator[Page[OrderRecord]]:
        """Sales of the cart's outlet in the order of their changes; sales of other outlets are counted as skipped.

        Before the first page the outlet is looked up, so that a missing outlet or address stops the run with the cursor
        where it was: ``ConfigurationInvalid``, ``OutletAddressMissing``.
        """
        self.store.look()
        outlet = self.outlet_for_orders()
        for feed_page in self.client.sales(cursor):
            page, outlet = self.own_page(outlet, self.outlet_for_orders, partial(self.order_page, feed_page))
            yield from self.with_delivery_addresses(page)

    def order_page(self, feed_page: FeedPage, outlet: OutletRecord, strangers: set[str]) -> Page[OrderRecord]:
        context = self.sale_context(outlet)

        def order_of(sale: shapes.Sale, raw: bytes) -> OrderRecord | None:
            order = self.order_of(sale, raw, context)
            if order is None:
                strangers.add(self.outlet_of(sale))
            return order

        return self.read_page(feed_page, SALES, order_of, outlet)

    def read_order(self, external_id: str) -> OrderRecord:
        self.store.look()
        outlet = self.outlet_for_orders()
        raw = self.client.sale(external_id)
        try:
            order = self.order_of(SALES.read(raw), raw, self.sale_context(outlet))
        except Unreadable as error:
            raise RecordRefused(str(error)) from error
        if order is None:
            raise RecordRefused(f"The sale {external_id} belongs to another outlet than {outlet.name}.")
        return self.with_delivery_address(order)

    def search_orders(self, since: datetime, until: datetime) -> Iterator[Page[OrderRecord]]:
        """Sales by their date. Nothing is looked up for them: to compare, number, state and total are enough."""
        outlet = self.find_outlet()
        context = self.sale_context(outlet)
        for rows in self.client.sales_between(outlet.external_id, since, until):
            page = FeedPage(rows, "")
            yield self.read_page(page, SALES, lambda sale, raw: self.order_of(sale, raw, context), outlet)

    def cancellations_come_with_orders(self) -> bool:
        """A voided sale comes back in the feed of sales with a higher version."""
        return True

    def refunds_come_with_orders(self) -> bool:
        """A return is a sale of its own in the same feed."""
        return True

    def order_of(self, sale: shapes.Sale, raw: bytes, context: mapping.SaleContext) -> OrderRecord | None:
        """The sale as an order, None when it belongs to another outlet."""
        if self.outlet_of(sale) != context.outlet.external_id:
            return None
        return mapping.order_from_sale(sale, raw, context)

    def outlet_of(self, sale: shapes.Sale) -> str:
        register_id = text(sale.source.register_id) if sale.source is not None else ""
        outlet_id = mapping.outlet_id_of(sale) or (register_id and self.store.outlet_of_register(register_id))
        if not outlet_id:
            raise Unreadable("The sale names neither an outlet nor a known register, so it fits no cart.")
        return outlet_id

    def sale_context(self, outlet: OutletRecord) -> mapping.SaleContext:
        return mapping.SaleContext(
            outlet=outlet,
            currency=outlet.currency or self.store.facts.currency,
            discount_product_id=self.store.facts.discount_product_id,
            order_status=self.options.order_status,
            earliest=start_of_day(self.options.earliest_order_date, outlet.time_zone),
            tax_names=self.store.tax_names,
            fallback_ship_to=outlet.address if self.options.default_to_outlet_address else None,
        )

    # --- delivery addresses ------------------------------------------------------------------------------------------

    def with_delivery_addresses(self, page: Page[OrderRecord]) -> Iterator[Page[OrderRecord]]:
        """The page with the address of every sale that is to be delivered. When the rate limit interrupts the look-ups,
        what is complete is yielded first, so that the next run goes on from there."""
        records = list(page.records)
        for position, record in enumerate(records):
            try:
                records[position] = self.with_delivery_address(record)
            except RateLimited:
                versions = [order.version for order in records]
                if position and versions == sorted(versions):
                    yield replace(page, records=tuple(records[:position]), cursor=str(record.version - 1))
                raise
        yield replace(page, records=tuple(records))

    def with_delivery_address(self, record: OrderRecord) -> OrderRecord:
        """A sale that is to be delivered names its address in its fulfilment (vend.md sections 3.8 and 10). If that
        cannot be read, the order waits for a person instead of going to some other address of the customer. API 2.0
        knows no such addresses: the customer's own are used."""
        if record.ship_method != "delivery" or not record.importable or not record.customer_id or not self.is_dated:
            return record
        try:
            ship_to = self.delivery_address(record.external_id, record.customer_id)
        except RateLimited:
            raise
        except ConnectorError as error:
            if isinstance(error, AuthenticationFailed) and not isinstance(error, PermissionMissing):
                raise
            trouble = f"The delivery address of this sale could not be read from Vend: {error.message}"
            hold_reason = mapping.joined(record.hold_reason, trouble)
            return structs.replace(record, note=mapping.joined(record.note, trouble), hold_reason=hold_reason)
        return structs.replace(record, ship_to=ship_to) if ship_to is not None else record

    def delivery_address(self, sale_id: str, customer_id: str) -> Address | None:
        """The address chosen for a sale, with the name of its customer; None when none was chosen."""
        try:
            fulfilments = [FULFILMENTS.read(raw) for raw in self.client.fulfilments(sale_id)]
            chosen = [
                text(row.shipping_address_id)
                for row in fulfilments
                if row.shipping_address_id and text(row.sale_id) in ("", sale_id)
            ]
            if not chosen:
                return None
            customer = self.customer(customer_id)
            owners = [customer_id, *([text(customer.id)] if customer is not None and customer.id else [])]
            return catalogue.delivery_address(self.customer_address(owners, chosen[0]), customer)
        except Unreadable as error:
            raise ContractBroken(str(error)) from error

    def customer_address(self, owners: Sequence[str], address_id: str) -> shapes.CustomerAddress:
        """The address at the first of the customers that has it: the one of the sale, or who took its place."""
        try:
            return ADDRESSES.read(self.client.customer_address(owners[0], address_id))
        except RecordRefused:
            if owners[-1] == owners[0]:
                raise
            return ADDRESSES.read(self.client.customer_address(owners[-1], address_id))

    def customer(self, customer_id: str) -> shapes.Customer | None:
        """The customer as Vend has it now, None when it is gone. A merged one is followed to the customer that took its
        place; where that one cannot be found, the merged one's own data serve."""
        found, seen = None, set[str]()
        while customer_id and customer_id not in seen:
            seen.add(customer_id)
            try:
                found = CUSTOMERS.read(self.client.customer(customer_id))
            except RecordRefused:
                break
            customer_id = catalogue.survivor_of(found)
        return found

    # --- the outlet --------------------------------------------------------------------------------------------------

    def outlet_for_orders(self) -> OutletRecord:
        outlet = self.own_outlet()
        if self.can_receive(outlet):
            return outlet
        if self.store.renew(OUTLETS):
            outlet = self.own_outlet()
        if not self.can_receive(outlet):
            raise OutletAddressMissing
        return outlet

    def can_receive(self, outlet: OutletRecord) -> bool:
        """Has the outlet an address, or does it need none?"""
        usable = outlet.address is not None and outlet.address.is_usable
        return usable or not self.options.default_to_outlet_address

    def find_outlet(self) -> OutletRecord:
        """The outlet with exactly the name of the options. Raises ``ConfigurationInvalid`` naming those that exist."""
        self.store.look()
        return self.own_outlet()

    def own_outlet(self) -> OutletRecord:
        outlet = self.store.outlet_named(self.options.outlet_name)
        if outlet is None:
            known_id = self.outlet_id or self.environment.outlet_id
            raise outlet_missing(self.options.outlet_name, self.store.outlets(), known_id)
        self.outlet_id = outlet.external_id
        return outlet

    def read_outlets(self) -> Sequence[OutletRecord]:
        """As they are now, deleted ones included."""
        self.store.look()
        self.store.renew(OUTLETS)
        return self.store.answer(OUTLETS)

    # --- shipments ---------------------------------------------------------------------------------------------------

    def confirm_shipment(self, shipment: OutboundShipment) -> WriteResult:
        return confirm(self.client, shipment, tracking_in_note=self.options.tracking_in_note)

    # --- catalogue ---------------------------------------------------------------------------------------------------

    def read_products(self, cursor: str) -> Iterator[Page[ProductRecord]]:
        for page in self.client.products(cursor):
            yield self.read_page(page, PRODUCTS, lambda product, _: catalogue.product_record(product, self.store.facts))

    def read_customers(self, cursor: str) -> Iterator[Page[CustomerRecord]]:
        for page in self.client.customers(cursor):
            yield self.read_page(page, CUSTOMERS, lambda customer, _: catalogue.customer_record(customer))

    def read_prices(self, outlet_id: str) -> Iterator[Page[PriceRecord]]:
        return prices_at(self.client, outlet_id, self.store.facts.currency)

    # --- stock -------------------------------------------------------------------------------------------------------

    def read_levels(self, cursor: str) -> Iterator[Page[LevelRecord]]:
        """Stock of the cart's outlet; rows of other outlets are counted as skipped."""
        outlet = self.find_outlet()
        for feed_page in self.client.inventory(cursor):
            page, outlet = self.own_page(outlet, self.own_outlet, partial(self.level_page, feed_page))
            yield page

    def level_page(self, feed_page: FeedPage, outlet: OutletRecord, strangers: set[str]) -> Page[LevelRecord]:
        def level_of(row: shapes.InventoryRow, raw: bytes) -> LevelRecord | None:
            level = catalogue.level_record(row)
            if level.location_id == outlet.external_id:
                return level
            strangers.add(level.location_id)
            return None

        return self.read_page(feed_page, STOCK_ROWS, level_of, outlet)

    def level_batch_size(self) -> int:
        return stock.SINGLE_BATCH if self.writes_exact_levels else stock.LARGEST_BATCH

    @property
    def writes_exact_levels(self) -> bool:
        """By choice, or because API 2.0 knows no stock adjustments."""
        return self.options.inventory_mode == ABSOLUTE or not self.is_dated

    def write_levels(self, changes: Sequence[LevelChange]) -> Sequence[WriteResult]:
        """Books the differences (``adjustments``) or sets the levels (``absolute``, and always in API 2.0) at the cart's
        own outlet, whatever ``location_id`` says.

        A change without a result was not carried out: send it again. That happens when Vend stops taking calls in the
        middle; what was done by then is returned. ``OutcomeUnknown`` is always raised, whatever was done before: read
        the levels again.
        """
        if not changes:
            return []
        outlet_id = self.outlet_id or self.find_outlet().external_id
        if self.writes_exact_levels:
            return stock.set_levels(self.client, outlet_id, changes)
        reasons = self.own_reasons.fields if self.reads_manual_adjustments else stock.reason_fields
        return stock.adjust_levels(self.client, outlet_id, changes, reasons)

    # --- stock documents ---------------------------------------------------------------------------------------------

    def read_consignments(self, cursor: str, since: datetime | None = None) -> Iterator[Page[ConsignmentRecord]]:
        if self.reads_manual_adjustments:
            return manual_adjustments.read_with_documents(self.client, cursor, since, self.own_reasons)
        return consignments.read(self.client, cursor.partition("/")[0], since)

    @property
    def reads_manual_adjustments(self) -> bool:
        """API 2.0 does not know them."""
        return self.options.manual_stock_adjustments and self.is_dated

    @cached_property
    def own_reasons(self) -> manual_adjustments.OwnReasons:
        return manual_adjustments.OwnReasons(self.client)

    def read_consignment(self, external_id: str) -> ConsignmentRecord:
        return consignments.read_one(self.client, external_id)

    # --- products ----------------------------------------------------------------------------------------------------

    def product_rules(self) -> ProductRules:
        return product_push.rules_of(self.options)

    def write_products(self, family: ProductFamilyChange) -> Sequence[WriteResult]:
        return self.product_push.write(family)

    @cached_property
    def product_push(self) -> product_push.ProductPush:
        return product_push.ProductPush(self.client, self.product_rules(), lambda: self.store.facts.is_tax_exclusive)

    # --- webhooks and test -------------------------------------------------------------------------------------------

    def register_webhooks(self, url: str) -> Sequence[TestStep]:
        step = webhooks.register(lambda: self.client, url)
        if step.ok:
            self.learn_places()
        return [step]

    def learn_places(self) -> None:
        """By outlets and registers a webhook's outlet is told. Where they may not be read, every webhook counts."""
        for question in (OUTLETS, REGISTERS):
            with suppress(ConnectorError):
                self.store.answer(question)

    def check_webhooks(self, url: str) -> Sequence[TestStep]:
        steps = webhooks.check(lambda: self.client, url)
        if all(step.ok for step in steps):
            self.learn_places()
        return steps

    def remove_webhooks(self, addresses: Collection[str]) -> int:
        return webhooks.remove(self.client, addresses)

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        return webhooks.read_hints(headers, body, self.is_elsewhere)

    def is_elsewhere(self, outlet_id: str, register_id: str) -> bool:
        """Is what happened there no matter of this cart's outlet?"""
        return self.store.is_elsewhere(self.options.outlet_name, outlet_id, register_id)

    @classmethod
    def verify_webhook(cls, credentials: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> bool:
        """A personal token registers webhooks without a signature, also while an app is set up but not authorised."""
        secret = "" if credentials.get("access_token") else str(credentials.get("client_secret") or "")
        return webhooks.is_genuine(secret, headers, body)

    def test(self) -> Iterator[TestStep]:
        return selftest.steps(self)

    # --- pages -------------------------------------------------------------------------------------------------------

    def own_page(
        self,
        outlet: OutletRecord,
        find: Callable[[], OutletRecord],
        read: Callable[[OutletRecord, set[str]], Page[RecordT]],
    ) -> tuple[Page[RecordT], OutletRecord]:
        """A page, and the outlet it was read for. ``read`` also collects the other outlets that it met: one that nobody
        knew is a reason to find the own one again, before the page counts as read."""
        strangers: set[str] = set()
        page = read(outlet, strangers)
        if self.store.has_news_of(strangers) and (now := find()) != outlet:
            return self.own_page(now, find, read)
        return page, outlet

    def read_page(
        self,
        page: FeedPage,
        reader: shapes.Reader[ShapeT],
        convert: Callable[[ShapeT, bytes], RecordT | None],
        outlet: OutletRecord | None = None,
    ) -> Page[RecordT]:
        """Every record of a page by itself: converted, skipped (``convert`` gives None) or rejected with its reason. A
        record that cannot be read is skipped if it can be seen to belong to another outlet."""
        records: list[RecordT] = []
        rejects: list[Reject] = []
        skipped = 0
        changed: list[shapes.Text] = []
        for raw in page.records:
            try:
                shape = reader.read(raw)
                changed.append(getattr(shape, "updated_at", None))
                record = convert(shape, raw)
            except (Unreadable, ArithmeticError) as error:
                external_id, outlet_id = peek(raw)
                if outlet is not None and outlet_id and outlet_id != outlet.external_id:
                    skipped += 1
                else:
                    rejects.append(Reject(external_id=external_id, reason=str(error), payload=raw))
                continue
            if record is None:
                skipped += 1
            else:
                records.append(record)
        return Page(
            records=records, cursor=page.cursor, rejects=rejects, skipped=skipped, span=mapping.span_of(changed)
        )


def peek(raw: bytes) -> tuple[str, str]:
    """(id, outlet id) of a record that cannot be read as a whole, as far as they can be seen."""
    try:
        seen = PEEK.read(raw)
    except Unreadable:
        return "", ""
    source = seen.source if isinstance(seen.source, dict) else {}
    outlet_id = source.get("outlet_id") or seen.outlet_id
    return as_id(seen.id), as_id(outlet_id)


def as_id(value: Any) -> str:
    return value if isinstance(value, str) else ""


def outlet_missing(name: str, outlets: Sequence[OutletRecord], known_id: str) -> ConfigurationInvalid:
    renamed = next((outlet.name for outlet in outlets if known_id and outlet.external_id == known_id), "")
    names = ", ".join(f"“{outlet.name}”" for outlet in outlets) or "none"
    message = f"There is no outlet named “{name}” in Vend. The outlets are: {names}."
    if renamed:
        message = f"The outlet “{name}” is now named “{renamed}” in Vend."
    return ConfigurationInvalid(
        message,
        fix="Copy the outlet's name exactly from Setup > Outlets and Registers in Vend into Outlet Name, then click Test.",
    )


def start_of_day(day: date | None, time_zone: str) -> datetime | None:
    """The first moment of a day at the outlet; in UTC when its time zone is not known."""
    if day is None:
        return None
    try:
        zone = ZoneInfo(time_zone) if time_zone else UTC
    except (ValueError, OSError, LookupError):
        zone = UTC
    return datetime.combine(day, time.min, tzinfo=zone)
