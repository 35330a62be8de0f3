"""Writing products along one route: created once, afterwards only what differs.

A product is due when it, or what the target wants of it, is not what was looked at last (``PushedProduct``); so a round in
which nothing changed is one query and no call. Due families are compared with what the target shows and what it
acknowledged, page by page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice

import msgspec
from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from carts.models import Product, ProductMatch, PushedProduct
from connectors.errors import OutcomeUnknown
from connectors.functions import Function
from connectors.ports import ProductReader, ProductWriter
from connectors.product_rules import match_key
from connectors.records import ProductFamilyChange, ProductRules, VariantChange, WriteResult
from syncjobs.context import PREVIEW_PAGES, RunContext
from syncjobs.failures import Failure, record_failures, settle_external
from syncjobs.flows.catalogue import product_of, refresh_products
from syncjobs.flows.product_fields import fingerprint, name_key
from syncjobs.flows.product_plan import Claims, Member, Plan, Problem, TargetIndex, plan_family
from syncjobs.flows.product_routes import Route, chunks

PRODUCTS_PER_PAGE = 200
SCAN_CHUNK = 1000
# How long after a creation without an answer the remote may still be carrying it out.
DOUBT_LASTS = timedelta(minutes=2)
# One family whose answers get lost must not keep the others from being written; a remote in trouble must.
MOST_UNKNOWN = 3
LONGEST_PROBLEM = 500


@dataclass(slots=True)
class Brought:
    """What a preview found or would create: the target's ids, and SKUs that are not there yet."""

    ids: set[str] = field(default_factory=set)
    skus: set[str] = field(default_factory=set)


