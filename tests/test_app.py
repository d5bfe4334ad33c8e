"""The composition root: what refuses to start, what a start brings up, and what a stop lets go."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import get
from litestar.testing import AsyncTestClient
from sqlalchemy import select

from latchpin import app, settings
from latchpin.api.routing import UndeclaredPermission, api_handlers, require_declared_permissions
from latchpin.identity.deployment import bring_up
from latchpin.identity.roles import Permission
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import migrate
from latchpin.storage.models import Deployment, SignInFailures
from latchpin.storage.secrets import SecretsError


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """An embedded deployment that was never started."""
    return settings.load({}, data_dir=tmp_path)


def test_building_makes_the_secrets_and_connects_to_nothing(chosen: Settings) -> None:
    """The database file comes with the start."""
    application = app.build(chosen)

    assert chosen.secrets_file.exists()
    assert not (chosen.data_dir / "latchpin.db").exists()
    assert application.services.settings is chosen


async def test_starting_brings_an_empty_embedded_database_to_head(chosen: Settings) -> None:
    """With the deployment's row, so that a wrong secrets file is told the next time."""
    application = app.build(chosen)
    async with AsyncTestClient(application.litestar):
        database = application.services.database
        assert await migrate.current(database.engine) == migrate.head()
        async with database.read() as session:
            row = await session.get_one(Deployment, 1)
        assert row.secrets_fingerprint == application.services.secrets.fingerprint()


async def test_other_secrets_than_the_databases_do_not_start(chosen: Settings) -> None:
    """No API key would be recognised."""
    async with AsyncTestClient(app.build(chosen).litestar):
        pass
    chosen.secrets_file.unlink()

    with pytest.raises(SecretsError, match="LATCHPIN_SECRETS_FILE"):
        await bring_up(chosen, (again := app.build(chosen)).services.database, again.services.secrets)
    await again.services.database.close()


def test_a_readable_secrets_file_does_not_build(chosen: Settings) -> None:
    """Nothing is served with secrets that others can read."""
    app.build(chosen)
    chosen.secrets_file.chmod(0o644)

    with pytest.raises(SecretsError, match="chmod 600"):
        app.build(chosen)


async def test_stopping_lets_go_of_every_file(chosen: Settings) -> None:
    """Three starts and stops in one process leave no descriptor behind."""
    counts = []
    for _ in range(3):
        async with AsyncTestClient(app.build(chosen).litestar):
            pass
        counts.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208  counted

    assert counts[2] <= counts[0]


async def test_starting_sweeps_what_is_over(chosen: Settings) -> None:
    """Counters of failed sign-ins do not pile up with every address that ever tried."""
    application = app.build(chosen)
    async with AsyncTestClient(application.litestar), application.services.database.transaction() as session:
        session.add(SignInFailures(bucket=b"x" * 32, failures=1, window_ends=clock.now() - timedelta(minutes=1)))

    again = app.build(chosen)
    async with AsyncTestClient(again.litestar):
        for _ in range(500):
            async with again.services.database.read() as session:
                if not (await session.scalars(select(SignInFailures))).all():
                    return
            await asyncio.sleep(0.01)
    pytest.fail("it was not swept")


# ---- every route says who may use it ----


@get("/api/v1/forgotten")
async def _forgotten() -> None:
    """A route whose author forgot the permission."""


@get("/elsewhere")
async def _elsewhere() -> None:
    """A route outside the API needs none."""


def test_a_route_without_a_declared_permission_does_not_start(chosen: Settings) -> None:
    """The refusal names it (security.md 97)."""
    with pytest.raises(UndeclaredPermission, match="/api/v1/forgotten"):
        app.build(chosen, also=[_forgotten])


def test_every_api_route_declares_a_permission(chosen: Settings) -> None:
    """Checked here as at every start."""
    application = app.build(chosen, also=[_elsewhere])

    require_declared_permissions(application.litestar)
    declared = [handler.opt.get("permission") for _, handler in api_handlers(application.litestar)]
    assert len(declared) > 10
    assert all(isinstance(permission, Permission) for permission in declared)


async def test_the_application_is_made_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the server's processes do it."""
    for name in [name for name in os.environ if name.startswith("LATCHPIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LATCHPIN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LATCHPIN_PUBLIC_URL", "https://latchpin.example")
    application: Any = app.create()

    async with AsyncTestClient(application.litestar):
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            live = await client.get("/health/live")
            refused = await client.get("/api/v1/agent/all")

    assert (live.status_code, refused.status_code) == (200, 401)
    assert refused.json()["type"].startswith("https://latchpin.example/")
    assert (tmp_path / "data" / "latchpin.db").exists()
