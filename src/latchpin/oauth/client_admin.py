"""Apps that administrators register: create, change, rotate secrets, revoke, delete. Each function records its audit event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict, Invalid, Missing
from latchpin.identity import grants
from latchpin.identity.roles import Role
from latchpin.kit import base62, clock
from latchpin.kit.fields import FieldValidation
from latchpin.oauth import auth_methods, client_checks, client_secrets, client_versions
from latchpin.oauth.client_checks import DEVICE, EXCHANGE, GRANT_TYPES, ClientFields
from latchpin.storage import subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import OAuthClient, OAuthClientSecret, OAuthClientSpace, Space
from latchpin.storage.models.oauth_client import ClientSource, ClientStatus
from latchpin.storage.secrets import Secrets
from latchpin.storage.upsert import insert

MOST_PER_ORGANIZATION = 500
MOST_SECRETS = 2
LONGEST_OVERLAP = timedelta(days=30)
_KEPT = "An app keeps the way in which it proves itself. Register a new one, and revoke this one when nobody needs it any more."
_REVOKED = "A revoked app stays revoked. Register a new one."


@dataclass(frozen=True, slots=True)
class CreatedClient:
    """A newly created app; `secret` is shown once, None for an app without one."""

    client: OAuthClient
    secret: str | None = field(repr=False)


class AlreadyRegistered(Conflict):
    """The form was already submitted; the app that it created exists."""

    code = "form_already_used"


def new_client_id() -> str:
    """Generate a client_id; it never starts with https:// (that is a metadata document) and is never a number (that is a user's sub)."""
    return "app_" + base62.random(128, 22)


async def create(
    session: AsyncSession, organization_id: int, fields: ClientFields, *, secrets: Secrets, by: Actor, idempotency_key: str | None = None
) -> CreatedClient:
    """Register an app of an organization; `idempotency_key` is random, and valid for one app.

    Raises Invalid for invalid fields, Conflict for too many apps, AlreadyRegistered where `idempotency_key` was used before.
    """
    values = await _validated(session, organization_id, fields)
    count = select(func.count()).select_from(OAuthClient).where(OAuthClient.organization_id == organization_id)
    if (await session.scalar(count) or 0) >= MOST_PER_ORGANIZATION:
        raise Conflict(f"The organization has {MOST_PER_ORGANIZATION} apps already. Revoke and delete some.")
    row = insert(session, OAuthClient).values(
        client_id=new_client_id(),
        organization_id=organization_id,
        source=ClientSource.REGISTERED,
        status=ClientStatus.ACTIVE,
        created_at=clock.now(),
        created_by_name=by.name[:200],
        version=1,
        idempotency_key=idempotency_key,
        **values,
    )
    new = row.on_conflict_do_nothing(index_elements=[OAuthClient.idempotency_key]).returning(OAuthClient)
    client: OAuthClient | None = await session.scalar(new)
    if client is None:
        raise AlreadyRegistered("This form was sent before, and the app was registered then.")
    await _set_spaces(session, client, fields.spaces)
    changes = {"client_id": (None, client.client_id), "redirect_uris": (None, client.redirect_uris), "scopes": (None, client.scopes)}
    record(session, events.ClientCreated(target_id=client.id, target_name=client.name, changes=changes), by)
    needs_secret = client.auth_method in auth_methods.SECRET_METHODS
    return CreatedClient(client, await add_secret(session, client, secrets, by) if needs_secret else None)


async def get(session: AsyncSession, organization_id: int, client_pk: int, *, lock: bool = False) -> OAuthClient:
    """Return one of the organization's own apps, revoked ones included; raises Missing.

    The clients of API resources are not included. With `lock` the row is current, and unchanged until the commit (PostgreSQL).
    """
    query = select(OAuthClient).where(
        OAuthClient.id == client_pk, OAuthClient.organization_id == organization_id, OAuthClient.resource_id.is_(None)
    )
    client = await session.scalar(query.with_for_update().execution_options(populate_existing=True) if lock else query)
    if client is None:
        raise Missing("app", client_pk)
    return client


