"""What is to be written of one family of products: found at the target, compared, reduced to differences. Pure: rows in,
plan out. The source is where the products are kept, the target where they are written (``connectors.product_rules``)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from carts.models import Product, ProductMatch, PushedProduct
from connectors.product_rules import Sides, family_problem, match_key, sku_problem
from connectors.records import ProductFamilyChange, ProductKind, ProductRules, VariantChange
from syncjobs.flows.product_fields import (
    OWN_FIELDS,
    SHARED_FIELDS,
    SUPPLIER_FIELDS,
    Fields,
    base_name,
    current_value,
    fingerprint,
    folded,
    in_words,
    is_there,
    name_key,
    own_fields,
    shared_fields,
)


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
    """One article of a family: the source's row, what is known of it at the target, and what it should be.
    ``linked_id``: the target's product that it is linked to. ``matched_by`` says how ``found`` was found.
    ``left_alone`` is what cannot be written, in words. ``kept_by_other``: another source keeps the target's product, so it
    is linked but not written."""

    product: Product
    link: PushedProduct | None = None
    linked_id: str = ""
    found: Product | None = None
    matched_by: str = ""
    wanted: Fields = field(default_factory=dict)
    problem: Problem | None = None
    left_alone: str = ""
    kept_by_other: bool = False

    @property
    def remote_id(self) -> str:
        return self.found.external_id if self.found is not None else ""

    @property
    def acknowledged(self) -> Mapping[str, str]:
        """Fingerprints of what this very article acknowledged; none when it is another one now."""
        link = self.link
        return link.acknowledged if link is not None and link.remote_id == self.remote_id else {}

    def fingerprints(self) -> dict[str, str]:
        return {} if self.kept_by_other else {name: fingerprint(value) for name, value in self.wanted.items()}


@dataclass(slots=True)
class Plan:
    """What is to be done about one family, or about those of its articles that are one family at the target. No
    ``change`` and no ``problem``: nothing. ``left_out``: the target's product is no goods, and is left alone."""

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


class TargetIndex:
    """Those products of a target that may be the ones wanted, and how that target takes products."""

    def __init__(
        self, rules: ProductRules, sides: Sides, *, ids: set[str], handles: set[str], skus: set[str], names: set[str]
    ) -> None:
        self.rules, self.sides = rules, sides
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
        if self.rules.keeps_handle and (handle := product.handle.casefold()) in self.wanted_handles:
            self.by_handle[handle].append(product)
        if (key := match_key(product.sku, self.rules)) in self.wanted_skus:
            self.by_sku[key].append(product)
        if self.rules.unique_names and (name := name_key(base_name(product))) in self.wanted_names:
            self.families_by_name[name].add(product.family_key)


@dataclass(slots=True)
class Claims:
    """What other families have: articles of the target by id, names and SKUs of families on their way. ``elsewhere``:
    ids of the target's articles that another source keeps."""

    remote_ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    skus: dict[str, str] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)


def plan_family(
    key: str, members: list[Member], index: TargetIndex, claims: Claims, *, full: bool = False
) -> list[Plan]:
    """One plan; several where the target knows the articles of the family as separate products and does not mind.
    ``full`` compares with what the target shows only, whatever it acknowledged earlier."""
    find_members(key, members, index, claims)
    plans = [Plan(key, members)] if index.rules.unique_names else separate(key, members)
    for plan in plans:
        fill_plan(plan, index, claims, full=full)
    return plans


def separate(key: str, members: list[Member]) -> list[Plan]:
    """A plan for each family that the target has of these articles. New ones join the only one there is, else they are
    a family of their own."""
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.found.family_key if member.found is not None else "", []).append(member)
    new = groups.pop("", [])
    if len(groups) <= 1:
        return [Plan(key, members)]
    plans = [Plan(group[0].product.external_id, group) for group in groups.values()]
    return [*plans, Plan(key, new)] if new else plans


def fill_plan(plan: Plan, index: TargetIndex, claims: Claims, *, full: bool) -> None:
    rules, members = index.rules, plan.members
    if any(m.found is not None and m.found.kind != ProductKind.GOODS for m in members):
        plan.left_out = True
        return
    shared = shared_fields(plan.key, [member.product for member in members], index.sides)
    for member in members:
        member.wanted = {**shared, **own_fields(member.product, rules, index.sides)}
        if rules.supply_by_supplier:
            leave_supply_alone(member, index)
    plan.problem = check(plan, index, claims)
    if plan.problem is None:
        make_change(plan, index, full=full)


