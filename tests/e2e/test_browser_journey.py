"""The journey of the issue's first page, in Chromium: from an administrator's click to an authorised request, and back."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support import browser as support
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser
_SCRIPT = """
import os, requests
print(requests.get("{url}/api/v1/agent/all", headers={{"Authorization": f"ApiKey {{os.environ['SEQUENTUM_API_KEY']}}"}}).json())
"""


def promised_script(url: str, key: str) -> str:
    """Run the script that users know, with only the host changed, and return what it prints."""
    environ = {**os.environ, "SEQUENTUM_API_KEY": key, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SCRIPT.format(url=url)], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_an_administrator_issues_a_key_that_works_until_it_is_revoked(organization: Organization, context: BrowserContext) -> None:
    """Sign in, New User, Manage API keys, New API key, copy, use it with requests, revoke, refused (promises 1, 2 and 5)."""
    heard = support.complaints(context)
    url = organization.server.url
    organization.agent("Book prices", organization.space("Retail"))
    page = context.new_page()
    support.sign_in(page, url, organization.admin.email, PASSWORD)
    support.picture(page, "01-dashboard")

    email = _make_user(page, organization)
    _open_keys(page, email)
    key = _issue_key(page)

    output = promised_script(url, key)
    assert output.startswith("[")

    page.reload()
    expect(page.get_by_text("Nightly export")).to_be_visible()
    assert key not in page.content()

    _revoke(page)
    assert "The API key was not accepted" in promised_script(url, key)
    assert heard == []


def _make_user(page: Page, organization: Organization) -> str:
    email = f"grace.journey.{organization.number}@example.com"
    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_role("link", name="New User").click()
    page.get_by_label("Full name").fill("Grace Journey")
    page.get_by_label("E-mail").fill(email)
    support.picture(page, "02-new-user")
    page.get_by_role("button", name="Create User").click()
    expect(page.get_by_text(email)).to_be_visible()
    support.picture(page, "03-users")
    return email


def _open_keys(page: Page, email: str) -> None:
    row = page.get_by_role("row").filter(has_text=email)
    row.get_by_role("button").or_(row.locator("summary")).first.click()
    row.get_by_role("link", name="Manage API keys").or_(row.get_by_role("menuitem", name="Manage API keys")).first.click()
    expect(page.get_by_role("heading", name="API keys of Grace Journey")).to_be_visible()
    support.picture(page, "04-no-keys-yet")


def _issue_key(page: Page) -> str:
    page.get_by_role("link", name="New API key").first.click()
    page.get_by_label("Description").fill("Nightly export")
    support.picture(page, "05-new-key")
    page.get_by_role("button", name="Create API key").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="API key created")).to_be_visible()
    support.picture(page, "06-your-new-key")
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Copy key").click()
    expect(dialog.get_by_role("button", name="Copied").first).to_be_visible()
    copied: str = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"sk-lp_[0-9A-Za-z]{49}", copied)
    dialog.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", name="API keys of Grace Journey")).to_be_visible()
    expect(dialog).to_be_hidden()
    return copied


def _revoke(page: Page) -> None:
    row = page.get_by_role("row").filter(has_text="Nightly export")
    row.get_by_role("button").or_(row.locator("summary")).first.click()
    row.get_by_role("link", name="Revoke").or_(row.get_by_role("menuitem", name="Revoke")).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nightly export")
    support.picture(page, "07-revoke")
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Inactive keys")).to_be_visible()
    support.picture(page, "08-revoked")


def test_a_new_user_must_choose_a_password_and_sees_no_administration(organization: Organization, context: BrowserContext) -> None:
    """The temporary password opens nothing but the change of it; an ordinary user has no administration, by address either."""
    person = organization.user("Temp Person", temporary=True)
    url = organization.server.url
    page = context.new_page()

    support.sign_in(page, url, person.email, PASSWORD)
    page.goto(f"{url}/agents")
    expect(page.get_by_label("New password", exact=True)).to_be_visible()
    support.picture(page, "09-first-password")
    page.get_by_label("Temporary password", exact=True).fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("several quite unrelated words")
    page.get_by_role("button", name="Save and continue").click()

    expect(page.get_by_role("link", name="Agents").first).to_be_visible()
    assert page.get_by_role("link", name="Users", exact=True).count() == 0
    for path in ("/organization/users", "/organization/policy", "/audit", f"/organization/users/{person.id}/api-keys"):
        response = page.goto(f"{url}{path}")
        assert response is not None
        assert response.status == 404, path


def test_a_key_page_works_without_script(organization: Organization, chromium: Browser) -> None:
    """Everything but copying works without JavaScript; a re-sent form makes no second key."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    url = organization.server.url
    support.sign_in(page, url, organization.admin.email, PASSWORD)

    page.goto(f"{url}/organization/users/{organization.admin.id}/api-keys/new")
    page.get_by_label("Description").fill("No script")
    page.get_by_role("button", name="Create API key").click()
    expect(page.get_by_role("heading", name="API key created")).to_be_visible()
    content = page.content()
    page.reload()

    assert re.search(r"sk-lp_[0-9A-Za-z]{49}", content)
    assert not re.search(r"sk-lp_[0-9A-Za-z]{49}", page.content())
    page.goto(f"{url}/organization/users/{organization.admin.id}/api-keys")
    assert page.get_by_role("row").filter(has_text="No script").count() == 1
    context.close()


PAGES = (
    "/",
    "/agents",
    "/spaces",
    "/organization/users",
    "/organization/users/new",
    "/organization/policy",
    "/audit",
    "/account",
)


@pytest.mark.parametrize("look", ["wide-light", "wide-dark", "narrow-light", "narrow-dark"])
def test_every_page_is_sound_for_assistive_technology(organization: Organization, chromium: Browser, look: str) -> None:
    """Axe finds no serious fault, nothing scrolls sideways at 360 pixels, and the strict policy is never broken."""
    width, scheme = (1440 if look.startswith("wide") else 360), ("dark" if look.endswith("dark") else "light")
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light")
    heard = support.complaints(context)
    page = context.new_page()
    url = organization.server.url
    space = organization.space("Retail" + "x" * 150)
    agent = organization.agent("Book" + "y" * 150, space)
    organization.key(description="Nightly" + "z" * 150)
    page.goto(f"{url}/login")
    faults = {"/login": support.serious_faults(page)}
    support.sign_in(page, url, organization.admin.email, PASSWORD)

    mine = f"/organization/users/{organization.admin.id}"
    for path in (
        *PAGES,
        f"/agents/{agent}",
        f"/spaces/{space}",
        f"/spaces/{space}/members/new",
        mine,
        f"{mine}/api-keys",
        f"{mine}/api-keys/new",
    ):
        page.goto(f"{url}{path}")
        support.picture(page, look + re.sub(r"/\d+", "-one", path).replace("/", "-").rstrip("-"))
        faults[path] = support.serious_faults(page)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            faults[path].append("scrolls sideways")

    context.close()
    assert {path: violations for path, violations in faults.items() if violations} == {}
    assert heard == []
