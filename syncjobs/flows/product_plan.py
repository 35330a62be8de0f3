"""What is to be written of one family of products: found at the cart, compared, reduced to differences. Pure: rows in,
plan out."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import permutations
from typing import Any

import msgspec

from carts.models import Product, ProductLink
from connectors.product_rules import family_problem, match_key, sku_problem
from connectors.records import ProductFamilyChange, ProductKind, ProductRules, VariantChange

SHARED_FIELDS = ("name", "description", "brand", "product_type", "supplier", "tags")
OWN_FIELDS = ("barcode", "supplier_code", "retail_price", "supply_price", "attributes")
# Written by supplier: when the supplier changes, these must follow.
SUPPLIER_FIELDS = ("supplier_code", "supply_price")
FINGERPRINT_LENGTH = 12

FIX_AMBIGUOUS = "Give each product a SKU of its own at the cart, or delete the superfluous ones."
FIX_NAME = "Give the product a name of its own in the warehouse, or rename the other one at the cart."

Value = str | Decimal | tuple[str, ...] | dict[str, str]
Fields = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Problem:
    reason: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one product (``sku``), for the preview. ``now`` None: the product is to be created."""

    sku: str
    name: str
    now: str | None
    then: str


@dataclass(slots=True)
class Member:
    """One article of a family: the warehouse's row, what is known of it at the cart, and what it should be.
    ``left_alone``: a supply price cannot be written, because the cart's product has no supplier."""

    product: Product
    link: ProductLink | None = None
    found: Product | None = None
    wanted: Fields = field(default_factory=dict)
    problem: Problem | None = None
    left_alone: bool = False

    @property
    def remote_id(self) -> str:
        return self.found.external_id if self.found is not None else ""

    @property
    def acknowledged(self) -> Mapping[str, str]:
        """Fingerprints of what this very article acknowledged; none when it is another one now."""
        link = self.link
        return link.acknowledged if link is not None and link.remote_id == self.remote_id else {}

    def fingerprints(self) -> dict[str, str]:
        return {name: fingerprint(value) for name, value in self.wanted.items()}


@dataclass(slots=True)
class Plan:
    """What is to be done about one family. No ``change`` and no ``problem``: nothing. ``left_out``: the cart's product
    is a composite, which is left alone."""

    key: str
    members: list[Member]
    change: ProductFamilyChange | None = None
    problem: Problem | None = None
    left_out: bool = False
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_new(self) -> bool:
        return self.change is not None and not self.change.remote_id

    @property
    def problems(self) -> list[Problem]:
        found = [self.problem, *(member.problem for member in self.members)]
        return list(dict.fromkeys(problem for problem in found if problem is not None))


class CartIndex:
    """Those products of a cart that may be the ones wanted, found in one pass over its products."""

    def __init__(
        self, rules: ProductRules, *, ids: set[str], handles: set[str], skus: set[str], names: set[str]
    ) -> None:
        self.rules = rules
        self.wanted_ids, self.wanted_handles, self.wanted_skus, self.wanted_names = ids, handles, skus, names
        self.by_id: dict[str, Product] = {}
        self.by_handle: defaultdict[str, list[Product]] = defaultdict(list)
        self.by_sku: defaultdict[str, list[Product]] = defaultdict(list)
        self.families_by_name: defaultdict[str, set[str]] = defaultdict(set)
        self.family_sizes: Counter[str] = Counter()

    def add(self, product: Product) -> None:
        self.family_sizes[product.family_key] += 1
        if product.external_id in self.wanted_ids:
            self.by_id[product.external_id] = product
        if (handle := product.handle.casefold()) in self.wanted_handles:
            self.by_handle[handle].append(product)
        if (key := match_key(product.sku, self.rules)) in self.wanted_skus:
            self.by_sku[key].append(product)
        if (name := name_key(base_name(product))) in self.wanted_names:
            self.families_by_name[name].add(product.family_key)


@dataclass(slots=True)
class Claims:
    """What other families have: articles of the cart by id, names and SKUs of families on their way."""

    remote_ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    skus: dict[str, str] = field(default_factory=dict)


