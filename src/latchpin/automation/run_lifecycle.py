"""The states of a run and the one function that changes them.

A run moves only along `EDGES`, and each move leaves a row in `run_transitions` in the same transaction. A worker's move carries its
lease, which the database compares: an owner that lost its lease changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import CursorResult, case, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from latchpin.audit import Actor
from latchpin.identity.roles import CredentialKind
from latchpin.kit import clock
from latchpin.storage.models import Agent, Run, RunTransition
from latchpin.storage.models.agent import RunStatus
from latchpin.storage.models.run import TransitionCause

_LOCK = 7202333  # the class of advisory locks that runs use
_S = RunStatus

ACCEPTED = frozenset({_S.QUEUING, _S.WAITING})
EXECUTING = frozenset({_S.STARTING, _S.RUNNING, _S.EXPORTING, _S.STOPPING})
IN_PROGRESS = ACCEPTED | EXECUTING
FINISHED = frozenset({_S.FAILURE, _S.FAILED, _S.STOPPED, _S.COMPLETED, _S.SUCCESS, _S.SKIPPED})
EDGES: Mapping[RunStatus | None, frozenset[RunStatus]] = MappingProxyType(
    {
        None: frozenset({_S.QUEUING, _S.WAITING, _S.SKIPPED, _S.FAILURE}),
        _S.WAITING: frozenset({_S.QUEUING, _S.STOPPED, _S.SKIPPED, _S.FAILURE}),
        _S.QUEUING: frozenset({_S.STARTING, _S.STOPPED, _S.SKIPPED, _S.FAILURE}),
        _S.STARTING: frozenset({_S.RUNNING, _S.STOPPING, _S.FAILURE, _S.QUEUING}),
        _S.RUNNING: frozenset({_S.EXPORTING, _S.STOPPING, _S.FAILURE, _S.QUEUING}),
        _S.EXPORTING: frozenset({_S.COMPLETED, _S.SUCCESS, _S.FAILURE, _S.QUEUING}),
        _S.STOPPING: frozenset({_S.STOPPED}),
        _S.FAILURE: frozenset({_S.QUEUING, _S.FAILED}),
    }
)
NO_COUNTERS: Mapping[str, Any] = MappingProxyType(
    dict.fromkeys(
        (
            "action_count",
            "page_count",
            "dynamic_page_count",
            "request_count",
            "data_count",
            "error_count",
            "export_count",
            "traffic",
        ),
        0,
    )
    | {"field_counts": None}
)


class IllegalMove(Exception):
    """A part of the deployment tried to move a run along no edge; a bug, never a caller's mistake."""


class StatusChanged(Exception):
    """Somebody else moved the run since it was read; read it again."""


class LeaseLost(Exception):
    """The worker no longer owns the run and may write nothing to it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a worker must present with every write: the run, its own id, and the fencing token of its attempt."""

    run_id: int
    owner: int
    fencing_token: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run moves, and on whose behalf."""

    kind: TransitionCause
    actor_id: int | None = None
    actor_name: str | None = None


_BY_CREDENTIAL = {
    CredentialKind.API_KEY.value: TransitionCause.API_KEY,
    CredentialKind.ACCESS_TOKEN.value: TransitionCause.APP,
    CredentialKind.CLIENT.value: TransitionCause.APP,
}


def cause_of(by: Actor) -> Cause:
    """Return the cause for a caller: a person, a key or an app, with a name for people."""
    kind = _BY_CREDENTIAL.get(by.credential_kind, TransitionCause.PERSON)
    return Cause(kind, by.user_id or None, by.name[:200])


async def lock(session: AsyncSession, organization_id: int) -> None:
    """Make transactions that move runs of an organization take turns; call it before any of these rows is locked.

    SQLite has one writer anyway. On PostgreSQL runs, agents and slots are locked in various orders, so that one lock for all of them
    is what keeps two moves from waiting for each other.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:kind, :id)"), {"kind": _LOCK, "id": organization_id})


