"""Starts what the chosen rows need, writes credentials into it, and returns how each row is measured."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import changes, credentials, process
from bench.credentials import Seed
from bench.data import Deployment, NoDatabase, deployment_of
from bench.http import Request, connect
from bench.load import CONNECTIONS, WARM, Chains, Generator, Server, Steady
from bench.machine import Cores
from bench.peers.django_oauth_toolkit import peer_server as django_oauth_toolkit
from bench.peers.oidc_provider import peer_server as oidc_provider
from bench.peers.peer import Peer, Unavailable
from bench.rounds import Measure
from bench.rows import DJANGO_OAUTH_TOOLKIT, OIDC_PROVIDER, Row

OPEN, GUARDED, AGENTS = "/bench/trivial", "/api/v1/bench/trivial", "/api/v1/agent/all"
_TOKEN = "/api/oauth/token"  # noqa: S105  an address
_PEERS: Mapping[str, Callable[[int | None], AbstractContextManager[Peer]]] = {
    OIDC_PROVIDER: oidc_provider.serve,
    DJANGO_OAUTH_TOOLKIT: django_oauth_toolkit.serve,
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: rounds and their length, keys in rotation, grants, and credentials that a round of first looks may use up."""

    rounds: int = 5
    seconds: float = 5.0
    rotation: int = 1_000
    many: int = 100_000
    grants: int = 1_000
    unseen: int = 6_000

    @property
    def first_looks(self) -> int:
        """Credentials that all rounds of one row of first looks can use up, the warming included."""
        return (self.rounds + 1) * (self.unseen + WARM)

    @property
    def changes(self) -> int:
        """Changes of each kind that are made in all rounds."""
        return (self.rounds + 1) * (math.ceil(self.seconds * changes.PER_SECOND / 2) + 1)


def start(rows: Iterable[Row], sizes: Sizes, cores: Cores, stack: ExitStack, place: Path) -> tuple[dict[str, Measure], dict[str, str]]:
    """Start the places of the rows; returns how each is measured, by its id, and why the others are not."""
    wanted: dict[str, set[str]] = {}
    for row in rows:
        wanted.setdefault(row.place, set()).add(row.what)
    generator = stack.enter_context(Generator(cores.load))
    measures: dict[str, Measure] = {}
    missing: dict[str, str] = {}
    for name, whats in wanted.items():
        try:
            if name in _PEERS:
                found = _peer(stack.enter_context(_PEERS[name](cores.server)), generator)
            else:
                found = _deployment(stack.enter_context(deployment_of(name, place)), whats, sizes, generator, cores, stack)
        except (Unavailable, NoDatabase, process.NotStarted) as error:
            missing |= {f"{name}:{what}": str(error) for what in whats}
        else:
            measures |= {f"{name}:{what}": found[what] for what in whats}
    return {row.id: measures[row.id] for row in rows if row.id in measures}, missing


def _peer(peer: Peer, generator: Generator) -> dict[str, Measure]:
    server = Server(peer.pid, generator)
    loads: dict[str, Steady | Chains] = {"client-credentials": Steady(peer.client_credentials), "refresh": peer.refresh}
    return {what: _measure(load, server) for what, load in loads.items()}


def _measure(load: Steady | Chains, server: Server) -> Measure:
    return lambda seconds: load.measure(seconds, server)


def _deployment(
    made: Deployment, whats: set[str], sizes: Sizes, generator: Generator, cores: Cores, stack: ExitStack
) -> dict[str, Measure]:
    pid = stack.enter_context(process.latchpin(made.environ(), made.data_dir / "server.log", core=cores.server))
    if "keys-1000-changes" in whats:
        second = made.environ(port=str(made.other_port))
        stack.enter_context(process.latchpin(second, made.data_dir / "second.log", core=cores.changes))
    server = Server(pid, generator)
    return {what: _measure(load, server) for what, load in asyncio.run(_loads(made, whats, sizes)).items()}


