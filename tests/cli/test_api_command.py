"""`latchpin api`, as its own process, against a running server."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.cli.credentials_file import CredentialsFile, StoredCredentials
from latchpin.identity import grants
from latchpin.oauth.clients import COMMAND_LINE
from tests.cli.conftest import CommandLine, command_line
from tests.support.people import Organization
from tests.support.terminal import config, signed_in
from tests.support.wire import audit


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CredentialsFile:
    """The file where tokens are kept."""
    return config(tmp_path / "config", monkeypatch)


@pytest.fixture
def latchpin(tmp_path: Path, file: CredentialsFile) -> CommandLine:
    """The command line of a computer that has no deployment, only a configuration directory."""
    cli = command_line(tmp_path / "nowhere")
    return CommandLine(cli.environ | {"XDG_CONFIG_HOME": str(tmp_path / "config")})


def stale(file: CredentialsFile, issuer: str, held: StoredCredentials) -> None:
    """Make the kept access token look as if it had expired."""
    file.write(issuer, dataclasses.replace(held, expires=0.0))


def end(organization: Organization, grant_id: int) -> None:
    """End a grant, as its user does under Connected apps."""

    async def work(session: AsyncSession) -> None:
        await grants.end(session, grant_id, reason="test", by=organization.admin.actor)

    organization.write(work)


def test_it_prints_what_the_api_answers(organization: Organization, file: CredentialsFile, latchpin: CommandLine) -> None:
    """The answer's JSON is on standard output, as the user who signed in sees it, for the server signed in to last."""
    person = organization.user()
    organization.agent("Of Grace", owner=person)
    organization.agent("Of the administrator")
    held, _ = signed_in(organization, file, person)

    ran = latchpin("api", "get", "/api/v1/agent/all")

    assert [agent["name"] for agent in ran.document] == ["Of Grace"]
    assert held.access_token not in ran.out + ran.err
    assert not (latchpin.data_dir).exists()


@pytest.mark.parametrize("way", ["text", "file", "input"])
def test_a_body_is_sent(way: str, organization: Organization, file: CredentialsFile, latchpin: CommandLine, tmp_path: Path) -> None:
    """`--data` takes JSON, @FILE and standard input; an answer without a body prints nothing."""
    agent = organization.agent()
    signed_in(organization, file)
    body = json.dumps({"content": "As before"})
    (tmp_path / "body.json").write_text(body)
    data = {"text": body, "file": f"@{tmp_path / 'body.json'}", "input": "-"}[way]

    ran = latchpin("api", "POST", f"/api/v1/agent/{agent}/version/1/restore", "--data", data, text=body)

    assert ran.out == ""
    assert len(latchpin("api", "GET", f"/api/v1/agent/{agent}/versions").document) == 2


def test_a_refusal_is_printed_with_exit_code_1(organization: Organization, file: CredentialsFile, latchpin: CommandLine) -> None:
    """The problem document is on standard error, and standard output stays empty for the next in the pipe."""
    signed_in(organization, file)

    ran = latchpin("api", "GET", "/api/v1/agent/999999", code=1)

    assert ran.out == ""
    assert '"errorCode": "agent-not-found"' in ran.err
    assert "the server answered 404" in ran.err


def test_an_expired_token_is_refreshed_before_it_is_used(organization: Organization, file: CredentialsFile, latchpin: CommandLine) -> None:
    """The command trades the refresh token, keeps the new pair, and goes on."""
    held, _ = signed_in(organization, file)
    stale(file, organization.server.url, held)

    latchpin("api", "GET", "/api/v1/agent/all")

    now = file.read(organization.server.url)
    assert now is not None
    assert now.access_token != held.access_token
    assert now.refresh_token != held.refresh_token
    latchpin("api", "GET", "/api/v1/agent/all")
    assert file.read(organization.server.url) == now


def test_a_token_that_is_refused_is_refreshed_once(organization: Organization, file: CredentialsFile, latchpin: CommandLine) -> None:
    """After a 401 the command refreshes and repeats its request, as when its user lost a Space."""
    held, _ = signed_in(organization, file)
    revoked = organization.server.http.post("/api/oauth/revoke", data={"token": held.access_token, "client_id": COMMAND_LINE})
    assert revoked.status_code == 200

    latchpin("api", "GET", "/api/v1/agent/all")

    now = file.read(organization.server.url)
    assert now is not None
    assert now.access_token != held.access_token


