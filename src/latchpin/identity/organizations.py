"""The deployment row, organizations, and the first administrator."""

from __future__ import annotations

import hmac
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict, Missing
from latchpin.identity import credentials, users
from latchpin.identity.passwords import Hashed
from latchpin.identity.roles import Group
from latchpin.kit import clock
from latchpin.kit.fields import FieldValidation
from latchpin.storage.models import Deployment, Organization, User
from latchpin.storage.secrets import Secrets, SecretsError
from latchpin.storage.upsert import insert

SETUP_LINK_HOURS = 24


async def prepare(session: AsyncSession, secrets: Secrets) -> Deployment:
    """Return the deployment's row, created at first use. Raises SecretsError unless the database was created with these secrets."""
    if await session.get(Deployment, 1) is None:
        await _initialize(session, secrets)
    return await deployment_row(session, secrets)


async def deployment_row(session: AsyncSession, secrets: Secrets) -> Deployment:
    """Return the deployment's row. Raises SecretsError where it is missing, or the database was created with other secrets."""
    row = await session.get(Deployment, 1)
    if row is None:
        message = "The database is empty: it is not the one that the secrets file belongs to. Restore it, or correct LATCHPIN_DATABASE_URL."
        raise SecretsError(message)
    if not hmac.compare_digest(row.secrets_fingerprint, secrets.fingerprint()):
        message = (
            "LATCHPIN_SECRETS_FILE: these are not the secrets this database was made with; no API key would be recognised. "
            "Restore the secrets file that belongs to the database."
        )
        raise SecretsError(message)
    return row


async def _initialize(session: AsyncSession, secrets: Secrets) -> None:
    """Create the row; where another process creates it at the same moment, wait for it and keep its row."""
    values = {"id": 1, "generation": 1, "secrets_fingerprint": secrets.fingerprint(), "created_at": clock.now()}
    await session.execute(insert(session, Deployment).values(values).on_conflict_do_nothing())


async def create(session: AsyncSession, name: str, *, by: Actor) -> Organization:
    """Make an organization; raises Invalid."""
    form = FieldValidation()
    clean = form.line("organization", name, most=200)
    form.done()
    organization = Organization(name=clean, created_at=clock.now())
    session.add(organization)
    await session.flush()
    event = events.OrganizationCreated(target_id=organization.id, target_name=clean, organization_id=organization.id)
    record(session, event, by)
    return organization


async def get(session: AsyncSession, organization_id: int) -> Organization:
    """Return an organization; raises Missing."""
    organization = await session.get(Organization, organization_id)
    if organization is None:
        raise Missing("organization", organization_id)
    return organization


async def list_all(session: AsyncSession) -> list[Organization]:
    """Return all organizations of the deployment, oldest first; for the command line."""
    return list((await session.scalars(select(Organization).order_by(Organization.id))).all())


async def require_none(session: AsyncSession) -> None:
    """Raise Conflict where the deployment has users already."""
    if await users.count(session):
        raise Conflict("This deployment has users already. An administrator makes further ones under Users.")


async def first_administrator(
    session: AsyncSession, *, organization: str, full_name: str, email: str, password: Hashed, temporary: bool, by: Actor
) -> users.CreatedUser:
    """Make the first organization and its administrator; raises Conflict where the deployment has users already, Invalid for fields."""
    row = await session.get(Deployment, 1, with_for_update=True)  # two requests with the same link run one after the other
    await require_none(session)
    new_organization = await create(session, organization, by=by)
    new = users.NewUser(full_name=full_name, email=email, group=Group.ADMINISTRATOR, password=password, temporary=temporary)
    if row is not None:
        row.setup_digest = row.setup_expires_at = None
    return await users.create(session, new_organization.id, new, by=by)


async def offer_setup(session: AsyncSession) -> str | None:
    """Return a one-time token for the first-run page, valid for 24 hours, or None where there are users. Earlier tokens become invalid."""
    row = await session.get(Deployment, 1)
    if row is None or await users.count(session):
        return None
    token = credentials.new_token()
    row.setup_digest, row.setup_expires_at = credentials.token_digest(token), clock.now() + timedelta(hours=SETUP_LINK_HOURS)
    return token


async def is_setup_token(session: AsyncSession, token: str) -> bool:
    """Whether this token is valid for the first-run page now."""
    row = await session.get(Deployment, 1)
    if row is None or row.setup_digest is None or row.setup_expires_at is None or row.setup_expires_at <= clock.now():
        return False
    return hmac.compare_digest(row.setup_digest, credentials.token_digest(token)) and not await users.count(session)


async def owner_of(session: AsyncSession, organization_id: int) -> User | None:
    """Return the oldest active administrator of an organization, the default where no user is named."""
    return await session.scalar(
        select(User).where(User.organization_id == organization_id, User.user_group == Group.ADMINISTRATOR.value).order_by(User.id).limit(1)
    )
