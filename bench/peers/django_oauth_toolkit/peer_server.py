"""django-oauth-toolkit (PyPI): one process of the server that Latchpin uses, opaque tokens in SQLite."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import process
from bench.http import Request
from bench.load import CONNECTIONS, Chains
from bench.peers.peer import PLACE, SECRET, Peer, Unavailable, run

_HERE = Path(__file__).parent
_OWN = {"grant_type": "client_credentials", "scope": "agents:read", "client_id": "bench", "client_secret": SECRET}
_OPTIONS = "--interface wsgi --host 127.0.0.1 --workers 1 --blocking-threads 1 --no-ws --http 1 --log-level warning"


@contextmanager
def serve(core: int | None) -> Iterator[Peer]:
    """Install it where it is not yet, and serve it on one core; raises Unavailable."""
    place = PLACE / "django_oauth_toolkit"
    run([sys.executable, "-m", "venv", str(place)])
    bin_ = place / "bin"
    run([str(bin_ / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(_HERE / "requirements.txt")])
    with tempfile.TemporaryDirectory(prefix="latchpin-bench-peer-") as directory:
        environ = {"BENCH_DIR": directory, "BENCH_FAMILIES": str(CONNECTIONS), "PYTHONDONTWRITEBYTECODE": "1"}
        families = json.loads(run([str(bin_ / "python"), "deployment.py"], cwd=_HERE, environ=environ))
        port = process.free_port()
        url = f"http://127.0.0.1:{port}"
        command = [str(bin_ / "granian"), *_OPTIONS.split(), "--port", str(port), "deployment:application"]
        proof = {"client_id": "bench-refresh", "client_secret": SECRET}
        log = Path(directory) / "server.log"
        try:
            with process.running(command, f"{url}/trivial", log, core=core, environ=environ, cwd=_HERE) as pid:
                yield Peer(pid, Request(f"{url}/token", form=_OWN), Chains(f"{url}/token", proof, families["opaque"]))
        except process.NotStarted as error:
            raise Unavailable(str(error)) from error