async def _loads(made: Deployment, whats: set[str], sizes: Sizes) -> dict[str, Steady | Chains]:
    async with credentials.seeding(made) as seed:
        loads: dict[str, Steady | Chains] = {"open": Steady(Request(made.url + OPEN))}
        loads |= await _keys(made, seed, whats, sizes)
        loads |= await _tokens(made, seed, whats, sizes)
    return {what: loads[what] for what in whats}


async def _keys(made: Deployment, seed: Seed, whats: set[str], sizes: Sizes) -> dict[str, Steady | Chains]:
    guarded = Request(made.url + GUARDED)
    owners = await seed.users(sizes.rotation)
    one = {"Authorization": f"ApiKey {(await seed.keys(owners[:1], 1))[0].secret}"}
    loads: dict[str, Steady | Chains] = {
        "key": Steady(Request(made.url + GUARDED, one)),
        "agents": Steady(Request(made.url + AGENTS, one)),
    }

    async def file(name: str, count: int) -> str:
        new_keys = await seed.keys(owners, count)
        return credentials.write(made.data_dir / name, [f"ApiKey {key.secret}" for key in new_keys])

    rotation = await file("rotation", sizes.rotation)
    loads["keys-1000"] = Steady(guarded, rotation, warm=sizes.rotation)
    if "keys-1000-changes" in whats:
        plan = changes.Plan(made.url + GUARDED, await _others(made, seed, sizes))
        loads["keys-1000-changes"] = Steady(guarded, rotation, warm=sizes.rotation, changes=plan)
    if "keys-100000" in whats:
        loads["keys-100000"] = Steady(guarded, await file("many", sizes.many))
    if "keys-unseen" in whats:
        loads["keys-unseen"] = Steady(guarded, await file("unseen", sizes.first_looks), most=sizes.unseen)
    return loads


async def _others(made: Deployment, seed: Seed, sizes: Sizes) -> str:
    """Make a user with keys, and grants of an app of its own with a token each, that can be revoked."""
    app, count = await seed.app(), sizes.changes
    keys = await seed.keys(await seed.users(1), count)
    like = await _issued(made, app, (await seed.families(app, 1))[0])
    tokens = await seed.tokens(like, await seed.grants(app, count), count)
    file = made.data_dir / "others"
    changes.write(file, credentials.others(made, app, await seed.signed_in(), keys, tokens))
    return str(file)


async def _tokens(made: Deployment, seed: Seed, whats: set[str], sizes: Sizes) -> dict[str, Steady | Chains]:
    app = await seed.app()
    url, guarded = made.url + _TOKEN, Request(made.url + GUARDED)
    form = {"grant_type": "client_credentials", "scope": "agents:read", **app.proof}
    loads: dict[str, Steady | Chains] = {
        "client-credentials": Steady(Request(url, form=form)),
        "refresh": Chains(url, app.proof, await seed.families(app, CONNECTIONS)),
    }
    if not whats & {"token", "tokens-unseen", "tokens-unseen-one"}:
        return loads
    like = await _issued(made, app, (await seed.families(app, 1))[0])
    loads["token"] = Steady(Request(made.url + GUARDED, {"Authorization": f"Bearer {like}"}))
    for what, grants in (("tokens-unseen", sizes.grants), ("tokens-unseen-one", 1)):
        if what in whats:
            tokens = await seed.tokens(like, await seed.grants(app, grants), sizes.first_looks)
            file = credentials.write(made.data_dir / what, [f"Bearer {token}" for token in tokens])
            loads[what] = Steady(guarded, file, most=sizes.unseen)
    return loads


async def _issued(made: Deployment, app: credentials.App, refresh_token: str) -> str:
    """Get an access token from the token endpoint."""
    connection = await connect(made.url)
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **app.proof}
    status, body = await connection.ask(Request(made.url + _TOKEN, form=form).encode())
    connection.close()
    assert status == 200, body
    return str(json.loads(body)["access_token"])
