"""Selling, voiding, returning: what happens to sales, and to the stock with them. Source: vend.md 3.6, 3.7 and 8.

Stock follows one rule: what a sale *should* have taken off the shelves is computed from its state, and the difference
to what it took so far is booked. So every change, a void included, comes out right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from connectors.vend.sandbox_catalogue import Catalogue
from connectors.vend.sandbox_core import (
    Feed,
    Record,
    bad_request,
    decimal_of,
    id_of,
    not_found,
    parse_time,
    to_cents,
    to_price,
    unprocessable,
)
from connectors.vend.sandbox_sale import EXCLUDED_PAIRS, STATUSES, ZERO, Sale, SaleLine, SalePayment

STATED_TOTALS = ("total_price", "total_tax", "total_price_incl")
LINE_FIELDS = frozenset(SaleLine.__dataclass_fields__) - {"id", "fulfilled", "picked", "packed"}
SALE_FIELDS = frozenset(Sale.__dataclass_fields__) - {"line_items", "payments", "version", "taken", "stated"}


class RawSale(Record):
    """Text put into the sales feed as it is, for records that no sane shop has."""


class SalesBook(Catalogue):
    """The retailer's sales and their version feed."""

    def __init__(self, seed: int, now: Callable[[], datetime], tax_exclusive: bool) -> None:
        self.sale_feed: Feed[Any] = Feed()
        super().__init__(seed, now, tax_exclusive)

    @property
    def sales(self) -> list[Sale]:
        with self.lock:
            return [sale for sale in self.sale_feed if isinstance(sale, Sale)]

    def sale(self, sale: Any) -> Sale:
        """The sale with this id. Raises ``Refusal`` 404."""
        found = self.sale_feed.by_id.get(id_of(sale))
        if not isinstance(found, Sale):
            raise not_found("The sale")
        return found

    # Making sales

    def add_sale(
        self,
        outlet: Any = None,
        lines: Iterable[Any] = (),
        status: str = "CLOSED",
        customer: Any = None,
        payments: Sequence[Any] | None = None,
        discount: Any = None,
        date: Any = None,
        note: str | None = "",
        **overrides: Any,
    ) -> Sale:
        """A new sale, with its effect on the stock.

        ``outlet``: record, id or name; default the first. ``lines``: (product, quantity) pairs, or dicts with
        ``product`` and any field of ``SaleLine``. ``status``: a legacy word; ``state`` and ``attributes`` in
        ``overrides`` win. ``customer`` None: the walk-in customer (``customer_id=None`` for none at all). ``payments``
        None: one payment in full (nothing for parked, open and on-account sales); else amounts or dicts of
        ``SalePayment`` fields. ``discount``: a sale-level discount before tax. ``overrides``: any field of ``Sale``,
        or totals to be stated whatever the lines say.
        """
        with self.lock:
            outlet_record = self.find_outlet(outlet)
            if status not in STATUSES:
                raise ValueError(f"{status!r} is no status. Known: {', '.join(STATUSES)}.")
            state, attribute = STATUSES[status]
            sale = self._blank_sale(outlet_record, state, [attribute] if attribute else [])
            if customer is not None:
                sale.customer_id = id_of(customer)
            sale.note = note
            if date is not None:
                sale.sale_date = sale.created_at = parse_time(date)
            self._apply(sale, overrides)
            sale.line_items = [self._line(sale, place, line) for place, line in enumerate(lines)]
            if discount:
                sale.line_items.append(self._discount_line(sale, decimal_of(discount)))
            if payments is None:
                unpaid = sale.state == "parked" or sale.status in ("OPEN", "ONACCOUNT", "LAYBY")
                payments = [] if unpaid else [to_cents(sale.total_price_incl)]
            sale.payments = [self._payment(sale, payment) for payment in payments]
            return self.sale_changed(sale)

    def find_outlet(self, outlet: Any) -> Record:
        if outlet is None:
            return self.outlets[0]
        for record in self.outlets:
            if record["name"] == outlet:
                return record
        return self.get(self.outlet_feed, outlet, "The outlet")

    def _blank_sale(self, outlet: Record, state: str, attributes: list[str], register: Record | None = None) -> Sale:
        now = self.now()
        if register is None:
            register = next((r for r in self.registers if r["outlet_id"] == outlet["id"]), None)
        sale = Sale(
            id=self.new_id(),
            outlet_id=outlet["id"],
            register_id=register["id"] if register else None,
            user_id=self.primary_user["id"],
            customer_id=self.walk_in["id"],
            state=state,
            attributes=attributes,
            sale_date=now,
            created_at=now,
            updated_at=now,
            short_code="".join(self.random.choices("abcdefghjkmnpqrstvwxyz", k=6)),
        )
        if register:
            register["invoice_sequence"] += 1
            sale.invoice_sequence = register["invoice_sequence"]
            sale.invoice_number = f"{register['invoice_prefix']}{sale.invoice_sequence}{register['invoice_suffix']}"
            sale.receipt_number = sale.invoice_number
        return sale

    @staticmethod
    def _apply(sale: Sale, changes: Mapping[str, Any]) -> None:
        for name, value in changes.items():
            if name in STATED_TOTALS:
                sale.stated[name] = decimal_of(value)
            elif name == "status":
                sale.state, attribute = STATUSES[value]
                sale.attributes = [attribute] if attribute else []
            elif name not in SALE_FIELDS:
                raise TypeError(f"A sale has no field {name!r}.")
            else:
                setattr(sale, name, value)
        if "invoice_number" in changes and "receipt_number" not in changes:
            sale.receipt_number = sale.invoice_number

    def _line(self, sale: Sale, place: int, given: Any) -> SaleLine:
        """A line from a (product, quantity) pair, a dict of fields, or a finished line."""
        if isinstance(given, SaleLine):
            return given
        fields = {"product": given[0], "quantity": given[1]} if isinstance(given, tuple) else dict(given)
        line_id = fields.pop("id", None) or self.new_id()
        product_id = id_of(fields.pop("product", None) or fields.pop("product_id"))
        unknown = sorted(set(fields) - LINE_FIELDS)
        if unknown:
            raise TypeError(f"A sale line has no field {', '.join(unknown)}.")
        product = self.product_feed.by_id.get(product_id)
        discount = decimal_of(fields.pop("discount", 0))
        price = fields.pop("price", None)
        if price is None:
            price = (product["price_excluding_tax"] if product else ZERO) - discount
        price = decimal_of(price)
        tax_id = fields.pop("tax_id", None) or self._tax_of(product, sale)
        tax = fields.pop("tax", None)
        tax = to_price(price * self.tax_rate(tax_id)) if tax is None else decimal_of(tax)
        quantity = decimal_of(fields.pop("quantity", 1))
        line = SaleLine(
            id=line_id,
            product_id=product_id,
            quantity=quantity,
            price=price,
            tax=tax,
            tax_id=tax_id,
            discount=discount,
            cost=decimal_of(fields.pop("cost", product["supply_price"] if product else ZERO)),
            sequence=fields.pop("sequence", place),
            salesperson_id=fields.pop("salesperson_id", sale.user_id),
            register_id=fields.pop("register_id", sale.register_id),
            is_return=fields.pop("is_return", quantity < 0 and product_id != self.discount_product["id"]),
            status=fields.pop("status", "SAVED" if sale.state == "parked" else "CONFIRMED"),
        )
        for name, value in fields.items():
            setattr(line, name, value)
        line.tax_components = line.tax_components or self._tax_components(line)
        return line

    def _tax_of(self, product: Record | None, sale: Sale) -> str:
        for row in product["outlet_taxes"] if product else ():
            if row["outlet_id"] == sale.outlet_id:
                return str(row["tax_id"])
        return str(self.outlet_feed.by_id[sale.outlet_id]["default_tax_id"])

    def _tax_components(self, line: SaleLine) -> list[dict[str, Any]]:
        """The line's tax shared out over the rates of its tax."""
        rates = self.tax_rates(line.tax_id)
        whole = sum((rate for _, rate in rates), ZERO)
        if len(rates) == 1 or not whole:
            return [{"rate_id": rate_id, "total_tax": line.tax_total} for rate_id, _ in rates[:1]]
        return [{"rate_id": rate_id, "total_tax": to_price(line.tax_total * rate / whole)} for rate_id, rate in rates]

    def _discount_line(self, sale: Sale, amount: Decimal) -> SaleLine:
        """A sale-level discount: quantity -1 of the discount product with a proportionate tax."""
        net = sum((line.price_total for line in sale.line_items if line.counts), ZERO)
        tax = sum((line.tax_total for line in sale.line_items if line.counts), ZERO)
        tax_id = sale.line_items[0].tax_id if sale.line_items else self.default_tax["id"]
        fields = {
            "product": self.discount_product,
            "quantity": -1,
            "price": amount,
            "tax": to_price(amount * tax / net) if net else ZERO,
            "tax_id": tax_id,
            "cost": 0,
            "price_set": True,
            "is_return": False,
        }
        return self._line(sale, len(sale.line_items), fields)

    def _payment(self, sale: Sale, given: Any) -> SalePayment:
        """A payment from an amount, a dict of fields, or a finished payment."""
        if isinstance(given, SalePayment):
            return given
        fields = dict(given) if isinstance(given, Mapping) else {"amount": given}
        unknown = sorted(set(fields) - set(SalePayment.__dataclass_fields__))
        if unknown:
            raise TypeError(f"A payment has no field {', '.join(unknown)}.")
        type_id = fields.pop("retailer_payment_type_id", None)
        name = fields.pop("name", "Cash")
        kind = self.get(self.payment_type_feed, type_id, "The payment type") if type_id else self._payment_kind(name)
        payment = SalePayment(
            id=fields.pop("id", None) or self.new_id(),
            amount=decimal_of(fields.pop("amount")),
            payment_date=parse_time(fields.pop("payment_date", None) or sale.sale_date),
            retailer_payment_type_id=kind["id"],
            payment_type_id=str(kind["type_id"]),
            name=kind["name"],
            register_id=fields.pop("register_id", sale.register_id),
            outlet_id=fields.pop("outlet_id", sale.outlet_id),
        )
        for field_name, value in fields.items():
            setattr(payment, field_name, value)
        return payment

    def _payment_kind(self, name: str) -> Record:
        for record in self.payment_type_feed:
            if record["name"] == name:
                return record
        return self.add_payment_type(name, 2)

    def add_raw_sale(self, json_text: str) -> int:
        """Puts any text into the sales feed as one record, for malformed records and unknown words. Returns the
        version of its place in the feed; an ``id`` in the text makes it readable on its own as well."""
        with self.lock:
            try:
                told = msgspec.json.decode(json_text)
            except msgspec.DecodeError:
                told = None
            told_id = told.get("id") if isinstance(told, dict) else None
            record = RawSale(id=told_id if isinstance(told_id, str) else self.new_id(), text=json_text)
            record["version"] = self.next_version()
            self.sale_feed.put(record)
            return int(record["version"])

    # Changing sales

    def update_sale(self, sale: Any, **changes: Any) -> Sale:
        """Changes any field, ``status``, ``customer``, ``lines`` or ``payments`` of a sale: a new version, back at the end of the
        feed, stock booked accordingly. Nothing is forbidden here; the API's own rules are in ``change_sale``."""
        with self.lock:
            record = self.sale(sale)
            lines, payments = changes.pop("lines", None), changes.pop("payments", None)
            if "customer" in changes:
                changes["customer_id"] = id_of(changes.pop("customer"))
            self._apply(record, changes)
            if lines is not None:
                record.line_items = self._lines_again(record, lines)
            if payments is not None:
                record.payments = [self._payment(record, payment) for payment in payments]
            return self.sale_changed(record)

    def _lines_again(self, sale: Sale, lines: Iterable[Any]) -> list[SaleLine]:
        """The new lines of a sale; one that is there already keeps what was done for its delivery."""
        before = {line.id: line for line in sale.line_items}
        made = [self._line(sale, place, line) for place, line in enumerate(lines)]
        for line in made:
            known = before.get(line.id)
            if known is not None:
                line.picked, line.packed, line.fulfilled = known.picked, known.packed, known.fulfilled
        return made

    def void_sale(self, sale: Any) -> Sale:
        return self.update_sale(sale, state="voided")

    def sale_changed(self, sale: Sale, *, quiet: bool = False) -> Sale:
        """New version, end of the feed, stock brought in line. ``quiet``: history; stock and webhooks are left alone."""
        sale.version = self.next_version()
        sale.updated_at = sale.sale_date if quiet else self.now()
        self.sale_feed.put(sale)
        if quiet:
            sale.taken = self._should_take(sale)
            return sale
        self._settle_stock(sale)
        self.fulfilment_changed(sale)
        self.on_event("sale.update", sale)
        return sale

    def fulfilment_changed(self, sale: Sale) -> None:
        """Told about every change of a sale, so that its fulfilment can follow."""

    def _settle_stock(self, sale: Sale) -> None:
        wanted = self._should_take(sale)
        for product_id in {**sale.taken, **wanted}:
            difference = wanted.get(product_id, ZERO) - sale.taken.get(product_id, ZERO)
            self.move(product_id, sale.outlet_id, -difference)
        sale.taken = wanted

    def _should_take(self, sale: Sale) -> dict[str, Decimal]:
        """Quantity by product that this sale has taken off the shelves (below 0: put back)."""
        wanted: dict[str, Decimal] = {}
        if sale.state not in ("closed", "pending"):
            return wanted
        waiting = sale.state == "pending"
        if waiting and not ("onaccount" in sale.attributes or sale.awaits_fulfilment):
            return wanted
        for line in sale.line_items:
            if not line.counts or (line.is_return and not sale.restock):
                continue
            quantity = line.fulfilled if waiting and sale.awaits_fulfilment else line.quantity
            for part, per_unit in self.parts_of(line.product_id):
                wanted[part] = wanted.get(part, ZERO) + quantity * per_unit
        return wanted

    # Returns

    def start_return(self, sale: Any, *, void_parked: bool = True) -> Sale:
        """The API's return: a parked sale with every line negated, tied to the original. From 2026-07 on, other parked
        returns of the same sale are voided. Raises ``Refusal`` 422 unless the sale is closed."""
        with self.lock:
            original = self.sale(sale)
            if original.state != "closed":
                raise unprocessable("Only a closed sale can be returned.")
            for other_id in original.return_ids if void_parked else ():
                other = self.sale(other_id)
                if other.state == "parked":
                    self.update_sale(other, state="voided")
            outlet = self.outlet_feed.by_id[original.outlet_id]
            back = self._blank_sale(outlet, "parked", [])
            back.customer_id, back.return_for = original.customer_id, original.id
            back.line_items = [
                self._line(
                    back,
                    place,
                    {
                        "product": line.product_id,
                        "quantity": -line.quantity,
                        "price": line.price,
                        "discount": line.discount,
                        "tax": line.tax,
                        "tax_id": line.tax_id,
                        "cost": line.cost,
                        "is_return": True,
                    },
                )
                for place, line in enumerate(line for line in original.line_items if line.counts)
            ]
            self.sale_changed(back)
            original.return_ids.append(back.id)
            self.sale_changed(original)
            return back

    def return_sale(
        self, sale: Any, lines: Iterable[tuple[Any, Any]] | None = None, restock: bool = True, **overrides: Any
    ) -> Sale:
        """A finished return with its refund. ``lines``: (product, quantity above 0) pairs; None returns everything."""
        with self.lock:
            back = self.start_return(sale, void_parked=False)
            if lines is not None:
                self._keep_lines(back, {id_of(product): decimal_of(quantity) for product, quantity in lines})
            for line in back.line_items:
                line.status = "CONFIRMED"
            back.state, back.restock = "closed", restock
            self._apply(back, overrides)
            back.payments = [self._payment(back, to_cents(back.total_price_incl))]
            return self.sale_changed(back)

    def _keep_lines(self, back: Sale, wanted: dict[str, Decimal]) -> None:
        """Cuts a return down to the quantities by product; a product on several lines is taken from the first ones."""
        kept = []
        for line in back.line_items:
            quantity = min(wanted.get(line.product_id, ZERO), -line.quantity)
            if quantity > 0:
                wanted[line.product_id] -= quantity
                line.quantity = -quantity
                line.tax_components = self._tax_components(line)
                kept.append(line)
        back.line_items = kept

    # Over the API

    def change_sale(self, sale: Any, changes: Mapping[str, Any]) -> Sale:
        """A change that came in over the API. Raises ``Refusal`` 422: a closed sale may only be voided, and a voided
        one not changed at all (vend.md section 8); 400 for attributes that exclude each other."""
        with self.lock:
            record = self.sale(sale)
            state = changes.get("state", record.state)
            if record.state == "voided":
                raise unprocessable("A voided sale cannot be changed.")
            if record.state == "closed" and state != "voided":
                raise unprocessable("A closed sale can only be voided.")
            check_words(state, changes.get("attributes", record.attributes))
            if record.state == "closed":
                return self.void_sale(record)
            return self.update_sale(record, **changes)


def check_words(state: str, attributes: Any) -> None:
    if state not in ("parked", "pending", "voided", "closed"):
        raise bad_request(f"{state!r} is no state.")
    if not isinstance(attributes, list):
        raise bad_request("attributes must be a list.")
    for first, second in EXCLUDED_PAIRS:
        if first in attributes and second in attributes:
            raise bad_request(f"{first} and {second} exclude each other.")
