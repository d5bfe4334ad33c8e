"""What commands print steers no terminal, whoever wrote it: a file, a server or the database."""

from __future__ import annotations

import ast
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from latchpin.cli.credentials_file import CredentialsFile, StoredCredentials
from latchpin.kit import plain_text
from tests.cli.conftest import EMAIL, CommandLine, Ran, command_line
from tests.support.people import definition
from tests.support.terminal import config

COMMANDS = Path(__file__).parents[2] / "src" / "latchpin" / "cli"
PRINTING = re.compile(r"print|(click\.)?(s?echo|echo_via_pager)|sys\.(stdout|stderr)(\.buffer)?\.write")
STEERING = "\x1b]0;owned\x07 \x1b[2J \x9b31m \u202eback \x7f"
AS_ESCAPE = "".join(f"\\x{ord(each):02x}" if each < "\u0100" else f"\\u{ord(each):04x}" for each in STEERING)


def is_harmless(ran: Ran) -> bool:
    """Whether nothing that was printed is more than text and line breaks."""
    return not plain_text.UNSAFE.search(ran.out + ran.err)


def test_only_one_place_prints() -> None:
    """Every other command hands its text to `terminal.write`, which lets no control character through."""
    print_calls = [
        f"{file.name}:{call.lineno}"
        for file in sorted(COMMANDS.glob("*.py"))
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if file.name != "terminal.py" and isinstance(call, ast.Call) and PRINTING.fullmatch(ast.unparse(call.func))
    ]

    assert print_calls == []


@pytest.mark.parametrize(
    "text",
    [
        f'"{AS_ESCAPE}": red\n{definition()}',
        f'{definition()}request: {{headers: {{"{AS_ESCAPE}": a}}}}\n',
        f'{definition()}request: {{form: {{"{AS_ESCAPE}": a, "{AS_ESCAPE}": b}}}}\n',
        f'name: "{AS_ESCAPE}"\n',
        f'{definition()}pagination: {{kind: "{AS_ESCAPE}"}}\n',
        f"{definition()}# {STEERING}\n",
        f'"\\uD800": red\n{definition()}',
    ],
    ids=["field", "header", "twice", "name", "choice", "raw", "half a character"],
)
def test_problems_of_a_file_do_not_steer_the_terminal(embedded: CommandLine, text: str) -> None:
    """Field names, values and raw text of a definition that somebody else wrote."""
    embedded.init()

    ran = embedded("agent", "apply", "-", "--user", EMAIL, text=text, code=1)

    assert "<stdin>:" in ran.err
    assert is_harmless(ran), ran


def test_names_of_files_and_of_things_do_not_steer_the_terminal(embedded: CommandLine, tmp_path: Path) -> None:
    """The name of a file, and what a message repeats of what was asked for."""
    embedded.init()
    file = tmp_path / f"{STEERING}.yaml"
    file.write_text("name: [\n", encoding="utf-8")

    assert is_harmless(embedded("agent", "apply", str(file), "--user", EMAIL, code=1))
    assert is_harmless(embedded("agent", "apply", "-", "--user", EMAIL, "--space", STEERING, text=definition(), code=1))
    assert is_harmless(embedded("user", "disable", STEERING, code=1))


class _Hostile(http.server.BaseHTTPRequestHandler):
    """Answers with what would steer a terminal, as JSON, as a refusal and as text."""

    def do_GET(self) -> None:
        """Answer by the last word of the path."""
        kind = self.path.rpartition("/")[2]
        body = STEERING if kind == "text" else json.dumps({STEERING: [STEERING, "\ud800"]})
        self.send_response(404 if kind == "refusal" else 200)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if kind == "text" else "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        """Write nothing."""


@pytest.fixture
def hostile() -> Iterator[str]:
    """The address of a server that means no good."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hostile) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("kind", "code"), [("json", 0), ("refusal", 1), ("text", 0)])
def test_answers_of_a_server_do_not_steer_the_terminal(
    hostile: str, kind: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`latchpin api` prints what a server says; JSON that was printed still says the same."""
    file: CredentialsFile = config(tmp_path / "config", monkeypatch)
    file.write(hostile, StoredCredentials("access", "refresh", 4e9, "agents:read", "latchpin-cli"), current=True)
    latchpin = CommandLine(command_line(tmp_path / "nowhere").environ | {"XDG_CONFIG_HOME": str(tmp_path / "config")})

    ran = latchpin("api", "GET", f"/{kind}", code=code)

    assert is_harmless(ran), ran
    assert ran.out + ran.err
    if kind == "json":
        assert ran.document == {STEERING: [STEERING, "\ud800"]}
