"""Who is calling: a merchant's token, or a person who is logged in to the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from carts.api.scoping import may_write, scope_of
from carts.models import ApiToken

if TYPE_CHECKING:
    from rest_framework.views import APIView


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer TOKEN``. The token is ``request.auth``; there is no user behind it."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiToken] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        token = ApiToken.find(secret.strip().decode("latin-1"))
        if token is None:
            raise AuthenticationFailed("This token is unknown or switched off. Make one with `create_token`.")
        token.note_use()
        return AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Integration Manager"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API's description names the token."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A merchant's token (`manage.py create_token`)."}


class MerchantPermission(BasePermission):
    """Tokens and people may do everything within their merchants; read-only tokens may only look."""

    message = "You do not work for any merchant."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method not in SAFE_METHODS and request.auth is not None and not may_write(request):
            self.message = "This token may only read. Use a token without --read-only to change anything."
            return False
        return not scope_of(request).is_empty
