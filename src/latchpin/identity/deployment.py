"""The deployment as a whole: initialized once, with new secrets, and opened by the server and by every command before they use it.

Only `initialize` creates secrets and database. A process that finds its secrets or its database missing later refuses to start,
because new ones would not fit the existing data.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import active_keys, organizations
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import Database, migrate, secrets
from latchpin.storage.models import ApiKey, Deployment, OAuthClientSecret
from latchpin.storage.secrets import Secrets, SecretsError
from latchpin.storage.sqlite_file import sqlite_file

_EMPTY = (
    "{path} holds the secrets of a deployment, but the database is empty. Restore the database from your backup, or correct "
    "LATCHPIN_DATA_DIR and LATCHPIN_DATABASE_URL. To begin a new deployment with these secrets all the same, run: "
    "latchpin db upgrade --new-deployment"
)
_MISSING = (
    "LATCHPIN_SECRETS_FILE: {path} is missing, and the database was made with it: without it no API key would be recognised. "
    "Restore it from your backup."
)
_NO_PEPPER = (
    "LATCHPIN_SECRETS_FILE: pepper {version} is {what}, and API keys or client secrets are kept under it, which would not be recognised. "
    "Restore the secrets file that belongs to the database."
)


class NoDeployment(Exception):
    """There is no deployment at the configured place; the text says how to create one."""


def require_initialized(chosen: Settings) -> None:
    """Raise NoDeployment where the embedded database was never created, or SecretsError where it is missing. Creates no file."""
    if not chosen.is_sqlite or sqlite_file(chosen.database_url).exists():
        return
    if chosen.secrets_file.exists():
        raise SecretsError(_EMPTY.format(path=chosen.secrets_file))
    message = f"There is no deployment in {chosen.data_dir}. Make one with `latchpin init`, or name another directory with --data-dir."
    raise NoDeployment(message)


async def initialize(chosen: Settings, database: Database, *, upgrade: bool = False, with_known_secrets: bool = False) -> Secrets:
    """Open a deployment, created where there is neither a database nor a secrets file; returns its secrets.

    `with_known_secrets` creates a new database for existing secrets. Raises what `initialize_database` raises.
    """
    has_secrets = chosen.secrets_file.exists()  # checked first: another process that initializes creates the database before the file
    fingerprint = await _fingerprint(database)
    if fingerprint is not None:
        deployment_secrets = _known_secrets(chosen, fingerprint)
        await initialize_database(chosen, database, deployment_secrets, upgrade=upgrade)
        return deployment_secrets
    if has_secrets:
        if not with_known_secrets:
            raise SecretsError(_EMPTY.format(path=chosen.secrets_file))
        deployment_secrets = secrets.load(chosen.secrets_file)
        await _make(chosen, database, deployment_secrets, upgrade=upgrade)
        return deployment_secrets
    if not (chosen.is_sqlite or upgrade):
        await migrate.require_head(database.engine)
    with secrets.first_run(chosen.secrets_file) as new_secrets:
        await _make(chosen, database, new_secrets, upgrade=upgrade)
    return new_secrets


async def open_(chosen: Settings, database: Database) -> Secrets:
    """Open an existing deployment and return its secrets.

    Raises NoDeployment where it was never initialized, and what `initialize_database` raises.
    """
    fingerprint = await _fingerprint(database)
    if fingerprint is None:
        if chosen.secrets_file.exists():
            raise SecretsError(_EMPTY.format(path=chosen.secrets_file))
        if not chosen.is_sqlite:
            await migrate.require_head(database.engine)
        message = "The database holds no deployment yet. Make one with `latchpin init`, or correct LATCHPIN_DATABASE_URL."
        raise NoDeployment(message)
    deployment_secrets = _known_secrets(chosen, fingerprint)
    await initialize_database(chosen, database, deployment_secrets)
    return deployment_secrets


async def initialize_database(chosen: Settings, database: Database, deployment_secrets: Secrets, *, upgrade: bool = False) -> None:
    """Migrate the schema, and check that the secrets are those that the database was created with.

    On PostgreSQL another revision is refused unless `upgrade` is set. Raises WrongRevision, SecretsError, Unavailable.
    """
    await _to_head(chosen, database, upgrade=upgrade)
    async with database.transaction() as session:
        await check_secrets(session, deployment_secrets)


async def check(database: Database, deployment_secrets: Secrets) -> None:
    """Check, for one of the server's processes, what `initialize_database` has set up; changes nothing and raises the same."""
    await migrate.require_head(database.engine)
    async with database.read() as session:
        await check_secrets(session, deployment_secrets, may_record=False)


async def check_secrets(session: AsyncSession, deployment_secrets: Secrets, *, may_record: bool = True) -> None:
    """Raise SecretsError unless the secrets are those that the database was created with; records new peppers."""
    row = await organizations.deployment_row(session, deployment_secrets)
    recorded = _parsed(row.pepper_fingerprints)
    present = deployment_secrets.pepper_fingerprints()
    for version in await _versions_in_use(session):
        if version not in present:
            raise SecretsError(_NO_PEPPER.format(version=version, what="missing"))
        if recorded.get(version, present[version]) != present[version]:
            raise SecretsError(_NO_PEPPER.format(version=version, what="another one"))
    if may_record and recorded != (both := recorded | present):
        row.pepper_fingerprints = " ".join(f"{version}:{text}" for version, text in sorted(both.items()))


async def _make(chosen: Settings, database: Database, deployment_secrets: Secrets, *, upgrade: bool) -> None:
    await _to_head(chosen, database, upgrade=upgrade)
    async with database.transaction() as session:
        await organizations.prepare(session, deployment_secrets)
        await check_secrets(session, deployment_secrets)


async def _to_head(chosen: Settings, database: Database, *, upgrade: bool) -> None:
    if chosen.is_sqlite or upgrade:
        await migrate.upgrade(database.engine)
    else:
        await migrate.require_head(database.engine)


async def _fingerprint(database: Database) -> str | None:
    """Return the fingerprint of the secrets that the database was created with, at any revision; None where it is empty."""
    if await migrate.current(database.engine) is None:
        return None
    async with database.read() as session:
        return await session.scalar(select(Deployment.secrets_fingerprint))


def _known_secrets(chosen: Settings, fingerprint: str) -> Secrets:
    deployment_secrets = secrets.load_existing(chosen.secrets_file, fingerprint)
    if deployment_secrets is None:
        raise SecretsError(_MISSING.format(path=chosen.secrets_file))
    return deployment_secrets


async def _versions_in_use(session: AsyncSession) -> list[int]:
    """Return the pepper versions that valid stored digests use."""
    now = clock.now()
    keys = select(ApiKey.pepper_version).where(active_keys.active(now))
    clients = select(OAuthClientSecret.pepper_version).where(func.coalesce(OAuthClientSecret.expires_at, now) >= now)
    return sorted((await session.scalars(keys.union(clients))).all())


def _parsed(text: str) -> dict[int, str]:
    return {int(version): fingerprint for version, fingerprint in (word.split(":") for word in text.split())}
