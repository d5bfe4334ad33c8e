"""The API explorer in Chromium: it runs under its strict policy, and a request from it works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import missing
from tests.contracts import routes
from tests.support import browser as support
from tests.support.people import Organization

pytestmark = pytest.mark.browser


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in a browser of its own."""
    if lack := support.lacking():
        missing("tests in a browser", lack)
    with support.chromium() as running:
        context = running.new_context(viewport={"width": 1280, "height": 1000})
        yield context.new_page()
        context.close()


def test_the_explorer_runs_a_request_with_a_pasted_key(organization: Organization, page: Page) -> None:
    """Paste a key alone, choose List agents, Execute: the agents come back, and the browser has nothing to complain of."""
    heard = support.complaints(page.context)
    request_urls: list[str] = []
    page.on("request", lambda request: request_urls.append(request.url))
    organization.agent("Book prices", organization.space())
    url = organization.server.url

    page.goto(f"{url}/api-docs")
    expect(page.locator(".opblock")).to_have_count(len(routes.every()))
    support.picture(page, "api-explorer")
    page.locator(".btn.authorize").first.click()
    page.locator(".auth-container input").first.fill(organization.key().secret)
    page.locator(".auth-container .btn.authorize").first.click()
    page.locator(".close-modal").first.click()
    block = page.locator("#operations-Agents-listAgents")
    block.locator(".opblock-summary-control").click()
    block.locator(".execute").click()

    response = block.locator(".live-responses-table .response").first
    expect(response).to_contain_text("200")
    expect(response).to_contain_text("Book prices")
    assert heard == []
    assert all(address.startswith((url, "data:", "blob:")) for address in request_urls)
