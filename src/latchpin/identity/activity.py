"""Uses and failures of credentials, collected in memory and written in batches outside of the requests.

Three things: last use of a key (at once the first time, then at most once a minute, never after its revocation), use by route (one
audit event at once, then hourly totals), and refused keys (one event per subnet, reason and key, then totals each minute). All are bounded
(`tallies`); the excess is counted together. A crash loses at most a minute of these; changes and their events are never collected here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.audit.events import Outcome
from latchpin.errors import Unavailable
from latchpin.identity.principal import Principal
from latchpin.identity.roles import CredentialKind
from latchpin.identity.tallies import Counters, UseCounter, subnet
from latchpin.identity.verified import RejectedCredential, Verified, name_of
from latchpin.kit import clock
from latchpin.kit.context import RequestContext
from latchpin.kit.logger import Logger
from latchpin.storage import Database
from latchpin.storage.models import ApiKey, OAuthClient, OAuthGrant

LAST_USED_SECONDS = 60
USE_TOTALS_SECONDS = 3600
REFUSAL_TOTALS_SECONDS = 60
MOST_REFUSALS = 200  # kinds of refusals of unknown keys a minute; the rest are counted together
MOST_KNOWN_REFUSALS = 1000  # the same for refused keys that exist, which unknown keys must not crowd out
MOST_REFUSALS_OF_ONE = 50
MOST_USES = 20_000
MOST_USES_OF_ONE = 300  # per credential; the API has some 80 routes
FLUSH_SECONDS = 0.5
_log = Logger(__name__)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER_METHOD = "(other method)"
_OTHERS = "other routes and addresses"
_UNWRITABLE = "could not be written down"
_FORBIDDEN, _ERRORS = 403, 400
_REFUSALS = {CredentialKind.ACCESS_TOKEN: events.TokenRefused, CredentialKind.CLIENT: events.ClientRefused}


class Activity:
    """Collects activity for one process; `run` writes until it is cancelled, `flush` writes now."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last_used: dict[tuple[str, int], tuple[float, str | None]] = {}
        self._uses = Counters(seconds=USE_TOTALS_SECONDS, most=MOST_USES)
        self._refusals = Counters(seconds=REFUSAL_TOTALS_SECONDS, most=MOST_KNOWN_REFUSALS)
        self._flushing = asyncio.Lock()

    def used(self, verified: Verified, method: str, route: str, request: RequestContext) -> None:
        """Record one use of a credential for a route (`GET`, `/api/v1/agent/{agent_id}`), after the response with `request.status`.

        Denied, failed and successful uses are counted separately; a denial because of a missing scope names it (`request.lacking`).
        """
        now = clock.monotonic()
        principal = verified.principal
        credential = principal.credential
        if now - verified.last_recorded >= LAST_USED_SECONDS:
            verified.last_recorded = now
            self._last_used[credential.kind.value, credential.id or 0] = (clock.timestamp(), request.address)
        if method not in _METHODS:  # chosen by the caller, and each one can be different
            method = _OTHER_METHOD
        address, status, lacking = request.address, request.status, request.lacking
        outcome: Outcome = "done" if status < _ERRORS else "refused" if status == _FORBIDDEN else "failed"  # 0: client went away
        kind = (verified.name, method, route, outcome, lacking, address if address is None or ":" not in address else subnet(address))
        tally = self._uses.get(kind)
        if tally is None:
            tally = self._new_use(kind, principal, verified.limiter_key, outcome, _what(f"{method} {route}", lacking))
        if tally.count:
            tally.widen(address)
        else:
            tally.begin(Origin(address, request.user_agent, request.request_id))
        tally.count += 1

    def used_at(self, endpoint: str, principal: Principal, limiter_key: str, origin: Origin, *, lacking: str | None = None) -> None:
        """Record one use of a credential at an endpoint of the authorization server (`POST /api/oauth/token`) that accepted it.

        `lacking` is the missing scope where the request was denied nevertheless.
        """
        credential = principal.credential
        self._last_used.setdefault((credential.kind.value, credential.id or 0), (clock.timestamp(), origin.address))
        kind = (name_of(principal), endpoint, lacking, subnet(origin.address))
        outcome: Outcome = "done" if lacking is None else "refused"
        _add(self._uses.get(kind) or self._new_use(kind, principal, limiter_key, outcome, _what(endpoint, lacking)), origin)

    def _new_use(self, kind: Hashable, principal: Principal, limiter_key: str, outcome: Outcome, what: str) -> UseCounter:
        """Return the tally for a use: its own, or its credential's, or the one that many credentials share."""
        tally = self._uses.open(kind, limiter_key, MOST_USES_OF_ONE, partial(_use, principal, outcome, what))
        if tally is None:
            tally = self._uses.total((name_of(principal), outcome), partial(_use, principal, outcome, _OTHERS))
        if tally is None:
            some = (principal.organization_id, principal.credential.kind, outcome)
            tally = self._uses.rest(some, lambda: _many(_use(principal, outcome, ""), "many credentials"))
        return tally

    def app_used(self, client_pk: int, grant_id: int | None = None) -> None:
        """Record that an app got tokens, and for which grant where the grant continues.

        Both rows are written later: locking the client's row with a grant's could deadlock with a revocation of the app.
        """
        now = clock.timestamp()
        self._last_used.setdefault((CredentialKind.CLIENT.value, client_pk), (now, None))
        if grant_id is not None:
            self._last_used.setdefault((CredentialKind.ACCESS_TOKEN.value, grant_id), (now, None))

    def refused(self, refused: RejectedCredential, origin: Origin) -> None:
        """Record one refused key with its actual reason."""
        tallies, make = self._refusals, partial(_refusal, refused)
        where, reason = subnet(origin.address), refused.reason.value
        tally = tallies.get(kind := (refused.kind, refused.id, refused.name, reason, where))
        if refused.id is None:
            tally = tally or tallies.open(kind, None, MOST_REFUSALS, make)
        else:
            tally = tally or tallies.open(kind, (refused.kind, refused.id), MOST_REFUSALS_OF_ONE, make)
            tally = tally or tallies.total((refused.kind, refused.id, reason), make)
        if tally is None:  # counted together, without a name: one key must not be blamed for all of them
            some = (refused.organization_id, refused.kind, reason)
            tally = tallies.rest(some, lambda: _many(make(), "many keys or addresses", reason))
        _add(tally, origin)

    async def run(self) -> None:
        """Write what was collected, twice a second, until cancelled; then write the rest."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self._flush_quietly()
        finally:
            await self._flush_quietly(everything=True)

    async def _flush_quietly(self, *, everything: bool = False) -> None:
        try:
            await self.flush(everything=everything)
        except Unavailable:
            _log.warning("activity.not_written", detail="the database cannot be reached; it is kept and tried again")
        except Exception:  # noqa: BLE001  one failed batch must not end the task that writes the next ones
            _log.exception("activity.failed")
            await self._write_singly()

    async def flush(self, *, everything: bool = False) -> None:
        """Write what is due (or everything); raises Unavailable, and keeps it, where the database cannot be reached."""
        async with self._flushing:  # two concurrent runs would write the same counts twice
            await self._flush(everything=everything)

    async def _flush(self, *, everything: bool) -> None:
        now = clock.monotonic()
        due = [(tally, tally.count) for tallies in self._all for tally in tallies.due(now, everything=everything)]
        used = dict(self._last_used)
        if used or due:
            async with self._database.transaction() as session:
                for which, (at, address) in sorted(used.items(), key=_in_order):
                    await _write_last_used(session, which, at, address)
                for tally, count in due:
                    record(session, tally.total(count), tally.actor)
        for which, last_use in used.items():
            if self._last_used.get(which) == last_use:
                del self._last_used[which]
        for tally, count in due:
            tally.count, tally.written_at = tally.count - count, now  # more may have been counted during the write
        for tallies in self._all:
            tallies.discard(now)

    @property
    def _all(self) -> tuple[Counters, Counters]:
        return self._uses, self._refusals

    async def _write_singly(self) -> None:
        """Write each item by itself after a batch failed, and drop those that fail again: one bad item must not block all others.

        Dropped items are still counted, in a total that has only their number.
        """
        for which, (at, address) in list(self._last_used.items()):
            if await self._write(partial(_write_last_used, which=which, at=at, address=address)) is not None:
                self._last_used.pop(which, None)
        for tallies in self._all:
            for tally in list(tallies):
                count = tally.count
                written = await self._write(partial(_record, tally=tally, count=count)) if count else None
                if written is None:
                    continue
                if not written:
                    _log.error("activity.given_up", action=tally.event.action, count=count)
                    total = tallies.rest((type(tally.event), tally.event.outcome), partial(_many, tally, "many credentials", _UNWRITABLE))
                    total.count += count
                tally.count, tally.written_at = tally.count - count, clock.monotonic()

    async def _write(self, work: Callable[[AsyncSession], Awaitable[None]]) -> bool | None:
        """Write an item in its own transaction. Return whether it was written, None where the database cannot be reached."""
        try:
            async with self._database.transaction() as session:
                await work(session)
        except Unavailable:
            return None
        except Exception:  # noqa: BLE001  whatever the error is, this item can never be written
            _log.exception("activity.not_writable")
            return False
        return True


async def write_use(session: AsyncSession, principal: Principal, what: str, origin: Origin, *, count: int = 1) -> None:
    """Write in the caller's transaction, not later, that a credential was used `count` times for a route."""
    credential = principal.credential
    await _write_last_used(session, (credential.kind.value, credential.id or 0), clock.timestamp(), origin.address)
    _write(session, _use(principal, "done", what), origin, count)


