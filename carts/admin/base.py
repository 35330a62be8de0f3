"""What all model admins of the product share: scope, lists, readable pages, and actions that ask before they act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import DropdownFilter

from carts.admin.scoping import MerchantScope, scoped, sees_everything
from carts.badges import count_of
from carts.deep_pages import DeepPaginator
from carts.models import Connection, Merchant
from carts.order_flow import TransitionRefused

MOST_REFUSALS_SHOWN = 5
MOST_NAMES_SHOWN = 12


@dataclass(frozen=True)
class PersonAction:
    """Something a person does to one or many objects: shown as a question first, done by POST only.

    ``run`` gets the object, the person's name and the cleaned form, and returns a sentence about what was done. What it
    raises from the admin's ``refusals`` is shown in words.
    """

    key: str
    label: str
    icon: str
    explanation: str
    done: str
    run: Callable[[Any, str, dict[str, Any]], str]
    offered: Callable[[Any], bool] = lambda obj: True
    form: type[forms.Form] | None = None
    danger: bool = False
    bulk: bool = True


def person(request: HttpRequest) -> str:
    """The name under which a person's deeds are written into histories."""
    return request.user.get_username()


def as_id(value: object) -> int | None:
    """An id from a URL; None for anything that is none."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


class HubAdmin(MerchantScope, ModelAdmin):
    """A list of things that belong to merchants. Read-only unless a sub-class says otherwise."""

    list_per_page = 25
    paginator = DeepPaginator
    show_full_result_count = False
    list_filter_submit = True
    list_fullwidth = True
    compressed_fields = False
    empty_title = "Nothing here yet"
    empty_text = ""
    empty_link: tuple[str, str] | None = None
    person_actions: Sequence[PersonAction] = ()
    refusals: tuple[type[Exception], ...] = (TransitionRefused,)
    noun = ("record", "records")
    # A history is searched among its newest rows only; 0: among all of them.
    search_newest = 0

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if self.search_newest and search_term.strip():
            newest = self.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
            queryset = queryset.filter(pk__gt=newest - self.search_newest)
        return super().get_search_results(request, queryset, search_term)

    # Objects -------------------------------------------------------------------------------------------------------

    def visible_object(self, request: HttpRequest, object_id: object) -> Any:
        """The object of a page; 404 when it does not exist or belongs to somebody else."""
        number = as_id(object_id)
        obj = self.get_queryset(request).filter(pk=number).first() if number is not None else None
        if obj is None:
            raise Http404("There is no such page.")
        return obj

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        request.current_app = self.admin_site.name
        common = {**self.admin_site.each_context(request), "opts": self.opts, "model_admin": self}
        return TemplateResponse(request, template, {**common, **context})

    def change_link(self, obj: Model) -> str:
        return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])

    def list_link(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.visible_object(request, object_id)
        return super().delete_view(request, object_id, extra_context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self.visible_object(request, object_id)
        return super().history_view(request, object_id, extra_context)

    # Actions -------------------------------------------------------------------------------------------------------

    def url_name(self, key: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{key}"

    def guarded(self, view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        """A view of our own: behind the login, and not there for people who may not see this kind of thing."""

        def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not self.has_view_permission(request):
                raise Http404("There is no such page.")
            return view(request, *args, **kwargs)

        return self.admin_site.admin_view(shown)  # type: ignore[no-any-return]

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<path:object_id>/{action.key.replace('_', '-')}/",
                self.guarded(self.act_on_one),
                {"key": action.key},
                name=self.url_name(action.key),
            )
            for action in self.person_actions
        ]
        return own + super().get_urls()

    def action_named(self, key: str) -> PersonAction:
        return next(action for action in self.person_actions if action.key == key)

    def offered_actions(self, obj: Model) -> list[dict[str, Any]]:
        """The buttons of an object's page."""
        return [
            {
                "label": action.label,
                "icon": action.icon,
                "danger": action.danger,
                "url": reverse(f"admin:{self.url_name(action.key)}", args=[obj.pk]),
            }
            for action in self.person_actions
            if action.offered(obj)
        ]

    def action_form_of(self, action: PersonAction, data: Any, objects: Sequence[Any]) -> forms.Form | None:
        return action.form(data) if action.form else None

    def act_on_one(self, request: HttpRequest, object_id: str, key: str) -> HttpResponse:
        """One object: GET asks, POST acts."""
        action, obj = self.action_named(key), self.visible_object(request, object_id)
        if not self.has_change_permission(request, obj):
            raise Http404("There is no such page.")
        form = self.action_form_of(action, request.POST if request.method == "POST" else None, [obj])
        if request.method == "POST" and (form is None or form.is_valid()):
            try:
                messages.success(request, action.run(obj, person(request), form.cleaned_data if form else {}))
            except self.refusals as refusal:
                messages.error(request, str(refusal))
            return HttpResponseRedirect(self.after_action(obj))
        return self.ask(request, action, form, [obj], 1, back=self.after_action(obj))

    def after_action(self, obj: Model) -> str:
        return self.change_link(obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        for action in self.person_actions:
            if action.bulk:
                actions[action.key] = (self.bulk_action(action), action.key, action.label)
        return actions

    def bulk_action(self, action: PersonAction) -> Callable[..., HttpResponse | None]:
        def act(admin: HubAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            return admin.act_on_many(request, action, queryset)

        act.__name__ = action.key
        return act

    def act_on_many(self, request: HttpRequest, action: PersonAction, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Many objects: the first POST (from the list) asks, the second one (``confirmed``) acts."""
        confirmed = request.POST.get("confirmed") == "yes"
        shown = list(queryset[:MOST_NAMES_SHOWN])
        form = self.action_form_of(action, request.POST if confirmed else None, shown)
        if not confirmed or (form is not None and not form.is_valid()):
            return self.ask(request, action, form, shown, queryset.count(), back=request.get_full_path())
        data = form.cleaned_data if form else {}
        acted, refused = 0, []
        for obj in queryset.order_by().iterator(chunk_size=200):
            try:
                action.run(obj, person(request), data)
                acted += 1
            except self.refusals as refusal:
                refused.append(str(refusal))
        if acted:
            messages.success(request, f"{count_of(acted, *self.noun)} {action.done}.")
        report_refusals(request, refused)
        return None

    def ask(
        self,
        request: HttpRequest,
        action: PersonAction,
        form: forms.Form | None,
        shown: Sequence[Any],
        number: int,
        *,
        back: str,
    ) -> TemplateResponse:
        one = shown[0] if number == 1 and shown else None
        what = f"{self.noun[0]} {one}" if one else count_of(number, *self.noun)
        return self.page(
            request,
            "admin/hub/confirm.html",
            {
                "title": f"{action.label}: {what}",
                "original": one,
                "question": f"{action.label}: {what}?",
                "action": action,
                "form": form,
                "shown": shown if number > 1 else [],
                "more": number - len(shown),
                "number": number,
                "back": back,
                "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
                "select_across": request.POST.get("select_across", "0"),
                "in_list": ACTION_CHECKBOX_NAME in request.POST,
            },
        )


def report_refusals(request: HttpRequest, refused: Sequence[str]) -> None:
    for text in refused[:MOST_REFUSALS_SHOWN]:
        messages.warning(request, text)
    if len(refused) > MOST_REFUSALS_SHOWN:
        messages.warning(request, f"{len(refused) - MOST_REFUSALS_SHOWN} more could not be changed for such reasons.")


class PageAdmin(HubAdmin):
    """Objects that are read on a page of our own instead of in a form."""

    page_template = ""

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        obj = self.visible_object(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        context = {
            "title": str(obj),
            "original": obj,
            "buttons": self.offered_actions(obj),
            **self.page_context(request, obj),
        }
        return self.page(request, self.page_template, context)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {}


# Filters that offer a user's own things only -----------------------------------------------------------------------


class ConnectionFilter(DropdownFilter):
    """By cart or warehouse, among those the user may see."""

    title = "cart or warehouse"
    parameter_name = "connection"
    field = "connection"
    role = ""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Iterable[tuple[str, str]]:
        connections = scoped(Connection.objects.all(), request.user, "merchant")
        if self.role:
            connections = connections.filter(role=self.role)
        if sees_everything(request.user):
            rows = connections.order_by("name").values_list("pk", "name", "merchant__name")
            return [(str(pk), f"{name} ({merchant})") for pk, name, merchant in rows]
        return [(str(pk), name) for pk, name in connections.order_by("name").values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = as_id(self.value() or "")
        return queryset.filter(**{f"{self.field}_id": chosen}) if chosen is not None else queryset


class CartFilter(ConnectionFilter):
    title = "cart"
    parameter_name = "cart"
    field = "cart"
    role = "cart"


class WarehouseFilter(ConnectionFilter):
    title = "warehouse"
    parameter_name = "warehouse"
    field = "warehouse"
    role = "warehouse"


class MerchantFilter(DropdownFilter):
    """By merchant; only shown to those who see more than one."""

    title = "merchant"
    parameter_name = "merchant"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Iterable[tuple[str, str]]:
        self.path = getattr(model_admin, "merchant_path", "merchant")
        rows = list(scoped(Merchant.objects.all(), request.user, "").values_list("pk", "name"))
        return [(str(pk), name) for pk, name in rows] if len(rows) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = as_id(self.value() or "")
        return queryset.filter(**{f"{self.path}_id": chosen}) if chosen is not None else queryset
