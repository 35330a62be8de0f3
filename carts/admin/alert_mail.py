"""*Alerts by e-mail*: one page, my own choices for each merchant whose data I see."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from carts.admin.base import as_id
from carts.admin.scoping import visible_merchants, works_here
from carts.alert_mail import mail_is_set_up
from carts.forms.alert_mail import AlertSubscriptionForm
from carts.models import AlertMail, AlertSubscription, Merchant

MOST_MERCHANTS_LISTED = 200
MAILS_SHOWN = 10


@admin.register(AlertSubscription)
class AlertSubscriptionAdmin(ModelAdmin):
    """There is no list, and nobody edits another one's."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.mine), name="carts_alertsubscription_changelist"),
            path("try/", view(self.send_a_trial), name="carts_alertsubscription_try"),
        ]

    def mine(self, request: HttpRequest) -> HttpResponse:
        if not works_here(request.user):
            raise Http404("There is no such page.")
        merchants = list(visible_merchants(request.user).filter(is_active=True)[:MOST_MERCHANTS_LISTED])
        if not merchants:
            return self.page(request, "admin/hub/no_merchant.html", {"title": "Alerts by e-mail"})
        merchant = self.chosen(request, merchants)
        subscription = AlertSubscription.objects.filter(user=request.user, merchant=merchant).first()
        form = AlertSubscriptionForm(
            request.POST or None, initial=initial_of(subscription) | {"address": request.user.email}
        )
        if request.method == "POST" and form.is_valid():
            save(request.user, merchant, form.cleaned_data)
            messages.success(request, sentence(merchant, form.cleaned_data))
            return HttpResponseRedirect(f"{reverse('admin:carts_alertsubscription_changelist')}?merchant={merchant.pk}")
        mails = AlertMail.objects.filter(subscription__user=request.user, subscription__merchant=merchant)
        return self.page(
            request,
            "admin/hub/alert_mail.html",
            {
                "title": "Alerts by e-mail",
                "form": form,
                "merchant": merchant,
                "merchants": merchants,
                "address": request.user.email,
                "is_set_up": mail_is_set_up(),
                "mails": mails.select_related("alert")[:MAILS_SHOWN],
            },
        )

    def chosen(self, request: HttpRequest, merchants: list[Merchant]) -> Merchant:
        if "merchant" not in request.GET:
            return merchants[0]
        found = visible_merchants(request.user).filter(pk=as_id(request.GET["merchant"])).first()
        if found is None:
            raise Http404("There is no such merchant.")
        return found

    def send_a_trial(self, request: HttpRequest) -> HttpResponse:
        if not works_here(request.user):
            raise Http404("There is no such page.")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        back = HttpResponseRedirect(reverse("admin:carts_alertsubscription_changelist"))
        if not mail_is_set_up() or not request.user.email:
            messages.error(request, "There is no mail server, or you have no e-mail address here.")
            return back
        text = f"This is how alerts of {settings.PUBLIC_URL} will reach you."
        try:
            EmailMessage("Integration Manager: a trial mail", text, to=[request.user.email]).send()
        except OSError as error:
            messages.error(
                request, f"The mail server did not take the mail: {error}. The operator can check EMAIL_URL."
            )
            return back
        messages.success(request, f"A mail to {request.user.email} is on its way.")
        return back

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **context})


def initial_of(subscription: AlertSubscription | None) -> dict[str, Any]:
    if subscription is None:
        return {"is_on": False, "at_once": ["access", "unreachable"], "digest_hours": [8]}
    return {
        "is_on": subscription.is_on,
        "at_once": subscription.at_once,
        "digest_hours": subscription.digest_hours,
    }


def save(user: Any, merchant: Merchant, data: dict[str, Any]) -> None:
    """The choices for this merchant; the address is the person's, whatever the merchant."""
    values = {"is_on": data["is_on"], "at_once": data["at_once"], "digest_hours": sorted(data["digest_hours"])}
    with transaction.atomic():
        AlertSubscription.objects.update_or_create(
            user=user, merchant=merchant, defaults=values, create_defaults={**values, "last_digest_at": timezone.now()}
        )
        user.email = data["address"]
        user.save(update_fields=["email"])


def sentence(merchant: Merchant, data: dict[str, Any]) -> str:
    return f"Alerts of {merchant} go to {data['address']}." if data["is_on"] else f"You get no mails about {merchant}."
