"""The composition root: settings in, ASGI application out. The only module that imports all parts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from litestar import Litestar, Router
from litestar.types import ASGIApp, ControllerRouterHandler

from latchpin import __version__, settings
from latchpin.api import downloads, health, openapi
from latchpin.api.errors import HANDLERS as ERROR_HANDLERS
from latchpin.api.routing import admit, require_declared_permissions
from latchpin.api.v1 import admin, agents, run_files, runs, spaces
from latchpin.asgi.access_log import AccessLog
from latchpin.asgi.authentication import AuthenticationMiddleware
from latchpin.asgi.cors import CorsMiddleware
from latchpin.asgi.head import HeadMiddleware
from latchpin.asgi.rate_limit import RateLimiter, RateLimitMiddleware
from latchpin.asgi.request_context import RequestContextMiddleware
from latchpin.audit import chain
from latchpin.audit.checkpoints import CheckpointLog
from latchpin.automation.run_engine import open_engine
from latchpin.errors import Unavailable
from latchpin.identity import deployment, grants, sessions, sign_in, signing_keys
from latchpin.identity.activity import Activity
from latchpin.identity.api_key_verifier import ApiKeyVerifier
from latchpin.identity.bearer import AccessTokenVerifier
from latchpin.identity.key_ring import KeyRing
from latchpin.identity.proofs import ProofVerifier
from latchpin.identity.queries import key_counts
from latchpin.kit import logs
from latchpin.kit.fetching import Fetcher
from latchpin.kit.logger import Logger
from latchpin.kit.rate_limit import open_counter
from latchpin.oauth import client_assertion, clients, codes, device_codes, par, pending, registration, revocation
from latchpin.oauth.authorization_server import STATE
from latchpin.oauth.client_keys import ClientKeys
from latchpin.oauth.clients import ClientCache
from latchpin.oauth.documents import ClientMetadataDocuments
from latchpin.oauth.endpoints import responses
from latchpin.oauth.endpoints import routes as oauth
from latchpin.oauth.grants import refresh_token
from latchpin.services import Services
from latchpin.settings import Settings
from latchpin.storage import Database, form_drafts, generation, secrets
from latchpin.storage.secrets import Secrets
from latchpin.web import routes as pages
from latchpin.web.pages import errors as page_errors

_log = Logger(__name__)
_MAINTENANCE_SECONDS = 3600
V1 = (*agents.HANDLERS, *runs.HANDLERS, *run_files.HANDLERS, *spaces.HANDLERS, *admin.HANDLERS)


@dataclass(frozen=True, slots=True)
class Application:
    """The ASGI application with its parts, for tests and the command line."""

    asgi: ASGIApp
    litestar: Litestar
    services: Services

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  the ASGI interface
        """Serve one connection."""
        await self.asgi(scope, receive, send)


def build(
    chosen: Settings, deployment_secrets: Secrets, *, access_log: TextIO | None = None, also: Sequence[ControllerRouterHandler] = ()
) -> Application:
    """Put the application together; connects to nothing before its lifespan starts. `also` are further routes, for benchmarks and tests.

    Raises UndeclaredPermission if a route does not declare who may use it, Unavailable where the data directory cannot be used.
    """
    chain.use_key(deployment_secrets.derive("audit"))
    services = _services(chosen, deployment_secrets)
    log = AccessLog(access_log) if chosen.access_log else None
    litestar = Litestar(
        route_handlers=[
            Router("/api/v1", route_handlers=list(V1), before_request=admit),
            *health.HANDLERS,
            *downloads.HANDLERS,
            oauth.ROUTER,
            *pages.ROUTERS,
            *also,
        ],
        exception_handlers=page_errors.by_surface(page_errors.HANDLERS, responses.beside(ERROR_HANDLERS)),
        lifespan=[_lifespan(services, log)],
        openapi_config=openapi.config(chosen),
        request_max_body_size=chosen.max_body_bytes,
        debug=False,
    )
    litestar.state[STATE] = services
    require_declared_permissions(litestar)
    limiter = RateLimiter(services.counter, chosen)
    layers: list[Callable[[ASGIApp], ASGIApp]] = [  # the outermost first
        lambda inner: RequestContextMiddleware(inner, chosen, log),
        lambda inner: CorsMiddleware(inner, chosen, limiter),
        lambda inner: AuthenticationMiddleware(inner, services, limiter),
        lambda inner: RateLimitMiddleware(inner, limiter),
        HeadMiddleware,
    ]
    outermost: ASGIApp = litestar
    for layer in reversed(layers):
        outermost = layer(outermost)
    return Application(outermost, litestar, services)


def _services(chosen: Settings, deployment_secrets: Secrets) -> Services:
    database = Database(chosen)
    versions = generation.open_generation(chosen, database.outages)
    ring = KeyRing(database, deployment_secrets, chosen, versions.holds)
    counter = open_counter(chosen, deployment_secrets.fingerprint())
    fetcher = Fetcher(counter, is_private_let=chosen.client_documents_private)
    return Services(
        settings=chosen,
        secrets=deployment_secrets,
        database=database,
        generation=versions,
        ring=ring,
        keys=ApiKeyVerifier(database, deployment_secrets, versions.holds),
        tokens=AccessTokenVerifier(database, ring, chosen, versions.holds),
        proofs=ProofVerifier(database, deployment_secrets, chosen),
        activity=Activity(database),
        counter=counter,
        clients=ClientCache(database, ClientMetadataDocuments(database, chosen, fetcher), versions.holds),
        client_keys=ClientKeys(fetcher),
        engine=open_engine(chosen, database, deployment_secrets),
    )


def create() -> Application:
    """Build from the environment, for the server's processes. Raises SecretsError if the secrets cannot be used."""
    chosen = settings.load()
    logs.configure(chosen)
    return build(chosen, secrets.load(chosen.secrets_file))


