"""The outlets of a cart's store: which have a cart, carts for the others, and how the carts of the store are doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from carts import first_load
from carts.access_alerts import is_authorised_by_people
from carts.admin.base import PageAdmin, report_refusals
from carts.admin.connection_actions import switch_on
from carts.badges import count_of
from carts.encryption import CredentialsUnreadable
from carts.forms.outlets import OutletCartsForm
from carts.models import Cart
from carts.order_flow import TransitionRefused
from carts.outlet_carts import OutletErrors, add_carts, run_tests
from carts.outlets import OutletPlace, has_outlets, look_for_outlets, survey
from connectors.errors import ConnectorError
from connectors.functions import Function

COULD_NOT_ASK = "The shop could not be asked for its outlets:"


class OutletPages(PageAdmin):
    """For the admin of carts: the page of a store's outlets."""

    def get_urls(self) -> list[URLPattern]:
        own = [path("<path:object_id>/outlets/", self.guarded(self.outlets_view), name=self.url_name("outlets"))]
        return own + super().get_urls()

    def outlets_link(self, cart: Cart) -> str:
        return reverse(f"admin:{self.url_name('outlets')}", args=[cart.pk])

    def outlets_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET shows what was last seen. POST does one thing: ``look``, ``add``, ``test`` or ``switch_on``."""
        cart: Cart = self.visible_object(request, object_id)
        if not has_outlets(cart.connector_class) or not self.has_add_permission(request):
            raise Http404("There is no such page.")
        if request.method != "POST":
            return self.outlets_page(request, cart)
        do = request.POST.get("do")
        if do == "add":
            return self.add_outlet_carts(request, cart)
        if do == "test":
            return self.test_outlet_carts(request, cart, untested(survey(cart)))
        if do == "switch_on":
            self.switch_on_ready(request, cart)
        elif self.look(request, cart):
            messages.success(request, "These are the outlets of the shop as they are now.")
        return HttpResponseRedirect(self.outlets_link(cart))

    def outlets_page(self, request: HttpRequest, cart: Cart, form: OutletCartsForm | None = None) -> HttpResponse:
        places = survey(cart)
        if form is None:
            form = form_for(request, cart, places, None)
        rows = rows_of(places)
        free = [place for place in places if place.is_free]
        waiting = untested(places)
        return self.page(
            request,
            "admin/hub/outlets.html",
            {
                "title": f"Outlets of {cart}'s store",
                "original": cart,
                "cart": cart,
                "form": form,
                "rows": rows,
                "blocked": [place for place in places if not place.carts and place.problem],
                "free_count": len(free),
                "left_for_later": len(free) - len(form.places) if form else 0,
                "is_seen": bool(places),
                "is_shared": is_authorised_by_people(cart),
                "untested_count": len(waiting),
                "tested_count": sum(row["cart"].tested_at is not None for row in rows),
                "ready_count": sum(row["is_ready"] for row in rows),
                "goes_on": bool(waiting) and request.GET.get("go") == "on",
                "functions": [Function(one.function).label for one in cart.function_settings.filter(is_on=True)],
                "back": self.change_link(cart),
            },
        )

    def look(self, request: HttpRequest, cart: Cart) -> bool:
        try:
            look_for_outlets(cart)
        except ConnectorError as error:
            messages.error(request, f"{COULD_NOT_ASK} {error.message} {error.fix}".strip())
            return False
        except CredentialsUnreadable as error:
            messages.error(request, f"{COULD_NOT_ASK} {error}")
            return False
        return True

    def add_outlet_carts(self, request: HttpRequest, cart: Cart) -> HttpResponse:
        """The shop is asked once more before anything is made: an outlet may have been renamed or deleted meanwhile."""
        if not self.look(request, cart):
            return self.outlets_page(request, cart, form_for(request, cart, survey(cart), request.POST))
        places = survey(cart)
        form = form_for(request, cart, places, request.POST)
        chosen = {name.removeprefix("add_") for name in request.POST if name.startswith("add_")}
        offered = {str(place.outlet.pk) for place in form.places} if form else set()
        for place in places:
            if str(place.outlet.pk) in chosen - offered:
                told = place.problem or f"it has a cart already: {', '.join(map(str, place.carts))}."
                messages.info(request, f"{place.outlet}: {told}")
        if chosen - {str(place.outlet.pk) for place in places}:
            messages.info(request, "An outlet that was ticked is not in the shop any more.")
        if form is None or (chosen and not chosen & offered):
            return HttpResponseRedirect(self.outlets_link(cart))
        if form.is_valid():
            try:
                made = add_carts(cart, form.wanted)
            except OutletErrors as error:
                form.show_errors(error.errors)
            else:
                messages.success(request, f"{count_of(len(made), *self.noun)} added, switched off until you say so.")
                if form.cleaned_data["test"]:
                    return self.test_outlet_carts(request, cart, made)
                return HttpResponseRedirect(self.outlets_link(cart))
        return self.outlets_page(request, cart, form)

    def test_outlet_carts(self, request: HttpRequest, cart: Cart, carts: Sequence[Cart]) -> HttpResponse:
        """As many as there is time for; the page goes on with the rest."""
        tested = run_tests(carts)
        failed = sum(not one.test_ok for one in tested)
        if failed:
            text = f"{count_of(failed, 'test', 'tests')} of {len(tested)} found something. See what to do below."
            messages.warning(request, text)
        elif tested:
            messages.success(request, f"{count_of(len(tested), 'test', 'tests')} passed.")
        rest = len(carts) > len(tested)
        return HttpResponseRedirect(self.outlets_link(cart) + ("?go=on" if rest else ""))

    def switch_on_ready(self, request: HttpRequest, cart: Cart) -> None:
        """A cart that would take the whole history of its outlet takes sales from today on instead."""
        chosen = set(request.POST.getlist("cart"))
        on, refused, undecided = 0, [], False
        today = timezone.localdate()
        for row in rows_of(survey(cart)):
            if row["is_ready"] and str(row["cart"].pk) in chosen:
                undecided = undecided or first_load.is_undecided(row["cart"])
                try:
                    switch_on(row["cart"], request.user.get_username(), {first_load.EARLIEST: today})
                    on += 1
                except TransitionRefused as refusal:
                    refused.append(str(refusal))
        if on:
            text = "switched on. The first runs start within a minute."
            if undecided:
                text += " They take sales from today on; for older ones, change “Earliest order date” in their settings now."
            messages.success(request, f"{count_of(on, *self.noun)} {text}")
        elif not refused:
            messages.warning(request, "Tick the carts that are to be switched on.")
        report_refusals(request, refused)


def form_for(request: HttpRequest, cart: Cart, places: Sequence[OutletPlace], data: Any) -> OutletCartsForm | None:
    """None when no outlet is free, or no key opens what the new carts would get in with."""
    if not any(place.is_free for place in places):
        return None
    try:
        return OutletCartsForm(data, source=cart, places=places)
    except CredentialsUnreadable as error:
        messages.error(request, str(error))
        return None


def rows_of(places: Sequence[OutletPlace]) -> list[dict[str, Any]]:
    """One row for each cart of the store."""
    return [
        {
            "place": place,
            "cart": cart,
            "problem": next((step for step in cart.test_steps if not step["ok"]), None),
            "is_ready": bool(cart.test_ok) and not cart.is_active,
            # One that has run before was switched off by somebody, for a reason.
            "is_new": cart.last_success_at is None,
        }
        for place in places
        for cart in place.carts
    ]


def untested(places: Sequence[OutletPlace]) -> list[Cart]:
    return [cart for place in places for cart in place.carts if cart.tested_at is None]
