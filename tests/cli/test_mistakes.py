"""What an operator can get wrong: one message that says what to do, an exit code, and never a stack trace."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from latchpin.cli import main
from tests.cli.conftest import EMAIL, CommandLine, command_line
from tests.support import databases

COMMANDS = ("init", "serve", "settings", "user add", "user list", "user disable", "user enable", "user reset-password", "key create")
MORE_COMMANDS = (
    "key list",
    "key revoke",
    "agent apply",
    "agent list",
    "db upgrade",
    "db current",
    "audit tail",
    "audit verify",
    "secrets rotate-pepper",
)


@pytest.mark.parametrize("command", COMMANDS + MORE_COMMANDS)
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    """`--help` shows an example that begins with the command itself."""
    help_text = CliRunner().invoke(main, [*command.split(), "--help"], catch_exceptions=False).output

    assert f"latchpin {command}" in help_text.partition("Example:")[2]


def test_every_problem_of_the_settings_is_named(embedded: CommandLine) -> None:
    """Wrong settings are all told at once, each by its variable, with exit code 3."""
    ran = embedded("serve", code=3, LATCHPIN_PORT="eighty", LATCHPIN_WORKERS="0", LATCHPIN_COLOUR="red")

    assert "LATCHPIN_PORT: 'eighty' is not a whole number" in ran.err
    assert "LATCHPIN_WORKERS: 0 is outside 1 to 64" in ran.err
    assert "LATCHPIN_COLOUR: no such setting" in ran.err


def test_a_port_in_use_is_told_before_anything_starts(embedded: CommandLine) -> None:
    """`serve` does not share a port with another server, and says which setting to change."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran = embedded("serve", "--port", str(other.getsockname()[1]), code=3)

    assert "cannot be listened on (Address already in use)" in ran.err
    assert "LATCHPIN_PORT" in ran.err


def test_a_file_that_is_no_database_is_told_by_name(embedded: CommandLine) -> None:
    """A damaged database file gives its name and the reason."""
    embedded.data_dir.mkdir()
    (embedded.data_dir / "latchpin.db").write_text("this is a letter, not a database, and a long one at that" * 20)

    ran = embedded("user", "list", code=3)

    assert f"{embedded.data_dir / 'latchpin.db'} cannot be used: file is not a database" in ran.err


def test_secrets_that_others_can_read_are_refused(embedded: CommandLine) -> None:
    """The message is the command that mends it."""
    embedded.init()
    secrets = embedded.data_dir / "secrets.json"
    secrets.chmod(0o644)

    ran = embedded("user", "list", code=3)

    assert f"chmod 600 {secrets}" in ran.err


def test_a_missing_secrets_file_is_not_replaced_by_a_new_one(embedded: CommandLine) -> None:
    """Without the secrets of its database a command stops, and leaves room for the file from the backup."""
    embedded.init()
    secrets = embedded.data_dir / "secrets.json"
    content = secrets.read_bytes()
    secrets.unlink()

    ran = embedded("user", "list", code=3)
    assert "is missing" in ran.err
    assert not secrets.exists()

    secrets.write_bytes(content)
    secrets.chmod(0o600)
    assert EMAIL in embedded("user", "list").out


def test_the_first_start_makes_secrets_that_only_their_owner_reads(embedded: CommandLine) -> None:
    """The secrets file has mode 0600, lies in a directory of mode 0700, and its content is never printed."""
    ran = embedded.init()

    secrets = embedded.data_dir / "secrets.json"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert stat.S_IMODE(embedded.data_dir.stat().st_mode) == 0o700
    assert not any(line.strip(' ",') in ran.out + ran.err for line in secrets.read_text().splitlines() if "=" in line)


def test_a_second_init_is_refused(embedded: CommandLine) -> None:
    """`init` works once; the message says where further users are made."""
    embedded.init()

    ran = embedded("init", "--organization", "B", "--name", "B", "--email", "b@example.com", code=1)

    assert "has users already" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--expires", "2020-01-01"), "expires: Choose a date in the future."),
        (("--expires", "9999-12-31"), "expires: A key may live at most 730 days"),
        (("--network", "everywhere"), "networks: 'everywhere' is not a network"),
        (("--rate-limit", "0"), "rate_limit: Enter a whole number from 1"),
        (("--description", "x" * 10_000), "description: At most 500 characters"),
        (("--description", "two\nlines"), "description: Control characters"),
    ],
    ids=["past", "too-far", "no-network", "no-rate", "too-long", "two-lines"],
)
def test_a_refused_key_names_the_field(arguments: tuple[str, str], message: str, embedded: CommandLine) -> None:
    """An unsound entry ends with code 1, names its field, and makes no key."""
    embedded.init()

    ran = embedded("key", "create", "--user", EMAIL, *arguments, code=1)

    assert message in ran.err
    assert embedded("key", "list", "--user", EMAIL, "--json").document == []


def test_a_user_who_does_not_exist_is_told_with_the_way_to_find_one(embedded: CommandLine) -> None:
    """The message names the address that was asked for."""
    embedded.init()

    ran = embedded("key", "create", "--user", "nobody@example.com", code=1)

    assert "no user with the e-mail nobody@example.com" in ran.err
    assert "latchpin user list" in ran.err


def test_a_wrong_word_is_wrong_usage(embedded: CommandLine) -> None:
    """An unknown access ends with code 2 and lists the known ones."""
    ran = embedded("key", "create", "--user", EMAIL, "--access", "everything", code=2)

    assert "billing-only" in ran.err


def test_postgresql_at_another_revision_is_refused_with_the_command_to_run(tmp_path: Path, templates: databases.Templates) -> None:
    """`serve` and the others refuse an empty PostgreSQL database until `db upgrade` has been run; then they work."""
    if lack := databases.reachable():
        pytest.skip(lack)
    with templates.empty("postgresql", tmp_path / "data") as url:
        latchpin = command_line(tmp_path / "data", url)
        for command in (("serve",), ("user", "list"), ("key", "revoke", "1")):
            assert "Run: latchpin db upgrade" in latchpin(*command, code=3).err
        assert latchpin("db", "current", "--json", code=1).document["revision"] is None

        latchpin("db", "upgrade")
        assert "already" in latchpin("db", "upgrade").out
        assert latchpin("db", "current", "--json").document["upToDate"] is True
        latchpin.init()
        assert EMAIL in latchpin("user", "list").out


def test_a_database_that_does_not_answer_is_told_without_its_password(embedded: CommandLine) -> None:
    """The message names host and database, and keeps the password of the address to itself."""
    ran = embedded("user", "list", code=3, LATCHPIN_DATABASE_URL="postgresql://latchpin:s3cret-word@127.0.0.1:9/latchpin")

    assert "127.0.0.1:9/latchpin cannot be used" in ran.err
    assert "s3cret-word" not in ran.err