class ProductPush:
    """One run along one route. ``unsettled`` holds families whose outcome is unknown: they are not touched again in this
    run."""

    def __init__(self, context: RunContext, route: Route, writer: ProductWriter, rules: ProductRules) -> None:
        self.context = context
        self.route = route
        self.writer = writer
        self.rules = rules
        self.rules_mark = fingerprint(rules)
        self.unsettled: set[str] = set()
        self.trouble: OutcomeUnknown | None = None
        self.unknown = 0
        # The hub's list of the target's products lags behind: at first, and after every page that created some.
        self.is_behind = True
        # In a preview of several sources: what the earlier ones would bring.
        self.brought = Brought()

    def run(self, after: int = 0) -> Brought:
        """Everything that is due, of the source's products after this one. A preview says what it met."""
        run, found = self.context.run, Brought()
        while page := list(self.due().filter(pk__gt=after)[:PRODUCTS_PER_PAGE]):
            after = page[-1].pk
            if run.dry_run:
                met = self.preview(self.plans(page))
                found.ids |= met.ids
                found.skus |= met.skus
                run.pages += 1
                if not run.full and self.context.preview_is_long_enough():
                    break
                continue
            if self.is_behind:
                refresh_products(self.context)
                self.is_behind = False
            if run.full:
                run.count(seen=len(page))
            self.carry_out(self.plans(page), self.route.cursor(after) if run.full else None)
            self.context.check_slice()
        if self.trouble is not None:
            raise self.trouble
        return found

    # --- what is due -------------------------------------------------------------------------------------------------

    def due(self) -> QuerySet[Product]:
        """Products to be looked at: changed ones, ones in doubt, and those with a problem when the target's products
        changed since it was found. All of them in a full pass."""
        products = self.route.candidates().order_by("pk")
        if self.context.run.full:
            return products
        mine = self.route.states().filter(product=OuterRef("pk"))
        done = mine.filter(
            product_updated_at=OuterRef("updated_at"), rules=self.rules_mark, in_doubt_since__isnull=True
        )
        if self.target_changed_at is not None:
            done = done.exclude(~Q(problem="") & Q(checked_at__lt=self.target_changed_at))
        return products.exclude(Exists(done))

    @cached_property
    def target_changed_at(self) -> datetime | None:
        products = Product.objects.filter(connection_id=self.route.target.pk)
        changed: datetime | None = products.aggregate(at=Max("updated_at"))["at"]
        return changed

    # --- planning ----------------------------------------------------------------------------------------------------

    def plans(self, page: Sequence[Product]) -> list[Plan]:
        families = self.families(page)
        rows = [row for members in families.values() for row in members]
        states: dict[int, PushedProduct] = {
            state.product_id: state for part in chunks(rows) for state in self.route.states().filter(product__in=part)
        }
        linked = self.route.linked_ids(rows, states)
        return self.plan(
            {
                key: [Member(row, states.get(row.pk), linked.get(row.pk, "")) for row in members]
                for key, members in families.items()
            }
        )

    def plan(self, families: dict[str, list[Member]]) -> list[Plan]:
        index = self.index(families)
        claims = self.claims(index)
        full = self.context.run.full
        return [
            plan for key, members in families.items() for plan in plan_family(key, members, index, claims, full=full)
        ]

    def families(self, page: Sequence[Product]) -> dict[str, list[Product]]:
        """Family key -> all its members, in their order; the families of the page that were not looked at yet."""
        families: dict[str, list[Product]] = {}
        keys = {row.family_key for row in page} - self.unsettled
        if self.context.run.full:  # a family belongs to the page of its first member
            keys -= self.met_earlier(keys, page[0].pk)
        for part in chunks(sorted(keys)):
            of_part = Q(family_id__in=part) | Q(family_id="", external_id__in=part)
            for row in self.route.candidates().filter(of_part).order_by("pk"):
                families.setdefault(row.family_key, []).append(row)
        return families

    def met_earlier(self, keys: set[str], first_pk: int) -> set[str]:
        earlier = self.route.candidates().filter(pk__lt=first_pk)
        met: set[str] = set()
        for part in chunks(sorted(keys)):
            rows = earlier.filter(Q(family_id__in=part) | Q(family_id="", external_id__in=part))
            met.update(row.family_key for row in rows.only("family_id", "external_id"))
        return met

    def index(self, families: dict[str, list[Member]]) -> TargetIndex:
        members = [member for family in families.values() for member in family]
        index = TargetIndex(
            self.rules,
            self.route.sides,
            ids={member.linked_id for member in members if member.linked_id},
            handles={key.casefold() for key in families},
            skus={key for member in members if (key := match_key(member.product.sku, self.rules))},
            names={name_key(member.product.name) for member in members},
        )
        for product in self.target_products(index):
            index.add(product)
        return index

    def target_products(self, index: TargetIndex) -> Iterable[Product]:
        """The target's products as the hub knows them, all or those that may be meant; for a preview of a target that
        was never read, its first pages."""
        stored = Product.objects.filter(connection_id=self.route.target.pk, deleted=False)
        reader = self.context.connector
        if self.context.run.dry_run and not stored.exists() and isinstance(reader, ProductReader):
            pages = islice(reader.read_products(""), PREVIEW_PAGES)
            read = [record for page in pages for record in page.records if not record.deleted]
            return [product_of(self.route.target, record) for record in read]
        if self.rules.unique_names or self.rules.plain_skus or self.rules.keeps_handle:
            return stored.iterator(chunk_size=SCAN_CHUNK)
        return self.looked_up(stored, index)

    @staticmethod
    def looked_up(stored: QuerySet[Product], index: TargetIndex) -> Iterable[Product]:
        """Those with the wanted ids and SKUs. The sizes of their families are counted, not read."""
        found: dict[int, Product] = {}
        for part in chunks(sorted(index.wanted_ids)):
            found.update((row.pk, row) for row in stored.filter(external_id__in=part))
        for part in chunks(sorted(index.wanted_skus)):
            found.update((row.pk, row) for row in stored.filter(sku_key__in=part))
        named = sorted({row.family_id for row in found.values() if row.family_id})
        for part in chunks(named):
            sizes = stored.filter(family_id__in=part).order_by().values_list("family_id").annotate(Count("pk"))
            read = [row.family_id for row in found.values()]
            index.family_sizes.update({family: size - read.count(family) for family, size in sizes})
        return found.values()

    def claims(self, index: TargetIndex) -> Claims:
        """Which articles of the target are linked already."""
        ids = set(index.by_id)
        for rows in (*index.by_handle.values(), *index.by_sku.values()):
            ids.update(row.external_id for row in rows)
        claims = Claims(elsewhere=set(self.brought.ids))
        for remote_id, product in self.route.owners(ids):
            own = f"{product.family_key}|{product.external_id}"
            if product.connection_id == self.route.source.pk:
                claims.remote_ids.setdefault(remote_id, own)
            elif remote_id not in claims.remote_ids:
                claims.elsewhere.add(remote_id)
        return claims

    # --- carrying out ------------------------------------------------------------------------------------------------

    def carry_out(self, plans: Sequence[Plan], cursor: str | None) -> None:
        waiting: list[Plan] = []
        settled: list[Plan] = []
        for plan in plans:
            (settled if plan.change is None or self.was_refused(plan) else waiting).append(plan)
        with self.context.page(None):
            self.settle_without_call(settled)
        in_hub = self.context.connector.stores_in_hub
        # What is written into our own database commits together with what we remember of it.
        with transaction.atomic() if in_hub else nullcontext():
            for plan in waiting:
                if not in_hub:
                    self.context.check_slice()
                self.write(plan)
        if cursor is not None:
            with self.context.page(cursor):
                pass

    def was_refused(self, plan: Plan) -> bool:
        """The very same change was refused before: it is not sent again."""
        change = plan.change
        if change is None or self.context.run.full:
            return False
        tried = {m.product.external_id: m.link.tried for m in plan.members if m.link is not None and m.link.tried}
        return all(tried.get(variant.reference) == mark_of(change, variant) for variant in change.variants)

    def settle_without_call(self, plans: Sequence[Plan]) -> None:
        links: list[PushedProduct] = []
        failures: list[Failure] = []
        healed: list[str] = []
        for plan in plans:
            known = known_problems(plan)
            links += [self.link_of(member) for member in plan.members]
            if plan.change is not None:
                self.context.run.count(refused_before=1)
                continue
            for member, link in zip(plan.members, links[-len(plan.members) :], strict=True):
                is_bad = plan.problem is not None or member.problem is not None
                link.tried, link.problem = "", words_of(plan.problems) if is_bad else ""
                if not is_bad and not plan.left_out:
                    link.remote_id, link.acknowledged = member.remote_id, member.fingerprints()
                    link.matched_by, link.note = member.matched_by, member.left_alone
                    link.in_doubt_since = None
                    self.tell(member, member.left_alone)
            if plan.problems:
                failures += new_failures(plan, plan.problems, known)
            elif known:
                healed.append(plan.key)
            left_out = plan.left_out or bool(plan.problems)
            self.context.run.count(
                left_alone=sum(bool(member.left_alone) for member in plan.members),
                skipped=len(plan.members) if plan.left_out else 0,
                unchanged=0 if left_out else sum(not member.kept_by_other for member in plan.members),
                kept_by_other=0 if left_out else sum(member.kept_by_other for member in plan.members),
            )
        self.route.store(links)
        self.file(failures, healed)

    def write(self, plan: Plan) -> None:
        change = plan.change
        assert change is not None
        if self.must_wait(plan):
            self.unsettled.add(plan.key)
            self.context.run.count(waiting=len(plan.members))
            return
        new = [member for member in plan.members if member.found is None and member.problem is None]
        if new:
            self.is_behind = True
            with self.context.page(None):
                self.doubt(new)
        try:
            results = self.writer.write_products(change)
        except OutcomeUnknown as error:
            self.leave_for_later(plan, error)
            return
        except Exception:
            if not change.in_doubt:  # nothing was created: there is nothing to doubt
                self.route.states().filter(product__in=[m.product for m in new]).update(in_doubt_since=None)
            raise
        with self.context.page(None):
            self.settle(plan, results)

    def must_wait(self, plan: Plan) -> bool:
        """A creation whose answer was lost a moment ago may still be under way."""
        now = timezone.now()
        doubts = [m.link.in_doubt_since for m in plan.members if m.found is None and m.link and m.link.in_doubt_since]
        return any(now - doubt < DOUBT_LASTS for doubt in doubts)

    def doubt(self, members: Sequence[Member]) -> None:
        now = timezone.now()
        links = []
        for member in members:
            link = member.link or self.route.new_state(member.product)
            link.in_doubt_since = link.in_doubt_since or now
            links.append(link)
        self.route.store(links)

    def leave_for_later(self, plan: Plan, error: OutcomeUnknown) -> None:
        """The family waits for another run; after a few of them the remote is taken to be in trouble."""
        self.unsettled.add(plan.key)
        self.trouble = error
        self.unknown += 1
        if self.unknown >= MOST_UNKNOWN:
            raise error

    def settle(self, plan: Plan, results: Sequence[WriteResult]) -> None:
        """Takes in what the writer says. A member without a result was not written and stays due."""
        change = plan.change
        assert change is not None
        answers = {result.reference: result for result in results}
        written = {variant.reference: variant for variant in change.variants}
        known = known_problems(plan)
        refused = [Problem(result.reason, result.fix) for result in results if not result.ok]
        problems = list(dict.fromkeys([*plan.problems, *refused]))
        links: list[PushedProduct] = []
        for member in plan.members:
            reference = member.product.external_id
            result = answers.get(reference)
            if reference in written and result is None:
                continue
            link = self.link_of(member)
            link.tried, link.problem = "", ""
            if member.problem is not None:
                link.problem = words_of(problems)
            elif result is not None and not result.ok:
                link.problem, link.tried = words_of(problems), mark_of(change, written[reference])
                link.in_doubt_since = None
            else:
                self.acknowledge(plan, member, link, result)
            links.append(link)
        self.route.store(links)
        self.file(new_failures(plan, problems, known), [] if problems else [plan.key])

    def acknowledge(self, plan: Plan, member: Member, link: PushedProduct, result: WriteResult | None) -> None:
        """The target has it now as it should be. An article found after its creation got no answer is compared once
        more."""
        assert plan.change is not None
        is_new = member.found is None
        link.remote_id = result.remote_id if result is not None else member.remote_id
        link.matched_by = member.matched_by or (ProductMatch.CREATED if is_new else "")
        link.acknowledged = member.fingerprints()
        link.in_doubt_since = None
        if result is not None:
            link.written_at = timezone.now()
            link.note = (result.reason or member.left_alone)[:LONGEST_PROBLEM]
            self.tell(member, link.note)
            self.context.run.count(created=int(is_new), updated=int(not is_new), left_alone=int(bool(link.note)))
        if is_new and plan.change.in_doubt:
            link.acknowledged, link.product_updated_at = {}, None

    # --- keeping -----------------------------------------------------------------------------------------------------

    def tell(self, member: Member, left_alone: str) -> None:
        """What was left alone, for the run's page."""
        if left_alone:
            self.context.preview(sku=member.product.sku, left_alone=left_alone)

    def link_of(self, member: Member) -> PushedProduct:
        """What is known of the member at the target, marked as looked at now."""
        link = member.link or self.route.new_state(member.product)
        link.product_updated_at, link.rules, link.checked_at = (
            member.product.updated_at,
            self.rules_mark,
            timezone.now(),
        )
        return link

    def file(self, failures: Sequence[Failure], healed: Sequence[str]) -> None:
        rejected = record_failures(self.route.target, Function.PRODUCT_DETAIL_SYNC, failures)
        for part in chunks(healed):
            settle_external(self.route.target, Function.PRODUCT_DETAIL_SYNC, part)
        self.context.run.count(rejected=rejected)

    # --- preview -----------------------------------------------------------------------------------------------------

    def preview(self, plans: Sequence[Plan]) -> Brought:
        """What would be created, changed and refused, field by field."""
        brought = Brought()
        for plan in plans:
            for problem in plan.problems:
                self.context.preview(
                    sku=plan.members[0].product.sku, what="refuse", field="", now="", then=problem.reason
                )
            self.context.run.count(rejected=int(bool(plan.problems)), skipped=len(plan.members) if plan.left_out else 0)
            if plan.problem is not None or plan.left_out:
                continue
            good = [member for member in plan.members if member.problem is None]
            new = {match_key(m.product.sku, self.rules) for m in good if m.found is None}
            again = new & self.brought.skus
            brought.ids |= {member.remote_id for member in good if member.found is not None}
            brought.skus |= new
            variants = plan.change.variants if plan.change is not None else ()
            created = [one for one in variants if not one.remote_id and match_key(one.sku, self.rules) not in again]
            changed = sum(bool(one.remote_id) for one in variants)
            kept = sum(member.kept_by_other for member in good) + len(again)
            self.context.run.count(
                create=len(created),
                update=changed,
                kept_by_other=kept,
                unchanged=len(good) - kept - len(created) - changed,
            )
            for one in plan.differences if created or changed else ():
                what = "create" if one.now is None else "change"
                self.context.preview(sku=one.sku, what=what, field=one.name, now=one.now or "", then=one.then)
        return brought


def known_problems(plan: Plan) -> set[str]:
    """What the family's members were told before."""
    return {member.link.problem for member in plan.members if member.link is not None and member.link.problem}


def new_failures(plan: Plan, problems: Sequence[Problem], known: set[str]) -> list[Failure]:
    """The failure of a family, unless it is the one that is known already."""
    words = words_of(problems)
    if not problems or words in known:
        return []
    return [
        Failure(
            external_id=plan.key,
            cause="product_refused",
            reason=words,
            fix=next((problem.fix for problem in problems if problem.fix), ""),
            payload=msgspec.json.encode(plan.change).decode() if plan.change is not None else "",
        )
    ]


def words_of(problems: Sequence[Problem]) -> str:
    return " ".join(dict.fromkeys(problem.reason for problem in problems))[:LONGEST_PROBLEM]


def mark_of(change: ProductFamilyChange, variant: VariantChange) -> str:
    """A fingerprint of what a change writes of one variant and of its family."""
    return fingerprint(replace(change, variants=(variant,), in_doubt=False))
