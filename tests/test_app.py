"""The composition root: what refuses to start, what a start brings up, and what a stop lets go."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import get
from litestar.testing import AsyncTestClient
from sqlalchemy import delete, func, select

from latchpin import app, settings
from latchpin.api.routing import UndeclaredPermission, api_handlers, require_declared_permissions
from latchpin.errors import Unavailable
from latchpin.identity import deployment
from latchpin.identity.roles import Permission
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import Database, secrets
from latchpin.storage.models import Deployment, SignInFailures
from latchpin.storage.secrets import SecretsError
from tests.support.databases import Templates


@pytest.fixture
def chosen(templates: Templates, tmp_path: Path) -> Iterator[Settings]:
    """An embedded deployment that was never served."""
    with templates.fresh("sqlite", tmp_path):
        yield settings.load({}, data_dir=tmp_path)


def build(chosen: Settings, **more: Any) -> app.Application:
    """Put the application together with the deployment's own secrets."""
    return app.build(chosen, secrets.load(chosen.secrets_file), **more)


@pytest.mark.parametrize("lost", ["latchpin.db", "secrets.json"])
async def test_an_application_makes_nothing_that_its_deployment_lacks(chosen: Settings, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    """Only a first run makes secrets and a database; a process that makes them later would recognise no key."""
    for name in [name for name in os.environ if name.startswith("LATCHPIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LATCHPIN_DATA_DIR", str(chosen.data_dir))
    (chosen.data_dir / lost).unlink()

    with pytest.raises((SecretsError, Unavailable)):
        await deployment.check((created := app.create()).services.database, created.services.secrets)

    assert not (chosen.data_dir / lost).exists()


async def test_other_secrets_than_the_databases_do_not_start(chosen: Settings) -> None:
    """No API key would be recognised."""
    application = app.build(chosen, secrets.generate())

    with pytest.raises(SecretsError, match="LATCHPIN_SECRETS_FILE"):
        await deployment.check(application.services.database, application.services.secrets)
    await application.services.database.close()


async def test_an_empty_database_does_not_start(chosen: Settings) -> None:
    """It is another one than the one that the secrets belong to."""
    application = build(chosen)
    async with application.services.database.transaction() as session:
        await session.execute(delete(Deployment))

    with pytest.raises(SecretsError, match="empty"):
        await deployment.check(application.services.database, application.services.secrets)
    await application.services.database.close()


async def test_stopping_gives_the_memory_back(chosen: Settings) -> None:
    """A process that serves many applications, as these tests do, keeps none but the last, which its routes still know."""
    gone = []
    for _ in range(3):
        application = build(chosen)
        async with AsyncTestClient(application.litestar):
            assert gc.get_freeze_count() > 0
        gone.append(weakref.ref(application.services.activity))

    gc.collect()

    assert gc.get_freeze_count() == 0
    assert [each() is None for each in gone[:2]] == [True, True]


async def test_stopping_lets_go_of_every_file(chosen: Settings) -> None:
    """Three starts and stops in one process leave no descriptor behind."""
    counts = []
    for _ in range(3):
        async with AsyncTestClient(build(chosen).litestar):
            pass
        counts.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208  counted

    assert counts[2] <= counts[0]


async def test_starting_purges_what_is_over(chosen: Settings) -> None:
    """Counters of failed sign-ins do not pile up with every address that ever tried."""
    database = Database(chosen)  # of this test's loop; the application's belongs to the loop that serves it
    async with database.transaction() as session:
        session.add(SignInFailures(bucket=b"x" * 32, failures=1, window_ends_at=clock.now() - timedelta(minutes=1)))

    async with AsyncTestClient(build(chosen).litestar):
        left = 1
        for _ in range(500):
            async with database.read() as session:
                left = await session.scalar(select(func.count()).select_from(SignInFailures)) or 0
            if not left:
                break
            await asyncio.sleep(0.01)
    await database.close()

    assert left == 0


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
        build(chosen, also=[_forgotten])


def test_every_api_route_declares_a_permission(chosen: Settings) -> None:
    """Checked here as at every start."""
    application = build(chosen, also=[_elsewhere])

    require_declared_permissions(application.litestar)
    declared = [handler.opt.get("permission") for _, handler in api_handlers(application.litestar)]
    assert len(declared) > 10
    assert all(isinstance(permission, Permission) for permission in declared)


async def test_the_application_is_made_from_the_environment(chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the server's processes do it."""
    for name in [name for name in os.environ if name.startswith("LATCHPIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LATCHPIN_DATA_DIR", str(chosen.data_dir))
    monkeypatch.setenv("LATCHPIN_PUBLIC_URL", "https://latchpin.example")
    application: Any = app.create()

    async with AsyncTestClient(application.litestar):
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            live = await client.get("/health/live")
            refused = await client.get("/api/v1/agent/all")

    assert (live.status_code, refused.status_code) == (200, 401)
    assert refused.json()["type"].startswith("https://latchpin.example/")
