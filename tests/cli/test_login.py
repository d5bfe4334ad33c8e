"""`latchpin login` and `latchpin logout`, against a running server, with the clock in the test's hand."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from latchpin.cli.credentials_file import CredentialsFile
from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.oauth.clients import COMMAND_LINE
from tests.support.people import Organization
from tests.support.terminal import Running, config, decide, refuse, signed_in

CODE = r"\n    ([A-Z]{4}-[A-Z]{4})\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CredentialsFile:
    """The file where tokens are kept."""
    return config(tmp_path / "config", monkeypatch)


@contextmanager
def scripted(responses: list[dict[str, Any]]) -> Iterator[tuple[str, list[float]]]:
    """Serve an issuer that gives these answers at its token endpoint; yields its address and when it was asked, by the clock."""
    request_times: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200, {"issuer": url, "device_authorization_endpoint": f"{url}/device", "token_endpoint": f"{url}/token"})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/device":
                device_authorization = {
                    "device_code": "d",
                    "user_code": "ABCD-EFGH",
                    "verification_uri": f"{url}/\x1b[31menter",
                    "expires_in": 600,
                }
                self.answer(200, device_authorization)
            else:
                request_times.append(kit_clock.timestamp())
                response = responses.pop(0)
                self.answer(response.pop("status", 400), response)

        def answer(self, status: int, body: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield url, request_times
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_person_signs_in_by_entering_a_code(organization: Organization, file: CredentialsFile, clock: Frozen) -> None:
    """The command prints an address and a code, waits until the code was entered, and keeps tokens that the API takes."""
    person, server = organization.user(), organization.server
    with Running("login", "--issuer", server.url + "/").started() as login:
        code = login.says(CODE)
        assert f"Open {server.url}/" in login.out
        decide(organization, code, person)
        login.ended(step=lambda: clock.advance(timedelta(seconds=6)))

    held = file.read(server.url)
    assert held is not None
    assert held.client_id == COMMAND_LINE
    assert held.scope.split()[-1] == "offline_access"
    assert server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {held.access_token}"}).status_code == 200
    assert held.access_token not in login.out + login.err
    assert str(held.refresh_token) not in login.out + login.err
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert file.default_issuer() == server.url


def test_a_refusal_in_the_browser_ends_the_command(organization: Organization, file: CredentialsFile, clock: Frozen) -> None:
    """Exit code 1, and nothing is kept."""
    with Running("login", "--issuer", organization.server.url).started() as login:
        refuse(organization, login.says(CODE))
        login.ended(1, step=lambda: clock.advance(timedelta(seconds=6)))

    assert "refused" in login.err
    assert file.read(organization.server.url) is None


def test_a_code_that_nobody_enters_runs_out(organization: Organization, file: CredentialsFile, clock: Frozen) -> None:
    """After ten minutes the command gives up and says so."""
    with Running("login", "--issuer", organization.server.url).started() as login:
        login.says(CODE)
        login.ended(1, step=lambda: clock.advance(timedelta(minutes=1)))

    assert "expired" in login.err
    assert file.read(organization.server.url) is None


def test_narrower_scopes_can_be_asked_for(organization: Organization, file: CredentialsFile, clock: Frozen) -> None:
    """`--scope` asks for those alone, and for a refresh token."""
    with Running("login", "--issuer", organization.server.url, "--scope", "spaces:read").started() as login:
        decide(organization, login.says(CODE))
        login.ended(step=lambda: clock.advance(timedelta(seconds=6)))

    held = file.read(organization.server.url)
    assert held is not None
    assert held.scope == "spaces:read offline_access"


def test_it_asks_no_more_often_than_it_was_told(file: CredentialsFile, clock: Frozen) -> None:
    """Every five seconds, and five seconds more after each `slow_down` (RFC 8628 section 3.5); a server that fails is given time."""
    pending = {"error": "authorization_pending"}
    tokens = {"status": 200, "access_token": "a", "token_type": "Bearer", "expires_in": 900, "scope": "agents:read"}
    started_at = kit_clock.timestamp()
    with scripted([{**pending}, {"error": "slow_down"}, {**pending}, {"status": 503}, tokens]) as (url, request_times):
        with Running("login", "--issuer", url).started() as login:
            login.ended(step=lambda: clock.advance(timedelta(seconds=1)))

        gaps = [later - earlier for earlier, later in zip([started_at, *request_times], request_times, strict=False)]
        assert [gap >= least for gap, least in zip(gaps, (5, 5, 10, 10, 20), strict=True)] == [True] * 5
    assert "\x1b" not in login.out  # what a server says cannot steer the terminal


def test_signing_in_again_ends_what_it_replaces(organization: Organization, file: CredentialsFile, clock: Frozen) -> None:
    """The earlier tokens are revoked, not left behind."""
    before, _ = signed_in(organization, file)
    with Running("login").started() as login:  # without --issuer: the one signed in to last
        decide(organization, login.says(CODE))
        login.ended(step=lambda: clock.advance(timedelta(seconds=6)))

    response = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {before.access_token}"})
    assert response.status_code == 401
    assert file.read(organization.server.url) != before


def test_signing_out_ends_it_at_the_server_too(organization: Organization, file: CredentialsFile) -> None:
    """After `logout` neither token counts, and nothing is kept."""
    held, _ = signed_in(organization, file)
    server = organization.server

    with Running("logout").started() as logout:
        logout.ended()

    assert server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {held.access_token}"}).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": held.refresh_token, "client_id": COMMAND_LINE}
    assert server.http.post("/api/oauth/token", data=form).json()["error"] == "invalid_grant"
    assert file.read(server.url) is None
    with Running("logout", "--issuer", server.url).started() as again:
        assert "Not signed in" in again.ended().out


def test_a_server_that_cannot_be_told_is_named(organization: Organization, file: CredentialsFile) -> None:
    """The tokens are removed all the same, and exit code 1 says where the sign-in still lives."""
    held, _ = signed_in(organization, file)
    gone = "http://127.0.0.1:9"
    file.write(gone, held)

    with Running("logout", "--issuer", gone).started() as logout:
        assert gone in logout.ended(1).err

    assert file.issuers() == [organization.server.url]


def test_a_file_that_others_can_read_is_refused(organization: Organization, file: CredentialsFile) -> None:
    """Its tokens may be known to others: every command says so and uses none of them."""
    signed_in(organization, file)
    file.path.chmod(0o644)

    for command in (["login"], ["logout"], ["api", "GET", "/api/v1/agent/all"]):
        with Running(*command).started() as ran:
            assert "can be read by others" in ran.ended(1).err


@pytest.mark.parametrize(
    ("issuer", "message"),
    [
        ("http://latchpin.example", "https"),
        ("https://user@latchpin.example", "https"),
        ("ftp://127.0.0.1", "https"),
        ("latchpin.example", "https"),
        ("http://[", "no address"),
    ],
)
def test_tokens_never_go_to_an_unsafe_address(issuer: str, message: str, file: CredentialsFile) -> None:
    """An address without https, but for this machine, is refused before anything is sent (OAuth 2.1 section 1.5)."""
    with Running("login", "--issuer", issuer).started() as login:
        assert message in login.ended(1).err


def test_a_server_that_calls_itself_otherwise_is_refused(organization: Organization, file: CredentialsFile) -> None:
    """Metadata must name the address that was asked (RFC 8414 section 3.3); the message tells the right one."""
    server = organization.server
    with Running("login", "--issuer", server.url.replace("127.0.0.1", "localhost")).started() as login:
        login.ended(1)

    assert f"calls itself {server.url}" in login.err


def test_a_server_that_is_not_there_is_told(file: CredentialsFile) -> None:
    """Exit code 3, as for anything that cannot be reached."""
    with Running("login", "--issuer", "http://127.0.0.1:9").started() as login:
        assert "cannot be reached" in login.ended(3).err
