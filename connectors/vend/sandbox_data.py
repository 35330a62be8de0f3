"""What the demo shop sells, where, and to whom: plain data, put together by seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

RETAILER_NAME = "Kauri & Co"
DOMAIN_PREFIX = "kauriandco"

# name, street, second line, suburb, town, postcode, region
OUTLETS: list[tuple[str, str, str, str, str, str, str]] = [
    ("Main Outlet", "12 Quay Street", "Shop 4", "Britomart", "Auckland", "1010", "Auckland"),
    ("Lambton Quay", "204 Lambton Quay", "", "Wellington Central", "Wellington", "6011", "Wellington"),
    ("Riccarton", "129 Riccarton Road", "Unit 7", "Riccarton", "Christchurch", "8041", "Canterbury"),
    ("Octagon", "18 The Octagon", "", "Central Dunedin", "Dunedin", "9016", "Otago"),
    ("Tauranga Crossing", "2 Taurikura Drive", "Shop 31", "Tauriko", "Tauranga", "3110", "Bay of Plenty"),
    ("Hamilton East", "56 Grey Street", "", "Hamilton East", "Hamilton", "3216", "Waikato"),
    ("Queenstown Mall", "41 Ballarat Street", "", "Queenstown", "Queenstown", "9300", "Otago"),
    ("Nelson Trafalgar", "277 Trafalgar Street", "", "Nelson", "Nelson", "7010", "Nelson"),
]

# name, SKU stem, price before tax, supply price, product type, brand
GOODS: list[tuple[str, str, str, str, str, str]] = [
    ("Merino Beanie", "MBEAN", "34.80", "14.20", "Clothing", "Kea Knitwear"),
    ("Flat White Cup Set of 4", "FWCUP4", "48.00", "21.50", "Kitchen", "Tui Ceramics"),
    ("Possum Gloves", "PGLOV", "42.40", "19.00", "Clothing", "Kea Knitwear"),
    ("Manuka Honey 250 g", "MHON250", "27.60", "13.10", "Food", "Waikawa Apiary"),
    ("Canvas Day Pack", "CDPACK", "89.00", "41.00", "Bags", "Southern Trail"),
    ("Linen Tea Towel", "LTOWEL", "17.40", "6.20", "Kitchen", "Tui Ceramics"),
    ("Rain Jacket", "RJACK", "159.00", "74.00", "Clothing", "Southern Trail"),
    ("Steel Water Bottle 750 ml", "SWB750", "32.60", "12.80", "Outdoor", "Southern Trail"),
    ("Wool Throw", "WTHROW", "129.00", "58.00", "Home", "Kea Knitwear"),
    ("Soy Candle Feijoa", "SCFEI", "29.40", "9.90", "Home", "Harbour Light"),
    ("Enamel Camp Mug", "ECMUG", "18.20", "6.60", "Outdoor", "Southern Trail"),
    ("Leather Card Holder", "LCARD", "45.80", "18.30", "Bags", "Miro Leather"),
    ("Wooden Toy Tractor", "WTRAC", "38.60", "15.70", "Toys", "Rimu Workshop"),
    ("Kids Gumboots", "KGUMB", "36.00", "16.40", "Clothing", "Southern Trail"),
    ("Sea Salt Flakes 150 g", "SSALT150", "12.80", "4.90", "Food", "Waikawa Apiary"),
    ("Recycled Notebook A5", "RNOTEA5", "14.60", "4.40", "Stationery", "Harbour Light"),
    ("Ceramic Vase", "CVASE", "74.20", "31.00", "Home", "Tui Ceramics"),
    ("Picnic Blanket", "PBLAN", "64.00", "27.50", "Outdoor", "Southern Trail"),
    ("Silver Fern Earrings", "SFERN", "58.40", "22.90", "Jewellery", "Miro Leather"),
    ("Jigsaw 1000 Pieces", "JIG1000", "41.20", "17.60", "Toys", "Rimu Workshop"),
    ("Beeswax Wraps", "BWRAP", "22.00", "8.10", "Kitchen", "Waikawa Apiary"),
    ("Travel Wallet", "TWALL", "69.80", "29.30", "Bags", "Miro Leather"),
    ("Hand Cream Kawakawa", "HCKAW", "24.60", "8.70", "Beauty", "Harbour Light"),
    ("Cotton Tote", "CTOTE", "16.00", "5.30", "Bags", "Southern Trail"),
]
COLOURS = ["", "Navy", "Charcoal", "Forest", "Sand", "Rust", "Cream", "Plum", "Teal", "Slate", "Mustard", "Black"]
SIZES = ["", "Small", "Medium", "Large", "Extra Large"]

# first name, last name, company, e-mail
PEOPLE: list[tuple[str, str, str, str]] = [
    ("Ngaio", "Parata", "", "ngaio.parata@example.nz"),
    ("Liam", "O'Connor", "", "liam.oconnor@example.com"),
    ("美咲", "田中", "", "misaki.tanaka@example.jp"),
    ("Юлия", "Соколова", "", "yulia.sokolova@example.com"),
    ("Sofía", "Muñoz Peña", "", "sofia.munoz@example.com"),
    ("محمد", "الفارسي", "", "m.alfarsi@example.com"),
    ("Zoë", "Müller", "Müller & Söhne GmbH", "zoe@example.de"),
    ("Aroha", "Te Whata", "Te Whata Holdings", "aroha@example.nz"),
    ("Ελένη", "Παπαδοπούλου", "", "eleni@example.gr"),
    ("Nguyễn", "Thị Minh Khai", "", "minhkhai@example.com"),
    ("Jack", "Smith", "", "jack.smith@example.co.nz"),
    ("Siân", "Llewelyn-Hughes", "", "sian@example.wales"),
]

# street, suburb, town, postcode, region
STREETS: list[tuple[str, str, str, str, str]] = [
    ("7 Marine Parade", "Herne Bay", "Auckland", "1011", "Auckland"),
    ("88 Cuba Street", "Te Aro", "Wellington", "6011", "Wellington"),
    ("15 Papanui Road", "Merivale", "Christchurch", "8014", "Canterbury"),
    ("230 Devonport Road", "Tauranga", "Tauranga", "3110", "Bay of Plenty"),
    ("3 Nile Street", "Nelson", "Nelson", "7010", "Nelson"),
    ("61 Victoria Avenue", "Whanganui", "Whanganui", "4500", "Manawatū-Whanganui"),
]

SALE_NOTES = ["", "", "", "", "gift wrap please", "leave at desk", "call before delivery"]


def outlet_facts(place: int) -> dict[str, Any]:
    """Name and full address of the outlet at a place in the list; beyond its end names get a number."""
    name, street, second, suburb, town, postcode, region = OUTLETS[place % len(OUTLETS)]
    series = place // len(OUTLETS)
    return {
        "name": f"{name} {series + 1}" if series else name,
        "physical_address_1": street,
        "physical_address_2": second,
        "physical_suburb": suburb,
        "physical_city": town,
        "physical_postcode": postcode,
        "physical_state": region,
        "physical_country_id": "NZ",
        "phone": f"+64 9 555 {1200 + place:04d}",
        "email": f"shop{place + 1}@{DOMAIN_PREFIX}.example",
    }


def goods() -> Iterator[dict[str, Any]]:
    """Endless distinct products: ``name, sku, price`` (before tax)``, supply_price, type, brand``."""
    series = 0
    while True:
        for size in SIZES:
            for colour in COLOURS:
                for name, stem, price, supply_price, kind, brand in GOODS:
                    words = [name, colour, size, f"Series {series + 1}" if series else ""]
                    suffix = f"{colour[:3].upper()}{''.join(w[0] for w in size.split())}{series or ''}"
                    yield {
                        "name": " ".join(word for word in words if word),
                        "sku": stem + suffix,
                        "price": Decimal(price),
                        "supply_price": Decimal(supply_price),
                        "type": kind,
                        "brand": brand,
                    }
        series += 1


def customer_facts(place: int, chance: random.Random) -> dict[str, Any]:
    """Fields of one customer; now and then one without an address or without a name."""
    first, last, company, email = PEOPLE[place % len(PEOPLE)]
    series = place // len(PEOPLE)
    fields: dict[str, Any] = {
        "first_name": first,
        "last_name": last,
        "company_name": company or None,
        "email": email.replace("@", f"+{series}@") if series else email,
        "mobile": f"+64 21 {chance.randint(100, 999)} {chance.randint(100, 999)}",
    }
    if place % 7 == 6 and series:
        fields |= {"first_name": None, "last_name": None, "company_name": None}
    if place % 5 != 4:
        street, suburb, town, postcode, region = STREETS[place % len(STREETS)]
        for kind in ("physical", "postal"):
            fields |= {
                f"{kind}_address_1": street,
                f"{kind}_suburb": suburb,
                f"{kind}_city": town,
                f"{kind}_postcode": postcode,
                f"{kind}_state": region,
                f"{kind}_country_id": "NZ",
            }
    return fields
