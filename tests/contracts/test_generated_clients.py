"""Clients that generators make of the OpenAPI document: nothing in it is warned of or left out, and one of them works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.contracts import routes
from tests.support.deployments import Deployments
from tests.support.people import Organization

NPM = {"openapi-typescript": "7.13.0", "typescript": "5.9.3"}
# Asks the server that the first argument names with the key in the second, and prints what it understood.
CALL = """
import json, sys
from latchpin_client import AuthenticatedClient
from latchpin_client.api.agents import search_agents
from latchpin_client.models import Problem

url, key = sys.argv[1:]
with AuthenticatedClient(base_url=url, token=key, prefix="ApiKey", raise_on_unexpected_status=True) as client:
    (agent,) = search_agents.sync(client=client, query="book")
    refusal = search_agents.sync(client=client, query="")
assert isinstance(refusal, Problem)
print(json.dumps({"name": agent.name, "created": agent.created.isoformat(), "refused": refusal.error_code}))
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document as a file."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_text(json.dumps(routes.document()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def organization(deployments: Deployments) -> Iterator[Organization]:
    """An organization at a running server; which database it has makes no difference here."""
    server = deployments.shared("sqlite")
    yield Organization(server)
    assert not server.failure()


@pytest.fixture(scope="module")
def python_client(document: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder with the client that openapi-python-client makes, and what was printed meanwhile; a warning is a failure."""
    place = tmp_path_factory.mktemp("python") / "client"
    tools = str(Path(sys.executable).parent)  # the generator formats its files with ruff
    done = subprocess.run(
        [f"{tools}/openapi-python-client", "generate", f"--path={document}", f"--output-path={place}", "--fail-on-warning"],
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place, done.stdout + done.stderr


@pytest.fixture(scope="module")
def typescript(request: pytest.FixtureRequest) -> Path:
    """The folder of npm's programs with openapi-typescript, installed once into pytest's cache."""
    npm = shutil.which("npm")
    if npm is None:
        missing("openapi-typescript", "there is no npm; install Debian's package npm")
    place = request.config.cache.mkdir("openapi-typescript")
    packages = [f"{name}@{version}" for name, version in NPM.items()]
    if any(_installed(place / "node_modules" / name) != version for name, version in NPM.items()):
        quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(
            [str(npm), "install", *quiet, "--prefix", str(place), *packages], capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            missing("openapi-typescript", f"npm cannot install {' '.join(packages)}: {done.stderr.strip()[-400:]}")
    return place / "node_modules" / ".bin"


def _installed(package: Path) -> str | None:
    described = package / "package.json"
    manifest: dict[str, Any] = json.loads(described.read_text(encoding="utf-8")) if described.exists() else {}
    return manifest.get("version")


def test_a_python_client_has_every_operation(python_client: tuple[Path, str]) -> None:
    """openapi-python-client warns of nothing, and leaves no route and no type of an answer out."""
    place, printed = python_client

    assert printed.strip() == f"Generating {place}"
    modules = {path.stem.replace("_", "") for path in place.glob("latchpin_client/api/*/*.py")}
    assert {route.name.lower() for route in routes.every()} <= modules
    audit = (place / "latchpin_client/api/administration/list_audit_events.py").read_text(encoding="utf-8")
    assert "EventPage.from_dict" in audit


def test_a_generated_python_client_calls_a_running_server(python_client: tuple[Path, str], organization: Organization) -> None:
    """With an API key; the answer has its types, and a refusal is the problem document."""
    organization.agent("Book prices")

    done = subprocess.run(
        [sys.executable, "-c", CALL, organization.server.url, organization.key().secret],
        cwd=python_client[0],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    understood = json.loads(done.stdout)
    assert (understood["name"], understood["refused"]) == ("Book prices", "bad_request")
    assert understood["created"].endswith("+00:00")


def test_typescript_types_are_made_without_a_warning(typescript: Path, document: Path) -> None:
    """openapi-typescript checks the document and writes a type for every operation."""
    done = subprocess.run([str(typescript / "openapi-typescript"), str(document)], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.strip() and "openapi-typescript 7" not in line and "🚀" not in line]
    assert warnings == []
    for route in routes.every():
        assert f'operations["{route.name}"]' in done.stdout
