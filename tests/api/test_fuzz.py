"""Generated requests: whatever a client sends, the API answers, and as it is described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from rest_framework.test import APIClient
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from carts.models import ApiToken
from integration_manager.api import router
from integration_manager.wsgi import application
from tests.api.test_permissions import PREFIX
from tests.api.worlds import World

MODELS = {
    prefix: view.queryset.model
    for prefix, view, _ in router.registry
    if view.queryset is not None and hasattr(view, "retrieve")
}

schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", application)


@pytest.fixture
def secret(world: World) -> Iterator[str]:
    """A token. As with Django's own test client, a request does not close the database connection: the test's
    transaction lives in it."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield ApiToken.issue(world.merchant)[1]
    for signal in signals:
        signal.connect(close_old_connections)


@schema.parametrize()
@settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_api(case: Any, secret: str, world: World) -> None:
    if "id" in case.path_parameters:
        # An object that exists: the others are only 404 again and again.
        case.path_parameters["id"] = world[MODELS[case.path.removeprefix(PREFIX).split("/")[0]]].pk
    answer = case.call(headers={"Authorization": f"Bearer {secret}"})

    case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])


@pytest.mark.parametrize("path", sorted(MODELS))
@pytest.mark.parametrize("pk", ["0", "-1", "1.5", "x", "٣", "9" * 25, "%00", "None"])
def test_ids_that_cannot_exist(path: str, pk: str, client: APIClient) -> None:
    assert client.get(f"{PREFIX}{path}/{pk}/").status_code == 404
