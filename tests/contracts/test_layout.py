"""The shape of the code: files that fit in one sitting, imports that go one way, and no private part of a library but the known ones."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import aiosqlite

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "latchpin"
MOST_LINES = 350
LONG = {"audit/events.py": "one list of all events, each with what it means; half of it is in no place to be looked for"}
# By file: what it takes of a library that the library does not offer, and the test below that looks after it.
PRIVATE = {
    "serving/server_process.py": {"granian._granian"},
    "storage/sqlite_driver.py": {"_execute", "_conn"},
    "worker/child/crawl.py": {"_split_domain"},
    "worker/child/crawl_settings.py": {"scrapy.core.downloader.handlers._aiohttp"},
}
_PRIVATE_NAME = re.compile(r"_[a-z]\w*")
_PRIVATE_MODULE = re.compile(r"(?:^|\.)_(?!_)")
_DOTTED = re.compile(r"(\w+(?:\.\w+)*\._[a-z]\w*)\.\w+")
_PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit", "_mapping"}  # of named tuples, os and SQLAlchemy's rows, and documented


def test_a_file_of_code_fits_in_one_sitting() -> None:
    """House rule 2. Who needs more splits by noun; an exception is listed above with its reason."""
    files = [path for kind in ("*.py", "*.js") for path in SOURCE.rglob(kind)]
    lines = {str(path.relative_to(SOURCE)): path.read_text().count("\n") for path in files}

    assert {name for name, count in lines.items() if count > MOST_LINES} == set(LONG)


def test_imports_go_one_way() -> None:
    """As .importlinter has it; `make imports` tells which import is wrong."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_only_known_private_parts_of_libraries_are_used() -> None:
    """They change without notice: look for a public way first, else list it above and guard it by a test like the next ones."""
    parts_by_file = {str(path.relative_to(SOURCE)): set(_private_parts(path)) for path in SOURCE.rglob("*.py")}

    assert {name: parts for name, parts in parts_by_file.items() if parts} == PRIVATE


def test_aiosqlite_is_the_version_whose_thread_one_trip_uses() -> None:
    """A newer aiosqlite: see that `Connection._execute(function, *args)` still runs a function in the connection's thread and `_conn` is
    sqlite3's connection, run tests/storage, and pin the new version in pyproject.toml, requirements/runtime.in and here.
    """
    assert version("aiosqlite") == "0.22.1"
    assert callable(aiosqlite.Connection._execute)
    assert isinstance(aiosqlite.Connection._conn, property)


def test_scrapy_still_has_what_a_run_replaces() -> None:
    """A newer Scrapy: see that cookies are still kept apart by `_split_domain`, so that no run asks the network for public suffixes, and
    that there is an HTTP handler on aiohttp; perhaps it is public by then.
    """
    assert hasattr(import_module("scrapy.downloadermiddlewares.cookies"), "_split_domain")
    assert hasattr(import_module("scrapy.core.downloader.handlers._aiohttp"), "AiohttpDownloadHandler")


def test_granian_still_takes_a_socket_that_listens() -> None:
    """A newer Granian: see that its embedded server takes over a listening socket (tests/serving); perhaps in a public way by then."""
    assert hasattr(import_module("granian._granian"), "SocketHolder")


def test_the_architecture_names_files_that_are_there() -> None:
    """Its walks are followed file by file."""
    paths = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", (ROOT / "docs" / "architecture.md").read_text()))

    assert len(paths) > 30
    assert {name for name in paths if not any((root / name).is_file() for root in (SOURCE, ROOT))} == set()


def _private_parts(path: Path) -> Iterator[str]:
    """Find private attributes of what is neither `self` nor `cls` nor of the same file, and private modules that are imported or named."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    own = {node.attr for node in nodes if isinstance(node, ast.Attribute) and _is_own(node)}
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    own |= {node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and _PRIVATE_NAME.fullmatch(node.attr) and not _is_own(node):
            if node.attr not in own | _PUBLIC:
                yield node.attr
        elif isinstance(node, ast.ImportFrom):
            if _PRIVATE_MODULE.search(node.module or ""):
                yield node.module or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (dotted := _DOTTED.fullmatch(node.value)):
            yield dotted[1]


def _is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
