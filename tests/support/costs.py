"""What the suite costs, file by file: `PYTHONPATH=. pytest -p tests.support.costs` writes the table to build/costs.tsv.

Counts and processor seconds (of the tests' process, its threads and the children that it waited for) tell more than the time
on a clock, which depends on what else the machine does. A shared server is charged to the file that asks for it first.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import argon2
import pytest
from playwright.sync_api import Browser, BrowserType
from sqlalchemy.ext.asyncio import AsyncEngine

from latchpin.storage import migrate
from tests.support import databases
from tests.support.people import Organization
from tests.support.server import Server

PLACE = Path("build/costs.tsv")
COLUMNS = (
    "tests",
    "cpu",
    "children",
    "wall",
    "servers",
    "organizations",
    "hashes",
    "browsers",
    "contexts",
    "databases",
    "migrations",
    "engines",
    "processes",
)
_COUNTED: tuple[tuple[str, type, str], ...] = (
    ("servers", Server, "start"),
    ("organizations", Organization, "__init__"),
    ("hashes", argon2.PasswordHasher, "hash"),
    ("hashes", argon2.PasswordHasher, "verify"),
    ("browsers", BrowserType, "launch"),
    ("contexts", Browser, "new_context"),
    ("databases", databases.Templates, "fresh"),
    ("databases", databases.Templates, "empty"),
    ("engines", AsyncEngine, "__init__"),
)
_costs: dict[str, Counter[str]] = defaultdict(Counter)
_file = "collection"


def _count(column: str, owner: Any, name: str) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(real)
    def counting(*args: Any, **kwargs: Any) -> Any:
        _costs[_file][column] += 1
        return real(*args, **kwargs)

    setattr(owner, name, counting)


def _hear(event: str, _args: object) -> None:
    if event == "subprocess.Popen":
        _costs[_file]["processes"] += 1


def _spent() -> tuple[float, float, float]:
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system, time.monotonic()


def _charge(since: tuple[float, float, float]) -> None:
    for column, before, now in zip(("cpu", "children", "wall"), since, _spent(), strict=True):
        _costs[_file][column] += now - before  # type: ignore[assignment]  # seconds among the counts


@pytest.hookimpl
def pytest_configure(config: pytest.Config) -> None:
    """Count from here on."""
    for column, owner, name in _COUNTED:
        _count(column, owner, name)
    _count("migrations", migrate, "upgrade")
    sys.addaudithook(_hear)
    config.pluginmanager.register(_Gathers())


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Charge what finding the tests takes."""
    began = _spent()
    result = yield
    _charge(began)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Charge a test, with what is set up and torn down around it, to its file."""
    global _file
    _file, began = item.nodeid.partition("::")[0], _spent()
    _costs[_file]["tests"] += 1
    done = yield
    _charge(began)
    return done


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this one, or write the table."""
    worker_output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if worker_output is not None:
        worker_output["costs"] = {file: dict(costs) for file, costs in _costs.items()}
        return
    PLACE.parent.mkdir(exist_ok=True)
    total: Counter[str] = sum(_costs.values(), Counter())
    rows = [("all", total), *sorted(_costs.items(), key=lambda each: -each[1]["cpu"] - each[1]["children"])]
    lines = ["\t".join(("file", *COLUMNS))]
    lines += ["\t".join((file, *(f"{costs[column]:.6g}" for column in COLUMNS))) for file, costs in rows]
    PLACE.write_text("\n".join(lines) + "\n", encoding="utf-8")


class _Gathers:
    """Takes in what the other processes counted."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear of a process that has ended."""
        for file, costs in getattr(node, "workeroutput", {}).get("costs", {}).items():
            _costs[file].update(costs)
