"""Products of the shops: created once, changed in nothing but what the change names, never deleted."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from connectors.errors import OutcomeUnknown
from connectors.records import ProductFamilyChange, ProductRecord, VariantChange, WriteResult
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, records

pytestmark = pytest.mark.needs(Capability.PRODUCTS, Capability.PRODUCT_DETAILS)

NUMBERS = count(1)


def variant(sku: str, **fields: Any) -> VariantChange:
    return VariantChange(reference=f"shop-{sku}", sku=sku, **fields)


def family(*variants: VariantChange, name: str, **fields: Any) -> ProductFamilyChange:
    return ProductFamilyChange(handle=variants[0].reference, name=name, variants=variants, **fields)


def new_sku() -> str:
    return f"SHOP{next(NUMBERS)}"


def write(destination: Destination, change: ProductFamilyChange) -> Sequence[WriteResult]:
    results: Sequence[WriteResult] = destination.another_connector().write_products(change)  # type: ignore[attr-defined]
    assert [result.reference for result in results] == [one.reference for one in change.variants]
    return results


def listed(destination: Destination, *skus: str) -> list[ProductRecord]:
    found = [one for one in records(destination.ports.read_products("")) if one.sku in skus and not one.deleted]
    return sorted(found, key=lambda record: record.sku)


def test_a_product_arrives_with_its_price_and_is_listed(destination: Destination) -> None:
    sku, rules = new_sku(), destination.ports.product_rules()
    change = family(variant(sku, retail_price=Decimal("20.50")), name=f"Mug {sku}")
    (result,) = write(destination, change)
    assert (result.ok, bool(result.remote_id)) == (True, True), result.reason
    (record,) = listed(destination, sku)
    assert (record.external_id, record.name) == (result.remote_id, f"Mug {sku}")
    if rules.retail_price_list:
        assert record.prices[rules.retail_price_name] == Decimal("20.50")


def test_only_what_the_change_names_is_changed(destination: Destination) -> None:
    sku = new_sku()
    (made,) = write(destination, family(variant(sku, retail_price=Decimal(20)), name=f"Mug {sku}"))
    (before,) = listed(destination, sku)
    change = family(variant(sku, remote_id=made.remote_id), name=f"Cup {sku}", renamed=True, remote_id=made.remote_id)
    (result,) = write(destination, change)
    assert (result.ok, result.remote_id) == (True, made.remote_id), result.reason
    (after,) = listed(destination, sku)
    assert (after.name, after.prices, after.barcode) == (f"Cup {sku}", before.prices, before.barcode)


def test_the_variants_of_a_family_arrive_together(destination: Destination) -> None:
    skus = sorted([new_sku(), new_sku()])
    variants = [variant(sku, attributes={"Size": size}) for sku, size in zip(skus, "SM", strict=True)]
    results = write(destination, family(*variants, name=f"Hoodie {skus[0]}"))
    assert all(result.ok for result in results), results
    found = listed(destination, *skus)
    assert sorted(record.external_id for record in found) == sorted(result.remote_id for result in results)


def test_what_is_in_doubt_is_found_by_its_sku_and_not_doubled(destination: Destination) -> None:
    sku = new_sku()
    (made,) = write(destination, family(variant(sku), name=f"Mug {sku}"))
    (again,) = write(destination, family(variant(sku), name=f"Mug {sku}", in_doubt=True))
    assert (again.ok, again.remote_id) == (True, made.remote_id), again.reason
    assert len(listed(destination, sku)) == 1


def test_what_is_in_doubt_and_never_arrived_is_created(destination: Destination) -> None:
    sku = new_sku()
    (made,) = write(destination, family(variant(sku), name=f"Mug {sku}", in_doubt=True))
    assert made.ok, made.reason
    assert len(listed(destination, sku)) == 1


@pytest.mark.needs(Capability.LOST_ANSWERS)
def test_a_lost_answer_is_settled(destination: Destination) -> None:
    sku = new_sku()
    destination.lose_answer(Capability.PRODUCT_DETAILS)
    with pytest.raises(OutcomeUnknown):
        write(destination, family(variant(sku), name=f"Mug {sku}"))
    (settled,) = write(destination, family(variant(sku), name=f"Mug {sku}", in_doubt=True))
    assert settled.ok, settled.reason
    assert len(listed(destination, sku)) == 1