async def created(session: AsyncSession, run: Run, cause: Cause) -> None:
    """Record a new run's first status, after its row was flushed."""
    _require_edge(None, run.status)
    await _record(session, run, None, run.status, cause, run.message, run.created_at)
    await _touch_agent(session, run, run.status, run.created_at)


async def move(
    session: AsyncSession,
    run: Run,
    to: RunStatus,
    cause: Cause,
    *,
    message: str | None = None,
    lease: Lease | None = None,
    values: Mapping[str, Any] | None = None,
) -> None:
    """Move a run to another status; `message` replaces the run's, `values` are further columns of the same update.

    Call `lock` first. Raises IllegalMove, LeaseLost (with `lease`), StatusChanged if another transaction has moved it.
    """
    _require_edge(run.status, to)
    at = clock.now()
    changes = {"status": to, "message": message, **_stamps(to, at), **(values or {})}
    # Agents are locked before their runs, as when an agent is moved; SQLite ignores FOR UPDATE.
    await session.execute(select(Agent.id).where(Agent.id == run.agent_id).with_for_update(key_share=True))
    where = [Run.id == run.id, Run.status == run.status]
    if lease is not None:
        where += [Run.owner == lease.owner, Run.fencing_token == lease.fencing_token]
    done: CursorResult[Any] = await session.execute(  # type: ignore[assignment]
        update(Run).where(*where).values(**changes).execution_options(synchronize_session=False)
    )
    if done.rowcount == 0:
        raise await _why(session, run, lease)
    before = run.status
    for name, value in changes.items():
        set_committed_value(run, name, value)
    await _record(session, run, before, to, cause, message, at)
    await _touch_agent(session, run, to, at)


def _require_edge(before: RunStatus | None, to: RunStatus) -> None:
    if to not in EDGES.get(before, frozenset()):
        message = f"a run does not go from {before.name if before is not None else 'nothing'} to {to.name}"
        raise IllegalMove(message)


def _stamps(to: RunStatus, at: datetime) -> dict[str, Any]:
    """Return the other columns that change with a status."""
    if to is _S.FAILED:
        return {"archived_at": at}
    if to in FINISHED:
        return {"ended_at": at, "owner": None, "lease_expires_at": None}
    if to is _S.QUEUING:
        return {
            **NO_COUNTERS,
            "admitted_at": None,
            "started_at": None,
            "ended_at": None,
            "owner": None,
            "server_name": None,
            "lease_expires_at": None,
            "stop_requested_at": None,
            "stop_requested_by": None,
            "kill_requested_at": None,
        }
    return {}


async def _why(session: AsyncSession, run: Run, lease: Lease | None) -> Exception:
    if lease is not None:
        query = select(Run.owner, Run.fencing_token).where(Run.id == run.id)
        row = (await session.execute(query)).one_or_none()
        if row is None or tuple(row) != (lease.owner, lease.fencing_token):
            return LeaseLost(f"run {run.id}")
    return StatusChanged(f"run {run.id}")


async def _record(
    session: AsyncSession, run: Run, before: RunStatus | None, to: RunStatus, cause: Cause, message: str | None, at: datetime
) -> None:
    last = await session.scalar(select(func.max(RunTransition.ordinal)).where(RunTransition.run_id == run.id))
    session.add(
        RunTransition(
            run_id=run.id,
            ordinal=(last or 0) + 1,
            from_status=before,
            to_status=to,
            at=at,
            cause=cause.kind,
            actor_id=cause.actor_id,
            actor_name=cause.actor_name,
            message=message,
        )
    )
    await session.flush()


async def _touch_agent(session: AsyncSession, run: Run, to: RunStatus, at: datetime) -> None:
    """Update the agent's row: its last run's status, when something happened, and how many of its runs have not ended."""
    unfinished = select(func.count()).where(Run.agent_id == run.agent_id, Run.ended_at.is_(None)).scalar_subquery()
    await session.execute(
        update(Agent)
        .where(Agent.id == run.agent_id)
        .values(
            active_runs=unfinished,
            last_activity_at=at,
            status=case((Agent.started_runs == run.sequence, int(to)), else_=Agent.status),
        )
        .execution_options(synchronize_session=False)
    )
