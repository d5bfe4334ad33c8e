"""A database of the test's own, on both engines, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from latchpin import settings
from latchpin.settings import Settings
from latchpin.storage import Database
from tests.support.databases import Templates


@pytest.fixture
def chosen(kind: str, templates: Templates, tmp_path: Path) -> Iterator[Settings]:
    """Settings that name a fresh migrated database."""
    with templates.fresh(kind, tmp_path) as url:
        yield settings.load({}, data_dir=tmp_path, database_url=url or None)


@pytest.fixture
def empty(kind: str, templates: Templates, tmp_path: Path) -> Iterator[Settings]:
    """Settings that name a database without any table."""
    with templates.empty(kind, tmp_path) as url:
        yield settings.load({}, data_dir=tmp_path, database_url=url or None)


@pytest.fixture
async def database(chosen: Settings) -> AsyncIterator[Database]:
    """A fresh migrated database, with the deployment's row."""
    opened = Database(chosen)
    yield opened
    await opened.close()