# --- finding ---------------------------------------------------------------------------------------------------------


def find_members(key: str, members: Sequence[Member], index: TargetIndex, claims: Claims) -> None:
    """Link first, then handle, then SKU. What two products of the source would share goes to neither."""
    rules, sides = index.rules, index.sides
    for member in members:
        if member.linked_id and (found := index.by_id.get(member.linked_id)) is not None:
            member.found, member.matched_by = found, member.link.matched_by if member.link is not None else ""
    taken = {member.remote_id for member in members if member.found is not None}
    of_handle = [row for row in index.by_handle[key.casefold()] if row.external_id not in taken]
    for member in members:
        if member.found is None:
            find_member(member, key, len(members), of_handle, index)
        if member.found is None and member.problem is None and (wrong := sku_problem(member.product.sku, rules, sides)):
            member.problem = Problem(*wrong)
        own = f"{key}|{member.product.external_id}"
        sku = match_key(member.product.sku, rules)
        if member.problem is None and sku and claims.skus.setdefault(sku, own) != own:
            differs = " that differs in letters and digits" if rules.plain_skus else " of its own"
            member.problem = Problem(
                f"The SKU {member.product.sku} stands for more than one product of {sides.source} at {sides.target}.",
                f"Give each product in {sides.source} a SKU{differs}.",
            )
        if member.found is not None and member.remote_id in claims.elsewhere:
            member.kept_by_other = True
        elif member.found is not None and claims.remote_ids.setdefault(member.remote_id, own) != own:
            member.problem = Problem(
                f"The product for {member.product.sku} at {sides.target} is linked to another product of {sides.source}.",
                f"Give each product of {sides.source} its own SKU, and delete the superfluous one.",
            )
        if member.problem is not None:
            member.found = None


def find_member(member: Member, key: str, size: int, of_handle: Sequence[Product], index: TargetIndex) -> None:
    rules, sides = index.rules, index.sides
    sku = match_key(member.product.sku, rules)
    ambiguous = f"Give each product a SKU of its own at {sides.target}, or delete the superfluous ones."
    if of_handle:
        same = [row for row in of_handle if match_key(row.sku, rules) == sku] if sku else []
        same = same or [row for row in of_handle if same_attributes(row, member.product)]
        if size == 1 and len(of_handle) == 1:
            same = list(of_handle)
        if len(same) == 1:
            member.found, member.matched_by = same[0], ProductMatch.HANDLE
        elif len(same) > 1 or size == 1:
            member.problem = Problem(
                f"{len(same) or len(of_handle)} products at {sides.target} have the handle {key}; none can be told to be "
                f"{member.product.sku}.",
                ambiguous,
            )
        if member.found is not None or member.problem is not None:
            return
    if sku_problem(member.product.sku, rules, sides):
        return
    candidates = index.by_sku[sku]
    if len(candidates) == 1:
        member.found = candidates[0]
        is_equal = candidates[0].sku_key == member.product.sku_key
        member.matched_by = ProductMatch.SKU if is_equal else ProductMatch.PLAIN_SKU
    elif candidates:
        names = ", ".join(f"{row.sku} ({row.name})" for row in candidates[:3])
        member.problem = Problem(
            f"The SKU {member.product.sku} fits several products at {sides.target}: {names}.", ambiguous
        )


def same_attributes(found: Product, product: Product) -> bool:
    return bool(product.attributes) and folded(found.attributes) == folded(product.attributes)


def leave_supply_alone(member: Member, index: TargetIndex) -> None:
    found = member.found
    if found is None or found.supplier or "supplier" in member.wanted:
        return
    for name in SUPPLIER_FIELDS:
        if name in member.wanted and not is_there(name, member.wanted[name], found, index.rules):
            del member.wanted[name]
            member.left_alone = (
                f"The product has no supplier at {index.sides.target}, so its supply price and supplier code were left "
                "alone."
            )


# --- checking --------------------------------------------------------------------------------------------------------


