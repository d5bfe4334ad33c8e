"""What credentials did, collected in memory and written in batches off the request path.

Three things: last use of a key (at once the first time, then at most once a minute, never after its revocation), use by route (one
audit event at once, then hourly totals), and refused keys (one event per address, reason and key, then totals each minute, bounded in
all). A crash loses at most a minute of these; changes and their events are never kept here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.errors import Unavailable
from latchpin.identity.principal import Principal
from latchpin.identity.roles import CredentialKind
from latchpin.identity.verified import Refused, Verified
from latchpin.kit import clock
from latchpin.kit.context import RequestContext
from latchpin.storage import Database
from latchpin.storage.models import ApiKey, OAuthClient, OAuthGrant

LAST_USED_SECONDS = 60
USE_TOTALS_SECONDS = 3600
REFUSAL_TOTALS_SECONDS = 60
MOST_REFUSALS = 200  # distinct ones a minute; the rest are counted together
MOST_KNOWN_REFUSALS = 1000  # the same with refused keys that exist, which junk must not crowd out
MOST_USES = 20_000
FLUSH_SECONDS = 0.5
_log = structlog.get_logger(__name__)
_REFUSALS = {CredentialKind.ACCESS_TOKEN: events.TokenRefused, CredentialKind.CLIENT: events.ClientRefused}


@dataclass(slots=True)
class _Tally:
    """A count that is written at once and then in totals; `written` is when the last total was, on the monotonic clock."""

    actor: Actor
    event: events.Event
    count: int = 0
    written: float = -math.inf


class Activity:
    """Collects for one process; `run` writes until it is cancelled, `flush` writes now."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last_used: dict[tuple[str, int], tuple[float, str | None]] = {}
        self._uses: dict[tuple[str, str, str, str | None, bool], _Tally] = {}
        self._refusals: dict[tuple[str | None, str, int | str | None], _Tally] = {}
        self._flushing = asyncio.Lock()

    def used(self, verified: Verified, method: str, route: str, request: RequestContext) -> None:
        """Note one use of a key for a route (`GET`, `/api/v1/agent/{agent_id}`), after it was answered: what was denied is told apart."""
        now = clock.monotonic()
        if now - verified.noted >= LAST_USED_SECONDS:
            verified.noted = now
            credential = verified.principal.credential
            self._last_used[credential.kind.value, credential.id or 0] = (clock.timestamp(), request.address)
        denied = request.status == 403  # noqa: PLR2004  the one answer that is about what the key may do
        bucket = (verified.caller, method, route, request.address, denied)
        tally = self._uses.get(bucket)
        if tally is None:
            if len(self._uses) >= MOST_USES:
                return
            principal = verified.principal
            origin = Origin(request.address, request.user_agent, request.request_id)
            kind = events.TokenUsed if principal.credential.kind is CredentialKind.ACCESS_TOKEN else events.ApiKeyUsed
            event = kind(
                target_id=principal.credential.id,
                target_name=principal.credential.name,
                outcome="refused" if denied else "done",
                reason=f"{method} {route}"[:200],
            )
            tally = self._uses[bucket] = _Tally(actor(principal, origin), event)
        tally.count += 1

    def app_used(self, client_pk: int, grant_id: int | None = None) -> None:
        """Note that an app got tokens, and of which grant where that lives on.

        Both rows are written later: locking the client's with a grant's would meet who revokes the app.
        """
        now = clock.timestamp()
        self._last_used.setdefault((CredentialKind.CLIENT.value, client_pk), (now, None))
        if grant_id is not None:
            self._last_used.setdefault((CredentialKind.ACCESS_TOKEN.value, grant_id), (now, None))

    def refused(self, refused: Refused, origin: Origin) -> None:
        """Note one refused key with its true reason."""
        known = refused.id is not None
        bucket = (origin.address, refused.reason.value, refused.id if known else refused.name)
        tally = self._refusals.get(bucket)
        if tally is None and len(self._refusals) >= (MOST_KNOWN_REFUSALS if known else MOST_REFUSALS):
            # Counted together, without a name: the next one in line is not to blame for all of them.
            refused, origin = Refused(refused.reason, name="many keys or addresses"), Origin()
            bucket = (None, refused.reason.value, refused.name)
            tally = self._refusals.get(bucket)
        if tally is None:
            name = refused.email or "unknown"
            by = Actor(name, refused.user_id, refused.organization_id, refused.kind.value, refused.id, refused.name, origin)
            event = _REFUSALS.get(refused.kind, events.ApiKeyRefused)(
                target_id=refused.id, target_name=refused.name or None, outcome="refused", reason=refused.reason.value
            )
            tally = self._refusals[bucket] = _Tally(by, event)
        tally.count += 1

    async def run(self) -> None:
        """Write what comes in, twice a second, until cancelled; then write the rest."""
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
        """Write what is due (or everything); raises Unavailable and keeps it where the database is away."""
        async with self._flushing:  # two at a time would write the same counts twice
            await self._flush(everything=everything)

    async def _flush(self, *, everything: bool) -> None:
        now = clock.monotonic()
        due = [
            (tally, tally.count)
            for tallies, limit in ((self._uses, USE_TOTALS_SECONDS), (self._refusals, REFUSAL_TOTALS_SECONDS))
            for tally in tallies.values()
            if tally.count and (everything or now - tally.written >= limit)
        ]
        used = dict(self._last_used)
        if used or due:
            async with self._database.transaction() as session:
                for which, (at, address) in sorted(used.items(), key=_in_order):
                    await _write_last_used(session, which, at, address)
                for tally, count in due:
                    record(session, _total(tally, count), tally.actor)
        for which, seen in used.items():
            if self._last_used.get(which) == seen:
                del self._last_used[which]
        for tally, count in due:
            tally.count, tally.written = tally.count - count, now  # more may have come while it was written
        self._forget(now)

    async def _write_singly(self) -> None:
        """Write each item by itself after a batch failed, and give up those that fail again: one must not hold up all others for ever."""
        for which, (at, address) in list(self._last_used.items()):
            if await self._written(partial(_write_last_used, which=which, at=at, address=address)):
                self._last_used.pop(which, None)
        for tally in (*self._uses.values(), *self._refusals.values()):
            count = tally.count
            if count and await self._written(partial(_record, tally=tally, count=count)):
                tally.count, tally.written = tally.count - count, clock.monotonic()

    async def _written(self, work: Callable[[AsyncSession], Awaitable[None]]) -> bool:
        """Whether an item is done with: written, or never to be written. A database that is away keeps it."""
        try:
            async with self._database.transaction() as session:
                await work(session)
        except Unavailable:
            return False
        except Exception:  # noqa: BLE001  whatever is wrong with it, it is given up
            _log.exception("activity.given_up")
        return True

    def _forget(self, now: float) -> None:
        """Drop tallies of which nothing came for a whole period."""
        self._uses = {b: t for b, t in self._uses.items() if t.count or now - t.written < USE_TOTALS_SECONDS}
        self._refusals = {b: t for b, t in self._refusals.items() if t.count or now - t.written < REFUSAL_TOTALS_SECONDS}


