"""Takes the README's pictures anew, from a demo of its own: ``make screenshots``. Look at each before you commit it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WIDTH, HEIGHT, TALL = 1280, 860, 1160
DEMO = ["--every=4", "--ship-after=16", f"--folder={ROOT / 'var' / 'pictures'}"]
SALES_BEFORE_THE_PICTURES = 24
MERCHANT = "merchant"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> int:
    place = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if place is None:
        sys.stderr.write("No Chromium is installed; set CHROMIUM to the path of one.\n")
        return 1
    demo = subprocess.Popen(  # noqa: S603
        [sys.executable, "manage.py", "demo", "--port=0", "--sandbox-port=0", *DEMO],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address, password = wait_for_sales(demo)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=place, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, base_url=address)
            log_in(page, password)
            take_all(page)
            browser.close()
    finally:
        demo.terminate()
        demo.communicate(timeout=90)
    return 0


def wait_for_sales(demo: subprocess.Popen[str]) -> tuple[str, str]:
    """(address of the hub, password) once enough has happened for the pictures to show something."""
    text, shipped = "", 0
    assert demo.stdout is not None
    for line in demo.stdout:
        text += line
        shipped += "-> shipped" in line
        if shipped >= SALES_BEFORE_THE_PICTURES:
            [address] = re.findall(r"Open +(http\S+)/admin/", text)
            [password] = re.findall(rf"{MERCHANT} / (\S+)", text)
            return address, password
    raise RuntimeError(f"The demo ended early:\n{text}")


def log_in(page: Page, password: str) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(MERCHANT)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


def take_all(page: Page) -> None:
    page.set_viewport_size({"width": WIDTH, "height": TALL})
    take(page, "dashboard")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.goto("/admin/carts/order/")
    take(page, "orders")
    page.locator("#result_list tbody a").nth(12).click()
    take(page, "order")
    page.goto("/admin/carts/cart/add/")
    page.get_by_role("link", name="Vend POS").first.click()
    take(page, "form")
    page.goto("/admin/carts/cart/")
    page.get_by_role("link", name="Main Outlet").first.click()
    take(page, "setup")


def take(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
