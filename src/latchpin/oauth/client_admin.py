"""Apps that administrators register: make, change, rotate secrets, approve, revoke. Surfaces call these; each records its audit event."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict, Missing
from latchpin.identity import grants
from latchpin.identity.fields import Form
from latchpin.identity.roles import Role
from latchpin.identity.scopes import EVERY, ordered
from latchpin.kit import base62, clock
from latchpin.oauth import client_secrets, redirects
from latchpin.oauth.client_auth import METHODS
from latchpin.storage.generation import narrow
from latchpin.storage.models import OAuthClient, OAuthClientSecret, OAuthClientSpace, Space
from latchpin.storage.models.oauth_client import ClientSource, ClientStatus
from latchpin.storage.secrets import Secrets

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials", DEVICE, EXCHANGE)
MOST_PER_ORGANIZATION = 500
MOST_SECRETS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an administrator enters for an app. `spaces` are roles by Space id for its own service principal (client_credentials)."""

    name: str
    auth_method: str = "none"
    application_type: str = "web"
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    grant_types: Sequence[str] = ("authorization_code", "refresh_token")
    scopes: Sequence[str] = ()
    jwks: str | None = None
    jwks_uri: str | None = None
    client_uri: str | None = None
    spaces: Mapping[int, Role] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """An app just made; `secret` is shown once, None for an app that has none."""

    client: OAuthClient
    secret: str | None = field(repr=False)


def new_client_id() -> str:
    """Make a client_id; it never starts with https:// (that is a metadata document) and is never a number (that is a user's sub)."""
    return "app_" + base62.random(128, 22)


async def create(session: AsyncSession, organization_id: int, entry: Entry, *, secrets: Secrets, by: Actor) -> Made:
    """Register an app of an organization; raises Invalid for unsound fields, Conflict for too many apps."""
    values = await _checked(session, organization_id, entry)
    count = select(func.count()).select_from(OAuthClient).where(OAuthClient.organization_id == organization_id)
    if (await session.scalar(count) or 0) >= MOST_PER_ORGANIZATION:
        raise Conflict(f"The organization has {MOST_PER_ORGANIZATION} apps already. Revoke and delete some.")
    client = OAuthClient(
        client_id=new_client_id(),
        organization_id=organization_id,
        source=ClientSource.REGISTERED,
        created=clock.now(),
        created_by_name=by.name[:200],
        **values,
    )
    session.add(client)
    await session.flush()
    await _set_spaces(session, client, entry.spaces)
    changes = {"client_id": (None, client.client_id), "redirect_uris": (None, client.redirect_uris), "scopes": (None, client.scopes)}
    record(session, events.ClientCreated(target_id=client.id, target_name=client.name, changes=changes), by)
    needs_secret = client.auth_method in ("client_secret_basic", "client_secret_post")
    return Made(client, await _add_secret(session, client, secrets, by) if needs_secret else None)


async def get(session: AsyncSession, organization_id: int, client_pk: int) -> OAuthClient:
    """Return one of the organization's own apps, revoked ones included; raises Missing."""
    found = await session.scalar(select(OAuthClient).where(OAuthClient.id == client_pk, OAuthClient.organization_id == organization_id))
    if found is None:
        raise Missing("app", client_pk)
    return found


async def change(session: AsyncSession, client: OAuthClient, entry: Entry, *, by: Actor) -> OAuthClient:
    """Change an app; raises Invalid, and Conflict for a revoked one. Other redirect addresses or keys ask every user again."""
    if client.status is not ClientStatus.ACTIVE:
        raise Conflict("A revoked app stays revoked. Register a new one.")
    values = await _checked(session, client.organization_id or 0, entry)
    changes = {name: (getattr(client, name), value) for name, value in values.items() if getattr(client, name) != value}
    if {"redirect_uris", "jwks", "jwks_uri"} & changes.keys():
        client.version += 1
    for name, value in values.items():
        setattr(client, name, value)
    await _set_spaces(session, client, entry.spaces)
    narrow(session)
    record(session, events.ClientChanged(target_id=client.id, target_name=client.name, changes=changes), by)
    return client


async def rotate_secret(session: AsyncSession, client: OAuthClient, *, secrets: Secrets, overlap: timedelta, by: Actor) -> str:
    """Add a secret and let the older one live on for `overlap` (zero ends it now); returns the new secret, once.

    At most two live at a time: with two, the oldest goes. Raises Conflict for an app that has no secret, or is revoked.
    """
    if client.auth_method not in ("client_secret_basic", "client_secret_post") or client.status is not ClientStatus.ACTIVE:
        raise Conflict("This app has no secret to rotate.")
    at = clock.now()
    living = await living_secrets(session, client)
    for old in living[: max(0, len(living) - MOST_SECRETS + 1)]:
        await session.delete(old)
    for old in living[-(MOST_SECRETS - 1) :]:
        old.expires = min(old.expires or at + overlap, at + overlap)
    narrow(session)
    return await _add_secret(session, client, secrets, by)


