"""Every command of the README and the how-tos runs as it is written, against a fresh demo. tests/support/fenced.py tells the convention."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from latchpin.automation import definitions
from tests.conftest import missing
from tests.docs.by_hand import STEPS, Demo
from tests.docs.terminal import Terminal
from tests.support import databases, fenced
from tests.support.plain_http import PLAIN
from tests.support.ports import free_port

pytestmark = pytest.mark.slow
POSTGRESQL = "postgresql://latchpin:PASSWORD@db.example/latchpin"
REDIS = "redis://127.0.0.1:6379/15"
_LATCHPIN = str(Path(sys.executable).with_name("latchpin"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo as `make demo` starts it, on a port of its own."""
    directory, port = tmp_path_factory.mktemp("demo"), free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LATCHPIN_")}
    command = [_LATCHPIN, "demo", "--data-dir", str(directory / ".demo"), "--port", str(port)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:
        _wait(f"http://127.0.0.1:{port}/health/ready", process)
        facts = json.loads((directory / ".demo" / "demo.json").read_text(encoding="utf-8"))
        yield Demo(facts["url"], facts)
        process.terminate()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, "the demo ended"
        try:
            if httpx.get(address, trust_env=False, verify=PLAIN).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the demo does not answer")


@pytest.fixture
def terminal(request: pytest.FixtureRequest, demo: Demo, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal in a directory where the demo's data is at .demo, for a page whose addresses are this machine's here."""
    text = request.getfixturevalue("page").read_text(encoding="utf-8")
    replaced = {
        "http://127.0.0.1:8080": demo.url,
        "https://latchpin.example": demo.url,
        "redis://redis.example:6379/0": REDIS,
        "/var/lib/latchpin": str(tmp_path / "var"),
        "/tmp/try": str(tmp_path / "try"),  # noqa: S108  as the text says
    }
    (tmp_path / ".demo").symlink_to(_data_dir(demo, tmp_path_factory))
    environ = {"READER_URL": demo.url, "READER_EMAIL": demo.facts["user_email"], "READER_PASSWORD": demo.facts["user_password"]}
    with ExitStack() as stack:
        if POSTGRESQL in text:
            if lack := databases.reachable():
                missing("commands of the documentation on PostgreSQL", lack)
            templates: databases.Templates = request.getfixturevalue("templates")
            replaced[POSTGRESQL] = stack.enter_context(templates.empty("postgresql", tmp_path / "unused"))
        new_terminal = Terminal(tmp_path, environ, replaced)
        yield new_terminal
        new_terminal.close()


def _data_dir(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return next(path for path in tmp_path_factory.getbasetemp().glob("demo*/.demo") if demo.url in (path / "demo.json").read_text())


@pytest.mark.parametrize("page", [page for page in fenced.pages() if any(_ for _ in fenced.blocks(page))], ids=lambda page: page.name)
def test_the_commands_of_a_page_run_as_written(page: Path, terminal: Terminal, demo: Demo) -> None:
    """One after another, as a reader pastes them; what readers do themselves in between is done, too."""
    for block in fenced.blocks(page):
        for words in block.by_hand:
            STEPS[words](terminal, demo)
        if block.language in fenced.RUN and not block.not_run:
            terminal.run(block)
    AFTERWARDS.get(page.name, nothing)(terminal)


def nothing(_terminal: Terminal) -> None:
    """There is nothing to look at afterwards."""


def is_revoked(terminal: Terminal) -> None:
    """The key that the page made is the one that it took back."""
    refused = terminal.shell(
        'command curl -s -o /dev/null -w "%{http_code}" -H "Authorization: ApiKey $SEQUENTUM_API_KEY" "$SERVER/api/v1/agent/all"'
    )
    assert refused == "401"


def is_bound(terminal: Terminal) -> None:
    """The tokens of the page are bound to its key, and open the API."""
    assert terminal.python("print(tokens['token_type'], bool(agents))").split() == ["DPoP", "True"]


def is_closed_to_others(terminal: Terminal) -> None:
    """A backup holds everybody's data: only its owner reads it, and what was restored from it."""
    files = "latchpin-backup latchpin-backup.secrets.json latchpin-data/latchpin.db latchpin-data/secrets.json"
    assert set(terminal.shell(f"stat -c %a {files}").split()) == {"600"}


AFTERWARDS: dict[str, Callable[[Terminal], None]] = {
    "README.md": is_revoked,
    "keys-in-five-minutes.md": is_revoked,
    "bind-tokens.md": is_bound,
    "backup-and-restore.md": is_closed_to_others,
}


def test_every_block_is_run_or_says_why_not() -> None:
    """A block of another language than those that are run is text, or has a comment with the reason; no comment is left over."""
    blocks = [block for page in fenced.pages() for block in fenced.blocks(page)]
    comments = [comment for page in fenced.pages() for comment in fenced.comments(page)]

    assert {block.language for block in blocks if not block.not_run} <= fenced.RUN | fenced.TEXTS
    assert {words for block in blocks for words in block.by_hand} == set(STEPS)
    assert len(comments) == sum(len(block.by_hand) + bool(block.not_run) for block in blocks)


def test_definitions_in_the_documentation_are_sound() -> None:
    """Each that is whole is read as the server reads it."""
    whole = [
        block.code
        for page in fenced.pages()
        for block in fenced.blocks(page)
        if block.language == "yaml" and block.code.startswith("version:")
    ]

    assert whole
    for text in whole:
        definitions.parse(text)
