"""django-oauth-toolkit (PyPI): one process of the server that Latchpin uses, opaque tokens in SQLite."""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import data, process
from bench.load import CONNECTIONS, Request
from bench.peers.peer import PLACE, SECRET, Peer, Unavailable, run
from bench.refresh import Chains

_HERE = Path(__file__).parent
_PORT = data.PORT + 2
_NAME = "django-oauth-toolkit, opaque, SQLite"
_OWN = {"grant_type": "client_credentials", "scope": "agents:read", "client_id": "bench", "client_secret": SECRET}
_OPTIONS = "--interface wsgi --host 127.0.0.1 --workers 1 --blocking-threads 1 --no-ws --http 1 --log-level warning"


@contextmanager
def serve() -> Iterator[Peer]:
    """Install it where it is not yet, and serve it; raises Unavailable."""
    place = PLACE / "django_oauth_toolkit"
    run([sys.executable, "-m", "venv", str(place)])
    bin_ = place / "bin"
    run([str(bin_ / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(_HERE / "requirements.txt")])
    with tempfile.TemporaryDirectory(prefix="latchpin-bench-peer-") as directory:
        environ = {"BENCH_DIR": directory, "BENCH_FAMILIES": str(CONNECTIONS), "PYTHONDONTWRITEBYTECODE": "1"}
        families = json.loads(run([str(bin_ / "python"), "deployment.py"], cwd=_HERE, environ=environ))
        url = f"http://127.0.0.1:{_PORT}"
        command = [str(bin_ / "granian"), *_OPTIONS.split(), "--port", str(_PORT), "deployment:application"]
        try:
            with process.running(command, f"{url}/trivial", Path(directory) / "server.log", environ=environ, cwd=_HERE):
                token = _token(f"{url}/token")
                yield Peer(
                    "django-oauth-toolkit",
                    {_NAME: Request(f"{url}/token", form=_OWN)},
                    {_NAME: Chains(f"{url}/token", {"client_id": "bench-refresh", "client_secret": SECRET}, families["opaque"])},
                    Request(f"{url}/trivial"),
                    Request(f"{url}/guarded", {"Authorization": f"Bearer {token}"}),
                )
        except process.NotStarted as error:
            raise Unavailable(str(error)) from error


def _token(url: str) -> str:
    with urllib.request.urlopen(url, data=urllib.parse.urlencode(_OWN).encode(), timeout=10) as response:  # noqa: S310  our own server
        return str(json.load(response)["access_token"])