async def created_by_request(session: AsyncSession, organization_id: int, idempotency_key: str) -> OAuthClient | None:
    """Return the organization's app that a form created, None where it no longer exists."""
    client: OAuthClient | None = await session.scalar(
        select(OAuthClient).where(OAuthClient.idempotency_key == idempotency_key, OAuthClient.organization_id == organization_id)
    )
    return client


async def change(session: AsyncSession, client: OAuthClient, fields: ClientFields, *, by: Actor) -> OAuthClient:
    """Change an app; raises Invalid, and Conflict for a revoked one. A new version needs every user's consent again (client_versions)."""
    if client.status is not ClientStatus.ACTIVE:
        raise Conflict(_REVOKED)
    if not auth_methods.is_same(fields.auth_method, client.auth_method):
        raise Invalid(_KEPT, field="auth_method")
    values = await _validated(session, client.organization_id or 0, fields)
    changes: dict[str, tuple[events.Plain, events.Plain]] = {
        name: (getattr(client, name), value) for name, value in values.items() if getattr(client, name) != value
    }
    if client_versions.is_another({name: getattr(client, name) for name in values}, values):
        client.version += 1
    was = await spaces_of(session, client)
    if was != dict(fields.spaces):
        changes["spaces"] = (_as_words(was), _as_words(fields.spaces))
        await _set_spaces(session, client, fields.spaces)
    for name, value in values.items():
        setattr(client, name, value)
    if changes:
        invalidate(session, subjects.client(client.id))
        record(session, events.ClientChanged(target_id=client.id, target_name=client.name, changes=changes), by)
    return client


async def rotate_secret(session: AsyncSession, client: OAuthClient, *, secrets: Secrets, overlap: timedelta, by: Actor) -> str:
    """Add a secret; the older one stays valid for `overlap` (zero ends it now). Returns the new secret, once.

    At most two are active at a time: with two, the oldest ends. Raises Conflict for an app without a secret, or revoked, and Invalid for
    an overlap under zero or over 30 days.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise Invalid(f"The old secret can live on for at most {LONGEST_OVERLAP.days} days.", field="overlap")
    if client.auth_method not in auth_methods.SECRET_METHODS:
        raise Conflict("This app has no secret to rotate.")
    await _lock(session, client)
    active = await active_secrets(session, client)
    for old in active[: max(0, len(active) - MOST_SECRETS + 1)]:
        await _remove(session, client, old, by)
    ends = clock.now() + overlap
    for old in active[-(MOST_SECRETS - 1) :]:
        old.expires_at = min(old.expires_at or ends, ends)
    invalidate(session, subjects.client(client.id))
    changes: events.Changes = {"older_secret_ends": (None, clock.iso(ends) if overlap else "at once")} if active else {}
    return await add_secret(session, client, secrets, by, changes)


async def end_older_secret(session: AsyncSession, client: OAuthClient, *, by: Actor) -> bool:
    """End the older of two active secrets now, once the app has the new one; returns False where there is only one."""
    await _lock(session, client)
    active = await active_secrets(session, client)
    for old in active[:-1]:
        await _remove(session, client, old, by)
    if len(active) > 1:
        invalidate(session, subjects.client(client.id))
    return len(active) > 1


async def active_secrets(session: AsyncSession, client: OAuthClient) -> list[OAuthClientSecret]:
    """Return an app's active secrets, the oldest first."""
    rows = await session.scalars(
        select(OAuthClientSecret).where(OAuthClientSecret.oauth_client_id == client.id).order_by(OAuthClientSecret.id)
    )
    return [each for each in rows.all() if each.expires_at is None or each.expires_at > clock.now()]


async def revoke(session: AsyncSession, client: OAuthClient, *, by: Actor) -> int:
    """Revoke an app for good, with all of its grants; returns how many grants ended."""
    if client.status is ClientStatus.REVOKED:
        return 0
    client.status, client.revoked_at, client.revoked_by_name = ClientStatus.REVOKED, clock.now(), by.name[:200]
    invalidate(session, subjects.client(client.id))
    record(session, events.ClientRevoked(target_id=client.id, target_name=client.name), by)
    return await grants.end_of_client(session, client.id, reason="app revoked", by=by)


