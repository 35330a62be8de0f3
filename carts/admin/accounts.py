"""Settings: merchants and their people, API tokens, preferences, users and groups."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultiple, UnfoldAdminSelectWidget

from carts.admin.base import HubAdmin, MerchantFilter, PageAdmin, PersonAction
from carts.admin.scoping import is_superuser, sees_everything, visible_merchants
from carts.badges import badge, clock, day_and_time
from carts.forms.accounts import PreferenceForm, TokenForm, zone_choices
from carts.models import ApiToken, Membership, Merchant, Preference
from carts.order_flow import TransitionRefused

UserModel = get_user_model()

SUPPORT_HINT = (
    "A person who works for one merchant needs “Staff status” and a line under Members of that merchant; no permission "
    "has to be chosen. Members of the group “support” see and work on all merchants."
)


class SuperuserOnly:
    """Pages about people and tenants: superusers only."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request.user)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request.user)


class MembershipInline(SuperuserOnly, TabularInline):
    model = Membership
    extra = 1
    verbose_name = "member"
    verbose_name_plural = "Members: who sees this merchant's data"


class MerchantForm(forms.ModelForm):
    class Meta:
        model = Merchant
        fields = ("name", "time_zone", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "time_zone" in self.fields:
            self.fields["time_zone"].widget = UnfoldAdminSelectWidget(choices=zone_choices())
            self.fields["is_active"].label = "Active"
            self.fields["time_zone"].help_text = "Used for its people until they choose one of their own."

    def save(self, commit: bool = True) -> Merchant:
        if not self.instance.slug:
            base = slugify(self.instance.name)[:180] or "merchant"
            slug, number = base, 1
            while Merchant.objects.filter(slug=slug).exists():
                number += 1
                slug = f"{base}-{number}"
            self.instance.slug = slug
        merchant: Merchant = super().save(commit)
        return merchant


@admin.register(Merchant)
class MerchantAdmin(HubAdmin):
    """Superusers make merchants and choose their people; support staff may look."""

    merchant_path = ""
    form = MerchantForm
    inlines = (MembershipInline,)
    list_display = ("name", "state", "connection_count", "member_count", "time_zone", "created")
    search_fields = ("name", "slug")
    search_help_text = "Name"
    ordering = ("name",)
    empty_title = "Create your first merchant"
    empty_text = (
        "A merchant is one seller. Its carts, warehouses and orders belong to it, and its people see only them."
    )
    readonly_fields = ("slug",)

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        fields = ["name", "time_zone", "is_active"]
        return [(None, {"fields": [*fields, "slug"] if obj else fields})]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return sees_everything(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return sees_everything(request.user)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request.user)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Merchant]:
        counts = {
            "connection_total": Count("connections", distinct=True),
            "member_total": Count("memberships", distinct=True),
        }
        return super().get_queryset(request).annotate(**counts)

    @display(description="State", ordering="is_active")
    def state(self, merchant: Merchant) -> SafeString:
        return badge("Active", "good") if merchant.is_active else badge("Switched off")

    @display(description="Carts and warehouses")
    def connection_count(self, merchant: Any) -> int:
        return int(merchant.connection_total)

    @display(description="Members")
    def member_count(self, merchant: Any) -> int:
        return int(merchant.member_total)

    @display(description="Since", ordering="created_at")
    def created(self, merchant: Merchant) -> SafeString:
        return day_and_time(merchant.created_at)


# API tokens ----------------------------------------------------------------------------------------------------------


def switch_token_off(token: ApiToken, actor: str, data: dict[str, Any]) -> str:
    if not ApiToken.objects.filter(pk=token.pk, is_active=True).update(is_active=False):
        raise TransitionRefused(f"The token {token.name} is switched off already.")
    return f"The token {token.name} is switched off. Whoever uses it is refused from now on."


