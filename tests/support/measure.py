"""What each test costs, and which SQL statements each database was given: written where TEST_MEASURE names a folder.

`TEST_MEASURE=build/costs make test`, then `python -m tests.support.measure build/costs` tells the dearest folders and
tests, and the statements that were executed on SQLite alone, as PostgreSQL would be given them. With a second folder it names
the statements that PostgreSQL was given there and not in the first.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Engine
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.compiler import SQLCompiler

_PARAMETER = re.compile(r"(\$\d+|%\(\w+\)s|__\[POSTCOMPILE_\w+\])(::\w+(\(\w+\))?( WITH(OUT)? TIME ZONE| PRECISION| VARYING)?(\[\])?)?")
_LISTED = re.compile(r"\?(, \?)+")
_INSERT = re.compile(r"(INSERT INTO \w+ \([^)]*\)) (?:VALUES|SELECT) .*?( ON CONFLICT .*?)?( RETURNING .*)?")
_POSTGRESQL = make_url("postgresql+asyncpg://").get_dialect()()


def plain(statement: str) -> str:
    """Return a statement without what differs from one execution to the next: parameters, and how many a list or an insert has."""
    text = _LISTED.sub("?", " ".join(_PARAMETER.sub("?", statement).split()))
    insert = _INSERT.fullmatch(text)
    return f"{insert[1]}{insert[2] or ''}" if insert else text


def on_postgresql(compiled: Any) -> str | None:
    """Return what PostgreSQL would be given for a statement that SQLite was given; None for what was written for SQLite alone."""
    if not isinstance(compiled, SQLCompiler) or compiled.statement is None or isinstance(compiled.statement, sqlite.Insert):
        return None
    try:
        return plain(str(compiled.statement.compile(dialect=_POSTGRESQL, column_keys=compiled.column_keys)))
    except CompileError:  # a function that only SQLite has
        return None


class Measure:
    """A plugin that counts what happens in this process while a test runs, its fixtures included."""

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._file = (place / f"{os.getpid()}.jsonl").open("w", encoding="utf-8")
        self._counts: Counter[str] = Counter()
        self._statements: set[str] = set()
        self._elsewhere: set[str] = set()
        self._compiled: dict[str, str | None] = {}
        event.listen(Engine, "before_cursor_execute", self._executed)
        self._counted = False

    def _executed(self, connection: Any, _cursor: object, statement: str, _values: object, context: Any, *_: object) -> None:
        self._counts[f"{connection.dialect.name} statements"] += 1
        if connection.dialect.name == "postgresql":
            self._statements.add(plain(statement))
            return
        if (key := plain(statement)) not in self._compiled:
            self._compiled[key] = on_postgresql(getattr(context, "compiled", None))
        if (text := self._compiled[key]) is not None:
            self._elsewhere.add(text)

    def _count(self, where: object, name: str, what: str) -> None:
        original: Callable[..., Any] = getattr(where, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._counts[what] += 1
            return original(*args, **kwargs)

        setattr(where, name, counted)

    def _count_all(self) -> None:
        """Count calls of what is dear; only in a process that has imported it."""
        if self._counted or "tests.support.people" not in sys.modules:
            return
        import argon2  # noqa: PLC0415 - as conftest.py: not before a test needs it
        from playwright.sync_api import BrowserType  # noqa: PLC0415 - as above

        from tests.support import people, server  # noqa: PLC0415 - as above

        self._count(server.Server, "start", "servers")
        self._count(people.Organization, "__init__", "organizations")
        self._count(subprocess.Popen, "__init__", "processes")
        self._count(argon2.PasswordHasher, "hash", "hashes")
        self._count(argon2.PasswordHasher, "verify", "hashes")
        self._count(BrowserType, "launch", "browsers")
        self._counted = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        """Write one line for each test."""
        self._count_all()
        self._counts.clear()
        self._statements.clear()
        self._elsewhere.clear()
        before, began = os.times(), time.monotonic()
        try:
            return (yield)
        finally:
            after = os.times()
            line = {
                "test": item.nodeid,
                "wall": round(time.monotonic() - began, 4),
                "cpu": round(sum(after[:2]) - sum(before[:2]), 3),
                "children": round(sum(after[2:4]) - sum(before[2:4]), 3),
                "counts": dict(self._counts),
                "postgresql": sorted(self._statements),
                "sqlite": sorted(self._elsewhere),
            }
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def read(place: Path) -> list[dict[str, Any]]:
    """Return what was written in a folder, its folders included."""
    return [json.loads(line) for file in sorted(place.rglob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]


def _statements(tests: list[dict[str, Any]], kind: str) -> dict[str, list[str]]:
    tests_by_statement = defaultdict(list)
    for each in tests:
        for statement in each[kind]:
            tests_by_statement[statement].append(each["test"])
    return tests_by_statement


def tell(place: Path, other: Path | None) -> Iterator[str]:
    """Tell what was measured, line by line."""
    tests = read(place)
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for each in tests:
        folder = "/".join(each["test"].split("::")[0].split("/")[:2])
        for group in (folder, "all"):
            groups[group].update(tests=1, wall=each["wall"], cpu=each["cpu"], children=each["children"], **each["counts"])
    for group, counts in sorted(groups.items()):
        yield f"{group}: " + ", ".join(f"{what} {round(many, 1)}" for what, many in counts.items())
    for each in sorted(tests, key=lambda one: -one["wall"])[:60]:
        yield f"{each['wall']:8.2f} {each['cpu']:8.2f} {each['children']:8.2f} {each['test']}"
    postgresql_statements = _statements(tests, "postgresql")
    yield f"{len(postgresql_statements)} statements on PostgreSQL"
    expected_statements = _statements(tests, "sqlite") if other is None else _statements(read(other), "postgresql")
    for statement, where in sorted(expected_statements.items()):
        if statement not in postgresql_statements:
            yield f"not on PostgreSQL: {statement[:400]}   [{len(where)}: {where[0]}]"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in tell(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None))
