"""Refresh tokens: rotated on every use, and a spent one that comes back ends its family."""

from __future__ import annotations

import hmac
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import credentials, users
from latchpin.kit import sealing
from latchpin.kit.clock import Frozen
from latchpin.storage.models import RefreshToken
from tests.support.apps import OFFLINE, TOKEN, Apps, Tokens
from tests.support.people import Organization
from tests.support.tokens import claims, reasons, resource
from tests.support.wire import audit

pytestmark = pytest.mark.both_databases("rotation is decided by conditional updates and locks")

INVALID = {"error": "invalid_grant", "error_description": "Refresh token is invalid or expired"}
REPLAYED = {"error": "invalid_grant", "error_description": "Refresh token has already been used; re-authorize"}
DAY = timedelta(days=1)


def row(organization: Organization, token: str) -> RefreshToken:
    """Return what the database holds of a refresh token."""

    async def work(session: AsyncSession) -> RefreshToken:
        return (await session.scalars(select(RefreshToken).where(RefreshToken.digest == credentials.token_digest(token)))).one()

    return organization.write(work)


def refused(response: httpx.Response, body: dict[str, str] = INVALID) -> bool:
    """Whether an answer is exactly this refusal."""
    return response.status_code == 400 and response.json() == body


def test_every_use_gives_another_token(organization: Organization) -> None:
    """Confidential apps' tokens rotate too (security.md 29)."""
    apps = Apps(organization)
    for app in (apps.register(), apps.register(confidential=True)):
        refresh_tokens = [apps.tokens(app).refresh]
        for _ in range(3):
            refresh_tokens.append(apps.refresh(app, refresh_tokens[-1]).json()["refresh_token"])

        assert len(set(refresh_tokens)) == 4


def test_the_database_holds_a_digest_of_the_token(organization: Organization) -> None:
    """A copy of the database refreshes nothing (security.md 32)."""
    apps = Apps(organization)
    token = apps.tokens(apps.register()).refresh

    token_row = row(organization, token)

    assert token not in str([getattr(token_row, column.name) for column in RefreshToken.__table__.columns])
    assert len(token) == len("lpr_") + 43


def test_a_spent_token_ends_its_family(organization: Organization, clock: Frozen) -> None:
    """With its access tokens, though the request is refused, and the trail tells of it (security.md 30)."""
    apps = Apps(organization)
    app = apps.register()
    first = apps.tokens(app)
    second = Tokens(apps.refresh(app, first.refresh).json())
    clock.advance(timedelta(seconds=11))
    assert apps.get("/spaces", second).status_code == 200

    assert refused(apps.refresh(app, first.refresh), REPLAYED)

    assert apps.get("/spaces", first).status_code == 401
    assert apps.get("/spaces", second).status_code == 401
    assert refused(apps.refresh(app, second.refresh))
    assert reasons(organization, "grant.replayed") == ["refresh token used twice"]
    assert reasons(organization, "grant.ended") == ["a spent refresh token was presented again"]


def test_an_honest_repetition_gets_the_same_answer(organization: Organization, clock: Frozen) -> None:
    """Within ten seconds; so two tabs, or a lost answer, sign nobody out (security.md 31)."""
    apps = Apps(organization)
    app = apps.register()
    first = apps.tokens(app)
    tokens = apps.refresh(app, first.refresh).json()

    clock.advance(timedelta(seconds=10))
    assert apps.refresh(app, first.refresh).json() == tokens

    assert apps.get("/spaces", Tokens(tokens)).status_code == 200
    assert reasons(organization, "grant.replayed") == []
    assert len(audit(organization, "grant.refreshed", organization_id=organization.id)) == 1


@pytest.mark.parametrize("first", [{}, {"scope": "agents:read"}])
def test_a_repetition_with_another_scope_or_resource_is_refused(organization: Organization, first: dict[str, str]) -> None:
    """It asks for something else, so it gets nothing, and ends nothing (security.md 31)."""
    apps = Apps(organization)
    app = apps.register()
    token = apps.tokens(app).refresh
    tokens = apps.refresh(app, token, **first).json()

    assert refused(apps.refresh(app, token, scope="agents:read spaces:read"))
    assert refused(apps.refresh(app, token, **first, resource=organization.server.url))
    assert apps.refresh(app, token, **first).json() == tokens


