"""Every URL of the API, for every kind of caller. The list of URLs comes from the router, so none can be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import URLPattern
from django.urls.resolvers import RegexPattern
from rest_framework.test import APIClient

from integration_manager import api
from tests.api.worlds import World

PREFIX = "/api/v1/"
PUBLIC = {"schema/", "docs/"}
READING = ("GET",)


@dataclass(frozen=True)
class Endpoint:
    """One method of one URL. ``template`` holds ``{pk}`` or ``{key}`` where an object is named."""

    method: str
    template: str
    view: Any

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def names_an_object(self) -> bool:
        return "{pk}" in self.template

    def url(self, world: World) -> str:
        path = self.template.replace("{key}", "vend")
        if self.names_an_object:
            path = path.replace("{pk}", str(world[self.view.queryset.model].pk))
        return PREFIX + path

    def call(self, caller: APIClient, world: World) -> Any:
        return caller.generic(self.method, self.url(world), "{}", content_type="application/json")


def template_of(pattern: URLPattern) -> str:
    if not isinstance(pattern.pattern, RegexPattern):
        return str(pattern.pattern)
    text = str(pattern.pattern)
    for name in ("pk", "key"):
        text = text.replace(f"(?P<{name}>[^/.]+)", f"{{{name}}}")
    text = text.removeprefix("^").removesuffix("$").removesuffix("\\Z")
    assert not set(text) & set("()?\\"), f"{text}: teach this test how to fill in the URL"
    return text


def all_endpoints() -> list[Endpoint]:
    endpoints = []
    for pattern in api.urlpatterns:
        view = pattern.callback.cls
        methods = getattr(pattern.callback, "actions", None) or {"get": "get"}
        for method in methods:
            if method != "head" and method in view.http_method_names:
                endpoints.append(Endpoint(method.upper(), template_of(pattern), view))
    return endpoints


ENDPOINTS = [endpoint for endpoint in all_endpoints() if endpoint.template not in PUBLIC]
every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
reading = pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.method in READING], ids=str)
writing = pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.method not in READING], ids=str)
about_objects = pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.names_an_object], ids=str)
lists = pytest.mark.parametrize(
    "endpoint",
    [e for e in ENDPOINTS if e.method in READING and hasattr(e.view, "merchant_path") and not e.names_an_object],
    ids=str,
)


def test_the_router_offers_what_the_interface_names() -> None:
    named = {
        "connectors/": "GET",
        "carts/": "GET POST",
        "carts/{pk}/": "GET PATCH DELETE",
        "carts/{pk}/test/": "POST",
        "carts/{pk}/sync/": "POST",
        "warehouses/": "GET POST",
        "warehouses/{pk}/": "GET PATCH DELETE",
        "warehouses/{pk}/test/": "POST",
        "warehouses/{pk}/sync/": "POST",
        "locations/": "GET POST",
        "locations/{pk}/": "GET PATCH DELETE",
        "outlets/": "GET",
        "orders/": "GET",
        "orders/{pk}/": "GET PATCH",
        "orders/{pk}/hold/": "POST",
        "orders/{pk}/release/": "POST",
        "orders/{pk}/resend/": "POST",
        "orders/{pk}/cancel/": "POST",
        "orders/{pk}/shipments/": "GET POST",
        "refunds/": "GET",
        "refunds/{pk}/": "GET",
        "refunds/{pk}/release/": "POST",
        "refunds/{pk}/resend/": "POST",
        "refunds/{pk}/cancel/": "POST",
        "inventory/": "GET PUT",
        "inventory/counts/": "POST",
        "inventory/changes/": "POST",
        "stock-movements/": "GET",
        "consignments/": "GET",
        "consignments/{pk}/": "GET",
        "consignments/{pk}/check/": "POST",
        "consignments/{pk}/pass_on/": "POST",
        "consignments/{pk}/take_back/": "POST",
        "stock-adjustments/": "GET",
        "stock-adjustments/{pk}/": "GET",
        "stock-adjustments/{pk}/resend/": "POST",
        "stock-adjustments/{pk}/cancel/": "POST",
        "stock-transfers/": "GET",
        "stock-transfers/{pk}/": "GET",
        "stock-transfers/{pk}/resend/": "POST",
        "stock-transfers/{pk}/cancel/": "POST",
        "products/": "GET POST",
        "products/{pk}/": "GET PATCH DELETE",
        "product-links/": "GET POST",
        "product-links/{pk}/": "GET DELETE",
        "customers/": "GET",
        "runs/": "GET",
        "runs/{pk}/pause/": "POST",
        "runs/{pk}/continue/": "POST",
        "deliveries/": "GET",
        "alerts/": "GET",
        "alerts/{pk}/resolve/": "POST",
        "alerts/{pk}/mute/": "POST",
        "failed-records/": "GET",
        "failed-records/{pk}/reprocess/": "POST",
        "failed-records/{pk}/correct/": "POST",
        "failed-records/{pk}/ignore/": "POST",
        "webhook-events/": "GET",
        "webhook-events/{pk}/replay/": "POST",
        "wms-webhooks/": "GET",
        "wms-webhooks/{pk}/": "GET",
        "wms-webhooks/{pk}/replay/": "POST",
        "wms-webhooks/replay/": "POST",
        "warehouses/{pk}/webhook-secret/": "POST",
        "api-calls/": "GET",
    }
    offered = {(endpoint.template, endpoint.method) for endpoint in ENDPOINTS}

    assert {(path, method) for path, methods in named.items() for method in methods.split()} <= offered


@every_endpoint
def test_anonymous_callers_are_asked_for_a_token(endpoint: Endpoint, anonymous: APIClient, world: World) -> None:
    answer = endpoint.call(anonymous, world)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


@reading
def test_all_of_the_merchants_callers_may_read(
    endpoint: Endpoint, client: APIClient, reader: APIClient, member: APIClient, support: APIClient, world: World
) -> None:
    for caller in (client, reader, member, support):
        assert endpoint.call(caller, world).status_code == 200


@writing
def test_read_only_tokens_change_nothing(endpoint: Endpoint, reader: APIClient, world: World) -> None:
    answer = endpoint.call(reader, world)

    assert answer.status_code == 403
    assert "only read" in answer.json()["detail"]


@pytest.mark.parametrize("caller", ["client", "member", "support"])
@writing
def test_all_others_of_the_merchant_may_write(
    endpoint: Endpoint, caller: str, world: World, request: pytest.FixtureRequest
) -> None:
    answer = endpoint.call(request.getfixturevalue(caller), world)

    # An empty body or the object's state may be refused, but never the caller.
    assert answer.status_code in {200, 201, 202, 204, 400, 409}, answer.content


@about_objects
def test_objects_of_others_do_not_exist(endpoint: Endpoint, foreigner: APIClient, world: World) -> None:
    assert endpoint.call(foreigner, world).status_code == 404


@lists
def test_lists_hold_the_callers_own_rows_only(
    endpoint: Endpoint,
    world: World,
    foreign_world: World,
    client: APIClient,
    member: APIClient,
    foreigner: APIClient,
    support: APIClient,
) -> None:
    def rows_of(owner: World) -> set[int]:
        rows = endpoint.view.queryset.filter(**{endpoint.view.merchant_path: owner.merchant.pk})
        return set(rows.values_list("pk", flat=True))

    own, other = rows_of(world), rows_of(foreign_world)
    assert own and other
    assert not own & other

    def ids(caller: APIClient) -> set[int]:
        return {row["id"] for row in endpoint.call(caller, world).json()["results"]}

    assert ids(client) == ids(member) == own
    assert ids(foreigner) == other
    assert ids(support) == own | other


def test_the_description_and_its_page_are_public(anonymous: APIClient) -> None:
    for path in PUBLIC:
        assert anonymous.get(PREFIX + path).status_code == 200