@admin.register(ApiToken)
class ApiTokenAdmin(PageAdmin):
    """Keys to the REST API. A token itself is shown once, right after it was made."""

    page_template = "admin/hub/token.html"
    can_add = True
    list_display = ("name", "start", "state", "rights", "merchant", "last_used", "created")
    list_filter = (MerchantFilter,)
    list_select_related = ("merchant",)
    search_fields = ("name", "prefix")
    search_help_text = "Name or first characters"
    noun = ("token", "tokens")
    empty_title = "No API tokens yet"
    empty_text = (
        "A token lets another program use the REST API for one merchant: read orders, set stock, book shipments."
    )
    person_actions = (
        PersonAction(
            key="switch_off",
            label="Switch off",
            icon="block",
            explanation="Programs that use this token are refused from now on. This cannot be undone; make a new token "
            "instead.",
            done="switched off",
            run=switch_token_off,
            offered=lambda token: token.is_active,
            danger=True,
        ),
    )

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise Http404("There is no such page.")
        merchants = visible_merchants(request.user).filter(is_active=True)
        if not merchants.exists():
            return self.page(request, "admin/hub/no_merchant.html", {"title": "Add API token"})
        form = TokenForm(request.POST or None, merchants=merchants)
        if request.method == "POST" and form.is_valid():
            token, secret = form.issue()
            return self.page(
                request,
                "admin/hub/token_made.html",
                {"title": f"Token {token.name}", "token": token, "secret": secret, "back": self.list_link()},
            )
        return self.page(
            request,
            "admin/hub/simple_form.html",
            {
                "title": "Add API token",
                "heading": "New API token",
                "explanation": "The token is shown once, on the next page.",
                "form": form,
                "submit": "Create token",
                "back": self.list_link(),
            },
        )

    @display(description="Starts with")
    def start(self, token: ApiToken) -> SafeString:
        return format_html('<span class="im-mono">{}…</span>', token.prefix)

    @display(description="State", ordering="is_active")
    def state(self, token: ApiToken) -> SafeString:
        return badge("Active", "good") if token.is_active else badge("Switched off")

    @display(description="Rights", ordering="read_only")
    def rights(self, token: ApiToken) -> str:
        return "Read only" if token.read_only else "Read and write"

    @display(description="Last used", ordering="last_used_at")
    def last_used(self, token: ApiToken) -> SafeString:
        return clock(token.last_used_at)

    @display(description="Created", ordering="created_at")
    def created(self, token: ApiToken) -> SafeString:
        return day_and_time(token.created_at)


# Preferences ---------------------------------------------------------------------------------------------------------


@admin.register(Preference)
class PreferenceAdmin(ModelAdmin):
    """One page: my own preferences. There is no list, and nobody edits another one's."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission

    def get_urls(self) -> list[URLPattern]:
        return [path("", self.admin_site.admin_view(self.mine), name="carts_preference_changelist")]

    def mine(self, request: HttpRequest) -> HttpResponse:
        preference = Preference.objects.filter(user=request.user).first()
        merchant = request.user.merchants.first()
        current = preference.time_zone if preference else merchant.time_zone if merchant else "UTC"
        form = PreferenceForm(request.POST or None, initial={"time_zone": current})
        if request.method == "POST" and form.is_valid():
            zone = form.cleaned_data["time_zone"]
            Preference.objects.update_or_create(user=request.user, defaults={"time_zone": zone})
            request.session["time_zone"] = zone
            messages.success(request, f"Dates are shown in {zone.replace('_', ' ')} from now on.")
            return HttpResponseRedirect(reverse("admin:carts_preference_changelist"))
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": "My preferences",
            "heading": "My preferences",
            "form": form,
            "submit": "Save",
            "back": reverse("admin:index"),
        }
        return TemplateResponse(request, "admin/hub/simple_form.html", context)


# Users and groups ----------------------------------------------------------------------------------------------------

admin.site.unregister(UserModel)
admin.site.unregister(Group)


class UserMembershipInline(SuperuserOnly, TabularInline):
    model = Membership
    extra = 1
    verbose_name = "merchant"
    verbose_name_plural = "Merchants whose data this person sees"


@admin.register(UserModel)
class UserAdmin(SuperuserOnly, BaseUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    inlines = (UserMembershipInline,)
    list_display = ("username", "full_name", "email", "role", "last_seen")
    list_filter = ()
    list_per_page = 25
    show_full_result_count = False
    list_fullwidth = True
    search_help_text = "Name or e-mail"
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups"), "description": SUPPORT_HINT}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "email", "usable_password", "password1", "password2"), "classes": ("wide",)}),
        ("Rights", {"fields": ("is_staff", "is_superuser"), "description": SUPPORT_HINT}),
    )

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultiple()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups", "memberships__merchant")

    @display(description="Name", ordering="last_name")
    def full_name(self, user: Any) -> str:
        return user.get_full_name()

    @display(description="Role")
    def role(self, user: Any) -> SafeString | str:
        if not user.is_active:
            return badge("Switched off")
        if user.is_superuser:
            return badge("Administrator", "accent")
        if any(group.name.lower() == "support" for group in user.groups.all()):
            return badge("Support", "info")
        names = [membership.merchant.name for membership in user.memberships.all()]
        if names and user.is_staff:
            return f"Member of {', '.join(names)}"
        return badge("Cannot log in here", "warn") if not user.is_staff else badge("No merchant yet", "warn")

    @display(description="Last login", ordering="last_login")
    def last_seen(self, user: Any) -> SafeString:
        return clock(user.last_login)


@admin.register(Group)
class GroupAdmin(SuperuserOnly, BaseGroupAdmin, ModelAdmin):
    list_per_page = 25
    list_fullwidth = True
    fields = ("name",)
    filter_horizontal = ()