async def delete(session: AsyncSession, client: OAuthClient, *, by: Actor) -> None:
    """Delete a revoked app's entry, with its secrets and ended grants; the audit log keeps its history. Raises Conflict if active."""
    if client.status is not ClientStatus.REVOKED:
        raise Conflict("Revoke the app first; then nobody depends on it any more.")
    invalidate(session, subjects.client(client.id))
    record(session, events.ClientDeleted(target_id=client.id, target_name=client.name), by)
    await session.execute(sql_delete(OAuthClient).where(OAuthClient.id == client.id))


async def spaces_of(session: AsyncSession, client: OAuthClient) -> dict[int, Role]:
    """Return the roles of an app's own service principal, by Space id."""
    rows = await session.execute(
        select(OAuthClientSpace.space_id, OAuthClientSpace.role).where(OAuthClientSpace.oauth_client_id == client.id)
    )
    return {space_id: Role(role) for space_id, role in rows}


async def add_secret(session: AsyncSession, client: OAuthClient, secrets: Secrets, by: Actor, changes: events.Changes | None = None) -> str:
    """Give a client one more secret and return it, once; callers make sure that no more than two are active."""
    secret = client_secrets.new()
    session.add(
        OAuthClientSecret(
            oauth_client_id=client.id,
            digest=client_secrets.digest(secret, secrets),
            pepper_version=secrets.current_pepper,
            prefix=secret[:8],
            created_at=clock.now(),
            created_by_name=by.name[:200],
        )
    )
    invalidate(session, subjects.client(client.id))
    await session.flush()
    record(session, events.ClientSecretAdded(target_id=client.id, target_name=client.name, changes=changes or {}), by)
    return secret


async def _lock(session: AsyncSession, client: OAuthClient) -> None:
    """Lock the app, so that concurrent changes of its secrets run one after the other; raises Conflict for a revoked app."""
    query = select(OAuthClient).where(OAuthClient.id == client.id).with_for_update().execution_options(populate_existing=True)
    if await session.scalar(query) is None or client.status is not ClientStatus.ACTIVE:
        raise Conflict(_REVOKED)


async def _remove(session: AsyncSession, client: OAuthClient, old: OAuthClientSecret, by: Actor) -> None:
    await session.delete(old)
    changes: events.Changes = {"secret": (old.prefix, None)}
    record(session, events.ClientSecretRemoved(target_id=client.id, target_name=client.name, changes=changes), by)


async def _set_spaces(session: AsyncSession, client: OAuthClient, spaces: Mapping[int, Role]) -> None:
    await session.execute(sql_delete(OAuthClientSpace).where(OAuthClientSpace.oauth_client_id == client.id))
    session.add_all(OAuthClientSpace(oauth_client_id=client.id, space_id=space_id, role=int(role)) for space_id, role in spaces.items())
    await session.flush()


def _as_words(roles: Mapping[int, Role]) -> str | None:
    return ", ".join(f"{space_id}: {role.word}" for space_id, role in sorted(roles.items())) or None


async def _validated(session: AsyncSession, organization_id: int, fields: ClientFields) -> dict[str, str | bool | None]:
    form = FieldValidation()
    values = client_checks.values(form, fields)
    if fields.spaces:
        rows = await session.scalars(select(Space.id).where(Space.id.in_(fields.spaces), Space.organization_id == organization_id))
        if set(rows.all()) != set(fields.spaces):
            form.problem("spaces", "Choose Spaces of the organization.")
    form.done()
    return values


__all__ = [
    "DEVICE",
    "EXCHANGE",
    "GRANT_TYPES",
    "AlreadyRegistered",
    "ClientFields",
    "CreatedClient",
    "active_secrets",
    "add_secret",
    "change",
    "create",
    "created_by_request",
    "delete",
    "end_older_secret",
    "get",
    "new_client_id",
    "revoke",
    "rotate_secret",
    "spaces_of",
]
