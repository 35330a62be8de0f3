"""The retailer itself: outlets, registers, taxes, payment types, users, customers. Source: vend.md 3.2 and 3.12."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.vend.sandbox_core import Feed, Record, StoreCore, bad_request, id_of, not_found
from connectors.vend.sandbox_data import DOMAIN_PREFIX, RETAILER_NAME, outlet_facts

ADDRESS_FIELDS = ("address_1", "address_2", "suburb", "city", "postcode", "state", "country_id")

CUSTOMER_FIELDS: dict[str, Any] = {
    "customer_code": None,
    "first_name": None,
    "last_name": None,
    "name": None,
    "company_name": None,
    "email": None,
    "phone": None,
    "mobile": None,
    "fax": None,
    "twitter": None,
    "website": None,
    "do_not_email": False,
    "note": None,
    "gender": None,
    "date_of_birth": None,
    **{f"physical_{field}": None for field in ADDRESS_FIELDS},
    **{f"postal_{field}": None for field in ADDRESS_FIELDS},
    **{f"custom_field_{number}": None for number in range(1, 5)},
    "customer_group_id": None,
    "enable_loyalty": True,
    "balance": Decimal(0),
    "year_to_date": Decimal(0),
    "loyalty_balance": Decimal(0),
    "on_account_limit": None,
}
ADDRESS_REQUIRED = ("type", "address_line_1", "city", "postcode", "country_code")

# name, type_id (vend.md 3.2: an integer that is not unique)
PAYMENT_TYPES = [
    ("Cash", 1),
    ("EFTPOS", 5),
    ("Credit Card", 5),
    ("Gift Card", 118),
    ("Store Credit", 119),
    ("Loyalty", 106),
]


class ReferenceBook(StoreCore):
    """Everything that other records refer to."""

    def __init__(self, seed: int, now: Callable[[], datetime], tax_exclusive: bool) -> None:
        super().__init__(seed, now)
        self.outlet_feed: Feed[Record] = Feed()
        self.register_feed: Feed[Record] = Feed()
        self.tax_feed: Feed[Record] = Feed()
        self.outlet_tax_feed: Feed[Record] = Feed()
        self.payment_type_feed: Feed[Record] = Feed()
        self.user_feed: Feed[Record] = Feed()
        self.customer_feed: Feed[Record] = Feed()
        self.customer_group_feed: Feed[Record] = Feed()
        self.addresses: dict[str, dict[int, Record]] = {}
        self.no_tax = self.add_tax("No Tax", Decimal(0))
        self.default_tax = self.add_tax("GST", Decimal("0.15"), is_default=True)
        self.retailer = self._make_retailer(tax_exclusive)
        for name, type_id in PAYMENT_TYPES:
            self.add_payment_type(name, type_id)
        self.primary_user = self.add_user("Demo Owner", "owner@kauriandco.example", "admin", primary=True)
        self.add_user("Casey Cashier", "casey@kauriandco.example", "cashier")
        self.all_customers_group = self._add_customer_group("All Customers")
        self.walk_in = self.add_customer(customer_code="WALKIN")

    def _make_retailer(self, tax_exclusive: bool) -> Record:
        return Record(
            id=self.new_id(),
            domain_prefix=DOMAIN_PREFIX,
            name=RETAILER_NAME,
            store_url=f"https://{DOMAIN_PREFIX}.retail.lightspeed.app",
            account_status="ACTIVE",
            account_type="PLUS",
            country="NZ",
            culture="en_NZ",
            timezone={"name": "Pacific/Auckland"},
            currency={"code": "NZD", "symbol": "$"},
            tax_exclusive=tax_exclusive,
            discount_product_id=self.new_id(),
            no_tax_group_id=self.no_tax["id"],
            loyalty={"enabled": False, "ratio": Decimal("0.05"), "claim_url": "", "send_welcome_email": False},
            sku_sequence={"enabled": True, "value": 10000},
            store_credit=True,
            gift_cards={"enabled": True, "never_enabled": False},
            created_at=self.now(),
            activated_at=self.now(),
            version=str(self.next_version()),
        )

    # Outlets and registers

    @property
    def outlets(self) -> list[Record]:
        """The outlets that are not deleted, in the order in which they were made."""
        with self.lock:
            return [outlet for outlet in self.outlet_feed if outlet["deleted_at"] is None]

    @property
    def registers(self) -> list[Record]:
        with self.lock:
            return [register for register in self.register_feed if register["deleted_at"] is None]

    def add_outlet(
        self, name: str = "", address: bool | Mapping[str, Any] = True, registers: int = 1, **fields: Any
    ) -> Record:
        """A new outlet. ``address``: a full one from the demo data, none, or the ``physical_*`` fields given."""
        with self.lock:
            facts = outlet_facts(len(self.outlet_feed))
            if not address:
                facts |= {key: "" for key in facts if key.startswith("physical_")}
            elif isinstance(address, Mapping):
                facts |= {key: "" for key in facts if key.startswith("physical_")} | dict(address)
            outlet = Record(
                id=self.new_id(),
                default_tax_id=self.default_tax["id"],
                currency=self.retailer["currency"]["code"],
                currency_symbol=self.retailer["currency"]["symbol"],
                display_prices="exclusive" if self.retailer["tax_exclusive"] else "inclusive",
                time_zone="Pacific/Auckland",
                latitude=None,
                longitude=None,
                attributes=[],
                deleted_at=None,
            )
            outlet |= facts
            if name:
                outlet["name"] = name
            outlet |= fields
            self.touch(self.outlet_feed, outlet)
            for _ in range(registers):
                self.add_register(outlet)
            self.outlet_added(outlet)
            return outlet

    def outlet_added(self, outlet: Record) -> None:
        """Told about every new outlet, so that stock rows can be made for it."""

    def update_outlet(self, outlet: Any, **fields: Any) -> Record:
        with self.lock:
            record = self.get(self.outlet_feed, outlet, "The outlet")
            record |= fields
            return self.touch(self.outlet_feed, record)

    def delete_outlet(self, outlet: Any) -> None:
        with self.lock:
            record = self.get(self.outlet_feed, outlet, "The outlet")
            record["deleted_at"] = self.now()
            self.touch(self.outlet_feed, record)

    def add_register(self, outlet: Any, **fields: Any) -> Record:
        with self.lock:
            outlet_record = self.get(self.outlet_feed, outlet, "The outlet")
            number = len(self.register_feed) + 1
            own = sum(1 for other in self.registers if other["outlet_id"] == outlet_record["id"])
            letters = "".join(word[0] for word in outlet_record["name"].split()).upper()
            register = Record(
                id=self.new_id(),
                name="Main Register" if number == 1 else f"{outlet_record['name']} Register {own + 1}",
                outlet_id=outlet_record["id"],
                ask_for_note_on_save=1,
                print_note_on_receipt=False,
                ask_for_user_on_sale=False,
                show_discounts_on_receipts=True,
                print_receipt=True,
                email_receipt=True,
                invoice_prefix=f"{letters}{own + 1 if own else ''}-",
                invoice_suffix="",
                invoice_sequence=1000,
                is_open=True,
                register_open_time=self.now(),
                register_close_time=None,
                register_open_sequence_id=self.new_id(),
                cash_managed_payment_type_id=next(iter(self.payment_type_feed))["id"],
                deleted_at=None,
            )
            register |= fields
            return self.touch(self.register_feed, register)

    def remove_registers(self, outlet: Any) -> None:
        """Deletes all registers of an outlet."""
        with self.lock:
            for register in self.registers:
                if register["outlet_id"] == id_of(outlet):
                    register["deleted_at"] = self.now()
                    self.touch(self.register_feed, register)

    # Taxes, payment types, users

    def add_tax(self, name: str, rate: Decimal, is_default: bool = False) -> Record:
        """``rate`` 0.15 is 15 %."""
        with self.lock:
            rate_row = {"id": self.new_id(), "name": name, "rate": rate, "display_name": name}
            tax = Record(
                id=self.new_id(), name=name, display_name=name, is_default=is_default, rates=[rate_row], deleted_at=None
            )
            return self.touch(self.tax_feed, tax)

    def tax_rates(self, tax_id: str) -> list[tuple[str, Decimal]]:
        """(rate id, rate) of a tax; unknown taxes have none."""
        tax = self.tax_feed.by_id.get(tax_id)
        return [(row["id"], row["rate"]) for row in tax["rates"]] if tax else []

    def tax_rate(self, tax_id: str) -> Decimal:
        return sum((rate for _, rate in self.tax_rates(tax_id)), Decimal(0))

    def add_payment_type(self, name: str, type_id: int) -> Record:
        with self.lock:
            return self.touch(
                self.payment_type_feed, Record(id=self.new_id(), name=name, type_id=type_id, config={}, deleted_at=None)
            )

    def payment_type(self, name: str) -> Record:
        for record in self.payment_type_feed:
            if record["name"] == name:
                return record
        raise not_found(f"The payment type {name}")

    def add_user(self, name: str, email: str, account_type: str, primary: bool = False) -> Record:
        with self.lock:
            user = Record(
                id=self.new_id(),
                username=email,
                display_name=name,
                email=email,
                account_type=account_type,
                enabled=True,
                restricted_outlet_id=None,
                restricted_outlet_ids=[],
                is_primary_user=primary,
                created_at=self.now(),
                updated_at=self.now(),
                deleted_at=None,
            )
            return self.touch(self.user_feed, user)

    # Customers

    @property
    def customers(self) -> list[Record]:
        """The customers that are not deleted, without the walk-in customer."""
        with self.lock:
            return [c for c in self.customer_feed if c["deleted_at"] is None and c["customer_code"] != "WALKIN"]

    def add_customer(self, **fields: Any) -> Record:
        """A new customer; any field of vend.md 3.12. Without a name the code becomes ``UNNAMED-....``."""
        with self.lock:
            known_fields(fields, CUSTOMER_FIELDS, also=("id",))
            customer = Record(id=fields.get("id") or self.new_id(), **CUSTOMER_FIELDS)
            customer |= {name: value for name, value in fields.items() if name != "id"}
            if not customer["customer_code"]:
                customer["customer_code"] = f"{customer['first_name'] or 'UNNAMED'}-{self._code(4)}"
            customer["customer_group_id"] = customer["customer_group_id"] or self.all_customers_group_id
            customer["created_at"] = customer["updated_at"] = self.now()
            customer["deleted_at"] = None
            return self._customer_changed(customer)

    def update_customer(self, customer: Any, **fields: Any) -> Record:
        with self.lock:
            known_fields(fields, CUSTOMER_FIELDS)
            record = self.get(self.customer_feed, customer, "The customer")
            record |= fields
            return self._customer_changed(record)

    def delete_customer(self, customer: Any) -> None:
        with self.lock:
            record = self.get(self.customer_feed, customer, "The customer")
            record["deleted_at"] = self.now()
            self._customer_changed(record)

    def merge_customers(self, gone: Any, survivor: Any) -> None:
        """``gone`` is deleted and names the customer it lives on in; its sales keep its id. The field's name is not
        documented."""
        with self.lock:
            record = self.get(self.customer_feed, gone, "The customer")
            record["merged_into_id"] = self.get(self.customer_feed, survivor, "The customer")["id"]
            self.delete_customer(record)

    def _customer_changed(self, customer: Record) -> Record:
        names = [customer["first_name"], customer["last_name"]]
        customer["name"] = " ".join(name for name in names if name) or None
        self.touch(self.customer_feed, customer)
        self.on_event("customer.update", customer)
        return customer

    @property
    def all_customers_group_id(self) -> str:
        return str(next(iter(self.customer_group_feed))["id"])

    def _add_customer_group(self, name: str) -> Record:
        group = Record(
            id=self.new_id(),
            name=name,
            group_id=f"{name.split()[0]}-{self._code(4)}",
            retailer_id=self.retailer["id"],
            created_at=self.now(),
            updated_at=self.now(),
            deleted_at=None,
        )
        return self.touch(self.customer_group_feed, group)

    def add_address(self, customer: Any, **fields: Any) -> Record:
        """A customer address of the dated versions: ``type, address_line_1, city, postcode, country_code`` are required."""
        with self.lock:
            owner = self.get(self.customer_feed, customer, "The customer")
            address = Record(
                id=self.new_number(),
                customer_id=owner["id"],
                address_line_2=None,
                suburb=None,
                state=None,
                state_code=None,
                id_token=f"adr_{self._code(20)}",
                created_at=self.now(),
                updated_at=self.now(),
            )
            self._write_address(address, fields)
            self.addresses.setdefault(owner["id"], {})[address["id"]] = address
            return address

    def update_address(self, customer: Any, address_id: int, **fields: Any) -> Record:
        with self.lock:
            address = self.address(customer, address_id)
            self._write_address(address, fields)
            address["updated_at"] = self.now()
            return address

    def address(self, customer: Any, address_id: int) -> Record:
        try:
            return self.addresses[id_of(customer)][address_id]
        except KeyError:
            raise not_found("The address") from None

    @staticmethod
    def _write_address(address: Record, fields: Mapping[str, Any]) -> None:
        missing = [name for name in ADDRESS_REQUIRED if not (fields.get(name) or address.get(name))]
        if missing:
            raise bad_request(f"The address needs {', '.join(missing)}.")
        for name, longest in (("address_line_1", 50), ("address_line_2", 50), ("city", 28), ("state", 35)):
            if len(fields.get(name) or "") > longest:
                raise bad_request(f"{name} is longer than {longest} characters.")
        if fields.get("country_code", "") == "NZ" and not str(fields.get("postcode")).isdigit():
            raise bad_request("The postcode is not valid in NZ.")
        address |= fields

    # Shared

    def get(self, feed: Feed[Record], record_or_id: Any, what: str) -> Record:
        record = feed.by_id.get(id_of(record_or_id))
        if record is None:
            raise not_found(what)
        return record

    def _code(self, length: int) -> str:
        return "".join(self.random.choices("ABCDEFGHJKMNPQRSTUVWXYZ23456789", k=length))


def known_fields(fields: Mapping[str, Any], known: Iterable[str], also: Iterable[str] = ()) -> None:
    """Raises ``Refusal`` 400 when a field is not documented: a misspelt one would otherwise get lost in silence."""
    unknown = sorted(set(fields) - set(known) - set(also))
    if unknown:
        raise bad_request(f"Unknown fields: {', '.join(unknown)}.")
