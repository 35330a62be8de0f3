"""A real browser against a real server. Skipped only where no Chromium is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.admin.worlds import make_user

PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Where Chromium is: ``CHROMIUM`` names it, else the usual places are looked at."""
    named = os.environ.get("CHROMIUM") or shutil.which("chromium")
    return next((place for place in (named, *PLACES) if place and Path(place).exists()), None)


@pytest.fixture(scope="session")
def chromium_browser() -> Iterator[Browser]:
    place = chromium()
    if place is None:
        pytest.skip("No Chromium is installed; set CHROMIUM to the path of one.")
    # The browser's own event loop must not make Django think that it runs in one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def strays(live_server: Any) -> list[str]:
    """What a page should not do: script errors, and requests that leave the hub."""
    return []


@pytest.fixture
def page(chromium_browser: Browser, live_server: Any, strays: list[str]) -> Iterator[Page]:
    context = chromium_browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.on("pageerror", lambda error: strays.append(f"script error on {page.url}: {error}"))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((live_server.url, "data:")) else strays.append(f"request to {request.url}")
        ),
    )
    yield page
    context.close()
    assert strays == []


@pytest.fixture
def log_in(page: Page) -> Callable[..., Any]:
    def log_in(name: str, *merchants: Any, **facts: Any) -> Any:
        """Makes a user and logs in as him, the way people do."""
        user = make_user(name, *merchants, **facts)
        page.goto("/admin/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(f"{name}-password")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/admin/")
        return user

    return log_in
