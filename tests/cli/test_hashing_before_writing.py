"""Commands that set passwords hash before they keep the server from writing."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from latchpin.cli import main
from tests.cli.conftest import EMAIL
from tests.support.slow_in_transactions import watching

COMMANDS = (
    ("init", "--organization", "Acme", "--name", "Ada Byron", "--email", EMAIL),
    ("user", "add", "--name", "Grace Hopper", "--email", "grace@example.com"),
    ("user", "reset-password", EMAIL),
)


def test_commands_hash_before_they_write(tmp_path: Path) -> None:
    """Making the first administrator, adding a user and resetting a password."""
    environ = {"LATCHPIN_DATA_DIR": str(tmp_path / "data")}

    with watching() as watch:
        codes = [CliRunner().invoke(main, command, env=environ).exit_code for command in COMMANDS]

    assert codes == [0, 0, 0]
    assert watch.ran.count("hashing") == 3
    assert watch.held == []
