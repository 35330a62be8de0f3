"""Reconciliation over REST: ask for comparisons, read what does not agree, fix or accept it."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter
from carts.api.scoping import MerchantScopedMixin, ScopedRelatedField, actor_of
from carts.models import Cart
from connectors.functions import Function
from syncjobs.models import Mismatch, Reconciliation, Run
from syncjobs.reconciliation import PeriodInvalid, accept, accept_all, request_reconciliation
from syncjobs.reconciliation_fixes import NotFixed, fix, fix_all

MOST_TOLD = 20


class ReconciliationSerializer(HubSerializer):
    """One comparison. `counts` says what was looked at, `left_out` in sentences what was not, and why, `found` how many
    things did not agree, `error` why it did not get to its end yet."""

    class Meta:
        model = Reconciliation
        fields = [
            "id",
            "cart",
            "run",
            "since",
            "until",
            "state",
            "requested_by",
            "requested_at",
            "finished_at",
            "counts",
            "left_out",
            "found",
            "error",
        ]
        read_only_fields = fields


class NewReconciliationSerializer(serializers.Serializer[None]):
    cart = ScopedRelatedField(queryset=Cart.objects.all())
    since = serializers.DateTimeField(required=False, help_text="Default: seven days before `until`.")
    until = serializers.DateTimeField(required=False, help_text="Default, and at most: ten minutes ago.")

    def validate_cart(self, cart: Cart) -> Cart:
        if Function.RECONCILIATION not in cart.possible_functions:
            raise serializers.ValidationError("This system cannot list its orders by date.")
        return cart


class ReconciliationFilter(django_filters.FilterSet):
    cart = IdFilter()
    state = django_filters.ChoiceFilter(choices=Reconciliation.State.choices)


class ReconciliationViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[Reconciliation]):
    """Comparisons of carts, hub and warehouses, newest first."""

    queryset = Reconciliation.objects.order_by("-pk")
    merchant_path = "cart__merchant"
    filterset_class = ReconciliationFilter
    serializer_class = ReconciliationSerializer

    @extend_schema(request=NewReconciliationSerializer, responses={202: ReconciliationSerializer})
    def create(self, request: Request) -> Response:
        """Asks for a comparison; a worker makes it. Nothing is changed by it."""
        given = NewReconciliationSerializer(data=request.data, context=self.get_serializer_context())
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        try:
            report, _ = request_reconciliation(
                wanted["cart"], Run.Trigger.API, wanted.get("since"), wanted.get("until"), actor_of(request)
            )
        except PeriodInvalid as error:
            raise serializers.ValidationError({"since": [str(error)]}) from error
        report.refresh_from_db()
        return Response(ReconciliationSerializer(report).data, status=202)


class MismatchSerializer(HubSerializer):
    """Something that cart, hub and warehouse say differently: `here` is the hub's word, `there` the other side's, which
    `place` names."""

    class Meta:
        model = Mismatch
        fields = [
            "id",
            "cart",
            "report",
            "cause",
            "subject",
            "label",
            "order",
            "placed_at",
            "here",
            "there",
            "place",
            "state",
            "first_seen_at",
            "last_seen_at",
            "settled_at",
            "settled_by",
            "note",
        ]
        read_only_fields = fields


class AcceptSerializer(serializers.Serializer[None]):
    reason = serializers.CharField(max_length=300, help_text="Why it can stay as it is.")


class WhichSerializer(serializers.Serializer[None]):
    """Which open mismatches: of one cause and one cart where given, else all."""

    cause = serializers.ChoiceField(choices=Mismatch.Cause.choices, required=False)
    cart = serializers.IntegerField(required=False)


class AcceptManySerializer(WhichSerializer, AcceptSerializer):
    pass


class FixedSerializer(serializers.Serializer[None]):
    fixed = serializers.IntegerField()
    refused = serializers.ListField(child=serializers.CharField(), help_text="Why not, of the first twenty.")
    left = serializers.IntegerField(help_text="Mismatches beyond the first thousand: call again.")


class AcceptedSerializer(serializers.Serializer[None]):
    accepted = serializers.IntegerField()


class MismatchFilter(django_filters.FilterSet):
    cart = IdFilter()
    order = IdFilter()
    report = IdFilter()
    cause = django_filters.ChoiceFilter(choices=Mismatch.Cause.choices)
    state = django_filters.ChoiceFilter(choices=Mismatch.State.choices)


class MismatchViewSet(
    MerchantScopedMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Mismatch]
):
    """What does not agree, oldest first."""

    queryset = Mismatch.objects.order_by("first_seen_at", "pk")
    merchant_path = "cart__merchant"
    filterset_class = MismatchFilter
    serializer_class = MismatchSerializer

    def which(self, given: dict[str, Any]) -> QuerySet[Mismatch]:
        chosen = {name: given[name] for name in ("cause", "cart") if name in given}
        return self.get_queryset().filter(state=Mismatch.State.OPEN, **chosen)

    @extend_schema(request=WhichSerializer, responses={200: FixedSerializer})
    @action(detail=False, methods=["post"], url_path="fix-all", filter_backends=(), pagination_class=None)
    def fix_all(self, request: Request) -> Response:
        """Mends all open ones, or those of one cause, a thousand at a time. What only a person can decide is left."""
        given = WhichSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        outcome = fix_all(self.which(given.validated_data), actor_of(request))
        return Response({"fixed": outcome.done, "refused": outcome.refused[:MOST_TOLD], "left": outcome.left})

    @extend_schema(request=AcceptManySerializer, responses={200: AcceptedSerializer})
    @action(detail=False, methods=["post"], url_path="accept-all", filter_backends=(), pagination_class=None)
    def accept_all(self, request: Request) -> Response:
        """Leaves all open ones, or those of one cause, as they are."""
        given = AcceptManySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        return Response({"accepted": accept_all(self.which(wanted), wanted["reason"], actor_of(request))})

    @extend_schema(request=None, responses={200: MismatchSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def fix(self, request: Request, pk: str) -> Response:
        """Reads, sends or pushes again, whatever fits the cause. 409 when only a person can decide."""
        row = self.get_object()
        try:
            fix(row, actor_of(request))
        except NotFixed as error:
            raise Conflict(str(error)) from error
        row.refresh_from_db()
        return Response(MismatchSerializer(row).data)

    @extend_schema(request=AcceptSerializer, responses={200: MismatchSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: str) -> Response:
        """Leaves the difference alone as long as both sides keep saying what they say now."""
        row = self.get_object()
        given = AcceptSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        if row.state not in (Mismatch.State.OPEN, Mismatch.State.FIXING):
            raise Conflict("This was settled before.")
        accept(row, given.validated_data["reason"], actor_of(request))
        row.refresh_from_db()
        return Response(MismatchSerializer(row).data)
