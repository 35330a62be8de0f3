"""OAuth 2.0 authorization code with rotating refresh tokens. Source: vend.md section 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from connectors.sandbox import Refusal, Request, Response, Route

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox
    from connectors.vend.sandbox_routes import FamilyRoutes

TOKEN_SECONDS = 86_400
CODE_LIFETIME = timedelta(minutes=10)
SHORTEST_STATE = 8


@dataclass(slots=True)
class Grant:
    """What one application may do in this store, and with which tokens just now."""

    client_id: str
    scopes: frozenset[str]
    access_token: str = ""
    refresh_token: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Code:
    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    valid_until: datetime


class Authorizations:
    """Grants, codes and tokens. ``applications`` maps client ids to secrets; empty: any application is let in.

    ``refuse_next`` makes the next ``/connect`` come back with ``access_denied``. ``lean_refresh`` leaves the refresh
    token and the domain prefix out of refresh replies, as some older ones did.
    """

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.applications: dict[str, str] = {}
        self.refuse_next = False
        self.lean_refresh = False
        self.token_seconds = TOKEN_SECONDS
        self._codes: dict[str, Code] = {}
        self._grants: list[Grant] = []

    def routes(self) -> FamilyRoutes:
        yield "site", Route("GET", "/connect", self.connect)
        yield "1.0", Route("POST", "/token", self.token)

    def connect(self, request: Request) -> Response:
        """Approves at once and sends the browser back with a code."""
        redirect_uri, state = request.first("redirect_uri"), request.first("state")
        if request.first("response_type") != "code" or not redirect_uri or not request.first("client_id"):
            raise Refusal(400, {"error": "invalid_request"})
        if len(state) < SHORTEST_STATE or not request.first("scope"):
            raise Refusal(400, {"error": "invalid_request", "message": "state (8 or more characters) and scope."})
        if self.refuse_next:
            self.refuse_next = False
            return redirect(redirect_uri, {"error": "access_denied"})
        code = self._secret("code")
        scopes = frozenset(request.first("scope").split())
        self._codes[code] = Code(request.first("client_id"), redirect_uri, scopes, self.sandbox.now() + CODE_LIFETIME)
        answer = {"code": code, "domain_prefix": self.sandbox.store.retailer["domain_prefix"], "state": state}
        return redirect(redirect_uri, answer | {"scope": " ".join(sorted(scopes))})

    def token(self, request: Request) -> Response:
        """A code or a refresh token for a pair of tokens. The old pair dies at once."""
        form = request.form()
        known = self.applications.get(form.get("client_id", ""))
        if self.applications and (known is None or known != form.get("client_secret")):
            raise Refusal(401, {"error": "invalid_client"})
        if form.get("grant_type") == "authorization_code":
            grant = self._redeem(form)
        elif form.get("grant_type") == "refresh_token":
            grant = self._find_refresh(form)
        else:
            raise Refusal(400, {"error": "unsupported_grant_type"})
        grant.access_token, grant.refresh_token = self._secret("AT"), self._secret("RT")
        grant.expires_at = self.sandbox.now() + timedelta(seconds=self.token_seconds)
        answer: dict[str, Any] = {
            "access_token": grant.access_token,
            "token_type": "Bearer",
            "expires": int(grant.expires_at.timestamp()),
            "expires_in": self.token_seconds,
            "scope": " ".join(sorted(grant.scopes)),
        }
        if not (self.lean_refresh and form["grant_type"] == "refresh_token"):
            answer["refresh_token"] = grant.refresh_token
            answer["domain_prefix"] = self.sandbox.store.retailer["domain_prefix"]
        else:
            grant.refresh_token = form["refresh_token"]
        return Response.json(answer)

    def _redeem(self, form: dict[str, str]) -> Grant:
        code = self._codes.pop(form.get("code", ""), None)
        if (
            code is None
            or code.client_id != form.get("client_id")
            or code.redirect_uri != form.get("redirect_uri")
            or code.valid_until < self.sandbox.now()
        ):
            raise Refusal(400, {"error": "invalid_grant"})
        grant = Grant(code.client_id, code.scopes)
        self._grants.append(grant)
        return grant

    def _find_refresh(self, form: dict[str, str]) -> Grant:
        for grant in self._grants:
            if grant.refresh_token == form.get("refresh_token") and grant.client_id == form.get("client_id"):
                return grant
        raise Refusal(400, {"error": "invalid_grant"})

    def scopes_of(self, token: str) -> frozenset[str] | None:
        """What a token may do; None when it is unknown, expired or revoked."""
        for grant in self._grants:
            if grant.access_token == token and grant.expires_at and grant.expires_at > self.sandbox.now():
                return grant.scopes
        return None

    def grants(self) -> Iterator[Grant]:
        return iter(list(self._grants))

    def revoke_all(self) -> None:
        """The retailer throws every application out."""
        self._grants.clear()

    def _secret(self, kind: str) -> str:
        return f"{kind}-{self.sandbox.store.random.getrandbits(96):024x}"


def redirect(target: str, fields: dict[str, str]) -> Response:
    joint = "&" if "?" in target else "?"
    return Response(302, headers={"Location": f"{target}{joint}{urlencode(fields)}"})
