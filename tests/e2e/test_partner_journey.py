"""The way of a partner's app, in Chromium: sign-in, Space picker, consent, API call, refresh, taken back, refused.

The app is `examples/partner_app.py`, run as a partner would run it, and told nothing but the issuer's address and its client_id.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from latchpin.identity.roles import Role
from tests.support import browser as support
from tests.support.apps import Apps
from tests.support.people import PASSWORD, Organization
from tests.support.ports import free_port

pytestmark = pytest.mark.browser
_EXAMPLE = Path(__file__).parents[2] / "examples" / "partner_app.py"


@contextmanager
def partner(issuer: str, client_id: str, port: int) -> Iterator[str]:
    """Run the example for the length of the block; returns its address."""
    environ = {**os.environ, "LATCHPIN_ISSUER": issuer, "CLIENT_ID": client_id, "PORT": str(port)}
    running = subprocess.Popen([sys.executable, str(_EXAMPLE)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert running.stdout is not None
        assert "Partner app at" in running.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(10)
        if running.stdout is not None:
            running.stdout.close()


@pytest.mark.parametrize("width", [1280, 360])
def test_a_partner_signs_a_user_in_and_loses_what_the_user_takes_back(organization: Organization, chromium: Browser, width: int) -> None:
    """The promise of OAuth from end to end (promises 1 to 4)."""
    port, url, person = free_port(), organization.server.url, organization.user("Grace User")
    retail, finance = organization.space("Retail"), organization.space("Finance")
    for space in (retail, finance):
        organization.member(space, person, Role.VIEWER)
    organization.agent("Book prices", retail)
    organization.agent("Company register", finance)
    app = Apps(organization).register(
        name="Price dashboard", application_type="native", redirect_uris=(f"http://127.0.0.1:{port}/callback",)
    )
    context = chromium.new_context(viewport={"width": width, "height": 800})
    heard = support.complaints(context)
    with partner(url, app.client_id, port) as address:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("link", name="Sign in with Latchpin").click()
        page.get_by_label("E-mail").fill(person.email)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        _consent(page, width)
        expect(page.locator("#agents li")).to_have_text(["Book prices"])
        page.get_by_role("link", name="Refresh").click()
        expect(page.locator("#agents li")).to_have_text(["Book prices"])
        _take_back(page, url, width)
        page.goto(address)
        expect(page.locator("body")).to_contain_text("invalid_grant")
    context.close()
    assert heard == []


def _consent(page: Page, width: int) -> None:
    """Look at what is asked, pick a Space, agree."""
    expect(page.get_by_role("heading", level=1)).to_contain_text("Price dashboard")
    expect(page.locator("main")).to_contain_text("127.0.0.1")
    page.get_by_role("combobox").select_option(label="Retail (viewer)")
    support.picture(page, f"20-consent-{width}")
    assert support.serious_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Authorize").click()


def _take_back(page: Page, url: str, width: int) -> None:
    """Revoke its access under My account."""
    page.goto(f"{url}/account")
    support.picture(page, f"21-connected-apps-{width}")
    page.get_by_role("link", name="Revoke access of Price dashboard").click()
    page.get_by_role("button", name="Revoke access", exact=True).click()
    expect(page.get_by_role("link", name="Revoke access of Price dashboard")).to_have_count(0)
