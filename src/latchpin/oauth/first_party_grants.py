"""The Control Center's own grants, each bound to one browser session."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import grants
from latchpin.oauth.clients import CONTROL_CENTER
from latchpin.storage.models import OAuthClient, OAuthGrant


async def control_center_grant(session: AsyncSession, browser_session_id: int) -> int | None:
    """Return the id of the active grant that the Control Center holds for a browser session, or None."""
    return await session.scalar(
        select(OAuthGrant.id)
        .join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id)
        .where(OAuthClient.client_id == CONTROL_CENTER, OAuthGrant.browser_session_id == browser_session_id, grants.active())
        .order_by(OAuthGrant.id.desc())
        .limit(1)
    )
