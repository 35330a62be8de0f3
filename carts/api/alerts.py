"""Alerts: read, resolved, muted."""

from __future__ import annotations

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.alerting import close
from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin, actor_of
from carts.models import Alert


class AlertSerializer(HubSerializer):
    """Something that went wrong, with the way to mend it. It closes itself when the cause is gone."""

    merchant = serializers.SlugRelatedField(slug_field="slug", read_only=True)

    class Meta:
        model = Alert
        fields = [
            "id",
            "merchant",
            "connection",
            "kind",
            "severity",
            "status",
            "message",
            "fix",
            "link",
            "count",
            "first_seen_at",
            "last_seen_at",
            "resolved_at",
            "resolved_by",
        ]
        read_only_fields = fields


class AlertFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=Alert.Status.choices)
    severity = django_filters.ChoiceFilter(choices=Alert.Severity.choices)
    kind = django_filters.CharFilter()
    connection = IdFilter()
    seen_since = MomentFilter(field_name="last_seen_at", lookup_expr="gte")


class AlertViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet):
    """One alert per cause, counted."""

    queryset = Alert.objects.select_related("merchant").order_by("-last_seen_at", "-pk")
    serializer_class = AlertSerializer
    filterset_class = AlertFilter

    @extend_schema(request=None, responses=AlertSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: str) -> Response:
        """Closes the alert. The same cause opens a new one."""
        alert = self.get_object()
        close(Alert.objects.filter(pk=alert.pk), by=actor_of(request))
        return self.show(alert)

    @extend_schema(request=None, responses={200: AlertSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def mute(self, request: Request, pk: str) -> Response:
        """Keeps the alert counting in silence until its cause is gone."""
        alert = self.get_object()
        muted = Alert.objects.filter(pk=alert.pk).exclude(status=Alert.Status.RESOLVED)
        if not muted.update(status=Alert.Status.MUTED):
            raise Conflict("This alert is resolved already.")
        return self.show(alert)

    def show(self, alert: Alert) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=alert.pk)).data)
