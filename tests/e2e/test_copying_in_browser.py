"""Copying where the browser gives out no clipboard, as it does over plain HTTP off loopback."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support import browser as support
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser
_ON = """
Object.defineProperty(Navigator.prototype, "clipboard", {{ get: () => undefined }});
Object.defineProperty(Navigator.prototype, "platform", {{ get: () => "{platform}" }});
"""


@pytest.mark.parametrize(("platform", "keys"), [("Linux x86_64", "Ctrl+C"), ("MacIntel", "Cmd+C")])
def test_what_is_to_be_copied_is_selected(organization: Organization, chromium: Browser, platform: str, keys: str) -> None:
    """The button names the keys of the viewer's system, and pressing them copies: a field as well as a text."""
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script(_ON.format(platform=platform))
    support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)
    selected = "document.activeElement.value?.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)"

    page.goto(f"{organization.server.url}/organization/users/new")
    password = page.get_by_label("Temporary password")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name=f"Press {keys}")).to_be_visible()
    assert page.evaluate(selected) == password.input_value()

    page.goto(f"{organization.server.url}/organization/users/{organization.admin.id}/api-keys/new")
    page.get_by_role("button", name="Create API key").click()
    page.get_by_role("button", name="Copy key").click()
    expect(page.get_by_role("button", name=f"Press {keys}")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == page.locator("#the-key").text_content()
    context.close()
