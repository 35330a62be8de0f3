"""Stock that a WMS posts: counts as of a moment, and changes that happened at a moment. See ``carts.book_counts``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts import book_counts
from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import QuantityText
from carts.api.scoping import LARGEST_ID, actor_of
from carts.api.stock_rows import MOST_ROWS, Errors, RowErrorsSerializer, StockPlaces, read_rows
from carts.book_checks import BookError
from carts.book_counts import PostedChange, PostedStock
from carts.book_ledger import Cause, Why
from carts.models import StockLevel
from carts.models.catalogue import sku_key

OTHERWISE_FIRST = "Left out: the one of the whole call, else the warehouse's default location."
MOMENT = "Of when the count is, by a clock that is right. Left out: the one of the whole call, else now."
HAPPENED = "When it happened. Left out: the moment of the whole call, else now."


def place_field(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=0, max_value=LARGEST_ID, required=False, allow_null=True, help_text=help_text
    )


class CountRowSerializer(serializers.Serializer):
    """One SKU as it was counted: either what lay on the shelf, or what was free."""

    sku = serializers.CharField(max_length=200)
    on_hand = QuantityText(max_digits=15, required=False, help_text="What lay on the shelf, reserved or not.")
    available = QuantityText(
        max_digits=15, required=False, help_text="What was free: without what the orders you had acknowledged need."
    )
    location = place_field(OTHERWISE_FIRST)
    counted_at = serializers.DateTimeField(required=False, allow_null=True, help_text=MOMENT)


class ChangeRowSerializer(serializers.Serializer):
    """What came to one SKU's shelf, or left it."""

    sku = serializers.CharField(max_length=200)
    quantity = QuantityText(max_digits=15, help_text="Added to the shelf; negative: taken from it.")
    location = place_field(OTHERWISE_FIRST)
    counted_at = serializers.DateTimeField(required=False, allow_null=True, help_text=HAPPENED)


class PostingSerializer(serializers.Serializer):
    """What holds for all rows of a call."""

    warehouse = serializers.IntegerField(min_value=0, max_value=LARGEST_ID)
    location = place_field("Of the rows that name none. Left out: the warehouse's default location.")
    counted_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Of the rows that name none. Left out: now."
    )
    note = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=300, help_text="Shown in the stock ledger."
    )


class CountsSerializer(PostingSerializer):
    """Stock as it was counted."""

    rows = CountRowSerializer(many=True)


class KeyedPostingSerializer(PostingSerializer):
    """The same for calls that count once."""

    idempotency_key = serializers.CharField(
        max_length=120, help_text="A text of your own for this call. Sending it again never counts twice."
    )


class ChangesSerializer(KeyedPostingSerializer):
    """Changes of stock."""

    rows = ChangeRowSerializer(many=True)


class OutdatedRowSerializer(serializers.Serializer):
    row = serializers.IntegerField(help_text="Counted from 1.")
    sku = serializers.CharField()
    counted_at = serializers.DateTimeField(help_text="Of when the count is that is known already.")


class PostedSerializer(serializers.Serializer):
    """What the call did, in stock levels. Rows that are older than a count that is known changed nothing."""

    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    outdated = OutdatedRowSerializer(many=True)


class PostedOnceSerializer(PostedSerializer):
    repeated = serializers.BooleanField(help_text="The call came before; this is the answer of then.")


class RowsRefused(Exception):
    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("rows are wrong")
        self.answer = answer


class StockPostingActions:
    """Part of the view set of stock."""

    @extend_schema(
        operation_id="inventory_counts",
        request=CountsSerializer,
        responses={200: PostedSerializer, 400: RowErrorsSerializer, 409: ProblemSerializer},
        filters=False,
    )
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def counts(self, request: Request) -> Response:
        """Takes stock as it was counted at a moment, and brings it up to date: orders that came since, or that the WMS
        did not know, are deducted. All rows, or none when one of them is wrong. A count that is older than the one that
        is known changes nothing."""
        return answer_posting(request, CountRowSerializer(), counted_row, store_counts)

    @extend_schema(
        operation_id="inventory_changes",
        request=ChangesSerializer,
        responses={200: PostedOnceSerializer, 400: RowErrorsSerializer, 409: ProblemSerializer},
        filters=False,
    )
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def changes(self, request: Request) -> Response:
        """Adds to stock and takes from it, once for each `idempotency_key`. Shipments of orders are reported on the
        orders, not here."""
        return answer_posting(request, ChangeRowSerializer(), changed_row, store_changes)


Reader = Callable[[dict[str, Any]], tuple[dict[str, Any], Errors]]
Store = Callable[[Request, dict[str, Any], list[PostedStock]], dict[str, Any]]


