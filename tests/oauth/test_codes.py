"""An authorization code is traded once, by the app and browser flow that it was made for (OAuth 2.1 section 4.1.3)."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import sessions
from latchpin.kit.clock import Frozen
from latchpin.storage.models import AuthorizationCode, OAuthGrant
from latchpin.storage.models.oauth_grant import Reach
from tests.support.apps import OFFLINE, TOKEN, Apps, Code
from tests.support.people import Organization
from tests.support.tokens import claims, reasons, resource

pytestmark = pytest.mark.both_databases("a code is spent by a conditional update")

OTHER_VERIFIER = "another-verifier-that-is-long-enough-to-be-one"


def refused(response: httpx.Response, error: str = "invalid_grant") -> bool:
    """Whether an answer is a refusal with this error and no token."""
    return response.status_code == 400 and response.json()["error"] == error and "access_token" not in response.json()


def test_the_database_holds_a_digest_of_the_code(organization: Organization) -> None:
    """A code has 256 random bits, is nowhere kept, and lives 60 seconds (security.md 22)."""
    apps = Apps(organization)
    code = apps.code(apps.register())

    async def work(session: AsyncSession) -> list[AuthorizationCode]:
        return list((await session.scalars(select(AuthorizationCode).where(AuthorizationCode.grant_id == code.grant_id))).all())

    [row] = organization.write(work)
    assert len(code.code) == 43
    assert code.code.encode() not in row.digest
    assert code.code not in str([getattr(row, column.name) for column in AuthorizationCode.__table__.columns])


def test_a_code_lives_one_minute(organization: Organization, clock: Frozen) -> None:
    """The last second counts, the one after does not (security.md 22)."""
    apps = Apps(organization)
    app = apps.register()
    first, second = apps.code(app), apps.code(app)

    clock.advance(timedelta(seconds=59))
    assert apps.redeem(app, first).status_code == 200
    clock.advance(timedelta(seconds=1))
    assert refused(apps.redeem(app, second))


def test_a_second_use_ends_what_the_first_gave(organization: Organization) -> None:
    """Code and verifier leaked together, so the tokens of the first use count no more (security.md 23)."""
    apps = Apps(organization)
    app = apps.register()
    code = apps.code(app)
    first = apps.redeem(app, code).json()

    again = apps.redeem(app, code)

    assert refused(again)
    assert organization.server.http.get("/api/v1/spaces", headers={"Authorization": f"Bearer {first['access_token']}"}).status_code == 401
    assert refused(apps.refresh(app, first["refresh_token"]))
    assert reasons(organization, "grant.replayed") == ["code used twice"]
    assert reasons(organization, "grant.ended") == ["its code was used twice"]


def test_a_second_use_with_a_wrong_verifier_ends_nothing(organization: Organization) -> None:
    """Whoever stole the code alone cannot sign the user out (security.md 24)."""
    apps = Apps(organization)
    app = apps.register()
    code = apps.code(app)
    first = apps.redeem(app, code).json()

    assert refused(apps.redeem(app, code, code_verifier=OTHER_VERIFIER))
    assert refused(apps.redeem(apps.register(), code))

    assert apps.refresh(app, first["refresh_token"]).status_code == 200
    assert reasons(organization, "grant.replayed") == []


def test_a_wrong_verifier_leaves_few_guesses(organization: Organization) -> None:
    """One mistake is forgiven, the third uses the code up (security.md 25)."""
    apps = Apps(organization)
    app = apps.register()
    forgiven, spent = apps.code(app), apps.code(app)

    assert refused(apps.redeem(app, forgiven, code_verifier=OTHER_VERIFIER))
    assert apps.redeem(app, forgiven).status_code == 200
    for _ in range(3):
        assert refused(apps.redeem(app, spent, code_verifier=OTHER_VERIFIER))
    assert refused(apps.redeem(app, spent))


@pytest.mark.parametrize("verifier", [None, "short", "x" * 129, OTHER_VERIFIER, "ü" * 50])
def test_a_code_needs_its_verifier(organization: Organization, verifier: str | None) -> None:
    """Every code has a challenge, so leaving the verifier out or sending another opens nothing (security.md 28)."""
    apps = Apps(organization)
    app = apps.register()
    code = apps.code(app)
    form = {"grant_type": "authorization_code", "code": code.code, **app.proof} | ({"code_verifier": verifier} if verifier else {})

    assert refused(organization.server.http.post(TOKEN, data=form))


def test_the_challenge_itself_is_no_verifier(organization: Organization) -> None:
    """There is no `plain`: what the address bar showed opens nothing (security.md 28)."""
    apps = Apps(organization)
    app = apps.register()
    code = apps.code(app)

    async def work(session: AsyncSession) -> str:
        return (await session.scalars(select(AuthorizationCode).where(AuthorizationCode.grant_id == code.grant_id))).one().code_challenge

    assert refused(apps.redeem(app, code, code_verifier=organization.write(work)))


def test_another_app_cannot_trade_the_code(organization: Organization) -> None:
    """Neither a public nor a confidential one; its owner still can (security.md 27)."""
    apps = Apps(organization)
    app = apps.register()
    code = apps.code(app)

    for stranger in (apps.register(), apps.register(confidential=True)):
        assert refused(apps.redeem(stranger, code))

    assert apps.redeem(app, code).status_code == 200


def test_redirect_uri_may_be_left_out_and_must_match_where_it_is_sent(organization: Organization) -> None:
    """The very bytes of the authorization request (security.md 21, 27)."""
    apps = Apps(organization)
    app = apps.register()
    code = apps.code(app, redirect_uri="https://partner.example/callback")

    assert refused(apps.redeem(app, code, redirect_uri="https://partner.example/callback/"))
    assert refused(apps.redeem(app, code, redirect_uri="https://partner.example/other"))
    assert apps.redeem(app, code, redirect_uri="https://partner.example/callback").status_code == 200
    assert apps.redeem(app, apps.code(app)).status_code == 200


def test_a_resource_beyond_the_grants_is_refused(organization: Organization) -> None:
    """The error is RFC 8707's own (security.md 27)."""
    apps = Apps(organization)
    app, server = apps.register(), resource(organization)
    code = apps.code(app, resource=server.identifier)

    assert refused(apps.redeem(app, code, resource="https://elsewhere.example"), "invalid_target")
    response = apps.redeem(app, code, resource=server.identifier)
    assert claims(response.json()["access_token"])["aud"] == server.identifier


