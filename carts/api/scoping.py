"""Whose data a request may touch. The one place where merchants are kept apart in the REST API; people see what they see
in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from carts.models import ApiToken, Connection, Merchant

LARGEST_ID = 2**63 - 1


def as_id(value: object) -> int | None:
    """An id from a URL or a body; None for what cannot be one."""
    text = str(value)
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    return number if 0 <= number <= LARGEST_ID else None


@dataclass(frozen=True, slots=True)
class Scope:
    """The merchants within reach; None = all of them (support staff)."""

    merchant_ids: frozenset[int] | None

    @property
    def is_empty(self) -> bool:
        return self.merchant_ids is not None and not self.merchant_ids

    def limit(self, rows: QuerySet[Any], path: str) -> QuerySet[Any]:
        """Only the rows whose merchant, found by following ``path``, is within reach."""
        if self.merchant_ids is None:
            return rows
        if path == "connection__merchant" and self.merchant_ids:
            # By number, not by a join: so the histories' indexes, which begin with the connection, answer.
            own = Connection.objects.filter(merchant__in=self.merchant_ids).order_by()
            return rows.filter(connection__in=list(own.values_list("pk", flat=True)))
        if len(self.merchant_ids) == 1:
            return rows.filter(**{path: next(iter(self.merchant_ids))})
        return rows.filter(**{f"{path}__in": self.merchant_ids}) if self.merchant_ids else rows.none()


NOBODY = Scope(frozenset())
EVERYBODY = Scope(None)


def scope_of(request: Request) -> Scope:
    """Found once per request."""
    scope: Scope | None = getattr(request, "merchant_scope", None)
    if scope is None:
        scope = find_scope(request)
        request.merchant_scope = scope  # type: ignore[attr-defined]
    return scope


def find_scope(request: Request) -> Scope:
    from carts.admin.scoping import merchant_ids, sees_everything  # the admin is loaded after the REST framework

    if isinstance(request.auth, ApiToken):
        return Scope(frozenset([request.auth.merchant_id]))
    user = request.user
    if not user or not user.is_authenticated:
        return NOBODY
    return EVERYBODY if sees_everything(user) else Scope(merchant_ids(user))


def may_write(request: Request) -> bool:
    return not (isinstance(request.auth, ApiToken) and request.auth.read_only)


def actor_of(request: Request) -> str:
    """Who did it, for histories."""
    if isinstance(request.auth, ApiToken):
        return f"REST client {request.auth.name}"[:150]
    return request.user.get_username()[:150]


class MerchantScopedMixin:
    """For view sets: every query, and so every object, stays within the caller's merchants.

    ``merchant_path`` leads from the view's model to the merchant.
    """

    merchant_path: ClassVar[str] = "merchant"
    request: Request
    kwargs: dict[str, str]

    def get_object(self) -> Any:
        if as_id(self.kwargs["pk"]) is None:
            raise Http404
        return super().get_object()  # type: ignore[misc]

    def get_queryset(self) -> QuerySet[Any]:
        return scope_of(self.request).limit(super().get_queryset(), self.merchant_path)  # type: ignore[misc]


class ScopedRelatedField(serializers.PrimaryKeyRelatedField):
    """A link to a row of the caller's merchants; any other row "does not exist"."""

    def __init__(self, *, merchant_path: str = "merchant", **kwargs: Any) -> None:
        self.merchant_path = merchant_path
        super().__init__(**kwargs)

    def get_queryset(self) -> QuerySet[Any]:
        return scope_of(self.context["request"]).limit(super().get_queryset(), self.merchant_path)

    def to_internal_value(self, data: Any) -> Model:
        if isinstance(data, bool | float) or not isinstance(data, int | str):
            self.fail("incorrect_type", data_type=type(data).__name__)
        if as_id(data) is None:
            self.fail("does_not_exist", pk_value=data)
        return super().to_internal_value(data)  # type: ignore[no-any-return]


@extend_schema_field({"type": "string", "description": "The merchant's slug. Needed only by who works for several."})
class MerchantField(serializers.SlugRelatedField):
    """The merchant a new row belongs to: the caller's own, unless the caller has several to choose from."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"slug_field": "slug", "queryset": Merchant.objects.all(), "required": False, **kwargs})

    def get_queryset(self) -> QuerySet[Merchant]:
        return scope_of(self.context["request"]).limit(super().get_queryset(), "pk")


def merchant_for(request: Request, given: Mapping[str, Any]) -> Merchant:
    """The merchant named in ``given``, else the only one there is to choose."""
    if "merchant" in given:
        return given["merchant"]  # type: ignore[no-any-return]
    if isinstance(request.auth, ApiToken):
        return request.auth.merchant
    choice = list(scope_of(request).limit(Merchant.objects.order_by("pk"), "pk")[:2])
    if len(choice) != 1:
        raise serializers.ValidationError({"merchant": ["Say which merchant this belongs to (its slug)."]})
    return choice[0]
