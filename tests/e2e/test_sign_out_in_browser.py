"""Signing out at an app's wish in Chromium: the question, the answer, and the way back to the app."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import browser as support
from tests.support.apps import Apps
from tests.support.authorizing import introduce
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
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


def test_an_app_that_nobody_checked_leaves_the_browser_here(organization: Organization, chromium: Browser) -> None:
    """The question and the page after it name the host; the browser goes there when the person follows the link, and not before."""
    back = organization.server.url + "/health/live"
    apps = Apps(organization)
    app = introduce(apps, apps.register(name="Your bank", post_logout_redirect_uris=(back,)))
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)

    page.goto(f"{organization.server.url}/api/oauth/logout?{urlencode({'client_id': app.client_id, 'post_logout_redirect_uri': back})}")
    expect(page.locator(".summary")).to_contain_text("a link to 127.0.0.1")
    _photograph(page, "sign-out-unverified")
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert page.url == f"{organization.server.url}/api/oauth/logout"
    _photograph(page, "signed-out-unverified")
    page.get_by_role("link", name="Continue to 127.0.0.1").click()
    page.wait_for_url(back)


def _photograph(page: Page, name: str) -> None:
    """Keep the page wide and narrow, light and dark; nothing serious may be wrong, and nothing cut off."""
    for shape, width, height in SHAPES:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            support.picture(page, f"{name}-{shape}-{scheme}")
            assert support.serious_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
