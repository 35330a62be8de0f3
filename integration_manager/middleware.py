"""Content security policy per area, and dates in the user's zone."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from carts.models import Preference

STRICT_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
# The admin theme's scripts (Alpine) evaluate expressions and set styles from attributes.
ADMIN_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
ADMIN_PREFIX = "/admin/"
DOCS_PREFIX = "/api/v1/docs/"


class ContentSecurityPolicyMiddleware:
    """Strict everywhere; wider where the admin theme or the API docs need it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        wide = request.path.startswith((ADMIN_PREFIX, DOCS_PREFIX))
        response.headers.setdefault("Content-Security-Policy", ADMIN_POLICY if wide else STRICT_POLICY)
        return response


class UserTimeZoneMiddleware:
    """Shows dates in the zone of the user's preference, else of the user's merchant, else UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(self.zone_of(request)):
            return self.get_response(request)

    @staticmethod
    def zone_of(request: HttpRequest) -> ZoneInfo:
        if not request.path.startswith(ADMIN_PREFIX) or not request.user.is_authenticated:
            return ZoneInfo("UTC")
        name = request.session.get("time_zone")
        if not name:
            preference = Preference.objects.filter(user=request.user).first()
            merchant = request.user.merchants.first()
            name = preference.time_zone if preference else merchant.time_zone if merchant else "UTC"
            request.session["time_zone"] = name
        return ZoneInfo(name)
