"""Where a remote system sends a person back after the consent page."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from carts.admin.scoping import scoped, works_here
from carts.authorization import NotAuthorised, claim_state, finish
from carts.encryption import CredentialsUnreadable
from carts.models import Cart, Connection, Warehouse
from connectors.errors import ConnectorError
from connectors.functions import Role


@require_GET
@never_cache
def oauth_callback(request: HttpRequest) -> HttpResponse:
    """Checks that this session asked, keeps the tokens, and shows the Test on the connection's page."""
    if not works_here(request.user):
        messages.error(request, "You were signed out meanwhile. Sign in, open the cart and click Authorise again.")
        return redirect_to_login(reverse("admin:index"))
    params = request.GET.dict()
    connection = None
    try:
        connection = visible(request, claim_state(request.session, params))
        report = finish(connection, params, request.user.get_username())
    except NotAuthorised as refusal:
        messages.error(request, str(refusal))
        if connection is None and refusal.connection_id is not None:
            connection = visible_or_none(request, refusal.connection_id)
    except ConnectorError as error:
        messages.error(request, f"{error.message} {error.fix}".strip())
    except CredentialsUnreadable as error:
        messages.error(request, str(error))
    else:
        if report.ok:
            messages.success(request, f"{connection} is authorised, and the test passed.")
        else:
            messages.warning(request, f"{connection} is authorised. The test found problems: see what to do below.")
    return HttpResponseRedirect(page_of(connection) if connection else reverse("admin:index"))


def visible_or_none(request: HttpRequest, connection_id: int) -> Connection | None:
    """With the columns of its side: Test looks at a cart's warehouse."""
    role = Connection.objects.filter(pk=connection_id).values_list("role", flat=True).first()
    rows = Cart.objects.select_related("merchant", "warehouse", "location") if role == Role.CART else Warehouse.objects
    return scoped(rows.filter(pk=connection_id), request.user, "merchant").first()  # type: ignore[no-any-return]


def visible(request: HttpRequest, connection_id: int) -> Connection:
    connection = visible_or_none(request, connection_id)
    if connection is None:
        raise NotAuthorised("The cart that was to be authorised does not exist any more.")
    return connection


def page_of(connection: Connection) -> str:
    return reverse(f"admin:carts_{connection.role}_change", args=[connection.pk]) + "#test"
