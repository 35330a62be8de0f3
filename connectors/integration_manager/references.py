"""How an order is known at Integration Manager: ``cust_ref``, made from the hub's own reference.

Integration Manager shortens a ``cust_ref`` that is too long or holds characters a WMS may not take (section B.3.1), and
nobody says how. So the hub never gives it a reason to: its references are short and plain, and where one is not, its
beginning and a fingerprint stand for it. The same reference always makes the same ``cust_ref``, and two never share one,
so it is also the key by which a lost answer is settled. The way back is the whole reference itself, which travels with
the order in ``extra_fields``, and the id that the remote answered with, which the hub keeps with the delivery.
"""

from __future__ import annotations

import base64
import hashlib
import re

LONGEST = 30
FINGERPRINT = 10
# The name in ``extra_fields`` under which the whole reference travels.
MARK = "hub_reference"

_PLAIN = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_]+")


def cust_ref_of(reference: str) -> str:
    """The ``cust_ref`` of a reference: itself where it is plain, else its beginning and a fingerprint of all of it.

    The fingerprint follows a ``.``, which no plain reference holds: so none can be taken for another's.
    """
    if _PLAIN.fullmatch(reference):
        return reference
    digest = hashlib.blake2b(reference.encode(), digest_size=8).digest()
    mark = base64.b32encode(digest).decode().lower()[:FINGERPRINT]
    start = _NOT_PLAIN.sub("-", reference).strip("-")[: LONGEST - FINGERPRINT - 1].rstrip("-")
    return f"{start}.{mark}"
