"""What a list says of a thing and what a dialog over it says, in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support import browser as support
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser


def test_the_list_of_keys_follows_the_dialog_over_it(organization: Organization, chromium: Browser) -> None:
    """A key that was used since the list was opened was used in both, and from the same address."""
    key = organization.key(description="Nightly export")
    with chromium.new_context() as context:
        page = context.new_page()
        support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)
        page.goto(f"{organization.server.url}/organization/users/{organization.admin.id}/api-keys")
        cell = page.get_by_role("row").filter(has_text="Nightly export").locator("td[data-label='Last used']")
        expect(cell).to_have_text("Never")
        organization.get("/agent/all", key)
        organization.server.flush()

        page.get_by_label("Actions for Nightly export").click()
        page.get_by_role("link", name="Revoke").or_(page.get_by_role("menuitem", name="Revoke")).first.click()
        expect(page.get_by_role("dialog")).to_contain_text("from 127.0.0.1")
        page.keyboard.press("Escape")

        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(cell).not_to_contain_text("Never")
        expect(cell).to_contain_text("127.0.0.1")
