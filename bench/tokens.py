"""Tokens issued per second, next to the peers: client_credentials, and refreshes with rotation."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import apps, load, process
from bench.load import CONNECTIONS, Measured, Request
from bench.peers.django_oauth_toolkit import peer_server as django_oauth_toolkit
from bench.peers.oidc_provider import peer_server as oidc_provider
from bench.peers.peer import Peer, Unavailable
from bench.refresh import Chains
from bench.rounds import alternate, line

GOAL = 2.0
_OTHER = "ES256"
PATH = "/api/oauth/token"
_SCOPE = {"grant_type": "client_credentials", "scope": "agents:read"}


def run(data_dir: Path) -> None:
    """Measure ours and theirs in alternating rounds, and print."""
    app = asyncio.run(apps.make(data_dir))
    families = asyncio.run(apps.families(data_dir, app, CONNECTIONS))
    with ExitStack() as stack:
        url = stack.enter_context(process.latchpin(data_dir))
        peers = _peers(stack)
        ours = "Latchpin, RS256 JWT"
        requests = {ours: Request(url + PATH, form={**_SCOPE, **app.proof})} | {
            name: request for each in peers for name, request in each.client_credentials.items()
        }
        refreshed = {ours: Chains(url + PATH, app.proof, families)} | {
            name: chains for each in peers for name, chains in each.refresh.items()
        }
        _print("client_credentials", ours, alternate({name: partial(load.measure, each) for name, each in requests.items()}))
        _print("refresh_token, rotated each time", ours, alternate({name: each.measure for name, each in refreshed.items()}))
        for each in peers:
            if each.opened and each.guarded:
                results = alternate({"open": partial(load.measure, each.opened), "guarded": partial(load.measure, each.guarded)})
                print(f"\nA token seen before, at {each.name}")
                print(line("trivial, open", results["open"]))
                print(line("trivial, behind a token", results["guarded"], results["open"]))
    asyncio.run(apps.sign_with(data_dir, _OTHER))
    with process.latchpin(data_dir, token_algorithm=_OTHER) as url:
        request = Request(url + PATH, form={**_SCOPE, **app.proof})
        results = alternate({_OTHER: partial(load.measure, request)})
    print("\nclient_credentials, signed otherwise")
    print(line(f"Latchpin, {_OTHER} JWT", results[_OTHER]))


def _peers(stack: ExitStack) -> list[Peer]:
    """Start those peers that can be had."""
    peers = []
    for name, serve in (("oidc-provider", oidc_provider.serve), ("django-oauth-toolkit", django_oauth_toolkit.serve)):
        try:
            peers.append(stack.enter_context(serve()))
        except Unavailable as error:
            print(f"\nNot compared with {name}: {error}")
    return peers


def _print(what: str, ours: str, results: dict[str, Measured]) -> None:
    print(f"\nTokens issued: {what}")
    for name, one in results.items():
        print(line(name, one))
    theirs = {name: one for name, one in results.items() if name != ours}
    if theirs:
        best = max(theirs, key=lambda name: theirs[name].per_second)
        print(f"  ratio to the best of them ({best}): {results[ours].per_second / theirs[best].per_second:.2f}, goal {GOAL:.2f}")
