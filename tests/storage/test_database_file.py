"""The embedded database's file taken away or replaced while a process has it open: what goes into the old one is not acknowledged."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from latchpin.errors import Unavailable
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.models import Organization
from latchpin.storage.sqlite_file import sqlite_file


def _delete(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    other = path.with_name("other.db")
    shutil.copy(path, other)
    other.replace(path)


MISHAPS = pytest.mark.parametrize("mishap", [_delete, _replace])


@MISHAPS
async def test_changes_are_refused_and_it_is_not_ready(database: Database, chosen: Settings, mishap: Callable[[Path], None]) -> None:
    """SQLite would go on with the file that has lost its name, and everything would be gone with the process."""
    await _write(database)
    mishap(sqlite_file(chosen.database_url))

    for ask in (_write(database), database.require_ready()):
        with pytest.raises(Unavailable, match="was deleted or replaced"):
            await ask


@MISHAPS
async def test_a_change_under_way_is_not_acknowledged(database: Database, chosen: Settings, mishap: Callable[[Path], None]) -> None:
    """It began while the file was there, and was committed into one that has no name any more."""

    async def change() -> None:
        async with database.transaction() as session:
            session.add(_organization())
            await session.flush()
            mishap(sqlite_file(chosen.database_url))

    with pytest.raises(Unavailable, match="was deleted or replaced"):
        await change()


async def test_a_change_that_waited_for_its_turn_is_refused(database: Database, chosen: Settings) -> None:
    """It came while the file was there; when its turn came the file was gone."""

    async def first() -> None:
        async with database.transaction() as session:
            session.add(_organization())
            await session.flush()
            waiting.set()
            await gone.wait()

    waiting, gone = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(first())
    await waiting.wait()
    second = asyncio.create_task(_write(database))
    await asyncio.sleep(0)  # it waits for its turn now
    _delete(sqlite_file(chosen.database_url))
    gone.set()

    results = await asyncio.gather(holder, second, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]


def _organization() -> Organization:
    return Organization(name="Acme", created_at=clock.now())


async def _write(database: Database) -> None:
    async with database.transaction() as session:
        session.add(_organization())
