"""Where a deployment runs: it works there, or every command says in one line why not."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import click
import httpx
import pytest
from click.testing import CliRunner

from latchpin.automation import demo
from latchpin.cli import main
from tests.cli.conftest import EMAIL, CommandLine, command_line, wait_for
from tests.support import databases
from tests.support.plain_http import PLAIN
from tests.support.ports import free_port

pytestmark = pytest.mark.both_databases("both databases are named, created and refused by commands")

DEFINITION = next(Path(demo.__file__).parent.glob("*.yaml"))
WITHOUT_DEPLOYMENT = {"settings", "login", "logout", "api"}
ARGUMENTS = {
    "init": ["--organization", "Acme", "--name", "Ada", "--email", EMAIL],
    "user add": ["--email", EMAIL, "--name", "Ada"],
    "key revoke": ["1"],
    "agent apply": ["--user", EMAIL, str(DEFINITION)],
}
TAKES_EMAIL = ("user disable", "user enable", "user reset-password")
TAKES_USER = ("key create", "key list", "agent list")


def commands(group: click.Group = main, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every command that opens a deployment, with arguments that its usage accepts."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        words = (*before, name)
        command_name = " ".join(words)
        if isinstance(command, click.Group):
            yield from commands(command, words)
        elif command_name not in WITHOUT_DEPLOYMENT:
            more = (
                [EMAIL]
                if command_name in TAKES_EMAIL
                else ["--user", EMAIL]
                if command_name in TAKES_USER
                else ARGUMENTS.get(command_name, [])
            )
            yield (*words, *more)


def run_sql(data_dir: Path, url: str, statement: str) -> None:
    """Run one statement on the deployment's database."""

    async def on_postgresql() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    if url:
        asyncio.run(on_postgresql())
    else:
        with sqlite3.connect(data_dir / "latchpin.db") as connection:
            connection.execute(statement)


def test_a_database_of_a_newer_version_is_told_in_one_line_by_every_command(
    kind: str, templates: databases.Templates, tmp_path: Path
) -> None:
    """No command, `db upgrade` included, touches what it does not know; the line says what to do."""
    with templates.fresh(kind, tmp_path / "data") as url:
        run_sql(tmp_path / "data", url, "UPDATE alembic_version SET version_num = '9999'")
        environ = {"LATCHPIN_DATABASE_URL": url} if url else {}
        all_commands = list(commands())
        assert len(all_commands) > len(ARGUMENTS) + len(TAKES_EMAIL) + len(TAKES_USER)
        for command in all_commands:
            if kind == "postgresql" and command == ("demo",):
                continue  # it has an embedded database always
            if command == ("backup",):
                continue  # it copies a database of any version, and changes nothing
            place = ["--data-dir", str(tmp_path / "data")]
            ran = CliRunner().invoke(main, [*command, *place], env=environ)
            assert ran.exit_code == 3, (command, ran.output, ran.exception)
            [line] = ran.stderr.splitlines()
            assert "revision 9999, which a newer version of Latchpin made" in line, command


def test_a_database_that_is_not_in_utf8_is_told_with_how_to_make_one(tmp_path: Path) -> None:
    """Before any table is made: such a database could not keep everybody's name."""
    if lack := databases.reachable():
        pytest.skip(lack)
    for encoding in ("LATIN1", "SQL_ASCII"):
        name = f"latchpin_test_{uuid.uuid4().hex[:8]}"
        run_sql(tmp_path, f"{databases.POSTGRESQL}/postgres", f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        try:
            for command in (("db", "upgrade"), ("db", "current"), ("serve",)):
                environ = {"LATCHPIN_DATABASE_URL": f"{databases.POSTGRESQL}/{name}", "LATCHPIN_PORT": str(free_port())}
                ran = CliRunner().invoke(main, [*command, "--data-dir", str(tmp_path)], env=environ)
                assert (ran.exit_code, len(ran.stderr.splitlines())) == (3, 1), (command, ran.output)
                assert f"keeps text as {encoding}" in ran.stderr
                assert "ENCODING 'UTF8'" in ran.stderr
        finally:
            run_sql(tmp_path, f"{databases.POSTGRESQL}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


def test_a_server_starts_in_a_pod_beside_a_service_of_its_name(embedded: CommandLine) -> None:
    """The Service's variables are passed over, and a host name is listened on: here `localhost`, at the port that an option names."""
    port = free_port()
    service = {"LATCHPIN_PORT": "tcp://10.96.0.10:80", "LATCHPIN_SERVICE_HOST": "10.96.0.10", "LATCHPIN_PORT_80_TCP_ADDR": "10.96.0.10"}
    process = embedded.start("serve", "--port", str(port), LATCHPIN_HOST="localhost", **service)
    try:
        address = f"http://localhost:{port}/health/ready"
        wait_for(lambda: httpx.get(address, trust_env=False, verify=PLAIN).status_code == 200)
    finally:
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert f"Latchpin listens on http://localhost:{port}" in out
    assert "Traceback" not in err


def test_settings_says_where_the_port_beside_a_service_comes_from(embedded: CommandLine) -> None:
    """From the default, not from the Service's variable."""
    rows = embedded("settings", "--json", LATCHPIN_PORT="tcp://10.96.0.10:80").document

    [port] = [row for row in rows if row["name"] == "port"]
    assert (port["value"], port["source"]) == ("8080", "default")


def test_a_host_that_is_none_is_told_with_its_option(embedded: CommandLine) -> None:
    """As wrong usage, before anything is made."""
    ran = embedded("serve", "--host", "http://box", code=2)

    assert "'http://box' is not a host name or an address" in ran.err
    assert not embedded.data_dir.exists()


def test_a_deployment_stays_in_its_data_directory_whatever_that_is_called(tmp_path: Path) -> None:
    """Database, counter and secrets lie in it, and nothing lies beside it."""
    name = "a?b%2Fc#d%zz"
    command_line(tmp_path / "home" / name).init()

    assert [place.name for place in (tmp_path / "home").iterdir()] == [name]
    assert {"latchpin.db", "latchpin.db.generation", "secrets.json"} <= {each.name for each in (tmp_path / "home" / name).iterdir()}


def test_a_name_that_a_pipes_encoding_lacks_ends_no_command(templates: databases.Templates, tmp_path: Path) -> None:
    """Output under cp1252, as Windows and some service managers set it: names are escaped, and JSON stays JSON."""
    runner, name = CliRunner(charset="cp1252"), "Zażyć 😀"
    with templates.fresh("sqlite", tmp_path / "data"):
        place = ["--data-dir", str(tmp_path / "data")]
        escaped = name.encode("cp1252", "backslashreplace").decode("cp1252")
        new = ["init", "--organization", "Acme", "--name", "Ada", "--email", EMAIL, *place]
        assert runner.invoke(main, new).exit_code == 0
        database = sqlite3.connect(tmp_path / "data" / "latchpin.db")
        database.execute("UPDATE users SET full_name = ?", (name,))
        database.commit()
        database.close()

        table = runner.invoke(main, ["user", "list", *place])
        document = runner.invoke(main, ["user", "list", "--json", *place])

    assert table.exit_code == document.exit_code == 0
    assert escaped in table.stdout
    assert [user["fullName"] for user in json.loads(document.stdout)] == [name]
