"""Carts and warehouses: the gallery, the set-up form, the page with Test, and switching on and off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts import first_load
from carts.access_alerts import KINDS, access_key
from carts.admin.base import MerchantFilter, PageAdmin, PersonAction, WarehouseFilter
from carts.admin.connection_actions import CONNECTION_ACTIONS
from carts.admin.outlets import OutletPages
from carts.admin.scoping import sees_everything, visible_merchants
from carts.authorization import NotAuthorised, Status, begin, status_of
from carts.badges import clock, health_badge, muted
from carts.connection_test import run_test
from carts.encryption import CredentialsUnreadable
from carts.forms.connections import ConnectionForm, LocationFormSet
from carts.forms.first_load import FirstLoadForm
from carts.models import Alert, Cart, Connection, FunctionSetting, PickOrder, Warehouse, WmsEndpoint
from carts.outlets import has_outlets
from carts.remote import webhook_url
from carts.setup import roles_of
from carts.stock_places import in_words
from carts.wms_secrets import replace_secret
from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.functions import FUNCTIONS_BY_ROLE, Function, Role
from connectors.ports import LocationReader, WebhookSource
from connectors.registry import UnknownConnector, all_connectors, connector_class

OPEN_ALERTS_SHOWN = 5
# A run that has worked for so long is shown on top of the page, with its progress.
LONG_RUN_SECONDS = 10


class ConnectionAdmin(PageAdmin):
    """What carts and warehouses have in common."""

    role: Role
    can_add = True
    page_template = "admin/hub/connection.html"
    list_filter = (MerchantFilter,)
    list_select_related = ("merchant",)
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name",)
    person_actions = CONNECTION_ACTIONS

    # The list --------------------------------------------------------------------------------------------------------

    @display(description="State")
    def state(self, connection: Connection) -> SafeString:
        shown = health_badge(connection)
        if connection.health == "failing":
            return format_html('{}<span class="im-cell-note">{}</span>', shown, connection.last_error)
        return shown

    @display(description="System", ordering="connector")
    def system(self, connection: Connection) -> str:
        return label_of(connection.connector)

    @display(description="Last success", ordering="last_success_at")
    def last_success(self, connection: Connection) -> SafeString:
        return clock(connection.last_success_at)

    def get_list_display(self, request: HttpRequest) -> list[str]:
        columns = list(super().get_list_display(request))
        return [*columns, "merchant"] if sees_everything(request.user) else columns

    def action_form_of(self, action: PersonAction, data: Any, objects: Sequence[Any]) -> forms.Form | None:
        """Before a cart is switched on for the first time: how far back its first load goes."""
        if action.key == "switch_on" and any(first_load.is_undecided(connection) for connection in objects):
            return FirstLoadForm(data)
        return super().action_form_of(action, data, objects)

    # Adding and settings ---------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<path:object_id>/settings/",
                self.guarded(self.settings_view),
                name=self.url_name("settings"),
            ),
            path("<path:object_id>/test/", self.guarded(self.test_view), name=self.url_name("test")),
            path("<path:object_id>/authorise/", self.guarded(self.authorise_view), name=self.url_name("authorise")),
        ]
        return own + super().get_urls()

    def kinds(self) -> list[type[Connector]]:
        return [kind for kind in all_connectors() if self.role in roles_of(kind)]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Without a connector chosen: the gallery. With one: its form."""
        if not self.has_add_permission(request):
            raise Http404("There is no such page.")
        merchants = visible_merchants(request.user).filter(is_active=True)
        if not merchants.exists():
            return self.page(request, "admin/hub/no_merchant.html", {"title": f"Add {self.opts.verbose_name}"})
        chosen = request.GET.get("connector", "")
        kind = next((kind for kind in self.kinds() if kind.key == chosen), None)
        if kind is None:
            return self.gallery(request)
        form = ConnectionForm(request.POST or None, kind=kind, role=self.role, merchants=merchants)
        if request.method == "POST" and form.is_valid():
            connection = form.save()
            messages.success(request, f"{connection} is added. Test it now: every step is shown with what to do.")
            return HttpResponseRedirect(self.change_link(connection))
        return self.form_page(request, form, f"Add {kind.label}", None)

    def gallery(self, request: HttpRequest) -> HttpResponse:
        cards = [
            {
                "key": kind.key,
                "label": kind.label,
                "summary": kind.summary,
                "functions": [
                    {"label": function.label, "extra": not FUNCTIONS_BY_ROLE[self.role][function].default_on}
                    for function in kind.functions(self.role)
                ],
            }
            for kind in self.kinds()
        ]
        return self.page(request, "admin/hub/gallery.html", {"title": f"Add {self.opts.verbose_name}", "cards": cards})

    def settings_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.visible_object(request, object_id)
        merchants = visible_merchants(request.user).filter(pk=connection.merchant_id)
        form = ConnectionForm(
            request.POST or None,
            kind=connection.connector_class,
            role=self.role,
            merchants=merchants,
            connection=connection,
        )
        if request.method == "POST" and form.is_valid():
            form.save()
            untested = " Test it now: what waited for them goes on at once." if connection.tested_at is None else ""
            messages.success(request, f"The settings of {connection} are saved.{untested}")
            return HttpResponseRedirect(self.change_link(connection))
        return self.form_page(request, form, f"Settings of {connection}", connection)

    def form_page(
        self, request: HttpRequest, form: ConnectionForm, title: str, connection: Connection | None
    ) -> HttpResponse:
        return self.page(
            request,
            "admin/hub/connection_form.html",
            {
                "title": title,
                "original": connection,
                "heading": title,
                "form": form,
                "summary": form.kind.summary,
                "connection": connection,
                "is_cart": self.role is Role.CART,
                "back": self.change_link(connection) if connection else self.list_link(),
            },
        )

    # The page --------------------------------------------------------------------------------------------------------

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Runs the test and keeps its report on the page. POST only."""
        connection = self.visible_object(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        report = run_test(connection)
        failed = sum(not step.ok for step in report.steps)
        if report.ok:
            messages.success(request, "The test passed: every step is fine.")
        else:
            messages.error(
                request, f"The test found {failed} problem{'s' if failed != 1 else ''}. See what to do below."
            )
        return HttpResponseRedirect(f"{self.change_link(connection)}#test")

    def authorise_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET says what it is about and asks. POST prepares the way to the remote's consent page and shows it as a link:
        the content security policy lets no form lead out of the hub."""
        connection = self.visible_object(request, object_id)
        back = self.change_link(connection)
        facts: dict[str, Any] = {"title": f"Authorise {connection}", "original": connection, "back": back}
        if request.method != "POST":
            status = authorisation_of(connection)
            if status is None:
                return HttpResponseRedirect(back)
            facts |= {"status": status, "kind_label": label_of(connection.connector)}
            return self.page(request, "admin/hub/authorise.html", facts)
        try:
            url, permissions = begin(request.session, connection)
        except NotAuthorised as refusal:
            messages.error(request, str(refusal))
        except ConnectorError as error:
            messages.error(request, f"{error.message} {error.fix}")
        except CredentialsUnreadable as error:
            messages.error(request, str(error))
        else:
            facts |= {"url": url, "host": urlsplit(url).netloc, "permissions": permissions}
            return self.page(request, "admin/hub/authorise.html", facts)
        return HttpResponseRedirect(back)

    def page_context(self, request: HttpRequest, connection: Any) -> dict[str, Any]:
        kind = connection.connector_class
        schedules = {schedule.function: schedule for schedule in connection.schedules.all()}
        settings = {setting.function: setting for setting in connection.function_settings.all()}
        has_webhooks = issubclass(kind, WebhookSource)
        return {
            "connection": connection,
            "kind_label": kind.label,
            "is_cart": self.role is Role.CART,
            "stock_from": in_words(connection) if isinstance(connection, Cart) else "",
            "functions": [
                {
                    "key": function.value,
                    "label": function.label,
                    "help": facts.help,
                    "setting": settings.get(function.value) or FunctionSetting(is_on=False, minutes=facts.minutes),
                    "schedule": schedules.get(kind.feed_of(function).value),
                    "rides_on": kind.feed_of(function).label if kind.feed_of(function) is not function else "",
                }
                for function, facts in connection.possible_functions.items()
            ],
            "settings": setting_rows(kind, connection),
            "authorisation": authorisation_of(connection),
            "authorise_url": reverse(f"admin:{self.url_name('authorise')}", args=[connection.pk]),
            "is_resting": bool(connection.resting_until and connection.resting_until > timezone.now()),
            "has_webhooks": has_webhooks,
            "webhook_host": urlsplit(webhook_url(connection)).netloc if has_webhooks else "",
            "alerts": list(alerts_about(connection)[:OPEN_ALERTS_SHOWN]),
            "recent_runs": list(connection.runs.filter(dry_run=False)[:6]),
            "takes_all_history": first_load.is_undecided(connection),
            "paused": [schedule for schedule in schedules.values() if schedule.paused_at],
            "long_runs": list(
                connection.runs.filter(
                    state__in=["queued", "running"], worked_seconds__gte=LONG_RUN_SECONDS, dry_run=False
                )
            ),
            "takes_products": takes_products(connection),
            "can_run": any(setting.is_on for setting in settings.values()),
            "show_merchant": sees_everything(request.user),
            "test_url": reverse(f"admin:{self.url_name('test')}", args=[connection.pk]),
            "settings_url": reverse(f"admin:{self.url_name('settings')}", args=[connection.pk]),
        }

    def after_action(self, obj: Model) -> str:
        return self.change_link(obj) if obj.pk else self.list_link()