def test_commands_at_the_same_time_share_one_refresh(organization: Organization, file: CredentialsFile, latchpin: CommandLine) -> None:
    """Six at once with an expired token all succeed, and the refresh token was presented once."""
    held, grant_id = signed_in(organization, file)
    stale(file, organization.server.url, held)

    running = [latchpin.start("api", "GET", "/api/v1/agent/all") for _ in range(6)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in running]

    assert [code for _, code in ended] == [0] * 6, ended
    assert len(audit(organization, "grant.refreshed", target_id=grant_id)) == 1
    assert audit(organization, "grant.replayed", target_id=grant_id) == []


def test_a_sign_in_that_was_taken_back_is_over(organization: Organization, file: CredentialsFile, latchpin: CommandLine) -> None:
    """After its user ended it, the command says so with exit code 4 and keeps no dead tokens."""
    _, grant_id = signed_in(organization, file)
    end(organization, grant_id)

    ran = latchpin("api", "GET", "/api/v1/agent/all", code=4)

    assert "latchpin login --issuer" in ran.err
    assert file.read(organization.server.url) is None
    latchpin("api", "GET", "/api/v1/agent/all", "--issuer", organization.server.url, code=4)


def test_without_a_sign_in_the_way_to_one_is_told(latchpin: CommandLine) -> None:
    """Exit code 4, with the command to run."""
    assert (
        "Run: latchpin login --issuer https://latchpin.example"
        in latchpin("api", "GET", "/api/v1/agent/all", "--issuer", "https://latchpin.example", code=4).err
    )


@pytest.mark.parametrize("path", ["//evil.example/x", "https://evil.example/x", "api/v1/agent/all", "/a b", "/ü", "@evil.example"])
def test_a_path_cannot_lead_to_another_server(path: str, organization: Organization, file: CredentialsFile, latchpin: CommandLine) -> None:
    """The token goes to the server that issued it, whatever PATH says."""
    signed_in(organization, file)

    latchpin("api", "GET", path, code=2)


@pytest.mark.parametrize("data", ["{", "@/nowhere", ""])
def test_a_body_that_is_no_json_is_wrong_usage(data: str, organization: Organization, file: CredentialsFile, latchpin: CommandLine) -> None:
    """Exit code 2, before anything is sent."""
    signed_in(organization, file)

    latchpin("api", "POST", "/api/v1/agent/1/archive", "--data", data, code=2)


def test_a_server_that_is_gone_is_told_apart_from_a_refusal(
    organization: Organization, file: CredentialsFile, latchpin: CommandLine
) -> None:
    """Exit code 3, and the tokens stay."""
    held, _ = signed_in(organization, file)
    file.write("http://127.0.0.1:9", held)

    assert "cannot be reached" in latchpin("api", "GET", "/api/v1/agent/all", "--issuer", "http://127.0.0.1:9", code=3).err
    stale(file, "http://127.0.0.1:9", held)
    latchpin("api", "GET", "/api/v1/agent/all", "--issuer", "http://127.0.0.1:9", code=3)

    assert file.read("http://127.0.0.1:9") is not None


def test_what_is_written_replaces_the_file_as_a_whole(file: CredentialsFile, latchpin: CommandLine) -> None:
    """A reader never finds half a file, and nothing is left beside it but the lock; a damaged one is told of."""
    held = StoredCredentials("a", "r", 1.0, "agents:read", COMMAND_LINE)
    with file.locked():
        before = file.path.parent.stat().st_ino
        file.write("https://a.example", held)
        first = file.path.stat().st_ino
        file.write("https://b.example", held)

    assert file.path.stat().st_ino != first
    assert file.path.parent.stat().st_ino == before
    assert {each.name for each in file.path.parent.iterdir()} == {"credentials.json", "credentials.lock"}
    assert file.issuers() == ["https://a.example", "https://b.example"]
    file.path.write_text("{")
    assert "damaged" in latchpin("api", "GET", "/", "--issuer", "https://a.example", code=1).err
