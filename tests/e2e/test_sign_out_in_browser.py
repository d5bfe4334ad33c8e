"""Signing out at an app's wish in Chromium: the question, the answer, and the way back to the app."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from tests.support import browser as support
from tests.support.apps import Apps
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser
SHAPES = (("wide", 1280, 900), ("phone", 360, 740))


@pytest.mark.parametrize("shape", SHAPES, ids=[name for name, *_ in SHAPES])
def test_a_person_is_asked_and_comes_back_to_the_app(organization: Organization, chromium: Browser, shape: tuple[str, int, int]) -> None:
    """A link alone signs nobody out; after the answer the session is over and the browser is at the registered address."""
    name, width, height = shape
    back = organization.server.url + "/health/live"  # plays the app, since it answers
    app = Apps(organization).register(post_logout_redirect_uris=(back,))
    context = chromium.new_context(viewport={"width": width, "height": height})
    heard = support.complaints(context)
    page = context.new_page()
    support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)
    query = urlencode({"client_id": app.client_id, "post_logout_redirect_uri": back, "state": "s 1"})

    page.goto(f"{organization.server.url}/api/oauth/logout?{query}")
    expect(page.get_by_role("heading", name="Sign out of Latchpin?")).to_be_visible()
    support.picture(page, f"sign-out-{name}")
    assert support.serious_faults(page) == []
    page.get_by_role("button", name="Sign out").click()

    page.wait_for_url(f"{back}?state=s+1")
    page.goto(f"{organization.server.url}/account")
    assert "/login" in page.url
    assert [each for each in heard if "favicon" not in each and "404" not in each] == []  # the stand-in app has no icon
