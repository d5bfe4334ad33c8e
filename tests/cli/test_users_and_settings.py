"""`latchpin user`, `latchpin settings`, and the set-up link of `latchpin serve`."""

from __future__ import annotations

import signal

from tests.cli.conftest import EMAIL, CommandLine
from tests.support.ports import free_port


def test_a_user_is_added_with_a_temporary_password_that_is_shown_once(latchpin: CommandLine) -> None:
    """`user add` prints the password; `user list` and the audit trail do not know it."""
    latchpin.init()

    user = latchpin("user", "add", "--email", "Grace@example.com", "--name", "Grace Hopper", "--json").document

    assert len(user["password"]) == 19
    user_list = latchpin("user", "list", "--json")
    assert [(row["email"], row["group"], row["status"]) for row in user_list.document] == [
        (EMAIL, "Administrator", "active"),
        ("Grace@example.com", "User", "active"),
    ]
    assert user["password"] not in user_list.out + latchpin("audit", "tail", "--json").out


def test_an_address_that_differs_only_in_case_is_taken(latchpin: CommandLine) -> None:
    """E-mail addresses are unique without regard to case."""
    latchpin.init()

    ran = latchpin("user", "add", "--email", EMAIL.upper(), "--name", "Ada Again", code=1)

    assert "email: Another user has this e-mail address." in ran.err


def test_the_last_active_administrator_cannot_be_disabled(latchpin: CommandLine) -> None:
    """The command line keeps the rule that the Control Center keeps."""
    latchpin.init()

    ran = latchpin("user", "disable", EMAIL, code=1)

    assert "last active administrator" in ran.err


def test_resetting_a_password_prints_a_new_one(latchpin: CommandLine) -> None:
    """`user reset-password` gives another temporary password, and is audited."""
    first = latchpin.init().document["password"]

    second = latchpin("user", "reset-password", EMAIL, "--json").document["password"]

    assert second != first
    assert '"user.password_reset"' in latchpin("audit", "tail", "--json").out


def test_settings_tell_value_source_and_purpose(embedded: CommandLine) -> None:
    """Each setting comes with its variable, its value, where that came from, and its doc."""
    embedded.data_dir.mkdir()
    (embedded.data_dir / "latchpin.toml").write_text("port = 9000\nworkers = 2\n")

    rows = {row["name"]: row for row in embedded("settings", "--json", LATCHPIN_WORKERS="3").document}

    assert (rows["port"]["value"], rows["port"]["source"]) == ("9000", str(embedded.data_dir / "latchpin.toml"))
    assert (rows["workers"]["value"], rows["workers"]["source"]) == ("3", "environment")
    assert (rows["key_max_days"]["value"], rows["key_max_days"]["source"]) == ("730", "default")
    assert rows["port"]["variable"] == "LATCHPIN_PORT"
    assert all(row["doc"] for row in rows.values())


def test_settings_do_not_show_secret_values(embedded: CommandLine) -> None:
    """An address with a password is `set`, one that is not given is `not set`."""
    ran = embedded("settings", LATCHPIN_DATABASE_URL="postgresql://latchpin:s3cret-word@db.example/latchpin")

    assert "LATCHPIN_DATABASE_URL = set  (environment)" in ran.out
    assert "LATCHPIN_REDIS_URL = not set  (default)" in ran.out
    assert "s3cret-word" not in ran.out + ran.err


def test_wrong_settings_are_listed_with_every_problem(embedded: CommandLine) -> None:
    """`settings` lists what there is even where the settings cannot be used, and says what is wrong."""
    ran = embedded("settings", code=3, LATCHPIN_PORT="eighty", LATCHPIN_COLOUR="red")

    assert "LATCHPIN_KEY_MAX_DAYS = 730" in ran.out
    assert "LATCHPIN_PORT: 'eighty' is not a whole number" in ran.err
    assert "LATCHPIN_COLOUR: no such setting" in ran.err


def test_serve_on_an_empty_deployment_prints_a_one_time_link(embedded: CommandLine) -> None:
    """Without `init`, the console shows the address at which the first administrator is made."""
    port = free_port()
    process = embedded.start("serve", "--port", str(port))
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(3)]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert f"http://127.0.0.1:{port}/setup/" in lines[-1]
    assert len(lines[-1].strip().rpartition("/")[2]) == 43
