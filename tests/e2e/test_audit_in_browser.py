"""The audit log's filters in Chromium, wide and narrow: from a key to what it did, and on to less and more."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support import browser as support
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1280, 360])
def test_filters_narrow_the_log_in_place(organization: Organization, chromium: Browser, width: int) -> None:
    """A key's menu leads to its records; an address is filtered by as it is typed; Clear all clears the fields, too."""
    key = organization.key(description="Nightly export")
    organization.get("/agent/all", key)
    organization.server.flush()
    context = chromium.new_context(viewport={"width": width, "height": 800})
    heard = support.complaints(context)
    page = context.new_page()
    support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)
    page.goto(f"{organization.server.url}/organization/users/{organization.admin.id}/api-keys")
    page.locator("summary[aria-label^='Actions']").first.click()

    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("GET /api/v1/agent/all")).to_be_visible()
    support.picture(page, f"audit-{width}")
    assert support.serious_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Address").fill("203.0.113.")
    expect(page.get_by_text("No records match")).to_be_visible()
    assert page.url.endswith(f"/audit?address=203.0.113.&through=api_key%3A{key.id}")
    page.get_by_role("link", name="Clear all").click()

    expect(page.get_by_role("row", name="Nightly export").first).to_be_visible()
    expect(page.get_by_label("Address")).to_have_value("")
    assert heard == []
    context.close()