def write_refusal(session: AsyncSession, refused: RejectedCredential, origin: Origin, *, count: int = 1) -> None:
    """Write in the caller's transaction, not later, that a credential was refused `count` times."""
    _write(session, _refusal(refused), origin, count)


def actor(principal: Principal, origin: Origin) -> Actor:
    """Return a principal as an actor of the audit log."""
    credential = principal.credential
    return Actor(
        principal.email, principal.user_id or None, principal.organization_id, credential.kind.value, credential.id, credential.name, origin
    )


def _write(session: AsyncSession, tally: UseCounter, origin: Origin, count: int) -> None:
    tally.begin(origin)
    record(session, tally.total(count), tally.actor)


def _what(endpoint: str, lacking: str | None) -> str:
    return endpoint if lacking is None else f"{endpoint}: needs the scope {lacking}"


def _add(tally: UseCounter, origin: Origin) -> None:
    if tally.count:
        tally.widen(origin.address)
    else:
        tally.begin(origin)
    tally.count += 1


def _use(principal: Principal, outcome: Outcome, what: str) -> UseCounter:
    credential = principal.credential
    kind = events.TokenUsed if credential.kind is CredentialKind.ACCESS_TOKEN else events.ApiKeyUsed
    event = kind(target_id=credential.id, target_name=credential.name, outcome=outcome, reason=what[:200])
    return UseCounter(event, actor(principal, Origin()))


