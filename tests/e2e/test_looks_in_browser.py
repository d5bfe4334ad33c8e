"""What people see at the edges of pages, in Chromium with scroll bars that take their room, as on most desktops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import missing
from tests.support import browser as support
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser
_COLOUR = "(selector) => getComputedStyle(document.querySelector(selector)).backgroundColor"


@pytest.fixture(scope="module")
def with_bars() -> Iterator[Browser]:
    """A browser whose scroll bars are drawn."""
    if lack := support.lacking():
        missing("tests in a browser", lack)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(support.CHROMIUM), args=["--no-sandbox", "--disable-gpu"], ignore_default_args=["--hide-scrollbars"]
        )
        yield browser
        browser.close()


def _open(browser: Browser, organization: Organization, scheme: str = "light") -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme="dark" if scheme == "dark" else "light").new_page()
    support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)
    return page


def test_no_strip_stands_at_the_edge_of_a_short_page(organization: Organization, with_bars: Browser) -> None:
    """No room is kept for a scroll bar that is not there: a backdrop reaches the edge, and so does the page outside the frame."""
    page = _open(with_bars, organization)
    room = "innerWidth - document.documentElement.getBoundingClientRect().width"

    page.goto(f"{organization.server.url}/organization/users")
    page.get_by_role("link", name="New User").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate(room) == 0
    page.context.clear_cookies()
    page.goto(f"{organization.server.url}/login")
    assert page.evaluate(room) == 0
    assert page.evaluate(_COLOUR, "body") == page.evaluate(_COLOUR, ".auth-layout")
    page.context.close()


def test_the_api_reference_is_reached_and_follows_the_theme(organization: Organization, with_bars: Browser) -> None:
    """The navigation leads there; it is dark where the system is, and where somebody chose so in the Control Center."""
    backgrounds = set()
    for scheme, chosen in (("dark", None), ("light", "dark"), ("dark", "light")):
        page = _open(with_bars, organization, scheme)
        heard = support.complaints(page.context)
        if chosen:
            page.context.add_cookies([{"name": "theme", "value": chosen, "url": organization.server.url}])
        page.get_by_role("link", name="API reference").click()
        expect(page.locator(".opblock").first).to_be_visible()
        is_dark = page.evaluate("document.documentElement.classList.contains('dark-mode')")
        assert is_dark is ((chosen or scheme) == "dark"), (scheme, chosen)
        backgrounds.add((is_dark, page.evaluate(_COLOUR, "body")))
        assert heard == []
        page.context.close()

    assert len(backgrounds) == 2


def test_the_first_characters_of_a_key_stay_on_one_line(organization: Organization, with_bars: Browser) -> None:
    """Narrow as the place may be, they are not broken at their hyphen."""
    organization.key(description="Nightly export of everything there is to export")
    page = _open(with_bars, organization)
    mine = f"/organization/users/{organization.admin.id}"
    page.set_viewport_size({"width": 360, "height": 740})
    lines = """() => [...document.querySelectorAll(".prefix")].map(
        (each) => { const range = document.createRange(); range.selectNodeContents(each); return range.getClientRects().length; })"""

    for path in ("/", mine, f"{mine}/api-keys", "/account", f"/audit?actor={organization.admin.id}"):
        page.goto(f"{organization.server.url}{path}")
        line_counts = page.evaluate(lines)
        assert set(line_counts) <= {1}, path
        assert line_counts or path == "/", path
    page.context.close()


def test_code_in_the_text_of_the_api_reference_covers_no_line_beside_it(organization: Organization, with_bars: Browser) -> None:
    """Its box is no higher than the line that it stands in."""
    page = with_bars.new_context(viewport={"width": 1280, "height": 1000}, color_scheme="dark").new_page()
    page.goto(f"{organization.server.url}/api-docs")
    expect(page.locator(".info p code").first).to_be_visible()

    beyond = page.evaluate("""() => [...document.querySelectorAll(".info p code")].map(
        (code) => code.getBoundingClientRect().height - parseFloat(getComputedStyle(code.parentElement).lineHeight))""")

    assert len(beyond) >= 3
    assert all(each <= 0 for each in beyond), beyond
    page.context.close()
