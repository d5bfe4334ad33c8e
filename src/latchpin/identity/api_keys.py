"""API keys: issue, list, change the expiry, revoke, delete.

A key acts for the user it was issued to, and never has more rights than that user has at the moment. The full key exists only in what
`create` returns. Every change that restricts a key raises the generation, so that no process accepts it after the response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict, Missing
from latchpin.identity import active_keys, credentials, scopes
from latchpin.identity.policy import KeyPolicy
from latchpin.identity.scopes import Access
from latchpin.kit import clock
from latchpin.kit.fields import FieldValidation
from latchpin.storage import subjects, violations
from latchpin.storage.generation import invalidate
from latchpin.storage.models import ApiKey, User
from latchpin.storage.models.user import UserStatus
from latchpin.storage.secrets import Secrets
from latchpin.storage.upsert import insert

MOST_PER_USER = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParameters:
    """What an administrator chooses for a key; `networks` are CIDR texts, `rate_limit` requests per window, None for the deployment's."""

    expires_at: datetime | None = None
    description: str | None = None
    access: Access = Access.FULL
    networks: Sequence[str] = ()
    rate_limit: int | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A newly created key. `secret` is the full key: return it once, with `Cache-Control: no-store`, and store it nowhere."""

    key: ApiKey
    secret: str = field(repr=False)


class AlreadyIssued(Conflict):
    """The form that creates this key was already submitted; the key was shown then."""

    code = "form_already_used"


async def create(session: AsyncSession, user: User, new: KeyParameters, *, policy: KeyPolicy, secrets: Secrets, by: Actor) -> IssuedKey:
    """Make a key for `user`. The caller must have checked that `by` administers the user's organization.

    Raises Invalid for an expiry in the past or beyond the policy and for invalid fields, Conflict for a disabled user or too many
    keys, AlreadyIssued where `idempotency_key` was used before.
    """
    form = FieldValidation()
    description = form.optional_line("description", new.description, most=500)
    networks = form.networks("networks", new.networks)
    form.line("idempotency_key", new.idempotency_key or "", most=64, required=False)
    form.number("rate_limit", new.rate_limit, least=1, most=1_000_000)
    expires = _checked_expiry(form, new.expires_at or policy.default_expiry(), policy)
    form.done()
    await _require_room(session, user)
    secret = credentials.new_api_key()
    row = insert(session, ApiKey).values(
        organization_id=user.organization_id,
        user_id=user.id,
        digest=credentials.key_digest(secret.encode(), secrets.peppers[secrets.current_pepper]),
        pepper_version=secrets.current_pepper,
        prefix=credentials.display_prefix(secret),
        description=description,
        scopes=scopes.serialize(scopes.SETS[new.access]),
        networks=networks,
        rate_limit=new.rate_limit,
        created_at=clock.now(),
        created_by_id=by.user_id,
        created_by_name=by.name[:200],
        idempotency_key=new.idempotency_key,
        expires_at=expires,
    )
    try:
        key: ApiKey | None = await session.scalar(row.on_conflict_do_nothing(index_elements=[ApiKey.idempotency_key]).returning(ApiKey))
    except IntegrityError as error:
        if not violations.is_foreign_key(error):
            raise
        raise Conflict("Somebody that this key depends on was removed at the same moment. Open the page again.") from None
    if key is None:
        raise AlreadyIssued("This form was already sent, and the key it made was shown then. A lost key can only be deleted and replaced.")
    changes = {"user": (None, user.email), "scopes": (None, key.scopes), "expires": (None, clock.iso(expires))}
    if networks:
        changes["networks"] = (None, networks)
    record(session, events.ApiKeyCreated(target_id=key.id, target_name=label(key), changes=changes), by)
    return IssuedKey(key, secret)


async def get(session: AsyncSession, organization_id: int, key_id: int) -> ApiKey:
    """Return one key of the organization; raises Missing."""
    key = await session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.organization_id == organization_id))
    if key is None:
        raise Missing("API key", key_id)
    return key


async def of_user(session: AsyncSession, user_id: int) -> list[ApiKey]:
    """Return a user's keys, active and inactive, newest first."""
    return list((await session.scalars(select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.id.desc()))).all())


