"""A real browser: Chromium driven by Playwright."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.server import PATIENCE

CHROMIUM = Path(os.environ.get("LATCHPIN_TEST_CHROMIUM", "/usr/bin/chromium"))
PICTURES = os.environ.get("LATCHPIN_TEST_PICTURES")
expect.set_options(timeout=PATIENCE * 1000)
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def lacking() -> str | None:
    """Return None where Chromium is there, else how to provide it."""
    if CHROMIUM.exists():
        return None
    return f"there is no {CHROMIUM}; install Debian's package chromium, or set LATCHPIN_TEST_CHROMIUM"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser for the length of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_QUIET)
        yield browser
        browser.close()


def sign_in(page: Page, url: str, email: str, password: str) -> None:
    """Sign in on the Control Center's own page."""
    page.goto(f"{url}/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/login" not in address)


def picture(page: Page, name: str) -> None:
    """Keep a screenshot of the whole page where LATCHPIN_TEST_PICTURES names a folder, for whoever wants to look.

    In any case the page has been painted afterwards: colours of another scheme are not all computed anew before.
    """
    if not PICTURES:
        page.screenshot(clip={"x": 0, "y": 0, "width": 1, "height": 1})
    else:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def serious_faults(page: Page) -> list[str]:
    """Return what axe finds serious or critical on the page, one line each."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']} at {each['nodes'][0]['target']}: {each['nodes'][0]['failureSummary']}"
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]


def complaints(context: BrowserContext) -> list[str]:
    """Collect what pages of the context complain of in the console (CSP violations are among it) and scripts that fail."""
    heard: list[str] = []
    context.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: heard.append(str(error.error)))
    return heard
