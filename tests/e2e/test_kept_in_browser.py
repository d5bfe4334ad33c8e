"""A session that ends while somebody types, in Chromium: what was typed is there again after signing in, and was not sent."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import sessions
from tests.support import browser as support
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser


def _end_sessions(organization: Organization) -> None:
    async def work(session: AsyncSession) -> None:
        await sessions.end_all(session, organization.admin.id)

    organization.write(work)


def _sign_in_again(page: Page, organization: Organization) -> None:
    expect(page.get_by_role("heading", name="What you entered is kept")).to_be_visible()
    page.get_by_label("E-mail").fill(organization.admin.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Nothing was saved yet")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
def test_a_definition_is_there_again(organization: Organization, chromium: Browser, width: int, script: bool) -> None:
    """With script and without; the page stands like any other, and saving works."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, java_script_enabled=script)
    heard = support.complaints(context)
    page = context.new_page()
    support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)
    page.goto(f"{organization.server.url}/agents/new")
    text = page.get_by_label("Definition").input_value().replace("name: New agent", "name: Typed before lunch")
    page.get_by_label("Definition").fill(text)
    _end_sessions(organization)

    page.get_by_role("button", name="Create agent").click()
    if script:
        support.picture(page, f"kept-sign-in-{width}")
    _sign_in_again(page, organization)
    expect(page.get_by_label("Definition")).to_have_value(text)
    if script:
        support.picture(page, f"kept-form-{width}")
        assert support.serious_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Create agent").click()

    expect(page.get_by_role("heading", name="Typed before lunch")).to_be_visible()
    assert heard == []
    context.close()


def test_a_dialog_comes_back_as_a_page(organization: Organization, chromium: Browser) -> None:
    """A form in a dialog is found again, too, with a new temporary password in the place of the one that was not kept."""
    page = chromium.new_page()
    support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)
    page.goto(f"{organization.server.url}/organization/users")
    page.get_by_role("link", name="New user").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Full name").fill("Grace Hopper")
    dialog.get_by_label("E-mail").fill("grace.hopper@kept.example")
    typed = dialog.get_by_label("Temporary password").input_value()
    _end_sessions(organization)

    dialog.get_by_role("button", name="Create user").click()
    _sign_in_again(page, organization)

    expect(page.get_by_label("Full name")).to_have_value("Grace Hopper")
    expect(page.get_by_label("E-mail")).to_have_value("grace.hopper@kept.example")
    expect(page.get_by_label("Temporary password")).not_to_have_value(typed)
    page.close()
