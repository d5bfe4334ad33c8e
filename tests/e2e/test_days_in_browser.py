"""Days that people choose read as the same days in the lists, whatever the viewer's zone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import browser as support
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser
# A day ahead of Greenwich for half of the day, off by half an hour, behind it.
ZONES = ("Pacific/Auckland", "Asia/Kolkata", "America/Los_Angeles")


@pytest.fixture
def signed_in(organization: Organization, chromium: Browser) -> Any:
    """The cookies of an administrator's browser."""
    context = chromium.new_context()
    support.sign_in(context.new_page(), organization.server.url, organization.admin.email, PASSWORD)
    state = context.storage_state()
    context.close()
    return state


@contextmanager
def _page(chromium: Browser, signed_in: Any, zone: str) -> Iterator[Page]:
    context = chromium.new_context(timezone_id=zone, storage_state=signed_in, viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def _words(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def test_the_last_day_of_a_key_is_the_one_that_was_chosen(organization: Organization, chromium: Browser, signed_in: Any) -> None:
    """The list, the new key's page and the form that changes it say the same day east and west of Greenwich."""
    chosen = datetime.now(UTC).date() + timedelta(days=100)
    for zone in ZONES:
        keys = f"{organization.server.url}/organization/users/{organization.user().id}/api-keys"
        with _page(chromium, signed_in, zone) as page:
            page.goto(f"{keys}/new")
            expect(page.get_by_label("Last day")).to_be_hidden()
            page.get_by_text("Custom").click()
            page.get_by_label("Last day").fill(chosen.isoformat())
            page.get_by_role("button", name="Create API key").click()
            expect(page.get_by_role("dialog"), zone).to_contain_text(f"until {_words(chosen)}")

            page.goto(keys)
            expiry = page.locator("td[data-label=Expires] time")
            expect(expiry, zone).to_have_text(_words(chosen))
            hover = expiry.get_attribute("title") or ""
            assert "23:59:59 UTC" in hover
            assert "where you are" in hover
            page.get_by_label("Actions for").click()
            page.get_by_role("link", name="Change expiry").click()
            expect(page.get_by_label("Expires on"), zone).to_have_value(chosen.isoformat())
            expect(page.get_by_role("dialog"), zone).to_contain_text(f"ends on {_words(chosen)}")


def test_the_days_of_the_audit_log_are_the_viewers(organization: Organization, chromium: Browser, signed_in: Any) -> None:
    """Filtered by the day that a record shows, it is listed, and by the day before, it is not; the address shows others the same."""
    for zone in ZONES:
        with _page(chromium, signed_in, zone) as page:
            page.goto(f"{organization.server.url}/audit")
            record = page.locator("td[data-label=When]").last
            day = datetime.strptime((record.text_content() or "").split(",")[0].strip(), "%d %b %Y").date()  # noqa: DTZ007  a day
            before = (day - timedelta(days=1)).isoformat()
            since, until = page.get_by_label("From", exact=True), page.get_by_label("to", exact=True)
            chips = page.get_by_role("group", name="Filters in force")

            until.fill(day.isoformat())
            since.fill(day.isoformat())
            expect(chips, zone).to_contain_text(f"From: {_words(day)} (UTC")
            expect(record, zone).to_contain_text(_words(day))
            address = page.url
            until.fill(before)
            since.fill(before)
            expect(page.get_by_text("No records match"), zone).to_be_visible()
            expect(since, zone).to_have_value(before)
        with _page(chromium, signed_in, "UTC") as page:
            page.goto(address)
            expect(page.locator("td[data-label=When]").last, zone).to_be_visible()