def plan_family(
    key: str,
    rows: Sequence[Product],
    links: Mapping[int, ProductLink],
    index: CartIndex,
    rules: ProductRules,
    claims: Claims,
    *,
    full: bool = False,
) -> Plan:
    """``full`` compares with what the cart shows only, whatever it acknowledged earlier."""
    members = [Member(row, links.get(row.pk)) for row in rows]
    plan = Plan(key, members)
    find_members(plan, index, rules, claims)
    if any(m.found is not None and m.found.kind != ProductKind.GOODS for m in members):
        plan.left_out = True
        return plan
    shared = shared_fields(key, rows)
    for member in members:
        member.wanted = {**shared, **own_fields(member.product, rules)}
        if rules.supply_by_supplier:
            leave_supply_alone(member)
    remote_families = {m.found.family_key for m in members if m.found is not None}
    plan.problem = check(plan, index, rules, claims, remote_families)
    if plan.problem is None:
        make_change(plan, index, full=full)
    return plan


# --- finding ---------------------------------------------------------------------------------------------------------


def find_members(plan: Plan, index: CartIndex, rules: ProductRules, claims: Claims) -> None:
    """Link first, then handle, then SKU. What two products of the warehouse would share goes to neither."""
    for member in plan.members:
        if member.link is not None and member.link.remote_id:
            member.found = index.by_id.get(member.link.remote_id)
    taken = {member.remote_id for member in plan.members if member.found is not None}
    of_handle = [row for row in index.by_handle[plan.key.casefold()] if row.external_id not in taken]
    for member in plan.members:
        if member.found is None:
            find_member(member, plan, of_handle, index, rules)
        if member.found is None and member.problem is None and (wrong := sku_problem(member.product.sku, rules)):
            member.problem = Problem(*wrong)
        own = f"{plan.key}|{member.product.external_id}"
        sku = match_key(member.product.sku, rules)
        if member.problem is None and sku and claims.skus.setdefault(sku, own) != own:
            member.problem = Problem(
                f"The SKU {member.product.sku} stands for more than one product of the warehouse at the cart.",
                "Give each product a SKU that differs in letters and digits.",
            )
        if member.found is not None and claims.remote_ids.setdefault(member.remote_id, own) != own:
            member.problem = Problem(
                f"The cart's product for {member.product.sku} is linked to another product of the warehouse.",
                "Give each product of the warehouse its own SKU, and delete the superfluous one.",
            )
        if member.problem is not None:
            member.found = None


def find_member(
    member: Member, plan: Plan, of_handle: Sequence[Product], index: CartIndex, rules: ProductRules
) -> None:
    sku = match_key(member.product.sku, rules)
    if of_handle:
        same = [row for row in of_handle if match_key(row.sku, rules) == sku] if sku else []
        same = same or [row for row in of_handle if same_attributes(row, member.product)]
        if len(plan.members) == 1 and len(of_handle) == 1:
            same = list(of_handle)
        if len(same) == 1:
            member.found = same[0]
        elif len(same) > 1 or len(plan.members) == 1:
            member.problem = Problem(
                f"{len(same) or len(of_handle)} products at the cart have the handle {plan.key}; none can be told to be "
                f"{member.product.sku}.",
                FIX_AMBIGUOUS,
            )
        if member.found is not None or member.problem is not None:
            return
    if sku_problem(member.product.sku, rules):
        return
    candidates = index.by_sku[sku]
    if len(candidates) == 1:
        member.found = candidates[0]
    elif candidates:
        names = ", ".join(f"{row.sku} ({row.name})" for row in candidates[:3])
        member.problem = Problem(
            f"The SKU {member.product.sku} fits several products at the cart: {names}.", FIX_AMBIGUOUS
        )


def same_attributes(found: Product, product: Product) -> bool:
    return bool(product.attributes) and folded(found.attributes) == folded(product.attributes)