def test_scope_and_space_are_those_of_the_consent(organization: Organization) -> None:
    """What the redemption asks for besides changes nothing (security.md 27)."""
    apps = Apps(organization)
    app, space_id = apps.register(), organization.space("Retail")
    code = apps.code(app, scope="agents:read", reach=Reach.SPACE, space_id=space_id)

    tokens = apps.redeem(app, code, scope=OFFLINE, space="all").json()

    assert tokens["scope"] == "agents:read"
    payload = claims(tokens["access_token"])
    assert (payload["scope"], payload["space"]) == ("agents:read", space_id)
    assert [each["id"] for each in payload["spaces"]] == [space_id]


@pytest.mark.parametrize("scope", ["agents:read", "agents:read offline_access"])
def test_a_code_dies_with_the_session_that_it_came_from(organization: Organization, scope: str) -> None:
    """Whoever signed out meanwhile gives nothing more away, offline access neither (security.md 27)."""
    apps = Apps(organization)
    app = apps.register()
    code = apps.code(app, scope=scope)
    end_session(organization, code)

    assert refused(apps.redeem(app, code))


def test_no_refresh_token_without_offline_access(organization: Organization) -> None:
    """Neither where the user was not asked for it, nor for an app without the grant (security.md 40)."""
    apps = Apps(organization)
    app, never = apps.register(), apps.register(grant_types=("authorization_code",))

    assert "refresh_token" not in apps.tokens(app, scope="agents:read").answer
    assert "refresh_token" not in apps.tokens(never).answer
    assert "refresh_token" in apps.tokens(app).answer


def test_parameters_in_the_address_count_for_nothing(organization: Organization) -> None:
    """A code or refresh token in an address ends in logs, so there it is not taken (security.md 40)."""
    apps = Apps(organization)
    app = apps.register()
    tokens = apps.tokens(app)
    form = {"grant_type": "refresh_token", **app.proof}

    response = organization.server.http.post(TOKEN, params={**form, "refresh_token": tokens.refresh}, data=form)

    assert refused(response, "invalid_request")
    assert apps.refresh(app, tokens.refresh).status_code == 200


def end_session(organization: Organization, code: Code) -> None:
    """End the browser session that a code's grant came from."""

    async def work(session: AsyncSession) -> None:
        grant = await session.get_one(OAuthGrant, code.grant_id)
        await sessions.end(session, grant.user_id or 0, grant.browser_session_id or 0, by=organization.admin.actor)

    organization.write(work)
