"""API resources: servers of the organization that accept our tokens. Each has its own client, with which its server introspects them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict, Missing
from latchpin.identity.active_grant import own_audiences
from latchpin.kit import clock
from latchpin.kit.fields import FieldValidation
from latchpin.oauth import client_admin, client_checks, resources
from latchpin.oauth.redirects import LOOPBACK
from latchpin.settings import Settings
from latchpin.storage import subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import OAuthClient, OAuthClientSecret, OAuthResource
from latchpin.storage.models.oauth_client import ClientSource, ClientStatus
from latchpin.storage.secrets import Secrets

MOST = 100


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource with the client of its server, and that client's active secrets, the oldest first."""

    row: OAuthResource
    client: OAuthClient
    secrets: tuple[OAuthClientSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class CreatedResource:
    """A newly created resource; `secret` is its server's, shown once."""

    resource: Resource
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFields:
    """What an administrator enters. With `may_call_api` our own API accepts tokens for the resource, too."""

    name: str
    identifier: str
    may_call_api: bool = False


async def create(
    session: AsyncSession, organization_id: int, fields: ResourceFields, *, settings: Settings, secrets: Secrets, by: Actor
) -> CreatedResource:
    """Register a resource and the client of its server; raises Invalid, and Conflict for too many."""
    form = FieldValidation()
    name = form.line("name", fields.name, most=200)
    identifier = _identifier(form, fields.identifier, settings)
    existing = select(OAuthResource.id).where(OAuthResource.organization_id == organization_id, OAuthResource.identifier == identifier)
    if identifier and await session.scalar(existing) is not None:
        form.problem("identifier", "The organization has a resource with this address already.")
    form.done()
    count = select(func.count()).select_from(OAuthResource).where(OAuthResource.organization_id == organization_id)
    if (await session.scalar(count) or 0) >= MOST:
        raise Conflict(f"The organization has {MOST} API resources already. Delete some.")
    row = OAuthResource(
        organization_id=organization_id, identifier=identifier, name=name, may_call_api=fields.may_call_api, created_at=clock.now()
    )
    session.add(row)
    invalidate(session, subjects.organization(organization_id))
    await session.flush()
    client = OAuthClient(
        client_id=client_admin.new_client_id(),
        organization_id=organization_id,
        source=ClientSource.REGISTERED,
        status=ClientStatus.ACTIVE,
        name=name,
        auth_method="client_secret_basic",
        grant_types="",
        redirect_uris="[]",
        post_logout_redirect_uris="[]",
        scopes="",
        resource_id=row.id,
        version=1,
        created_at=clock.now(),
        created_by_name=by.name[:200],
    )
    session.add(client)
    await session.flush()
    changes: events.Changes = {
        "identifier": (None, identifier),
        "may_call_api": (None, fields.may_call_api),
        "client_id": (None, client.client_id),
    }
    record(session, events.ResourceCreated(target_id=row.id, target_name=name, changes=changes), by)
    secret = await client_admin.add_secret(session, client, secrets, by)
    return CreatedResource(await _with_secrets(session, row, client), secret)


async def list_all(session: AsyncSession, organization_id: int) -> list[Resource]:
    """Return an organization's resources by name."""
    rows = await session.execute(
        select(OAuthResource, OAuthClient)
        .join(OAuthClient, OAuthClient.resource_id == OAuthResource.id)
        .where(OAuthResource.organization_id == organization_id)
        .order_by(func.lower(OAuthResource.name), OAuthResource.id)
    )
    return [await _with_secrets(session, row, client) for row, client in rows.all()]


async def get(session: AsyncSession, organization_id: int, resource_id: int) -> Resource:
    """Return one resource of the organization; raises Missing."""
    result = await session.execute(
        select(OAuthResource, OAuthClient)
        .join(OAuthClient, OAuthClient.resource_id == OAuthResource.id)
        .where(OAuthResource.id == resource_id, OAuthResource.organization_id == organization_id)
        .order_by(OAuthClient.id)
        .limit(1)
    )
    row = result.one_or_none()
    if row is None:
        raise Missing("resource", resource_id)
    return await _with_secrets(session, row[0], row[1])


async def change(session: AsyncSession, resource: Resource, *, name: str, may_call_api: bool, by: Actor) -> None:
    """Change a resource's name, or whether its tokens may call our API. Its address stays: tokens carry it. Raises Invalid."""
    form = FieldValidation()
    clean = form.line("name", name, most=200)
    form.done()
    row = resource.row
    values: dict[str, events.Plain] = {"name": clean, "may_call_api": may_call_api}
    changes = {field_name: (getattr(row, field_name), value) for field_name, value in values.items() if getattr(row, field_name) != value}
    if not changes:
        return
    row.name, row.may_call_api, resource.client.name = clean, may_call_api, clean
    invalidate(session, subjects.organization(row.organization_id), subjects.client(resource.client.id))
    record(session, events.ResourceChanged(target_id=row.id, target_name=clean, changes=changes), by)


async def rotate_secret(session: AsyncSession, resource: Resource, *, secrets: Secrets, overlap: timedelta, by: Actor) -> str:
    """Give the resource's server a new secret, returned once; the older stays valid for `overlap`. Raises Invalid."""
    return await client_admin.rotate_secret(session, resource.client, secrets=secrets, overlap=overlap, by=by)


async def delete(session: AsyncSession, resource: Resource, *, by: Actor) -> None:
    """Delete a resource with its server's client: it can introspect nothing any more, and no new token can be for it."""
    invalidate(session, subjects.organization(resource.row.organization_id), subjects.client(resource.client.id))
    changes: events.Changes = {"identifier": (resource.row.identifier, None)}
    record(session, events.ResourceDeleted(target_id=resource.row.id, target_name=resource.row.name, changes=changes), by)
    await session.execute(sql_delete(OAuthClient).where(OAuthClient.resource_id == resource.row.id))
    await session.execute(sql_delete(OAuthResource).where(OAuthResource.id == resource.row.id))


async def _with_secrets(session: AsyncSession, row: OAuthResource, client: OAuthClient) -> Resource:
    return Resource(row, client, tuple(await client_admin.active_secrets(session, client)))


def _identifier(form: FieldValidation, entered: str, settings: Settings) -> str:
    """Check an address and return it as in tokens: host in lower case, an origin without the closing slash (RFC 8707 section 2)."""
    text = entered.strip()
    form.no_key("identifier", text)
    try:
        parts = urlsplit(text)
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
    except ValueError:
        local, parts = False, urlsplit("")
    https = f"https://{parts.netloc}{parts.path}" if local else text
    if not client_checks.is_https(https, most=resources.LONGEST) or parts.query or "?" in text or "#" in text:
        form.problem("identifier", "Enter the server's address, such as https://data.example.com, without a query or a fragment.")
        return ""
    path = "" if parts.path == "/" else parts.path
    identifier = urlunsplit((parts.scheme, parts.netloc.lower(), path, "", ""))
    if identifier in own_audiences(settings):
        form.problem("identifier", "This is Latchpin's own address; tokens are for it where nothing else is asked for.")
    return identifier