def test_another_app_gets_nothing_within_the_window(organization: Organization) -> None:
    """Neither the answer nor the end of the family (security.md 31, 38)."""
    apps = Apps(organization)
    app, stranger = apps.register(), apps.register()
    first = apps.tokens(app)
    second = apps.refresh(app, first.refresh).json()["refresh_token"]

    assert refused(apps.refresh(stranger, first.refresh))
    assert refused(apps.refresh(stranger, second))

    assert apps.refresh(app, second).status_code == 200


def test_using_the_successor_closes_the_window(organization: Organization) -> None:
    """Whoever has the successor has the answer; the old token can only be a copy (security.md 30, 31)."""
    apps = Apps(organization)
    app = apps.register()
    first = apps.tokens(app)
    second = apps.refresh(app, first.refresh).json()["refresh_token"]
    third = apps.refresh(app, second).json()["refresh_token"]
    assert row(organization, first.refresh).sealed is None

    assert refused(apps.refresh(app, first.refresh), REPLAYED)

    assert refused(apps.refresh(app, third))


def test_the_kept_answer_cannot_be_opened_from_the_database(organization: Organization) -> None:
    """Not with anything that is in it, and not with the deployment's secrets either; only with the token itself (security.md 32)."""
    apps = Apps(organization)
    app = apps.register()
    first = apps.tokens(app)
    tokens = apps.refresh(app, first.refresh).json()

    token_row = row(organization, first.refresh)

    assert token_row.sealed is not None
    assert tokens["refresh_token"].encode() not in token_row.sealed
    assert tokens["access_token"].encode() not in token_row.sealed
    secrets = organization.server.services.secrets
    for known in (token_row.digest, secrets.master, secrets.derive("refresh-answer"), *secrets.peppers.values()):
        for key in (known, hmac.digest(known, b"latchpin/refresh-answer", "sha256")):  # as such, and made into a key as the token itself is
            with pytest.raises(sealing.DecryptionError):
                sealing.unseal(key, token_row.sealed, str(token_row.id))
    key = hmac.digest(first.refresh.encode(), b"latchpin/refresh-answer", "sha256")
    assert json.loads(sealing.unseal(key, token_row.sealed, str(token_row.id))) == tokens
    assert apps.refresh(app, first.refresh).json() == tokens


def test_a_kept_answer_goes_with_its_user(organization: Organization) -> None:
    """Within the window too, a right that is gone gives nothing (security.md 39)."""
    apps = Apps(organization)
    app, user = apps.register(), organization.user()
    first = apps.tokens(app, user)
    apps.refresh(app, first.refresh)

    disable(organization, user.id)

    assert refused(apps.refresh(app, first.refresh))


def test_an_idle_family_ends(organization: Organization, clock: Frozen) -> None:
    """Thirty days without a refresh; each use begins them anew (security.md 35)."""
    apps = Apps(organization)
    app = apps.register()
    tokens, idle = apps.tokens(app).refresh, apps.tokens(app).refresh

    clock.advance(29 * DAY)
    tokens = apps.refresh(app, tokens).json()["refresh_token"]
    clock.advance(1 * DAY)

    assert refused(apps.refresh(app, idle))
    assert apps.refresh(app, tokens).status_code == 200


def test_use_does_not_prolong_a_family_beyond_its_longest(organization: Organization, clock: Frozen) -> None:
    """Ninety days after the consent it is over, and no access token outlives it (security.md 35)."""
    apps = Apps(organization)
    app = apps.register()
    token = apps.tokens(app).refresh
    for _ in range(3):
        clock.advance(29 * DAY)
        token = apps.refresh(app, token).json()["refresh_token"]
    clock.advance(3 * DAY - timedelta(minutes=5))

    last = apps.refresh(app, token).json()

    assert last["expires_in"] == 300
    clock.advance(timedelta(minutes=5))
    assert refused(apps.refresh(app, last["refresh_token"]))
    assert apps.get("/spaces", Tokens(last)).status_code == 401


def test_lifetimes_are_settings(serve: Any, clock: Frozen) -> None:
    """Idle and longest, in days (security.md 35)."""
    organization = Organization(serve(refresh_idle_days=2, refresh_max_days=3))
    apps = Apps(organization)
    app = apps.register()
    idle, used = apps.tokens(app).refresh, apps.tokens(app).refresh
    clock.advance(timedelta(hours=47))
    used = apps.refresh(app, used).json()["refresh_token"]

    clock.advance(timedelta(hours=2))
    assert refused(apps.refresh(app, idle))
    clock.advance(timedelta(hours=23))
    assert refused(apps.refresh(app, used))


