"""A real browser for the journeys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.conftest import missing
from tests.support import browser as support


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all journeys of a module; while Playwright runs, so does an event loop in this thread."""
    if lack := support.lacking():
        missing("tests in a browser", lack)
    with support.chromium() as running:
        yield running


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser context of its own, which may use the clipboard."""
    browser_context = chromium.new_context(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"])
    yield browser_context
    browser_context.close()