def _lifespan(services: Services, log: AccessLog | None) -> Callable[[Litestar], contextlib.AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(_app: Litestar) -> AsyncIterator[None]:
        database = services.database
        await deployment.check(database, services.secrets)
        async with database.transaction() as session:
            await clients.prepare(session, services.settings)
        working = (services.activity.run(), services.proofs.used.run(), CheckpointLog(database).run(), _maintain(database))
        running = [asyncio.create_task(each, name="background") for each in working]
        _log.info("server_process.started", version=__version__, process=os.getpid())
        gc.collect()
        gc.freeze()  # objects that exist now stay: later collections need not examine them
        try:
            yield
        finally:
            for task in running:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await services.counter.close()
            await services.generation.close()
            await database.close()
            if log is not None:
                log.flush()
            _log.info("server_process.stopped", process=os.getpid())
            gc.unfreeze()  # a process that goes on, as in tests, can free the memory

    return run


async def _maintain(database: Database) -> None:
    """Tidy up at the start and then every hour: remove expired rows, count keys as of now, gather the database's statistics."""
    try:
        await _maintain_hourly(database)
    finally:
        if sign_in.has_counted():
            with contextlib.suppress(Unavailable):
                async with database.transaction() as session:
                    sign_in.write_counted(session)


async def _maintain_hourly(database: Database) -> None:
    while True:
        try:
            async with database.transaction() as session:
                await sessions.purge_expired(session)
                await sign_in.purge_expired(session)
                await form_drafts.purge_expired(session)
                for purge in (
                    pending.purge_expired,
                    par.purge_expired,
                    codes.purge_expired,
                    refresh_token.purge_expired,
                    client_assertion.purge_expired,
                    grants.purge_expired,
                    signing_keys.purge_expired,
                    registration.purge_expired,
                    device_codes.purge_expired,
                    revocation.purge_expired,
                    generation.purge_expired,
                ):
                    await purge(session)
            async with database.transaction() as session:  # in its own transaction, because it waits for a lock that changes of keys hold
                await key_counts.advance(session)
            await database.gather_statistics()
        except Unavailable:
            _log.warning("maintenance.failed", detail="the database cannot be reached; tried again in an hour")
        await asyncio.sleep(_MAINTENANCE_SECONDS)
