"""oidc-provider (npm): one Node.js process, everything in memory, RS256 tokens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import process
from bench.http import Request
from bench.load import CONNECTIONS, Chains
from bench.peers.peer import PLACE, SECRET, Peer, Unavailable, run

_HERE = Path(__file__).parent
_PROOF = {"client_id": "bench", "client_secret": SECRET}
_OWN = {"grant_type": "client_credentials", "scope": "agents:read", "resource": "https://jwt.example/", **_PROOF}


@contextmanager
def serve(core: int | None) -> Iterator[Peer]:
    """Install it where it is not yet, and serve it on one core; raises Unavailable."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        message = "there is no Node.js with npm on this machine"
        raise Unavailable(message)
    place = PLACE / "oidc_provider"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.mjs"):
        shutil.copy(_HERE / name, place)
    run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=place)
    port = process.free_port()
    url, log = f"http://127.0.0.1:{port}", place / "server.log"
    command = ["node", "server.mjs", str(port), str(CONNECTIONS)]
    try:
        with process.running(command, f"{url}/jwks", log, core=core, cwd=place) as pid:
            families = json.loads(log.read_text().strip().splitlines()[-1])
            yield Peer(pid, Request(f"{url}/token", form=_OWN), Chains(f"{url}/token", _PROOF, families))
    except process.NotStarted as error:
        raise Unavailable(str(error)) from error