def check(plan: Plan, index: TargetIndex, claims: Claims) -> Problem | None:
    """Why the family as a whole cannot be written."""
    members, sides = plan.members, index.sides
    remote_families = {m.found.family_key for m in members if m.found is not None}
    name = str(members[0].wanted.get("name", ""))
    fitting = tuple(variant_change(member, member.wanted) for member in members if member.problem is None)
    if fitting:
        whole = ProductFamilyChange(handle=plan.key, name=name, variants=fitting)
        if found := family_problem(whole, index.rules, len(members), sides):
            return Problem(*found)
    if len(remote_families) > 1:
        return Problem(
            f"The variants of “{name}” are separate products at {sides.target}.",
            f"Make them one product with variants at {sides.target}, or separate products in {sides.source}.",
        )
    if index.rules.distinct_variants and not remote_families and any(member.problem is not None for member in members):
        first = next(member.problem for member in members if member.problem is not None)
        return first if len(members) == 1 else Problem(f"“{name}” was not created: {first.reason}", first.fix)
    if index.rules.unique_names and shares_everything(plan, index):
        known = next((member.found for member in members if member.found is not None), None)
        owners = index.families_by_name[name_key(name)] - remote_families
        if known is not None and name_key(base_name(known)) == name_key(name):
            owners = set()  # as it is there already
        if owners or claims.names.setdefault(name_key(name), plan.key) != plan.key:
            where = f"at {sides.target}" if owners else f"in {sides.source}"
            return Problem(
                f"Another product {where} is already named “{name}”.",
                f"Give the product a name of its own in {sides.source}, or rename the other one at {sides.target}.",
            )
    return None


def shares_everything(plan: Plan, index: TargetIndex) -> bool:
    """Does the whole family at the target belong to this one? Then its common fields are ours to write. A single article
    found by its SKU inside a larger family of the target has only its own fields written."""
    if any(member.kept_by_other for member in plan.members):
        return False
    found = [member.found for member in plan.members if member.found is not None]
    if not found:
        return True
    if index.rules.keeps_handle and any(row.handle.casefold() == plan.key.casefold() for row in found):
        return True
    return len(found) >= index.family_sizes[found[0].family_key]


# --- differences -----------------------------------------------------------------------------------------------------


def make_change(plan: Plan, index: TargetIndex, *, full: bool) -> None:
    rules = index.rules
    members = [member for member in plan.members if member.problem is None]
    if not members:
        return
    known = next((member for member in members if member.found is not None), None)
    shared: Fields = {}
    if known is None:
        shared = {name: value for name, value in members[0].wanted.items() if name in SHARED_FIELDS}
    elif shares_everything(plan, index):
        for member in members:
            if member.found is not None:
                shared |= differences_of(member, SHARED_FIELDS, rules, full)
    variants = []
    for member in members:
        if member.kept_by_other:
            continue
        if member.found is None:
            own = {name: value for name, value in member.wanted.items() if name in OWN_FIELDS}
        else:
            own = differences_of(member, OWN_FIELDS, rules, full)
            if "supplier" in shared:
                own |= {name: member.wanted[name] for name in SUPPLIER_FIELDS if name in member.wanted}
        if own or shared or member.found is None:
            variants.append(variant_change(member, own))
        note_differences(plan, member, {**shared, **own} if member is (known or members[0]) else own, rules)
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


def differences_of(member: Member, names: Iterable[str], rules: ProductRules, full: bool) -> Fields:
    """Fields that the target neither has nor acknowledged in the form wanted."""
    assert member.found is not None
    found: Fields = {}
    for name in names:
        value = member.wanted.get(name)
        if value is None or (not full and member.acknowledged.get(name) == fingerprint(value)):
            continue
        if not is_there(name, value, member.found, rules):
            found[name] = value
    return found


def note_differences(plan: Plan, member: Member, fields: Fields, rules: ProductRules) -> None:
    for name, value in fields.items():
        now = None if member.found is None else in_words(current_value(name, member.found, rules))
        plan.differences.append(Difference(member.product.sku, name, now, in_words(value)))
    if member.found is None and not fields:
        plan.differences.append(Difference(member.product.sku, "sku", None, member.product.sku))
