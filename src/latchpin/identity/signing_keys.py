"""The stored signing keys: created at first start, published before they sign, removed from the JWKS when their last token has expired."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, thumbprint
from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.identity.jwk import ED25519
from latchpin.kit import clock, sealing
from latchpin.settings import Settings
from latchpin.storage.generation import invalidate
from latchpin.storage.models import Deployment, SigningKey
from latchpin.storage.secrets import Secrets
from latchpin.storage.subjects import SIGNING_KEYS

ALGORITHMS = ("RS256", "ES256", *ED25519)
LEAD = timedelta(minutes=20)  # from publishing to signing: twice as long as the JWKS may be cached
JWKS_SECONDS = 600
_LEEWAY = timedelta(minutes=5)
_ABOUT = "signing key "


async def rotate(session: AsyncSession, secrets: Secrets, settings: Settings, *, by: Actor, at_once: bool = False) -> str:
    """Add the next key; returns its `kid`. It is published now and signs after LEAD; the present one is removed after its last token.

    With `at_once` (a key was exposed) the new one signs now and all others are removed now: every token they signed is refused.
    """
    return await _add(session, sealing_key(secrets), settings, by, at_once=at_once)


async def rotate_if_due(session: AsyncSession, key: bytes, settings: Settings) -> None:
    """Add the first key, or the next where the present one is old or of another algorithm than the settings require."""
    await _lock(session)
    rows = await published(session)
    if is_due(rows, settings):
        await _add(session, key, settings, Actor("Latchpin"), at_once=not rows)


async def published(session: AsyncSession) -> list[SigningKey]:
    """Return the published keys, the oldest first."""
    rows = await session.scalars(
        select(SigningKey)
        .where(or_(SigningKey.published_until.is_(None), SigningKey.published_until > clock.now()))
        .order_by(SigningKey.signs_from)
    )
    return list(rows.all())


def is_due(rows: list[SigningKey], settings: Settings) -> bool:
    """Whether the next key has to be made: there is none, or the newest is old or of another algorithm than the settings require."""
    newest = next((row for row in reversed(rows) if row.signs_until is None), None)
    if newest is None or newest.algorithm != settings.token_algorithm:
        return True
    return clock.now() - newest.signs_from >= timedelta(days=settings.key_rotation_days)


async def purge_expired(session: AsyncSession) -> None:
    """Delete keys that are no longer published."""
    await session.execute(delete(SigningKey).where(SigningKey.published_until <= clock.now()))


async def _lock(session: AsyncSession) -> None:
    """Let one process at a time decide about keys (PostgreSQL; on SQLite there is one writer anyway)."""
    await session.execute(select(Deployment.id).with_for_update())


def sealing_key(secrets: Secrets) -> bytes:
    """Return the key under which private keys are sealed at rest (security.md 86)."""
    return secrets.derive("signing-keys")


def unsealed(row: SigningKey, key: bytes) -> dict[str, Any]:
    """Return the private JWK of a row; raises DecryptionError where it was encrypted with other secrets."""
    private: dict[str, Any] = json.loads(sealing.unseal(key, row.private, _ABOUT + row.kid))
    return private


async def _add(session: AsyncSession, key: bytes, settings: Settings, by: Actor, *, at_once: bool) -> str:
    at = clock.now()
    signing_key = _generate(settings.token_algorithm)
    kid = thumbprint(signing_key.as_dict(private=False))
    begins = at if at_once else at + LEAD
    lifetime = timedelta(minutes=settings.access_token_minutes)
    for row in await published(session):
        if at_once:
            row.signs_until = row.published_until = at
        elif row.signs_until is None:
            row.signs_until, row.published_until = begins, begins + lifetime + _LEEWAY
    public = {**signing_key.as_dict(private=False), "kid": kid, "alg": settings.token_algorithm, "use": "sig"}
    session.add(
        SigningKey(
            kid=kid,
            algorithm=settings.token_algorithm,
            private=sealing.seal(key, json.dumps(signing_key.as_dict(private=True)).encode(), _ABOUT + kid),
            public=json.dumps(public),
            created_at=at,
            signs_from=begins,
        )
    )
    invalidate(session, SIGNING_KEYS)  # every process reloads its key ring
    record(session, events.SigningKeyRotated(target_name=kid, reason="at once" if at_once else None), by)
    return kid


def _generate(algorithm: str) -> Key:
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", private=True, auto_kid=False)
    if algorithm in ED25519:
        return OKPKey.generate_key("Ed25519", private=True, auto_kid=False)
    return RSAKey.generate_key(2048, private=True, auto_kid=False)
