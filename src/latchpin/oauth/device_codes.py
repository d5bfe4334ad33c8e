"""Device codes (RFC 8628): the long code is the device's, the short one is read by a person and typed into a browser.

The short code is easy to guess from its digest alone, so it is kept as HMAC under a key that the database does not hold.
"""

from __future__ import annotations

import hmac
import secrets as random
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import secret_forms
from latchpin.identity import credentials
from latchpin.kit import clock
from latchpin.oauth.clients import Client
from latchpin.storage.models import DeviceCode, OAuthGrant
from latchpin.storage.models.oauth_grant import DeviceStatus
from latchpin.storage.secrets import Secrets

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # section 6.1: no vowels, so no words, and no characters that look alike
LENGTH = 8  # 34 bits
LIFETIME = timedelta(minutes=10)
INTERVAL_SECONDS = 5
PREFIX = secret_forms.DEVICE_CODE.prefix
_TRIES = 5
_KEPT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CreatedDeviceCode:
    """A newly created request; both codes exist only here. `user_code` is written in two groups, as it is shown."""

    row: DeviceCode
    device_code: str = field(repr=False)
    user_code: str = field(repr=False)


async def create(
    session: AsyncSession, client: Client, *, scopes: str, resource: str = "", address: str | None = None, secrets: Secrets
) -> CreatedDeviceCode:
    """Create a device's request, which waits ten minutes for a user. `scopes` and `resource` must have been checked."""
    device_code, at = PREFIX + credentials.new_token(), clock.now()
    user_code = await _unused(session, secrets)
    row = DeviceCode(
        digest=credentials.token_digest(device_code),
        user_code_digest=_digest(user_code, secrets),
        oauth_client_id=client.pk,
        scopes=scopes,
        resource=resource,
        address=address and address[:64],
        interval_seconds=INTERVAL_SECONDS,
        created_at=at,
        expires_at=at + LIFETIME,
    )
    session.add(row)
    await session.flush()
    return CreatedDeviceCode(row, device_code, f"{user_code[:4]}-{user_code[4:]}")


async def find_pending(session: AsyncSession, user_code: str, secrets: Secrets) -> DeviceCode | None:
    """Return the pending request for a code as a user types it; None where it is mistyped, unknown, decided or expired.

    Case, spaces and dashes do not matter (section 6.1). The caller must limit the attempts: the code is short.
    """
    letters = "".join(each for each in user_code[:100].upper() if each not in "- \t\u2010\u2011\u2012\u2013")
    if len(letters) != LENGTH or not set(letters) <= set(LETTERS):
        return None
    return await session.scalar(
        select(DeviceCode).where(
            DeviceCode.user_code_digest == _digest(letters, secrets),
            DeviceCode.status == DeviceStatus.PENDING,
            DeviceCode.expires_at > clock.now(),
        )
    )


async def approve(session: AsyncSession, row: DeviceCode, grant: OAuthGrant) -> bool:
    """Give the device a grant that is not activated yet; False where the request is already decided or expired."""
    return await _decide(session, row, DeviceStatus.APPROVED, grant.id)


async def deny(session: AsyncSession, row: DeviceCode) -> bool:
    """Deny the device's request; False where it is already decided or expired."""
    return await _decide(session, row, DeviceStatus.DENIED, None)


async def purge_expired(session: AsyncSession) -> None:
    """Remove requests that expired an hour ago."""
    await session.execute(delete(DeviceCode).where(DeviceCode.expires_at < clock.now() - _KEPT))


async def _decide(session: AsyncSession, row: DeviceCode, status: DeviceStatus, grant_id: int | None) -> bool:
    """Decide by one conditional update, so that only one of two concurrent decisions is stored."""
    result = await session.execute(
        update(DeviceCode)
        .where(DeviceCode.id == row.id, DeviceCode.status == DeviceStatus.PENDING, DeviceCode.expires_at > clock.now())
        .values(status=status, grant_id=grant_id)
        .returning(DeviceCode.id)
    )
    return result.one_or_none() is not None


async def _unused(session: AsyncSession, secrets: Secrets) -> str:
    """Return a code that no stored request has."""
    for _ in range(_TRIES):
        code = "".join(random.choice(LETTERS) for _ in range(LENGTH))
        if await session.scalar(select(DeviceCode.id).where(DeviceCode.user_code_digest == _digest(code, secrets))) is None:
            return code
    message = "no unused code was found"
    raise RuntimeError(message)


def _digest(letters: str, secrets: Secrets) -> bytes:
    return hmac.digest(secrets.derive("user-code"), letters.encode(), "sha256")
