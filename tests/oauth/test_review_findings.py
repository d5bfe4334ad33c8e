"""What a hostile review of the authorization server found: each of these was possible once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.errors import Conflict
from latchpin.identity import sessions, users
from latchpin.identity.sessions import SignedInUser
from latchpin.oauth import authorization_request, authorize, connected
from latchpin.oauth import server as oauth_server
from latchpin.oauth.authorize import Outcome, Show
from latchpin.oauth.clients import CALLBACK, CONTROL_CENTER
from latchpin.storage.models import OAuthConsent, OAuthGrant
from tests.support.authorizing import Go, came
from tests.support.door import meet
from tests.support.people import Organization, Person


def test_codes_of_our_own_app_go_to_our_own_port_only(go: Go) -> None:
    """Nobody is asked about the Control Center, so another program on the same computer must not get its codes (security.md 3)."""
    journey = go()
    ours = journey.browser.server.settings.public_url + CALLBACK

    assert ours.startswith("http://127.0.0.1:")  # where other apps may have any port
    answer = journey.ask(client_id=CONTROL_CENTER, redirect_uri=f"http://127.0.0.1:9{CALLBACK}")

    assert answer.status_code == 400
    assert "location" not in answer.headers


def _signed_in(organization: Organization, person: Person) -> SignedInUser:
    async def work(session: AsyncSession) -> SignedInUser:
        user = await users.get(session, organization.id, person.id)
        opened = await sessions.open_(session, user, organization.server.settings, Origin())
        found = await sessions.find(session, opened.token, organization.server.settings)
        assert found is not None
        return found

    return organization.write(work)


async def _disabled(session: AsyncSession, organization: Organization, person: Person) -> None:
    await users.disable(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)


async def _reset(session: AsyncSession, organization: Organization, person: Person) -> None:
    await users.reset_password(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)


async def _withdrawn(session: AsyncSession, organization: Organization, person: Person) -> None:
    user = await users.get(session, organization.id, person.id)
    client = await session.scalar(select(OAuthConsent.oauth_client_id).where(OAuthConsent.user_id == person.id))
    assert client is not None
    await connected.withdraw(session, user, client, by=person.actor)


@pytest.mark.parametrize("changed", [_disabled, _reset, _withdrawn])
def test_a_request_that_meets_the_end_of_its_consent_leaves_no_grant(go: Go, organization: Organization, changed: Any) -> None:
    """What ends all grants cannot see one that is being made, so the one that is being made waits for it (security.md 34, 39)."""
    person = organization.user()
    journey = go(None, person)
    came(journey.agree(journey.ask()))
    encoded = journey.query().encode()
    serving = organization.server.application.litestar.state[oauth_server.STATE]
    who = _signed_in(organization, person)

    async def come_again() -> Outcome:
        to = await authorization_request.target(serving, encoded, await serving.now())
        async with organization.server.database.transaction() as session:
            return await authorize.begin(session, serving, to, encoded, who)

    outcome = meet(organization.server, lambda session: changed(session, organization, person), come_again)

    assert isinstance(outcome, Show | Conflict), outcome

    async def living(session: AsyncSession) -> list[OAuthGrant]:
        theirs = select(OAuthGrant).where(OAuthGrant.user_id == person.id, OAuthGrant.oauth_client_id == journey.app.pk)
        return list(await session.scalars(theirs.where(OAuthGrant.ended.is_(None))))

    assert organization.write(living) == []