def alerts_about(connection: Connection) -> QuerySet[Alert]:
    """Open ones of its own, and that of an access which it shares."""
    shared = Q(kind__in=KINDS, key=access_key(connection))
    alerts = Alert.objects.filter(merchant_id=connection.merchant_id, status=Alert.Status.OPEN)
    return alerts.filter(Q(connection_id=connection.pk) | shared)


def takes_products(connection: Connection) -> bool:
    """Can the products of this cart (or of this warehouse's carts) be sent to the warehouse?"""
    warehouse = connection.warehouse if isinstance(connection, Cart) else connection
    return (
        warehouse is not None
        and Function.PRODUCT_DETAIL_SYNC in warehouse.possible_functions
        and (isinstance(connection, Cart) or warehouse.carts.exists())  # type: ignore[attr-defined]
    )


def lists_itself(warehouse: Warehouse) -> bool:
    """Does the warehouse's own system tell which locations it has?"""
    return not warehouse.is_in_hub and issubclass(warehouse.connector_class, LocationReader)


def label_of(connector: str) -> str:
    try:
        return connector_class(connector).label
    except UnknownConnector:
        return connector


def setting_rows(kind: type[Connector], connection: Connection) -> list[tuple[str, str]]:
    """The options in words. Secrets are never among them."""
    rows = []
    for field in kind.Options.fields():
        value = connection.options.get(field.name, field.default)
        if field.choices:
            words = dict(field.choices).get(str(value), str(value or ""))
        elif isinstance(value, bool):
            words = "Yes" if value else "No"
        else:
            words = str(value) if value not in (None, "") else ""
        if not field.secret:
            rows.append((field.label, words))
    try:
        stored = connection.read_credentials()
    except CredentialsUnreadable:
        return [*rows, ("Credentials", "Stored, but no key opens them")]
    for field in kind.Credentials.fields():
        shown = "Stored, encrypted" if field.secret else str(stored.get(field.name))
        rows.append((field.label, shown if stored.get(field.name) else ""))
    return rows


