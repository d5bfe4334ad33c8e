"""What tests of the authorization pages share: an app, and browsers that are closed when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.apps import App, Apps
from tests.support.authorizing import Go, Journey
from tests.support.people import Organization, Person


@pytest.fixture
def partners(organization: Organization) -> Apps:
    """Apps of an organization."""
    return Apps(organization)


@pytest.fixture
def partner(partners: Apps) -> App:
    """A registered public app of the user's own organization."""
    return partners.register()


@pytest.fixture
def go(partners: Apps, partner: App) -> Iterator[Go]:
    """Begin a journey: `go()` for the administrator's browser with the registered app, `go(app, person)`, `go(signed_in=False)`."""
    with ExitStack() as stack:

        def begin(app: App | None = None, person: Person | None = None, *, signed_in: bool = True, **more: Any) -> Journey:
            who = (person or partners.organization.admin) if signed_in else None
            journey = Journey(partners, app or partner, who, **more)
            stack.callback(journey.browser.http.close)
            return journey

        yield begin