def _refusal(refused: RejectedCredential) -> UseCounter:
    kind = _REFUSALS.get(refused.kind, events.ApiKeyRefused)
    event = kind(target_id=refused.id, target_name=refused.name or None, outcome="refused", reason=refused.reason.value)
    name = refused.email or "unknown"
    by = Actor(name, refused.user_id, refused.organization_id, refused.kind.value, refused.id, refused.name)
    return UseCounter(event, by)


def _many(one: UseCounter, name: str, reason: str = "more than could be listed") -> UseCounter:
    """Make the tally of many uses, which has only their organization, action and outcome."""
    event = type(one.event)(target_name=name, outcome=one.event.outcome, reason=reason)
    by = Actor("unknown", None, one.actor.organization_id, one.actor.credential_kind, None, name)
    return UseCounter(event, by, nameless=True)


async def _record(session: AsyncSession, tally: UseCounter, count: int) -> None:
    record(session, tally.total(count), tally.actor)


def _in_order(item: tuple[tuple[str, int], object]) -> tuple[bool, str, int]:
    """Sort in one order, so that two writers do not deadlock; clients before grants, as in the revocation of a client."""
    (kind, credential_id), _ = item
    return kind != CredentialKind.CLIENT, kind, credential_id


async def _write_last_used(session: AsyncSession, which: tuple[str, int], at: float, address: str | None) -> None:
    kind, credential_id = which
    when = datetime.fromtimestamp(at, UTC)
    before = when - timedelta(seconds=LAST_USED_SECONDS - 1)
    if kind == CredentialKind.CLIENT:
        await session.execute(
            update(OAuthClient)
            .where(OAuthClient.id == credential_id, or_(OAuthClient.last_used_at.is_(None), OAuthClient.last_used_at <= before))
            .values(last_used_at=when)
        )
        return
    if kind == CredentialKind.ACCESS_TOKEN:
        await session.execute(
            update(OAuthGrant)
            .where(
                OAuthGrant.id == credential_id,
                OAuthGrant.ended_at.is_(None),
                or_(OAuthGrant.last_used_at.is_(None), OAuthGrant.last_used_at <= before),
            )
            .values(last_used_at=when)
        )
        return
    await session.execute(
        update(ApiKey)
        .where(ApiKey.id == credential_id, ApiKey.revoked_at.is_(None), or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= before))
        .values(last_used_at=when, last_used_address=address and address[:64])
    )
