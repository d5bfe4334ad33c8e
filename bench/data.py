"""The deployment that is measured: one organization, 50 agents, and as many keys as wanted."""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, insert, select

from latchpin import settings
from latchpin.audit import Actor
from latchpin.automation import agents
from latchpin.identity import api_keys, deployment, organizations, passwords, policy, spaces, users
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.models import ApiKey

AGENTS = 50
_DEFINITION = """version: 1
name: Agent {number:02d}
description: Title, price and stock of every book in a category of books.example.
start_url: https://books.example/category/{{category}}
input_parameters:
  - name: category
    default: fiction
record:
  selector: article
  fields:
    - name: title
      selector: h3
"""


PORT = int(os.environ.get("BENCH_PORT", "8099"))


def environ(data_dir: Path, **more: str) -> dict[str, str]:
    """Return the settings as variables: limits that nobody meets, and SQLite in the directory or what BENCH_DATABASE_URL names."""
    chosen = {
        "data_dir": str(data_dir),
        "port": str(PORT),
        "rate_limit": "1000000",
        "rate_limit_window_seconds": "1",
        "token_limit": "1000000",
        "access_token_minutes": "60",
        **more,
    }
    if url := os.environ.get("BENCH_DATABASE_URL"):
        chosen["database_url"] = url
    return {f"LATCHPIN_{name.upper()}": text for name, text in chosen.items()}


def load(data_dir: Path, **more: str) -> Settings:
    """Return the settings; `more` are further ones by name."""
    return settings.load(environ(data_dir, **more))


async def make(data_dir: Path) -> str:
    """Make the deployment and return a key of its administrator."""
    chosen = load(data_dir)
    database = Database(chosen, may_create=True)
    deployment_secrets = await deployment.initialize(chosen, database, upgrade=True)
    nobody = Actor("bench")
    password = await passwords.temporary()
    async with database.transaction() as session:
        created = await organizations.first_administrator(
            session, organization="Bench", full_name="Bench", email="bench@example.com", password=password, temporary=False, by=nobody
        )
        user = created.user
        credential = Credential(CredentialKind.COMMAND_LINE)
        principal = Principal(user.id, user.organization_id, user.full_name, user.email, Group.ADMINISTRATOR, credential)
        by = Actor(user.email, user.id, user.organization_id)
        space = await spaces.create(session, user.organization_id, spaces.SpaceFields(name="Bench"), by=by)
        for number in range(AGENTS):
            await agents.create(session, principal, _DEFINITION.format(number=number), space_id=space.id, by=by)
        rules = await policy.get(session, user.organization_id, chosen)
        issued_key = await api_keys.create(session, user, api_keys.KeyParameters(), policy=rules, secrets=deployment_secrets, by=by)
    await database.close()
    return issued_key.secret


async def fill(data_dir: Path, total: int) -> None:
    """Add keys that nobody has until the table holds `total`."""
    database = Database(load(data_dir))
    async with database.transaction() as session:
        first = (await session.scalars(select(ApiKey).order_by(ApiKey.id).limit(1))).one()
        owner = (await session.scalar(select(users.User.id).limit(1))) or first.user_id
        held = await session.scalar(select(func.count()).select_from(ApiKey)) or 0
        now = clock.now()
        while held < total:
            size = min(20_000, total - held)
            rows = [
                {
                    "organization_id": first.organization_id,
                    "user_id": owner,
                    "digest": secrets.token_bytes(32),
                    "pepper_version": 1,
                    "prefix": "sk-lp_0000",
                    "scopes": first.scopes,
                    "networks": "",
                    "created_at": now,
                    "created_by_name": "bench",
                    "expires_at": now + timedelta(days=365),
                }
                for _ in range(size)
            ]
            await session.execute(insert(ApiKey), rows)
            held += size
    await database.close()
