"""The deployment's secrets: made once, kept from others, refused when in doubt, never shown."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from latchpin.identity import organizations
from latchpin.storage import Database, secrets
from latchpin.storage.secrets import Secrets, SecretsError

pytestmark = pytest.mark.both_databases("the deployment's row is read and locked in each database")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the secrets of a new deployment go."""
    return tmp_path / "data" / "secrets.json"


def _made(path: Path) -> Secrets:
    """Make a secrets file, as a first run does."""
    with secrets.first_run(path) as new_secrets:
        return new_secrets


def test_the_file_is_made_for_its_owner_alone(path: Path) -> None:
    """Mode 0600 in a directory of mode 0700, and no draft stays beside it."""
    _made(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_the_same_secrets_are_read_again(path: Path) -> None:
    """A second start makes nothing anew."""
    first = _made(path)

    second = _made(path)

    assert (first.peppers, first.master, first.fingerprint()) == (second.peppers, second.master, second.fingerprint())


def test_every_secret_has_at_least_256_bits_and_its_own_value(path: Path) -> None:
    """Deployments share nothing, and purposes share nothing."""
    new_secrets = _made(path)
    other = _made(path.with_name("other.json"))

    texts = [
        new_secrets.master,
        *new_secrets.peppers.values(),
        new_secrets.derive("audit"),
        new_secrets.derive("device"),
        other.master,
        *other.peppers.values(),
    ]

    assert min(map(len, texts)) >= 32
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_command_to_run(path: Path, mode: int) -> None:
    """Nobody notices such a thing later."""
    _made(path)
    path.chmod(mode)

    with pytest.raises(SecretsError, match="chmod 600"):
        secrets.load(path)


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"peppers": {}, "current_pepper": 1, "master": ""}',
        '{"peppers": {"1": "c2hvcnQ="}, "current_pepper": 1, "master": "c2hvcnQ="}',
        '{"peppers": {"x": "AAAA"}, "current_pepper": 1, "master": "AAAA"}',
        '{"peppers": ["AAAA"], "current_pepper": 1, "master": "AAAA"}',
    ],
)
def test_a_damaged_file_is_refused_and_not_replaced(path: Path, damage: str) -> None:
    """Making new secrets would lock every key out for good."""
    _made(path)
    path.write_text(damage, encoding="ascii")

    with pytest.raises(SecretsError, match="damaged"):
        _made(path)

    assert path.read_text(encoding="ascii") == damage


def test_a_pepper_that_is_named_but_missing_is_damage(path: Path) -> None:
    """New keys would have nothing to be hashed under."""
    _made(path)
    document = json.loads(path.read_text(encoding="ascii"))
    path.write_text(json.dumps(document | {"current_pepper": 2}), encoding="ascii")

    with pytest.raises(SecretsError, match="damaged"):
        secrets.load(path)


def test_a_file_that_is_not_there_is_told_with_its_variable(path: Path) -> None:
    """The operator sees which setting to correct."""
    with pytest.raises(SecretsError, match="LATCHPIN_SECRETS_FILE"):
        secrets.load(path)


def test_an_interrupted_first_run_is_taken_up_again(path: Path) -> None:
    """Its database may have been made already; and what was only half written counts for nothing."""
    with pytest.raises(KeyboardInterrupt), secrets.first_run(path) as interrupted:
        raise KeyboardInterrupt
    draft = next(path.parent.iterdir())

    assert not path.exists()
    assert secrets.load_existing(path, "another") is None
    assert secrets.load_existing(path, interrupted.fingerprint()) == interrupted
    assert os.listdir(path.parent) == ["secrets.json"]  # noqa: PTH208  names alone
    path.unlink()
    draft.write_text('{"peppers"', encoding="ascii")
    draft.chmod(0o600)
    assert _made(path) == secrets.load(path) != interrupted


async def test_secrets_of_another_deployment_are_refused(database: Database, path: Path) -> None:
    """With them no API key would be recognised, which is told at the start and not key by key."""
    others = _made(path)

    with pytest.raises(SecretsError, match="not the secrets this database was made with"):
        async with database.transaction() as session:
            await organizations.prepare(session, others)


def test_the_text_of_secrets_shows_none_of_them(path: Path) -> None:
    """Nor does an error message quote the file."""
    new_secrets = _made(path)
    text = repr(new_secrets) + str(new_secrets)

    assert str(new_secrets.master) not in text
    assert all(str(pepper) not in text for pepper in new_secrets.peppers.values())
    assert json.loads(path.read_text(encoding="ascii"))["master"] not in text


def test_processes_that_start_at_once_agree_on_one_file(path: Path) -> None:
    """Eight processes race; all read what the first one made, whole."""
    code = (
        "from pathlib import Path; from latchpin.storage import secrets\n"
        f"with secrets.first_run(Path({str(path)!r})) as made: print(made.fingerprint())"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(8)]

    fingerprints = {process.communicate(timeout=60)[0].strip() for process in running}

    assert fingerprints == {secrets.load(path).fingerprint()}
    assert [process.returncode for process in running] == [0] * 8
    assert os.listdir(path.parent) == ["secrets.json"]  # noqa: PTH208  names alone
