"""oidc-provider (npm): one Node.js process, everything in memory, opaque and RS256 tokens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import data, process
from bench.load import CONNECTIONS, Request
from bench.peers.peer import PLACE, SECRET, Peer, Unavailable, run
from bench.refresh import Chains

_HERE = Path(__file__).parent
_PORT = data.PORT + 1
_PROOF = {"client_id": "bench", "client_secret": SECRET}
KINDS = {"opaque": "opaque, in memory", "jwt": "RS256 JWT, in memory"}


@contextmanager
def serve() -> Iterator[Peer]:
    """Install it where it is not yet, and serve it; raises Unavailable."""
    place = PLACE / "oidc_provider"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.mjs"):
        shutil.copy(_HERE / name, place)
    run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=place)
    url, log = f"http://127.0.0.1:{_PORT}", place / "server.log"
    try:
        with process.running(["node", "server.mjs", str(_PORT), str(CONNECTIONS)], f"{url}/jwks", log, cwd=place):
            families = json.loads(log.read_text().strip().splitlines()[-1])
            token_requests, refreshed = {}, {}
            for kind, words in KINDS.items():
                form = {"grant_type": "client_credentials", "scope": "agents:read", "resource": f"https://{kind}.example/", **_PROOF}
                token_requests[f"oidc-provider, {words}"] = Request(f"{url}/token", form=form)
                refreshed[f"oidc-provider, {words}"] = Chains(f"{url}/token", _PROOF, families[kind])
            yield Peer("oidc-provider", token_requests, refreshed)
    except process.NotStarted as error:
        raise Unavailable(str(error)) from error
