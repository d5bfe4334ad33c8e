"""The systemd units are sound, and lock a server in as far as it can bear."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
PROGRAM = Path(sys.executable).with_name("latchpin")
MOST_EXPOSED = 20  # of 100, as `systemd-analyze security` counts; a service without any hardening has 96


def _analyze(*args: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        missing("systemd units", "systemd-analyze is not on this machine; it comes with systemd")
    return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False)


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units, with the program of this environment for the one that an operator installs."""
    copies = []
    for unit in sorted(UNITS.iterdir()):
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text(encoding="utf-8").replace("/opt/latchpin/bin/latchpin", str(PROGRAM)), encoding="utf-8")
        copies.append(copy)
    return copies


def test_every_unit_is_verified(units: list[Path]) -> None:
    """No unknown option, no missing program, no word about any of them."""
    ran = _analyze("verify", "--man=no", *units)

    warnings = [line for line in ran.stderr.splitlines() if "latchpin" in line]
    assert (ran.returncode, warnings) == (0, []), ran.stderr


def test_every_service_is_locked_in(units: list[Path]) -> None:
    """Nothing of the machine can be written but its own directories, and no privilege gained."""
    services = [unit for unit in units if unit.suffix == ".service"]
    for service in services:
        ran = _analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", service)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    assert len(services) == 3


def test_commands_of_the_units_exist() -> None:
    """Each runs `latchpin` with a command and options that it has."""
    for unit in UNITS.glob("*.service"):
        (line,) = (line for line in unit.read_text(encoding="utf-8").splitlines() if line.startswith("ExecStart="))
        command = line.split("/opt/latchpin/bin/latchpin ")[1].split()[0]
        ran = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert all(option in ran.stdout for option in line.split() if option.startswith("--"))