def authorisation_of(connection: Connection) -> Status | None:
    try:
        return status_of(connection)
    except CredentialsUnreadable:
        return None


@admin.register(Cart)
class CartAdmin(OutletPages, ConnectionAdmin):
    role = Role.CART
    list_display = ("name", "state", "system", "warehouse_name", "stock_shown", "last_success")
    list_filter = (WarehouseFilter, MerchantFilter)
    list_select_related = ("merchant", "warehouse")
    noun = ("cart", "carts")
    empty_title = "Add your first cart"
    empty_text = (
        "A cart is a place where you sell: one Vend outlet, one web shop. Its orders go to a warehouse, and the "
        "warehouse's stock comes back to it."
    )

    @display(description="Warehouse", ordering="warehouse__name")
    def warehouse_name(self, cart: Cart) -> str | SafeString:
        return cart.warehouse.name if cart.warehouse else muted("not chosen")

    @display(description="Stock from")
    def stock_shown(self, cart: Cart) -> str | SafeString:
        return in_words(cart) if cart.warehouse else muted("–")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cart]:
        rows = super().get_queryset(request).select_related("merchant", "warehouse", "location", "outlet")
        return rows.prefetch_related("stock_locations")

    def page_context(self, request: HttpRequest, connection: Any) -> dict[str, Any]:
        context = super().page_context(request, connection)
        if has_outlets(connection.connector_class):
            context["outlets_url"] = self.outlets_link(connection)
        return context


