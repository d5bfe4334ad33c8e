"""Authorization requests that wait for a person: how many of one browser may."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit.clock import Frozen
from latchpin.oauth import pending
from latchpin.storage.models import StoredAuthorizationRequest
from tests.support.apps import App
from tests.support.authorizing import Go, Journey, came
from tests.support.people import Organization

pytestmark = pytest.mark.both_databases("requests are counted and bounded by a statement")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Three instead of fifty, so that a test need not open fifty pages."""
    assert pending.MOST_UNANSWERED == 50
    monkeypatch.setattr(pending, "MOST_UNANSWERED", 3)
    return 3


def _waiting(organization: Organization, app: App) -> int:
    async def work(session: AsyncSession) -> int:
        rows = select(func.count()).select_from(StoredAuthorizationRequest)
        return (
            await session.scalar(
                rows.where(StoredAuthorizationRequest.oauth_client_id == app.pk, StoredAuthorizationRequest.used_at.is_(None))
            )
            or 0
        )

    return organization.write(work)


@pytest.mark.usefixtures("few")
def test_of_many_pages_that_nobody_answers_the_oldest_go_first(go: Go, organization: Organization, clock: Frozen) -> None:
    """A browser keeps fifty at most; the later ones can still be answered, and the gone ones say to begin again."""
    journey, pages = go(), []
    for _ in range(5):
        pages.append(journey.ask())
        clock.advance(timedelta(seconds=1))

    assert _waiting(organization, journey.app) == 3
    gone = [journey.agree(page) for page in pages[:2]]
    assert [response.status_code for response in gone] == [400, 400]
    assert all("begin again" in response.text for response in gone)
    assert all("code" in came(journey.agree(page)) for page in pages[2:])


@pytest.mark.usefixtures("few")
def test_other_browsers_and_answered_pages_are_let_be(go: Go, organization: Organization, clock: Frozen) -> None:
    """Each has its own fifty; what was answered still says so."""
    first, second = go(), go()
    page = second.ask(prompt="consent")
    answered = _answered(first)
    for _ in range(4):
        clock.advance(timedelta(seconds=1))
        first.ask(prompt="consent")

    assert _waiting(organization, first.app) == 4
    assert "code" in came(second.agree(page))
    assert "works once" in first.agree(answered).text


def _answered(journey: Journey) -> httpx.Response:
    page = journey.ask()
    journey.agree(page)
    return page
