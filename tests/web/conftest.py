"""Browsers for tests of the pages, closed when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.people import Organization
from tests.support.server import Server
from tests.web.browser import Browser

Browse = Callable[[Server], Browser]


@pytest.fixture
def browse() -> Iterator[Browse]:
    """Open a browser: `browse(organization.server)`."""
    with ExitStack() as stack:

        def start(server: Server) -> Browser:
            browser = Browser(server)
            stack.callback(browser.http.close)
            return browser

        yield start


@pytest.fixture
def administrator(organization: Organization, browse: Browse) -> Browser:
    """An administrator's browser, signed in."""
    browser = browse(organization.server)
    browser.sign_in(organization.admin)
    return browser


@pytest.fixture
def user(organization: Organization, browse: Browse) -> Browser:
    """An ordinary user's browser, signed in."""
    browser = browse(organization.server)
    browser.sign_in(organization.user())
    return browser