async def living_secrets(session: AsyncSession, client: OAuthClient) -> list[OAuthClientSecret]:
    """Return an app's living secrets, the oldest first."""
    rows = await session.scalars(
        select(OAuthClientSecret).where(OAuthClientSecret.oauth_client_id == client.id).order_by(OAuthClientSecret.id)
    )
    return [each for each in rows.all() if each.expires is None or each.expires > clock.now()]


async def revoke(session: AsyncSession, client: OAuthClient, *, by: Actor) -> int:
    """Revoke an app for good, with all of its grants; returns how many grants ended."""
    if client.status is ClientStatus.REVOKED:
        return 0
    client.status, client.revoked, client.revoked_by_name = ClientStatus.REVOKED, clock.now(), by.name[:200]
    narrow(session)
    record(session, events.ClientRevoked(target_id=client.id, target_name=client.name), by)
    return await grants.end_of_client(session, client.id, reason="app revoked", by=by)


async def spaces_of(session: AsyncSession, client: OAuthClient) -> dict[int, Role]:
    """Return the roles of an app's own service principal, by Space id."""
    rows = await session.execute(
        select(OAuthClientSpace.space_id, OAuthClientSpace.role).where(OAuthClientSpace.oauth_client_id == client.id)
    )
    return {space_id: Role(role) for space_id, role in rows}


async def _add_secret(session: AsyncSession, client: OAuthClient, secrets: Secrets, by: Actor) -> str:
    secret = client_secrets.new()
    session.add(
        OAuthClientSecret(
            oauth_client_id=client.id,
            digest=client_secrets.digest(secret, secrets),
            pepper_version=secrets.current_pepper,
            prefix=secret[:8],
            created=clock.now(),
            created_by_name=by.name[:200],
        )
    )
    await session.flush()
    record(session, events.ClientSecretAdded(target_id=client.id, target_name=client.name), by)
    return secret


async def _set_spaces(session: AsyncSession, client: OAuthClient, wanted: Mapping[int, Role]) -> None:
    await session.execute(delete(OAuthClientSpace).where(OAuthClientSpace.oauth_client_id == client.id))
    session.add_all(OAuthClientSpace(oauth_client_id=client.id, space_id=space_id, role=int(role)) for space_id, role in wanted.items())
    await session.flush()


async def _checked(session: AsyncSession, organization_id: int, entry: Entry) -> dict[str, str | None]:
    form = Form()
    name = form.line("name", entry.name, most=200)
    _check_words(form, entry)
    _check_fit(form, entry)
    for field_name in ("redirect_uris", "post_logout_redirect_uris"):
        for each in getattr(entry, field_name):
            if fault := redirects.fault(each, entry.application_type):
                form.problem(field_name, f"{each[:200]} {fault}.")
    if entry.spaces:
        rows = await session.scalars(select(Space.id).where(Space.id.in_(entry.spaces), Space.organization_id == organization_id))
        if set(rows.all()) != set(entry.spaces):
            form.problem("spaces", "Choose Spaces of the organization.")
    form.done()
    return {
        "name": name,
        "auth_method": entry.auth_method,
        "application_type": entry.application_type,
        "redirect_uris": json.dumps(list(entry.redirect_uris)),
        "post_logout_redirect_uris": json.dumps(list(entry.post_logout_redirect_uris)),
        "grant_types": " ".join(each for each in GRANT_TYPES if each in entry.grant_types),
        "scopes": ordered(entry.scopes),
        "jwks": entry.jwks,
        "jwks_uri": entry.jwks_uri,
        "client_uri": entry.client_uri,
    }


def _check_words(form: Form, entry: Entry) -> None:
    """Check that every word is one that is known."""
    if entry.auth_method not in METHODS:
        form.problem("auth_method", f"Choose one of {', '.join(METHODS)}.")
    if entry.application_type not in ("web", "native"):
        form.problem("application_type", "Choose web or native.")
    for name, words, known in (("grant_types", entry.grant_types, GRANT_TYPES), ("scopes", entry.scopes, EVERY)):
        if unknown := set(words).difference(known):
            form.problem(name, f"Unknown: {', '.join(sorted(unknown))[:200]}.")


def _check_fit(form: Form, entry: Entry) -> None:
    """Check that the parts fit together."""
    if "client_credentials" in entry.grant_types and entry.auth_method == "none":
        form.problem("grant_types", "client_credentials is for apps that can keep a secret; choose another authentication method.")
    if "authorization_code" in entry.grant_types and not entry.redirect_uris:
        form.problem("redirect_uris", "Enter at least one address to send users back to.")
    if entry.auth_method == "private_key_jwt" and not (entry.jwks or entry.jwks_uri):
        form.problem("jwks", "Enter the app's public keys, or the address of its JWKS.")
