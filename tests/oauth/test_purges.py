"""What is over for good is removed, and nothing that still tells a replay from an unknown token."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit.clock import Frozen
from latchpin.oauth import codes, device_codes, revocation
from latchpin.oauth.grants import refresh_token
from latchpin.storage.models import AuthorizationCode, DeviceCode, OAuthClient, OAuthGrant, RefreshToken, RevokedToken
from tests.support.apps import Apps
from tests.support.people import Organization

pytestmark = pytest.mark.both_databases("what is over is deleted by statements with joins and limits")

Purge = Callable[[AsyncSession], Coroutine[Any, Any, None]]


def used(organization: Organization) -> None:
    """Leave a code, a refresh token, a device's request and a revoked access token behind."""
    apps, http = Apps(organization), organization.server.http
    app = apps.register(grant_types=("authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"))
    tokens = apps.tokens(app)
    assert http.post("/api/oauth/revoke", data={"token": tokens.access, **app.proof}).status_code == 200
    assert http.post("/api/oauth/device_authorization", data=app.proof).status_code == 200


def count(organization: Organization, table: Any) -> int:
    """Count rows."""

    async def work(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).select_from(table)) or 0

    return organization.write(work)


@pytest.mark.parametrize(
    ("purge", "table", "kept", "gone"),
    [
        (codes.purge_expired, AuthorizationCode, timedelta(hours=24), timedelta(hours=24, minutes=2)),
        (device_codes.purge_expired, DeviceCode, timedelta(hours=1), timedelta(hours=1, minutes=11)),
        (revocation.purge_expired, RevokedToken, timedelta(minutes=15), timedelta(minutes=18)),
        (refresh_token.purge_expired, RefreshToken, timedelta(days=30), timedelta(days=31, minutes=1)),
    ],
)
def test_what_has_run_out_is_removed_later(serve: Any, clock: Frozen, purge: Purge, table: Any, kept: timedelta, gone: timedelta) -> None:
    """Kept a while longer than it counts, then gone."""
    organization = Organization(serve())
    used(organization)
    clock.advance(kept)
    organization.write(purge)
    assert count(organization, table) == 1

    clock.advance(gone - kept)
    organization.write(purge)

    assert count(organization, table) == 0


def test_a_kept_answer_is_dropped_when_its_window_is_over(organization: Organization, clock: Frozen) -> None:
    """Though nobody used the successor."""
    apps = Apps(organization)
    app = apps.register()
    apps.refresh(app, apps.tokens(app).refresh)

    async def sealed(session: AsyncSession) -> int:
        ours = select(OAuthGrant.id).where(OAuthGrant.organization_id == organization.id)
        query = select(func.count()).where(RefreshToken.sealed.is_not(None), RefreshToken.grant_id.in_(ours))
        return await session.scalar(query) or 0

    organization.write(refresh_token.purge_expired)
    assert organization.write(sealed) == 1
    clock.advance(timedelta(seconds=11))
    organization.write(refresh_token.purge_expired)

    assert organization.write(sealed) == 0


def test_the_last_use_of_an_app_is_noted(organization: Organization) -> None:
    """By a code, a refresh, and on its own behalf; off the request path."""
    apps = Apps(organization)
    by_code, by_itself, never = apps.register(), apps.service(), apps.register()
    apps.tokens(by_code)
    apps.own(by_itself)
    organization.server.flush()

    async def work(session: AsyncSession) -> list[bool]:
        return [(await session.get_one(OAuthClient, app.pk)).last_used_at is not None for app in (by_code, by_itself, never)]

    assert organization.write(work) == [True, True, False]
