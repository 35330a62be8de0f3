"""Who sees what: the one place where querysets and permissions are cut to a user's merchants.

A superuser and a member of the group ``support`` see every merchant. Everybody else sees the merchants of his
memberships, with everything in them and without any permission assigned by hand.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from carts.models import Connection, Merchant

SUPPORT_GROUP = "support"
# How most histories lead to their merchant.
OF_CONNECTION = "connection__merchant"

User = Any


def is_superuser(user: User) -> bool:
    return bool(user.is_active and user.is_superuser)


def sees_everything(user: User) -> bool:
    """Superusers and support staff."""
    if not user.is_active or not user.is_staff:
        return False
    if user.is_superuser:
        return True
    if not hasattr(user, "_is_support"):
        user._is_support = user.groups.filter(name__iexact=SUPPORT_GROUP).exists()
    return bool(user._is_support)


def merchant_ids(user: User) -> frozenset[int]:
    """The merchants a user is a member of."""
    if not isinstance(user, AbstractBaseUser) or isinstance(user, AnonymousUser):
        return frozenset()
    if not hasattr(user, "_merchant_ids"):
        user._merchant_ids = frozenset(user.memberships.values_list("merchant_id", flat=True))
    return user._merchant_ids  # type: ignore[no-any-return]


def connection_ids(user: User) -> list[int]:
    """The carts and warehouses of these merchants."""
    if not hasattr(user, "_connection_ids"):
        own = Connection.objects.filter(merchant__in=merchant_ids(user))
        user._connection_ids = list(own.order_by().values_list("pk", flat=True))
    return user._connection_ids  # type: ignore[no-any-return]


def works_here(user: User) -> bool:
    """May this user use the admin's business pages at all?"""
    return bool(user.is_active and user.is_staff and (sees_everything(user) or merchant_ids(user)))


def scoped(queryset: QuerySet[Any], user: User, path: str) -> QuerySet[Any]:
    """The rows of ``queryset`` that belong to the user's merchants. ``path`` leads from the model to the merchant."""
    if sees_everything(user):
        return queryset
    if path == OF_CONNECTION:
        # By number, not by a join: so the histories' indexes, which begin with the connection, answer.
        return queryset.filter(connection__in=connection_ids(user))
    lookup = f"{path}__in" if path else "pk__in"
    return queryset.filter(**{lookup: merchant_ids(user)})


def visible_merchants(user: User) -> QuerySet[Merchant]:
    return scoped(Merchant.objects.all(), user, "")


def owner_id(obj: Model, path: str) -> int | None:
    """The merchant that an object belongs to."""
    if not path:
        return obj.pk  # type: ignore[no-any-return]
    *steps, last = path.split("__")
    place: Any = obj
    for step in steps:
        place = getattr(place, step, None)
    return getattr(place, f"{last}_id", None)


class MerchantScope:
    """Mixin for model admins: rows and permissions follow from the memberships."""

    merchant_path = "merchant"
    can_add = False
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return scoped(super().get_queryset(request), request.user, self.merchant_path)  # type: ignore[misc]

    def is_visible(self, request: HttpRequest, obj: Model | None) -> bool:
        if not works_here(request.user):
            return False
        if not isinstance(obj, Model) or obj.pk is None or sees_everything(request.user):
            return True
        return owner_id(obj, self.merchant_path) in merchant_ids(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return works_here(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.is_visible(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.is_visible(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.can_add and works_here(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.can_delete and self.is_visible(request, obj)