def answer_posting(request: Request, reader: serializers.Serializer, number_of: Reader, store: Store) -> Response:
    try:
        call, posted = read_posting(request, reader, number_of)
    except RowsRefused as refused:
        return Response(refused.answer, status=400)
    try:
        return Response(store(request, call, posted))
    except BookError as error:
        raise Conflict(f"{error} {error.fix}".strip()) from error


def store_counts(request: Request, call: dict[str, Any], rows: list[PostedStock]) -> dict[str, Any]:
    why = Why(cause=Cause.COUNT, note=call["note"], actor=actor_of(request))
    with transaction.atomic():
        return answer_of(book_counts.set_counts(call["warehouse"], rows, why), rows)


def store_changes(request: Request, call: dict[str, Any], rows: list[PostedStock]) -> dict[str, Any]:
    actor, key = actor_of(request), call["idempotency_key"]
    why = Why(cause=Cause.CHANGE, document=key, note=call["note"], actor=actor)
    content = json.dumps(
        [[row.location.pk, sku_key(row.sku), str(row.quantity.normalize()), str(row.at)] for row in rows]
    )
    with transaction.atomic():
        answer, repeated = book_counts.once(
            call["warehouse"],
            key,
            content,
            actor,
            lambda: answer_of(book_counts.book_changes(call["warehouse"], rows, why), rows),
        )
    return {**answer, "repeated": repeated}


def answer_of(change: PostedChange, rows: Sequence[PostedStock]) -> dict[str, Any]:
    outdated = [{"row": one.row, "sku": rows[one.row - 1].sku, "counted_at": one.counted_at} for one in change.outdated]
    return dict(
        PostedSerializer(
            {
                "created": change.levels.created,
                "changed": change.levels.changed,
                "unchanged": change.levels.unchanged,
                "outdated": sorted(outdated, key=lambda one: one["row"]),
            }
        ).data
    )


def read_posting(
    request: Request, reader: serializers.Serializer, number_of: Reader
) -> tuple[dict[str, Any], list[PostedStock]]:
    """The call's own fields, and its rows. Raises ``RowsRefused`` and field errors."""
    given = request.data if isinstance(request.data, dict) else {}
    keyed = isinstance(reader, ChangeRowSerializer)
    fields = (KeyedPostingSerializer if keyed else PostingSerializer)(data=given)
    fields.is_valid(raise_exception=True)
    call: dict[str, Any] = dict(fields.validated_data)
    data = given.get("rows")
    if not isinstance(data, list) or not data:
        raise RowsRefused({"detail": "Send a list of rows."})
    if len(data) > MOST_ROWS:
        raise RowsRefused({"detail": f"Send at most {MOST_ROWS:,} rows at once."})
    rows, errors = read_rows(data, reader)
    shared = {"warehouse": call["warehouse"]}
    places = StockPlaces(request, [shared])
    place, problem = places.place_of({**shared, "location": call.get("location")})
    if problem:
        raise serializers.ValidationError(problem)
    now = timezone.now()
    posted: list[PostedStock] = []
    seen: dict[tuple[int, str], int] = {}
    for number, row in enumerate(rows, 1):
        if errors[number - 1]:
            continue
        facts, problem = number_of(row)
        if not problem and row.get("location") is not None:
            place_of_row, problem = places.place_of({**shared, "location": row["location"]})
        else:
            place_of_row = place
        if not problem and place_of_row is not None:
            first = seen.setdefault((place_of_row.pk, sku_key(row["sku"])), number)
            problem = {} if first == number else {"sku": [f"Row {first} is about the same stock."]}
            at = row.get("counted_at") or call.get("counted_at")
            problem = problem or problem_of_moment(at, now)
            posted.append(PostedStock(row=number, location=place_of_row, sku=row["sku"], at=at, **facts))
        errors[number - 1] = problem
    if any(errors):
        wrong = [{"row": number, "errors": error} for number, error in enumerate(errors, 1) if error]
        raise RowsRefused({"rows": wrong})
    return call, posted


def problem_of_moment(at: Any, now: Any) -> Errors:
    try:
        book_counts.check_moment(at, now)
    except BookError as error:
        return {"counted_at": [f"{error} {error.fix}"]}
    return {}


def counted_row(row: dict[str, Any]) -> tuple[dict[str, Any], Errors]:
    if ("on_hand" in row) == ("available" in row):
        return {}, {"on_hand": ["Give either what lay on the shelf or what was free (available)."]}
    counted = StockLevel.Counted.ON_HAND if "on_hand" in row else StockLevel.Counted.AVAILABLE
    return {"quantity": row[counted.value], "counted": counted.value}, {}


def changed_row(row: dict[str, Any]) -> tuple[dict[str, Any], Errors]:
    return {"quantity": row["quantity"]}, {}