def folded(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {str(name).strip().casefold(): str(value).strip().casefold() for name, value in attributes.items()}


def base_name(product: Product) -> str:
    """A family's own name: carts list variants as "Hoodie / Red / S"."""
    values = [str(value) for value in product.attributes.values()][:4]
    for order in permutations(values):
        suffix = "".join(f" / {value}" for value in order)
        if suffix and product.name.endswith(suffix):
            return product.name[: -len(suffix)]
    return product.name


def name_key(name: str) -> str:
    return " ".join(name.split()).casefold()


# --- what it should be -----------------------------------------------------------------------------------------------


def shared_fields(key: str, rows: Sequence[Product]) -> Fields:
    """What all variants have in common: the parent's word if it is one of them, else the first that is given."""
    ordered = sorted(rows, key=lambda row: (row.external_id != key, row.pk))
    fields: Fields = {}
    for name in SHARED_FIELDS:
        for row in ordered:
            value = getattr(row, name)
            if name == "tags":
                value = tuple(dict.fromkeys(str(tag).strip() for tag in value if str(tag).strip()))
            else:
                value = value.strip()
            if value:
                fields[name] = value
                break
    return fields


def own_fields(row: Product, rules: ProductRules) -> Fields:
    fields: Fields = {}
    for name in ("barcode", "supplier_code"):
        if value := getattr(row, name).strip():
            fields[name] = value
    for name, price_list in (("retail_price", rules.retail_price_list), ("supply_price", rules.supply_price_list)):
        price = price_of(row, price_list)
        if price is not None:
            fields[name] = price
    attributes = {str(name).strip(): str(value).strip() for name, value in row.attributes.items()}
    attributes = {name: value for name, value in sorted(attributes.items()) if name and value}
    if attributes:
        fields["attributes"] = attributes
    return fields


def leave_supply_alone(member: Member) -> None:
    found = member.found
    if found is None or found.supplier or "supplier" in member.wanted:
        return
    for name in SUPPLIER_FIELDS:
        if name in member.wanted and not is_at_cart(name, member.wanted[name], found):
            del member.wanted[name]
            member.left_alone = True


def price_of(row: Product, price_list: str) -> Decimal | None:
    """The price on a list, whatever its capitals; None where there is none, or none that is a number."""
    wanted = price_list.strip().casefold()
    for name, amount in row.prices.items() if wanted else ():
        if str(name).strip().casefold() == wanted:
            try:
                price = Decimal(str(amount))
            except InvalidOperation:
                return None
            return price.normalize() + 0 if price.is_finite() else None
    return None


# --- checking --------------------------------------------------------------------------------------------------------


def check(
    plan: Plan, index: CartIndex, rules: ProductRules, claims: Claims, remote_families: set[str]
) -> Problem | None:
    """Why the family as a whole cannot be written."""
    members = plan.members
    name = str(members[0].wanted.get("name", ""))
    fitting = tuple(variant_change(member, member.wanted) for member in members if member.problem is None)
    if fitting:
        whole = ProductFamilyChange(handle=plan.key, name=name, variants=fitting)
        if found := family_problem(whole, rules, len(members)):
            return Problem(*found)
    if len(remote_families) > 1:
        return Problem(
            f"The variants of “{name}” are separate products at the cart.",
            "Make them one product with variants at the cart, or separate products in the warehouse.",
        )
    if not remote_families and any(member.problem is not None for member in members):
        first = next(member.problem for member in members if member.problem is not None)
        return first if len(members) == 1 else Problem(f"“{name}” was not created: {first.reason}", first.fix)
    if shares_everything(plan, index):
        known = next((member.found for member in members if member.found is not None), None)
        owners = index.families_by_name[name_key(name)] - remote_families
        if known is not None and name_key(base_name(known)) == name_key(name):
            owners = set()  # as it is at the cart already
        if owners or claims.names.setdefault(name_key(name), plan.key) != plan.key:
            where = "at the cart" if owners else "in the warehouse"
            return Problem(f"Another product {where} is already named “{name}”.", FIX_NAME)
    return None


def shares_everything(plan: Plan, index: CartIndex) -> bool:
    """Does the whole family at the cart belong to this one? Then its common fields are ours to write. A single article
    found by its SKU inside a larger family of the cart has only its own fields written."""
    found = [member.found for member in plan.members if member.found is not None]
    if not found or any(row.handle.casefold() == plan.key.casefold() for row in found):
        return True
    return len(found) >= index.family_sizes[found[0].family_key]


# --- differences -----------------------------------------------------------------------------------------------------


def make_change(plan: Plan, index: CartIndex, *, full: bool) -> None:
    members = [member for member in plan.members if member.problem is None]
    known = next((member for member in members if member.found is not None), None)
    shared: Fields = {}
    if known is None:
        shared = {name: value for name, value in members[0].wanted.items() if name in SHARED_FIELDS}
    elif shares_everything(plan, index):
        for member in members:
            if member.found is not None:
                shared |= differences_of(member, SHARED_FIELDS, full)
    variants = []
    for member in members:
        if member.found is None:
            own = {name: value for name, value in member.wanted.items() if name in OWN_FIELDS}
        else:
            own = differences_of(member, OWN_FIELDS, full)
            if "supplier" in shared:
                own |= {name: member.wanted[name] for name in SUPPLIER_FIELDS if name in member.wanted}
        if own or shared or member.found is None:
            variants.append(variant_change(member, own))
        note_differences(plan, member, {**shared, **own} if member is (known or members[0]) else own)
    if not variants:
        return
    name = str(members[0].wanted.get("name", ""))
    texts: dict[str, Any] = {k: v for k, v in shared.items() if k != "name"}
    plan.change = ProductFamilyChange(
        handle=plan.key,
        name=name,
        variants=tuple(variants),
        remote_id=known.remote_id if known is not None else "",
        renamed="name" in shared,
        in_doubt=any(member.link is not None and member.link.in_doubt_since is not None for member in members),
        **texts,
    )


def variant_change(member: Member, fields: Fields) -> VariantChange:
    own: dict[str, Any] = {name: value for name, value in fields.items() if name in OWN_FIELDS}
    product = member.product
    return VariantChange(reference=product.external_id, sku=product.sku, remote_id=member.remote_id, **own)


def differences_of(member: Member, names: Iterable[str], full: bool) -> Fields:
    """Fields that the cart neither has nor acknowledged in the form wanted."""
    assert member.found is not None
    found: Fields = {}
    for name in names:
        value = member.wanted.get(name)
        if value is None or (not full and member.acknowledged.get(name) == fingerprint(value)):
            continue
        if not is_at_cart(name, value, member.found):
            found[name] = value
    return found


def is_at_cart(name: str, value: Value, found: Product) -> bool:
    """Does the cart show this value? Attributes of other names than the warehouse's are the cart's own matter."""
    if name == "attributes":
        assert isinstance(value, dict)
        return folded(found.attributes).keys() != folded(value).keys() or folded(found.attributes) == folded(value)
    current = current_value(name, found)
    if name == "tags":
        return {name_key(tag) for tag in current} == {name_key(tag) for tag in value}  # type: ignore[union-attr]
    if name in ("brand", "product_type", "supplier"):
        return name_key(str(current)) == name_key(str(value))
    return bool(current == value)


def current_value(name: str, found: Product) -> Any:
    if name == "name":
        return base_name(found).strip()
    if name in ("retail_price", "supply_price"):
        return price_of(found, name.removesuffix("_price"))
    value = getattr(found, name)
    return value.strip() if isinstance(value, str) else value


def note_differences(plan: Plan, member: Member, fields: Fields) -> None:
    for name, value in fields.items():
        now = None if member.found is None else in_words(current_value(name, member.found))
        plan.differences.append(Difference(member.product.sku, name, now, in_words(value)))
    if member.found is None and not fields:
        plan.differences.append(Difference(member.product.sku, "sku", None, member.product.sku))


def in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {part}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return f"{value:f}" if isinstance(value, Decimal) else str(value if value is not None else "")


# --- fingerprints ----------------------------------------------------------------------------------------------------


def fingerprint(value: Any) -> str:
    """A short name of a value: equal values have equal ones."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:FINGERPRINT_LENGTH]
