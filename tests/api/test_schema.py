"""The API describes itself: a valid document, and a page that works offline."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.urls import URLPattern
from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.test import APIClient

from carts.api.fields import AddressSerializer
from connectors.records import ADDRESS_FIELDS
from connectors.registry import CONNECTORS, connector_class
from integration_manager import api
from tests.api.test_permissions import ENDPOINTS, PUBLIC

DOCS = "/api/v1/docs/"


@pytest.fixture(scope="module")
def schema() -> dict[str, dict]:
    reset_generator_stats()
    document = SchemaGenerator().get_schema(request=None, public=True)
    assert not GENERATOR_STATS, f"the document has holes: {GENERATOR_STATS._warn_cache} {GENERATOR_STATS._error_cache}"
    return document


def test_the_document_is_valid(schema: dict[str, dict]) -> None:
    validate_schema(schema)


def test_every_endpoint_is_described(schema: dict[str, dict]) -> None:
    described = {
        (re.sub(r"{\w+}", "{}", path), method.upper()) for path, item in schema["paths"].items() for method in item
    }
    offered = {("/api/v1/" + re.sub(r"{\w+}", "{}", e.template), e.method) for e in ENDPOINTS if e.template}

    assert offered == described


def test_every_operation_is_explained_and_needs_a_token(schema: dict[str, dict]) -> None:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            assert operation["description"], f"{method} {path}"
            assert {"token": []} in operation["security"], f"{method} {path}"


def test_what_must_be_entered_follows_from_the_connectors(schema: dict[str, dict]) -> None:
    cart = schema["components"]["schemas"]["CartRequest"]["properties"]
    described = {kind["title"]: kind["properties"] for kind in cart["options"]["anyOf"]}

    assert set(described) == set(CONNECTORS)
    for key, properties in described.items():
        assert set(properties) == {field.name for field in connector_class(key).Options.fields()}
    assert "LAYBY" in described["vend"]["order_status"]["enum"]
    assert "credentials" not in schema["components"]["schemas"]["Cart"]["properties"]


def test_addresses_have_all_their_parts() -> None:
    assert list(AddressSerializer().fields) == list(ADDRESS_FIELDS)


def test_only_the_description_is_public() -> None:
    named = {pattern.name for pattern in api.urlpatterns if isinstance(pattern, URLPattern)}

    assert {path.rstrip("/") for path in PUBLIC} <= named


def test_the_page_needs_no_other_host_and_no_inline_script(anonymous: APIClient) -> None:
    answer = anonymous.get(DOCS)
    page = answer.content.decode()

    assert answer.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    for source in sources:
        assert source.startswith("/"), source
        if source.startswith("/static/"):
            assert finders.find(source.removeprefix("/static/")), source
    assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page)
    script = next(source for source in sources if source.startswith(DOCS))
    assert anonymous.get(script).status_code == 200


def test_the_page_may_only_load_what_is_its_own(anonymous: APIClient) -> None:
    policy = anonymous.get(DOCS)["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "http" not in policy


def test_the_guide_names_every_endpoint() -> None:
    guide = (settings.BASE_DIR / "docs" / "rest.md").read_text()
    explained = {
        (path.replace("{id}", "{pk}"), method)
        for methods, path in re.findall(
            r"((?:GET|POST|PATCH|PUT|DELETE)(?: (?:GET|POST|PATCH|PUT|DELETE))*) ([\w{}/-]+/)", guide
        )
        for method in methods.split()
    }
    offered = {(e.template, e.method) for e in ENDPOINTS if e.template}

    assert offered - explained == set()