def test_scope_narrows_the_access_token_only(organization: Organization) -> None:
    """The refresh token keeps its own: the next answer has all again (security.md 36)."""
    apps = Apps(organization)
    app = apps.register()
    narrowed = apps.refresh(app, apps.tokens(app).refresh, scope="agents:read").json()

    assert narrowed["scope"] == claims(narrowed["access_token"])["scope"] == "agents:read"
    assert apps.get("/spaces", Tokens(narrowed)).status_code == 403
    assert apps.refresh(app, narrowed["refresh_token"]).json()["scope"] == OFFLINE


def test_scope_is_never_widened(organization: Organization) -> None:
    """What goes beyond the grant is left out; where nothing remains, the refusal spends nothing (security.md 8, 36)."""
    apps = Apps(organization)
    app = apps.register()
    token = apps.tokens(app, scope="agents:read offline_access").refresh

    for scope in ("agents:write openid", "agents:delete", "AGENTS:READ"):
        refused = apps.refresh(app, token, scope=scope)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope"), scope
    for scope in ("agents:read agents:write", "agents:read openid"):
        tokens = apps.refresh(app, token, scope=scope).json()
        assert tokens["scope"] == claims(tokens["access_token"])["scope"] == "agents:read", scope
        assert "id_token" not in tokens
        token = tokens["refresh_token"]


def test_resources_are_those_of_the_grant_or_fewer(organization: Organization) -> None:
    """Another one is invalid_target, and spends nothing (security.md 37)."""
    apps = Apps(organization)
    one, two, never = (resource(organization, f"https://{name}.example") for name in ("one", "two", "never"))
    app = apps.register()
    token = apps.tokens(app, resource=f"{one.identifier} {two.identifier}").refresh

    response = apps.refresh(app, token, resource=never.identifier)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_target")
    narrowed = apps.refresh(app, token, resource=two.identifier).json()
    assert claims(narrowed["access_token"])["aud"] == two.identifier
    whole = apps.refresh(app, narrowed["refresh_token"]).json()
    assert claims(whole["access_token"])["aud"] == [one.identifier, two.identifier]


def test_a_public_app_must_say_who_it_is(organization: Organization) -> None:
    """The text that existing clients know (security.md 38)."""
    apps = Apps(organization)
    tokens = apps.tokens(apps.register())

    response = organization.server.http.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": tokens.refresh})

    assert refused(response, {"error": "invalid_request", "error_description": "client_id is required"})


def test_a_confidential_apps_token_needs_its_secret(organization: Organization) -> None:
    """A stolen refresh token alone is of no use (security.md 38)."""
    apps = Apps(organization)
    app = apps.register(confidential=True)
    token = apps.tokens(app).refresh

    response = organization.server.http.post(
        TOKEN, data={"grant_type": "refresh_token", "refresh_token": token, "client_id": app.client_id}
    )

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert apps.refresh(app, token).status_code == 200


@pytest.mark.parametrize("token", ["junk", "lpr_" + "0" * 43, "ü", "lpr_" + "0" * 5000])
def test_an_unknown_token_is_refused(organization: Organization, token: str) -> None:
    """With the text that existing clients know."""
    apps = Apps(organization)

    assert refused(apps.refresh(apps.register(), token))


def test_no_token_reaches_the_log(organization: Organization) -> None:
    """Neither the presented nor the made ones, whatever comes of the request (security.md 40)."""
    apps = Apps(organization)
    app = apps.register()
    first = apps.tokens(app)
    second = apps.refresh(app, first.refresh).json()
    apps.refresh(app, second["refresh_token"])
    apps.refresh(app, first.refresh)

    log = organization.server.log.getvalue()

    for secret in (first.refresh, first.access, second["refresh_token"], second["access_token"]):
        assert secret not in log
    assert json.dumps("/api/oauth/token") in log


def disable(organization: Organization, user_id: int) -> None:
    """Disable a user."""

    async def work(session: AsyncSession) -> None:
        await users.disable(session, await users.get(session, organization.id, user_id), by=organization.admin.actor)

    organization.write(work)
