"""The pages that a problem document's `type` leads to, in Chromium: wide and narrow, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support import browser as support
from tests.support.server import Server

pytestmark = pytest.mark.browser
SHAPES = (("wide", 1280, "light"), ("wide-dark", 1280, "dark"), ("phone", 360, "light"), ("phone-dark", 360, "dark"))


@pytest.mark.parametrize("shape", SHAPES, ids=[name for name, *_ in SHAPES])
def test_a_developer_reads_what_an_error_means(server: Server, chromium: Browser, shape: tuple[str, int, str]) -> None:
    """From the list to one error: readable, without a sideways scroll, and within the content policy."""
    name, width, scheme = shape
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light")
    heard = support.complaints(context)
    page = context.new_page()

    page.goto(f"{server.url}/errors")
    support.picture(page, f"errors-{name}")
    faults = support.serious_faults(page)
    page.get_by_role("link", name="Definition with mistakes").click()
    expect(page.get_by_role("heading", name="What to do next")).to_be_visible()
    support.picture(page, f"error-{name}")

    assert faults + support.serious_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert heard == []
    context.close()
