"""An administrator and a service, in Chromium: registered in a dialog, its secret stored, used, rotated and revoked."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support import browser as support
from tests.support.people import PASSWORD, Organization
from tests.support.plain_http import PLAIN

pytestmark = pytest.mark.browser


def test_a_service_is_registered_used_rotated_and_revoked(organization: Organization, context: BrowserContext) -> None:
    """Everything in dialogs over the list; the secret is copied, works, and dies with the app; axe finds nothing serious."""
    heard = support.complaints(context)
    organization.space("Retail")
    url, page = organization.server.url, context.new_page()
    support.sign_in(page, url, organization.admin.email, PASSWORD)
    page.goto(f"{url}/organization/apps")
    faults = support.serious_faults(page)

    client_id, secret = _register(page)
    header = _token(url, client_id, secret)
    assert httpx.get(f"{url}/api/v1/agent/all", headers=header, trust_env=False, verify=PLAIN).status_code == 200
    faults += support.serious_faults(page)
    support.picture(page, "apps-details")

    page.locator(".page-head").get_by_role("link", name="Rotate secret").click()
    page.get_by_role("dialog").get_by_text("In 7 days").click()
    page.get_by_role("button", name="Make a new secret").click()
    newer = page.locator("#the-key").inner_text()
    faults += support.serious_faults(page)
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("Ending", exact=True)).to_be_visible()
    assert newer not in page.content()
    assert _token(url, client_id, newer)
    assert _token(url, client_id, secret)

    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke app").click()
    expect(page.get_by_text("refused from now on")).to_be_visible()
    assert httpx.get(f"{url}/api/v1/agent/all", headers=header, trust_env=False, verify=PLAIN).status_code == 401
    assert faults == []
    assert heard == []


def _register(page: Page) -> tuple[str, str]:
    """Walk through New app for a service; returns its client ID and the secret that was copied."""
    page.get_by_role("link", name="New app").first.click()
    page.get_by_role("dialog").get_by_role("link", name=re.compile("Service")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Nightly export")
    dialog.get_by_label("See agents and their schedules").check()
    dialog.get_by_label("Retail").select_option("viewer")
    dialog.get_by_role("button", name="Register service").click()
    secret = page.locator("#the-key").inner_text()
    page.get_by_role("button", name="Copy secret").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="App registered")).to_be_visible()
    support.picture(page, "apps-secret")
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", name="Nightly export")).to_be_visible()
    assert secret not in page.content()
    return page.locator("#client-id").inner_text(), secret


def _token(url: str, client_id: str, secret: str) -> dict[str, str]:
    form = {"grant_type": "client_credentials"}
    response = httpx.post(f"{url}/api/oauth/token", data=form, auth=(client_id, secret), trust_env=False, verify=PLAIN)
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.json()['access_token']}"}
