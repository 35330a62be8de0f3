"""Failed records: read, corrected, reprocessed, ignored."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.orders import OrderChangeSerializer
from carts.api.scoping import MerchantScopedMixin, actor_of
from carts.forms.people import people_who_may_see
from carts.order_edits import EditInvalid
from syncjobs.api.runs import FUNCTION_CHOICES
from syncjobs.failures import NotReprocessed, correct, ignore, reprocess, reprocess_all
from syncjobs.models import FailedRecord


class FailedRecordSerializer(HubSerializer):
    """What could not be taken in or sent, with the reason and what to do."""

    owner = serializers.SerializerMethodField(help_text="The user name of who looks after it; null: nobody.")

    class Meta:
        model = FailedRecord
        fields = [
            "id",
            "connection",
            "function",
            "external_id",
            "cause",
            "reason",
            "fix",
            "order",
            "delivery",
            "status",
            "count",
            "first_seen_at",
            "last_seen_at",
            "settled_at",
            "settled_by",
            "note",
            "owner",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_owner(self, record: FailedRecord) -> str | None:
        return record.owner.get_username() if record.owner is not None else None


class FailedRecordDetailSerializer(FailedRecordSerializer):
    """With the record as it came."""

    class Meta(FailedRecordSerializer.Meta):
        fields = [*FailedRecordSerializer.Meta.fields, "payload"]
        read_only_fields = fields


class IgnoreSerializer(serializers.Serializer[None]):
    reason = serializers.CharField(max_length=300, help_text="Why it can be left alone.")


class AssignSerializer(serializers.Serializer[None]):
    owner = serializers.CharField(max_length=150, allow_blank=True, help_text='A user name; "" for nobody.')


class CorrectionSerializer(OrderChangeSerializer):
    """What is wrong in the order that failed. Parts of the address and lines that are left out stay as they are."""

    reprocess = serializers.BooleanField(default=True, help_text="Send the order again after that.")


class CauseSerializer(serializers.Serializer[None]):
    """Which open records: all with this cause, of one connection and function where given."""

    cause = serializers.CharField(max_length=60)
    connection = serializers.IntegerField(required=False)
    function = serializers.ChoiceField(choices=FUNCTION_CHOICES, required=False)


class ReprocessedSerializer(serializers.Serializer[None]):
    reprocessed = serializers.IntegerField()
    still_failing = serializers.IntegerField()
    left = serializers.IntegerField(help_text="Records beyond the first thousand: call again.")


class FailedRecordFilter(django_filters.FilterSet):
    connection = IdFilter()
    order = IdFilter()
    function = django_filters.ChoiceFilter(choices=FUNCTION_CHOICES)
    status = django_filters.ChoiceFilter(choices=FailedRecord.Status.choices)
    cause = django_filters.CharFilter()
    external_id = django_filters.CharFilter()
    seen_since = MomentFilter(field_name="last_seen_at", lookup_expr="gte")


class FailedRecordViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[FailedRecord]):
    """Kept until they are reprocessed or ignored."""

    queryset = FailedRecord.objects.order_by("-last_seen_at", "-pk")
    merchant_path = "connection__merchant"
    filterset_class = FailedRecordFilter

    def get_queryset(self) -> QuerySet[FailedRecord]:
        rows = super().get_queryset()
        rows = rows.select_related("owner")
        return rows.defer("payload") if self.action == "list" else rows.select_related("connection", "order")

    def get_serializer_class(self) -> type[FailedRecordSerializer]:
        return FailedRecordSerializer if self.action == "list" else FailedRecordDetailSerializer

    @extend_schema(request=None, responses={200: FailedRecordDetailSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def reprocess(self, request: Request, pk: str) -> Response:
        """Tries the record again, now. 409 with the reason when it still fails."""
        record = self.get_object()
        try:
            reprocess(record, actor_of(request))
        except NotReprocessed as error:
            raise Conflict(str(error)) from error
        return self.show(record)

    @extend_schema(request=CorrectionSerializer, responses={200: FailedRecordDetailSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def correct(self, request: Request, pk: str) -> Response:
        """Corrects the order that failed, and reprocesses the record. 409 when it is settled, or the order was sent."""
        record = self.get_object()
        given = CorrectionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            correct(record, actor_of(request), given.changes())
            if given.validated_data["reprocess"]:
                reprocess(record, actor_of(request))
        except EditInvalid as invalid:
            raise serializers.ValidationError(invalid.errors) from invalid
        except NotReprocessed as error:
            raise Conflict(str(error)) from error
        return self.show(record)

    @extend_schema(request=IgnoreSerializer, responses={200: FailedRecordDetailSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def ignore(self, request: Request, pk: str) -> Response:
        """Leaves the record alone for good."""
        record = self.get_object()
        given = IgnoreSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        if record.status != FailedRecord.Status.OPEN:
            raise Conflict("This record was settled before.")
        ignore(record, given.validated_data["reason"], actor_of(request))
        return self.show(record)

    @extend_schema(request=AssignSerializer, responses={200: FailedRecordDetailSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:
        """Says who looks after the record."""
        record = self.get_object()
        given = AssignSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        name = given.validated_data["owner"]
        owner = people_who_may_see({record.connection.merchant_id}).filter(username=name).first() if name else None
        if name and owner is None:
            raise serializers.ValidationError({"owner": ["Nobody of this name may see this record."]})
        FailedRecord.objects.filter(pk=record.pk).update(owner=owner)
        return self.show(record)

    @extend_schema(request=CauseSerializer, responses={200: ReprocessedSerializer})
    @action(detail=False, methods=["post"], url_path="reprocess-cause", filter_backends=(), pagination_class=None)
    def reprocess_cause(self, request: Request) -> Response:
        """Tries all open records with the same cause again, a thousand at a time."""
        given = CauseSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        outcome = reprocess_all(
            self.get_queryset().filter(status=FailedRecord.Status.OPEN, **given.validated_data), actor_of(request)
        )
        return Response({"reprocessed": outcome.done, "still_failing": len(outcome.refused), "left": outcome.left})

    def show(self, record: FailedRecord) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=record.pk)).data)