async def matching(session: AsyncSession, id_or_prefix: int | str) -> list[ApiKey]:
    """Return the keys of any organization that match an id or first characters (`ApiKey.prefix`), for the command line; at most 20."""
    condition = ApiKey.id == id_or_prefix if isinstance(id_or_prefix, int) else ApiKey.prefix == id_or_prefix
    return list((await session.scalars(select(ApiKey).where(condition).order_by(ApiKey.id).limit(20))).all())


def label(key: ApiKey | Row[Any]) -> str:
    """Return a key's name in pages and audit records: its description and its display prefix."""
    return f"{key.description} ({key.prefix}...)" if key.description else f"{key.prefix}..."


async def change_expiry(session: AsyncSession, key: ApiKey, expires: datetime, *, policy: KeyPolicy, by: Actor) -> ApiKey:
    """Set another expiry, sooner or later, within the policy. An expired key becomes active again; a revoked one raises Conflict."""
    if key.revoked_at is not None:
        raise Conflict("A revoked key stays revoked. Create a new key instead.")
    form = FieldValidation()
    expires = _checked_expiry(form, expires, policy)
    form.done()
    if expires != key.expires_at:
        changes = {"expires": (clock.iso(key.expires_at), clock.iso(expires))}
        key.expires_at = expires
        invalidate(session, subjects.key(key.id))
        record(session, events.ApiKeyChanged(target_id=key.id, target_name=label(key), changes=changes), by)
    return key


async def revoke(session: AsyncSession, key: ApiKey, *, by: Actor, reason: str = "revoked by an administrator") -> bool:
    """Revoke a key for good; returns False where it was revoked already. No request that begins after the commit is accepted.

    Raises Invalid for a reason that contains a full key or invisible characters.
    """
    form = FieldValidation()
    reason = form.line("reason", reason, most=200)
    form.done()
    if key.revoked_at is not None:
        return False
    key.revoked_at, key.revoked_by_name, key.revoked_reason = clock.now(), by.name[:200], reason
    invalidate(session, subjects.key(key.id))
    record(session, events.ApiKeyRevoked(target_id=key.id, target_name=label(key), reason=reason), by)
    return True


async def revoke_all(session: AsyncSession, user: User, *, by: Actor, reason: str) -> int:
    """Revoke every key of a user; returns how many were not revoked before."""
    keys = await session.scalars(select(ApiKey).where(ApiKey.user_id == user.id, ApiKey.revoked_at.is_(None)))
    count = 0
    for key in keys.all():
        count += await revoke(session, key, by=by, reason=reason)
    return count


async def delete(session: AsyncSession, key: ApiKey, *, by: Actor) -> None:
    """Remove a key's entry; this also revokes an active key. The audit record stays."""
    was_live = active_keys.is_active(key)
    invalidate(session, subjects.key(key.id))
    changes = {"live": (was_live, False)} if was_live else {}
    record(session, events.ApiKeyDeleted(target_id=key.id, target_name=label(key), changes=changes), by)
    await session.delete(key)


def _checked_expiry(form: FieldValidation, expires: datetime, policy: KeyPolicy) -> datetime:
    if expires <= clock.now():
        form.problem("expires", "Choose a date in the future.")
    elif expires > policy.latest_expiry():
        form.problem("expires", f"A key may live at most {policy.max_days} days; choose an earlier date.")
    return expires


async def _require_room(session: AsyncSession, user: User) -> None:
    # The user's row is locked (PostgreSQL), so that no key is created while another request disables the user.
    user_id = user.id
    try:
        await session.refresh(user, with_for_update={"key_share": True})
    except InvalidRequestError:  # the row no longer exists
        raise Missing("user", user_id) from None
    if user.status is not UserStatus.ACTIVE:
        raise Conflict("The user is disabled. Enable the user first, then create a key.")
    held = await session.scalar(select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user.id)) or 0
    if held >= MOST_PER_USER:
        raise Conflict(f"The user has {held} keys already. Delete some that are no longer used.")
