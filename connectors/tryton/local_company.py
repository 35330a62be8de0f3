"""A small company in an empty Tryton database, as its owner would set it up: currency, accounts, tax, two warehouses, a
price list, a carrier, and a user for the hub with no more rights than the documentation asks for."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from connectors.budget import utc_now
from connectors.tryton.client import Known, TrytonClient
from connectors.tryton.wire import Domain

NAME = "Kiwi Homewares Ltd"
HUB_USER, HUB_PASSWORD = "hub", "local-hub-password"
HUB_GROUPS = ("Sales", "Stock", "Stock Force Assignment", "Party Administration")
WAREHOUSES = (("Auckland store room", "AKL"), ("Wellington store room", "WLG"))
COUNTRIES = (
    ("New Zealand", "NZ", "NZL", "554"),
    ("Australia", "AU", "AUS", "036"),
    ("United States", "US", "USA", "840"),
)
STATES = (("NZ", "NZ-AUK", "Auckland"), ("NZ", "NZ-WGN", "Wellington"), ("US", "US-OR", "Oregon"))
PRICE_LIST, WHOLESALE = "Wholesale", "unit_price * 0.7"
CARRIER = "NZ Post"
TAX_ACCOUNT = "6.3.6"
RATE = Decimal("0.15")


def found(client: TrytonClient) -> None:
    """Does it all. The database must hold the modules and nothing else."""
    company = make_company(client)
    client.context |= {"company": company, "companies": [company]}
    make_accounts(client, company)
    make_fiscal_years(client, company)
    category = make_tax(client, company)
    make_countries(client)
    make_warehouses(client)
    make_price_list(client, company)
    make_carriers(client, category)
    make_hub_user(client, company)


def one(client: TrytonClient, model: str, domain: Domain) -> int:
    return client.find(model, domain, ("id",), Known, limit=1)[0].id


def make_company(client: TrytonClient) -> int:
    rate = {"date": date(2020, 1, 1), "rate": Decimal(1)}
    [currency] = client.create(
        "currency.currency",
        [
            {
                "name": "New Zealand Dollar",
                "code": "NZD",
                "symbol": "$",
                "rounding": Decimal("0.01"),
                "digits": 2,
                "rates": [["create", [rate]]],
            }
        ],
    )
    [party] = client.create("party.party", [{"name": NAME}])
    values = {"company": {"party": party, "currency": currency}}
    client.walk("company.company.config", [("add", values)])
    return one(client, "company.company", [])


def make_accounts(client: TrytonClient, company: int) -> None:
    chart = {"company": company, "account_template": one(client, "account.account.template", [["parent", "=", None]])}
    client.walk("account.create_chart", [("create_account", {"account": chart})])
    properties = {
        "company": company,
        "account_receivable": account(client, "receivable"),
        "account_payable": account(client, "payable"),
        "category_account_expense": account(client, "expense"),
        "category_account_revenue": account(client, "revenue"),
    }
    values = {"account": chart, "properties": properties}
    client.walk("account.create_chart", [("create_properties", values)])


def account(client: TrytonClient, kind: str) -> int:
    return one(client, "account.account", [[f"type.{kind}", "=", True], ["closed", "!=", True]])


def make_fiscal_years(client: TrytonClient, company: int) -> None:
    """Last year, this one and the next."""
    for year in range(utc_now().year - 1, utc_now().year + 2):
        moves = sequence(client, company, "Account Move", year)
        invoices = sequence(client, company, "Invoice", year)
        names = ("out_invoice_sequence", "in_invoice_sequence", "out_credit_note_sequence", "in_credit_note_sequence")
        values = {
            "name": str(year),
            "company": company,
            "start_date": date(year, 1, 1),
            "end_date": date(year, 12, 31),
            "move_sequence": moves,
            "invoice_sequences": [["create", [{"company": company, **dict.fromkeys(names, invoices)}]]],
        }
        client.press("account.fiscalyear", "create_period", client.create("account.fiscalyear", [values]))


def sequence(client: TrytonClient, company: int, kind: str, year: int) -> int:
    of_kind = one(client, "ir.sequence.type", [["name", "=", kind]])
    values = {"name": f"{kind} {year}", "sequence_type": of_kind, "company": company}
    return client.create("ir.sequence.strict", [values])[0]


def make_tax(client: TrytonClient, company: int) -> int:
    """Goods and services tax, on everything in the category Goods."""
    balance = one(client, "account.account", [["code", "=", TAX_ACCOUNT]])
    [tax] = client.create(
        "account.tax",
        [
            {
                "name": "GST 15 %",
                "description": "GST 15 %",
                "type": "percentage",
                "rate": RATE,
                "company": company,
                "invoice_account": balance,
                "credit_note_account": balance,
            }
        ],
    )
    values = {
        "name": "Goods",
        "accounting": True,
        "account_revenue": account(client, "revenue"),
        "account_expense": account(client, "expense"),
        "customer_taxes": [["add", [tax]]],
    }
    return client.create("product.category", [values])[0]


def make_countries(client: TrytonClient) -> None:
    names = ("name", "code", "code3", "code_numeric")
    client.create("country.country", [dict(zip(names, country, strict=True)) for country in COUNTRIES])
    for country, code, name in STATES:
        values = {"country": one(client, "country.country", [["code", "=", country]]), "code": code, "name": name}
        client.create("country.subdivision", [{**values, "type": "state" if country == "US" else "region"}])


def make_warehouses(client: TrytonClient) -> None:
    """The one that Tryton comes with gets a name; the other is made like it."""
    (first, code), (second, other_code) = WAREHOUSES
    client.write(
        "stock.location", [one(client, "stock.location", [["code", "=", "WH"]])], {"name": first, "code": code}
    )
    zones = ("storage", "input", "output")
    made = client.create(
        "stock.location",
        [{"name": f"{second}, {zone}", "code": f"{other_code}-{zone}", "type": "storage"} for zone in zones],
    )
    places = {f"{zone}_location": place for zone, place in zip(zones, made, strict=True)}
    lost = one(client, "stock.location", [["type", "=", "lost_found"]])
    values = {"name": second, "code": other_code, "type": "warehouse", "lost_found_location": lost, **places}
    client.create("stock.location", [values])


def make_price_list(client: TrytonClient, company: int) -> None:
    lines = [["create", [{"formula": WHOLESALE}]]]
    values = {"name": PRICE_LIST, "company": company, "unit": "product_default", "price": "list_price", "lines": lines}
    client.create("product.price_list", [values])


def make_carriers(client: TrytonClient, category: int) -> None:
    """Tryton wants a service that a carrier is paid with."""
    values: dict[str, Any] = {
        "name": "Carriage",
        "type": "service",
        "default_uom": unit(client),
        "list_price": Decimal(0),
        "account_category": category,
        "products": [["create", [{}]]],
    }
    client.create("product.template", [values])
    [party] = client.create("party.party", [{"name": CARRIER}])
    product = one(client, "product.product", [["type", "=", "service"]])
    client.create("carrier", [{"party": party, "carrier_product": product, "carrier_cost_method": "product"}])
    client.create("stock.package.type", [{"name": "Box"}])


def unit(client: TrytonClient) -> int:
    return one(client, "product.uom", [["symbol", "=", "u"]])


def make_hub_user(client: TrytonClient, company: int) -> None:
    groups = [one(client, "res.group", [["name", "=", name]]) for name in HUB_GROUPS]
    values = {
        "name": "Integration Manager",
        "login": HUB_USER,
        "password": HUB_PASSWORD,
        "companies": [["add", [company]]],
        "company": company,
        "groups": [["add", groups]],
    }
    client.create("res.user", [values])