@admin.register(Warehouse)
class WarehouseAdmin(ConnectionAdmin):
    role = Role.WAREHOUSE
    list_display = ("name", "state", "system", "last_success")
    noun = ("warehouse", "warehouses")
    empty_title = "Add your first warehouse"
    empty_text = (
        "A warehouse holds and ships your goods. The built-in one needs nothing else: orders wait on a pick list, and "
        "you keep stock and products right here."
    )

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<path:object_id>/locations/",
                self.guarded(self.locations_view),
                name=self.url_name("locations"),
            ),
            path(
                "<path:object_id>/webhook-secret/",
                self.guarded(self.webhook_secret_view),
                name=self.url_name("webhook_secret"),
            ),
        ]
        return own + super().get_urls()

    def page_context(self, request: HttpRequest, connection: Any) -> dict[str, Any]:
        context = super().page_context(request, connection)
        context["locations"] = list(connection.locations.all())
        context["carts"] = list(connection.carts.all())
        context["is_in_hub"] = connection.is_in_hub
        if context["is_in_hub"]:
            waiting = (PickOrder.Status.OPEN, PickOrder.Status.PARTLY_SHIPPED)
            context["to_pick"] = connection.pick_orders.filter(status__in=waiting).count()
        if connection.connector_class.worked_by_wms:
            context["tells_wms"] = True
            context["wms_address"] = connection.options.get("webhook_url", "")
            context["wms_endpoint"] = WmsEndpoint.objects.filter(pk=connection.pk).first()
        return context

    def webhook_secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A new secret that webhooks to the WMS are signed with: GET asks, POST makes it and shows it once."""
        warehouse = self.visible_object(request, object_id)
        if not warehouse.connector_class.worked_by_wms:
            messages.error(request, f"{warehouse} is no REST warehouse: nothing is sent to its WMS.")
            return HttpResponseRedirect(self.change_link(warehouse))
        facts = {"title": f"Signing secret of {warehouse}", "original": warehouse, "back": self.change_link(warehouse)}
        if request.method != "POST":
            return self.page(request, "admin/hub/signing_secret.html", facts)
        secret, endpoint = replace_secret(warehouse.pk)
        return self.page(
            request, "admin/hub/signing_secret.html", {**facts, "secret": secret, "until": endpoint.old_valid_until}
        )

    def locations_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The places of the warehouse: added, renamed, switched off."""
        warehouse = self.visible_object(request, object_id)
        formset = LocationFormSet(request.POST or None, instance=warehouse, prefix="locations")
        if request.method == "POST" and formset.is_valid():
            formset.save()
            messages.success(request, f"The locations of {warehouse} are saved.")
            return HttpResponseRedirect(self.change_link(warehouse))
        return self.page(
            request,
            "admin/hub/locations.html",
            {
                "title": f"Locations of {warehouse}",
                "original": warehouse,
                "formset": formset,
                "lists_itself": lists_itself(warehouse),
                "back": self.change_link(warehouse),
            },
        )
