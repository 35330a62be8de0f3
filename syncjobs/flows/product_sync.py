"""Product Detail Sync: the warehouse's products to a cart - created once, afterwards only what differs.

A product is due when it, or what the cart's options want of it, is not what was looked at last (``ProductLink``); so a
round in which nothing changed is one query and no call. Due families are compared with what the cart shows and what it
acknowledged, page by page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import TypeVar, cast

import msgspec
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from carts.models import Cart, Product, ProductLink, Warehouse
from connectors.errors import ConfigurationInvalid, OutcomeUnknown
from connectors.functions import Function
from connectors.ports import ProductReader, ProductWriter
from connectors.product_rules import match_key
from connectors.records import ProductFamilyChange, ProductKind, ProductRules, VariantChange, WriteResult
from syncjobs.context import PREVIEW_PAGES, RunContext
from syncjobs.failures import Failure, record_failures, settle_external
from syncjobs.flows.catalogue import product_of, refresh_products
from syncjobs.flows.product_plan import CartIndex, Claims, Member, Plan, Problem, fingerprint, name_key, plan_family
from syncjobs.models import FailedRecord, Run
from syncjobs.schedule import request_run

PRODUCTS_PER_PAGE = 200
LOOKUP_CHUNK = 500
SCAN_CHUNK = 1000
# How long after a creation without an answer the remote may still be carrying it out.
DOUBT_LASTS = timedelta(minutes=2)
# One family whose answers get lost must not keep the others from being written; a remote in trouble must.
MOST_UNKNOWN = 3
LONGEST_PROBLEM = 500
WRITTEN = [
    "remote_id",
    "acknowledged",
    "product_updated_at",
    "rules",
    "checked_at",
    "written_at",
    "problem",
    "tried",
    "in_doubt_since",
]

T = TypeVar("T")


def push_products(context: RunContext) -> None:
    warehouse = context.cart.warehouse
    if warehouse is None:
        raise ConfigurationInvalid(
            f"{context.cart} has no warehouse to take products from.", fix="Choose a warehouse in the cart's settings."
        )
    writer = cast(ProductWriter, context.connector)
    rules = writer.product_rules()
    if rules.off_reason:
        context.run.count(option_is_no=1)
        if context.run.dry_run:
            context.preview(sku="", what="nothing", field="", now="", then=rules.off_reason)
        return
    ProductPush(context, warehouse, writer, rules).run()


class ProductPush:
    """One run. ``unsettled`` holds families whose outcome is unknown: they are not touched again in this run."""

    def __init__(self, context: RunContext, warehouse: Warehouse, writer: ProductWriter, rules: ProductRules) -> None:
        self.context = context
        self.warehouse = warehouse
        self.cart: Cart = context.cart
        self.writer = writer
        self.rules = rules
        self.rules_mark = fingerprint(rules)
        self.unsettled: set[str] = set()
        self.trouble: OutcomeUnknown | None = None
        self.unknown = 0
        # The hub's list of the cart's products lags behind: at first, and after every page that created some.
        self.is_behind = True

    def run(self) -> None:
        run = self.context.run
        after = int(self.context.start_cursor() or 0) if run.full else 0
        while page := list(self.due().filter(pk__gt=after)[:PRODUCTS_PER_PAGE]):
            after = page[-1].pk
            if run.dry_run:
                self.preview(self.plans(page))
                run.pages += 1
                if self.context.preview_is_long_enough():
                    break
                continue
            if self.is_behind:
                refresh_products(self.context)
                self.is_behind = False
            self.carry_out(self.plans(page), str(after) if run.full else None)
            self.context.check_slice()
        if self.trouble is not None:
            raise self.trouble

    # --- what is due -------------------------------------------------------------------------------------------------

    def due(self) -> QuerySet[Product]:
        """Products to be looked at: changed ones, ones in doubt, and those with a problem when the cart's products
        changed since it was found. All of them in a full pass."""
        products = self.candidates().order_by("pk")
        if self.context.run.full:
            return products
        mine = ProductLink.objects.filter(cart=self.cart, product=OuterRef("pk"))
        done = mine.filter(
            product_updated_at=OuterRef("updated_at"), rules=self.rules_mark, in_doubt_since__isnull=True
        )
        if self.cart_changed_at is not None:
            done = done.exclude(~Q(problem="") & Q(checked_at__lt=self.cart_changed_at))
        return products.exclude(Exists(done))

    @cached_property
    def cart_changed_at(self) -> datetime | None:
        changed: datetime | None = Product.objects.filter(connection_id=self.cart.pk).aggregate(at=Max("updated_at"))[
            "at"
        ]
        return changed

    # --- planning ----------------------------------------------------------------------------------------------------

    def plans(self, page: Sequence[Product]) -> list[Plan]:
        families = self.families(page)
        rows = [row for members in families.values() for row in members]
        links = {
            link.product_id: link
            for part in chunks(rows)
            for link in ProductLink.objects.filter(cart=self.cart, product__in=part)
        }
        index = self.index(families, links)
        claims = self.claims(index)
        full = self.context.run.full
        return [
            plan_family(key, members, links, index, self.rules, claims, full=full) for key, members in families.items()
        ]

    def families(self, page: Sequence[Product]) -> dict[str, list[Product]]:
        """Family key -> all its members, in their order; the families of the page that were not looked at yet."""
        families: dict[str, list[Product]] = {}
        keys = {row.family_key for row in page} - self.unsettled
        if self.context.run.full:  # a family belongs to the page of its first member
            keys -= self.met_earlier(keys, page[0].pk)
        for part in chunks(sorted(keys)):
            of_part = Q(family_id__in=part) | Q(family_id="", external_id__in=part)
            for row in self.candidates().filter(of_part).order_by("pk"):
                families.setdefault(row.family_key, []).append(row)
        return families

    def candidates(self) -> QuerySet[Product]:
        return Product.objects.filter(
            connection_id=self.warehouse.pk, deleted=False, is_active=True, kind=ProductKind.GOODS
        )

    def met_earlier(self, keys: set[str], first_pk: int) -> set[str]:
        earlier = self.candidates().filter(pk__lt=first_pk)
        met: set[str] = set()
        for part in chunks(sorted(keys)):
            rows = earlier.filter(Q(family_id__in=part) | Q(family_id="", external_id__in=part))
            met.update(row.family_key for row in rows.only("family_id", "external_id"))
        return met

    def index(self, families: dict[str, list[Product]], links: dict[int, ProductLink]) -> CartIndex:
        rows = [row for members in families.values() for row in members]
        index = CartIndex(
            self.rules,
            ids={link.remote_id for link in links.values() if link.remote_id},
            handles={key.casefold() for key in families},
            skus={key for row in rows if (key := match_key(row.sku, self.rules))},
            names={name_key(row.name) for row in rows},
        )
        for product in self.cart_products():
            index.add(product)
        return index

    def cart_products(self) -> Iterable[Product]:
        """The cart's products as the hub knows them; for a preview of a cart that was never read, its first pages."""
        stored = Product.objects.filter(connection_id=self.cart.pk, deleted=False)
        reader = self.context.connector
        if self.context.run.dry_run and not stored.exists() and isinstance(reader, ProductReader):
            pages = islice(reader.read_products(""), PREVIEW_PAGES)
            return [product_of(self.cart, record) for page in pages for record in page.records if not record.deleted]
        return stored.iterator(chunk_size=SCAN_CHUNK)

    def claims(self, index: CartIndex) -> Claims:
        """Which articles of the cart are linked already."""
        ids = set(index.by_id)
        for rows in (*index.by_handle.values(), *index.by_sku.values()):
            ids.update(row.external_id for row in rows)
        claims = Claims()
        for part in chunks(sorted(ids)):
            linked = ProductLink.objects.filter(cart=self.cart, remote_id__in=part, product__deleted=False)
            linked = linked.filter(product__connection_id=self.warehouse.pk)
            for link in linked.select_related("product").order_by("pk"):
                claims.remote_ids.setdefault(link.remote_id, f"{link.product.family_key}|{link.product.external_id}")
        return claims

    # --- carrying out ------------------------------------------------------------------------------------------------

    def carry_out(self, plans: Sequence[Plan], cursor: str | None) -> None:
        waiting: list[Plan] = []
        settled: list[Plan] = []
        for plan in plans:
            (settled if plan.change is None or self.was_refused(plan) else waiting).append(plan)
        with self.context.page(None):
            self.settle_without_call(settled)
        for plan in waiting:
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
        links: list[ProductLink] = []
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
                    link.in_doubt_since = None
            if plan.problems:
                failures += new_failures(plan, plan.problems, known)
            elif known:
                healed.append(plan.key)
            self.context.run.count(
                left_alone=sum(member.left_alone for member in plan.members),
                skipped=len(plan.members) if plan.left_out else 0,
                unchanged=0 if plan.left_out or plan.problems else len(plan.members),
            )
        store(links)
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
                ProductLink.objects.filter(cart=self.cart, product__in=[m.product for m in new]).update(
                    in_doubt_since=None
                )
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
            link = member.link or ProductLink(cart=self.cart, product=member.product)
            link.in_doubt_since = link.in_doubt_since or now
            links.append(link)
        store(links)

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
        links: list[ProductLink] = []
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
        store(links)
        self.file(new_failures(plan, problems, known), [] if problems else [plan.key])

    def acknowledge(self, plan: Plan, member: Member, link: ProductLink, result: WriteResult | None) -> None:
        """The cart has it now as it should be. An article found after its creation got no answer is compared once
        more."""
        assert plan.change is not None
        is_new = member.found is None
        link.remote_id = result.remote_id if result is not None else member.remote_id
        link.acknowledged = member.fingerprints()
        link.in_doubt_since = None
        if result is not None:
            link.written_at = timezone.now()
            left_alone = member.left_alone or bool(result.reason)
            self.context.run.count(created=int(is_new), updated=int(not is_new), left_alone=int(left_alone))
        if is_new and plan.change.in_doubt:
            link.acknowledged, link.product_updated_at = {}, None

    # --- keeping -----------------------------------------------------------------------------------------------------

    def link_of(self, member: Member) -> ProductLink:
        """The member's link, marked as looked at now."""
        link = member.link or ProductLink(cart=self.cart, product=member.product)
        link.product_updated_at, link.rules, link.checked_at = (
            member.product.updated_at,
            self.rules_mark,
            timezone.now(),
        )
        return link

    def file(self, failures: Sequence[Failure], healed: Sequence[str]) -> None:
        rejected = record_failures(self.cart, Function.PRODUCT_DETAIL_SYNC, failures)
        for part in chunks(healed):
            settle_external(self.cart, Function.PRODUCT_DETAIL_SYNC, part)
        self.context.run.count(rejected=rejected)

    # --- preview -----------------------------------------------------------------------------------------------------

    def preview(self, plans: Sequence[Plan]) -> None:
        """What would be created, changed and refused, field by field."""
        for plan in plans:
            for problem in plan.problems:
                self.context.preview(
                    sku=plan.members[0].product.sku, what="refuse", field="", now="", then=problem.reason
                )
            self.context.run.count(rejected=int(bool(plan.problems)), skipped=len(plan.members) if plan.left_out else 0)
            if plan.change is None:
                continue
            for one in plan.differences:
                what = "create" if one.now is None else "change"
                self.context.preview(sku=one.sku, what=what, field=one.name, now=one.now or "", then=one.then)
            new = sum(not variant.remote_id for variant in plan.change.variants)
            known = sum(bool(variant.remote_id) for variant in plan.change.variants)
            self.context.run.count(create=new, update=known or int(not new))


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


def store(links: Sequence[ProductLink]) -> None:
    """New links and changed ones, in one statement."""
    for link in links:
        link.pk = None
    ProductLink.objects.bulk_create(
        links, update_conflicts=True, unique_fields=["cart", "product"], update_fields=WRITTEN, batch_size=LOOKUP_CHUNK
    )


def chunks(items: Sequence[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, LOOKUP_CHUNK)):
        yield chunk


def push_again(record: FailedRecord, actor: str) -> None:
    """Lets the next Product Detail Sync try a family once more."""
    links = ProductLink.objects.filter(cart_id=record.connection_id).filter(
        Q(product__external_id=record.external_id) | Q(product__family_id=record.external_id)
    )
    links.update(tried="", problem="", product_updated_at=None)
    request_run(record.connection, Function.PRODUCT_DETAIL_SYNC, Run.Trigger.PERSON, requested_by=actor)
