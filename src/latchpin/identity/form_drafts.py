"""What stood in a form whose browser session had ended: kept for a while, for the same person in the same browser.

Only the latest form of a user is kept, sealed, and bound to its page and to a token that the browser alone holds: whoever once had the
cookie of an ended session can neither read it nor put text before its owner's eyes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import credentials
from latchpin.kit import clock, sealing
from latchpin.storage.models import BrowserSession, FormDraft, User
from latchpin.storage.models.user import UserStatus
from latchpin.storage.secrets import Secrets
from latchpin.storage.upsert import insert

LIFETIME = timedelta(minutes=30)
MOST_BYTES = 128 * 1024


async def owner(session: AsyncSession, token: str) -> int | None:
    """Return the active user whose session, living or ended, a cookie's token stood for; ended ones are known for 30 days."""
    return await session.scalar(
        select(BrowserSession.user_id)
        .join(User, User.id == BrowserSession.user_id)
        .where(BrowserSession.digest == credentials.token_digest(token), User.status == UserStatus.ACTIVE)
    )


async def save(session: AsyncSession, user_id: int, path: str, entries: Mapping[str, str], secrets: Secrets) -> str | None:
    """Keep a form's entries, which must hold no secret; returns the token for the browser's cookie, None where they are too many."""
    plain = msgspec.json.encode(dict(entries))
    if len(plain) > MOST_BYTES:
        return None
    token = credentials.new_token()
    values = {
        "digest": credentials.token_digest(token),
        "sealed": sealing.seal(_key(secrets), plain, _about(user_id, path)),
        "expires": clock.now() + LIFETIME,
    }
    row = insert(session, FormDraft).values(user_id=user_id, **values)
    await session.execute(row.on_conflict_do_update(index_elements=[FormDraft.user_id], set_=values))
    return token


async def find(session: AsyncSession, user_id: int, path: str, token: str, secrets: Secrets) -> dict[str, str] | None:
    """Return what was kept for this user, page and browser, or None. Reading does not remove it, so a page can be loaded again."""
    sealed = await session.scalar(
        select(FormDraft.sealed).where(
            FormDraft.user_id == user_id, FormDraft.digest == credentials.token_digest(token), FormDraft.expires > clock.now()
        )
    )
    if sealed is None:
        return None
    try:
        return msgspec.json.decode(sealing.unseal(_key(secrets), sealed, _about(user_id, path)), type=dict[str, str])
    except sealing.DecryptionError:  # it is of another page, or the secrets were replaced
        return None


async def purge_expired(session: AsyncSession) -> None:
    """Remove what nobody came back for."""
    await session.execute(delete(FormDraft).where(FormDraft.expires < clock.now()))


def _key(secrets: Secrets) -> bytes:
    return secrets.derive("kept-forms")


def _about(user_id: int, path: str) -> str:
    return f"{user_id} {path}"
