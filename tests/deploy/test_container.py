"""The Containerfile: what it copies is there, it runs as nobody in particular, and it builds where a builder is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import untried

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "container" / "Containerfile"
TEXT = re.sub(r"\\\n\s*", "", FILE.read_text(encoding="utf-8"))
LAST = TEXT[TEXT.rindex("\nFROM ") :]


def test_what_it_copies_is_there_and_let_through() -> None:
    """A renamed file breaks the image only where it is built, which is not everywhere."""
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    let = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = [source.rstrip("/") for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE) for source in line.split()[:-1]]

    assert all((ROOT / source).exists() for source in copied), copied
    assert let == set(copied)


def test_the_image_runs_without_rights_and_tells_its_health() -> None:
    """By number, so that Kubernetes can check it (runAsNonRoot); two stages, so that the image holds no build tools of ours."""
    assert re.search(r"^USER (\d+):(\d+)$", LAST, re.MULTILINE)
    assert len(re.findall(r"^FROM ", TEXT, re.MULTILINE)) == 2
    assert LAST.index("\nUSER ") < LAST.index("\nENTRYPOINT ")
    assert "--require-hashes" in TEXT
    assert not re.search(r"(:latest|PASSWORD|SECRET)", TEXT)


def test_the_health_check_fails_where_nobody_answers() -> None:
    """Its command ends with another code than 0."""
    (written,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", LAST, re.MULTILINE)
    _, *arguments = json.loads(written)

    ran = subprocess.run([sys.executable, *arguments], env={"LATCHPIN_PORT": "1"}, capture_output=True, check=False)

    assert ran.returncode == 1


def _builder() -> str | None:
    for program in ("podman", "buildah", "docker"):
        if shutil.which(program) and subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0:
            return program
    return None


def test_it_builds_and_serves_with_a_root_that_cannot_be_written() -> None:
    """The image answers `--version` with a read-only root, where the builder can run what it built."""
    builder = _builder()
    if builder is None:
        untried("building the container image", "there is neither podman nor buildah nor a running docker on this machine")
    build = ["build"] if builder != "buildah" else ["bud"]
    built = subprocess.run([builder, *build, "-f", FILE, "-t", "latchpin-test", ROOT], capture_output=True, text=True, check=False)

    assert built.returncode == 0, built.stdout + built.stderr
    if builder != "buildah":
        command = [builder, "run", "--rm", "--read-only", "--tmpfs", "/tmp", "latchpin-test", "settings"]  # noqa: S108  the container's
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "LATCHPIN_DATA_DIR = /var/lib/latchpin" in ran.stdout, ran.stderr
