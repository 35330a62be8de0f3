"""Bodies that no client should send are refused before they cost anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from tests.api.worlds import World

Send = Callable[[str], tuple[int, object]]


@pytest.fixture
def send(client: APIClient, world: World) -> Send:
    def send(body: str) -> tuple[int, object]:
        answer = client.generic("PUT", "/api/v1/inventory/", body, content_type="application/json")
        return answer.status_code, answer.json()

    return send


def test_a_body_that_is_too_large_is_not_read(send: Send) -> None:
    status, answer = send(" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))

    assert (status, answer) == (413, {"detail": "The request is too large: send at most 10 MB at once."})


def test_a_body_that_is_nested_too_deeply(send: Send) -> None:
    assert send("[" * 200_000) == (400, {"detail": "The JSON is nested too deeply."})


@pytest.mark.parametrize("body", ["{", "[NaN]", "[" + "9" * 5000 + "]", '["\\ud800"]', "\x00", "[1]]"])
def test_bodies_that_are_no_json(send: Send, body: str) -> None:
    assert send(body)[0] == 400


def test_other_formats_are_refused(client: APIClient, world: World) -> None:
    answer = client.generic("PUT", "/api/v1/inventory/", "<a/>", content_type="application/xml")

    assert answer.status_code == 415
