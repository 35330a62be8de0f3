"""Customers that a shop merged: each points on to the one that took its place, whatever came first."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from carts.models import Connection, Customer

# A merge of merges of merges: nobody goes further, and a circle ends.
LONGEST_CHAIN = 10


def follow_merges(connection: Connection, external_ids: Sequence[str]) -> None:
    """Points customers on that were merged, or of which the survivor was just stored. One query when there are none."""
    of_connection = Customer.objects.filter(connection_id=connection.pk)
    concerned = of_connection.filter(
        Q(external_id__in=external_ids) & (~Q(merged_into="") | Q(survivor__isnull=False))
        | Q(merged_into__in=external_ids) & ~Q(merged_into="")
    )
    merged = {customer.pk: customer for customer in concerned.order_by()}
    if not merged:
        return
    # Those who pointed to one that was merged itself now.
    behind = of_connection.filter(survivor__in=list(merged)).exclude(pk__in=list(merged))
    merged |= {customer.pk: customer for customer in behind}
    known = {customer.external_id: customer for customer in merged.values()}
    for _ in range(LONGEST_CHAIN):
        missing = {customer.merged_into for customer in known.values()} - known.keys() - {""}
        if not missing:
            break
        found = {customer.external_id: customer for customer in of_connection.filter(external_id__in=missing)}
        known |= found
        if not found:
            break
    for customer in merged.values():
        customer.survivor = survivor_of(customer, known)
    Customer.objects.bulk_update(merged.values(), ["survivor"], batch_size=500)


def survivor_of(customer: Customer, known: dict[str, Customer]) -> Customer | None:
    """The end of the chain, as far as it is known; None for one that was not merged."""
    seen = {customer.external_id}
    last: Customer | None = None
    following = known.get(customer.merged_into) if customer.merged_into else None
    while following is not None and following.external_id not in seen:
        seen.add(following.external_id)
        last = following
        following = known.get(following.merged_into) if following.merged_into else None
    return last