def actor(principal: Principal, origin: Origin) -> Actor:
    """Return the audit trail's view of a principal."""
    credential = principal.credential
    return Actor(
        principal.email, principal.user_id or None, principal.organization_id, credential.kind.value, credential.id, credential.name, origin
    )


async def _record(session: AsyncSession, tally: _Tally, count: int) -> None:
    record(session, _total(tally, count), tally.actor)


def _total(tally: _Tally, count: int) -> events.Event:
    event = tally.event
    return type(event)(
        target_id=event.target_id,
        target_name=event.target_name,
        outcome=event.outcome,
        reason=event.reason,
        count=count,
    )


def _in_order(item: tuple[tuple[str, int], object]) -> tuple[bool, str, int]:
    """One order for all, so that two who write do not deadlock; clients before grants, as whoever revokes a client takes them."""
    (kind, found), _ = item
    return kind != CredentialKind.CLIENT, kind, found


async def _write_last_used(session: AsyncSession, which: tuple[str, int], at: float, address: str | None) -> None:
    kind, found = which
    when = datetime.fromtimestamp(at, UTC)
    before = when - timedelta(seconds=LAST_USED_SECONDS - 1)
    if kind == CredentialKind.CLIENT:
        await session.execute(
            update(OAuthClient)
            .where(OAuthClient.id == found, or_(OAuthClient.last_used.is_(None), OAuthClient.last_used <= before))
            .values(last_used=when)
        )
        return
    if kind == CredentialKind.ACCESS_TOKEN:
        await session.execute(
            update(OAuthGrant)
            .where(OAuthGrant.id == found, OAuthGrant.ended.is_(None), or_(OAuthGrant.last_used.is_(None), OAuthGrant.last_used <= before))
            .values(last_used=when)
        )
        return
    await session.execute(
        update(ApiKey)
        .where(ApiKey.id == found, ApiKey.revoked.is_(None), or_(ApiKey.last_used.is_(None), ApiKey.last_used <= before))
        .values(last_used=when, last_used_address=address and address[:64])
    )
