"""Single agents and their saved versions; `agent_lists` has the lists.

Every read starts from `access.visible_agents`; a change checks first that the agent is visible (Missing), then the role (Denied).
"""

from __future__ import annotations

import asyncio

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from latchpin.audit import Actor, events, record
from latchpin.automation import definitions
from latchpin.errors import Conflict, Denied, Missing
from latchpin.identity import access
from latchpin.identity.principal import Principal
from latchpin.identity.roles import CredentialKind, Role
from latchpin.kit import clock, plain_text
from latchpin.kit.fields import FieldValidation
from latchpin.storage.models import Agent, AgentVersion, Run, Space
from latchpin.storage.models.agent import ConfigType

MOST_VERSIONS = 1_000


async def get(session: AsyncSession, principal: Principal, agent_id: int) -> Agent:
    """Return one visible agent, archived or not; raises Missing."""
    agent = await session.scalar(select(Agent).where(access.visible_agents(principal), Agent.id == agent_id))
    if agent is None:
        raise Missing("agent", agent_id)
    return agent


async def get_for_change(session: AsyncSession, principal: Principal, agent_id: int) -> Agent:
    """Return one visible agent that the principal may change, locked until the commit; raises Missing, then Denied."""
    query = select(Agent).where(access.visible_agents(principal), Agent.id == agent_id).with_for_update(of=Agent, key_share=True)
    agent = await session.scalar(query)
    if agent is None:
        raise Missing("agent", agent_id)
    await access.require_role(session, principal, agent.space_id, Role.EDITOR)
    return agent


async def versions(session: AsyncSession, agent_id: int, *, limit: int | None = None) -> list[AgentVersion]:
    """Return an agent's versions, newest first, without their definitions (see `version`). Check first that the agent is visible."""
    query = select(AgentVersion).where(AgentVersion.agent_id == agent_id).order_by(AgentVersion.version.desc()).limit(limit)
    query = query.options(defer(AgentVersion.definition, raiseload=True))
    return list((await session.scalars(query)).all())


async def version(session: AsyncSession, agent_id: int, number: int) -> AgentVersion:
    """Return one version of an agent; raises Missing."""
    query = select(AgentVersion).where(AgentVersion.agent_id == agent_id, AgentVersion.version == number)
    agent_version = await session.scalar(query)
    if agent_version is None:
        raise Missing("version", number)
    return agent_version


async def parse(text: str) -> definitions.Definition:
    """Read a definition in a thread, at the edge and outside any transaction: it takes up to tens of milliseconds of processor time."""
    return await asyncio.to_thread(definitions.parse, text)


async def create(
    session: AsyncSession,
    principal: Principal,
    text: str,
    *,
    space_id: int | None,
    parsed: definitions.Definition | None = None,
    comment: str | None = None,
    by: Actor,
) -> Agent:
    """Make an agent from a definition, in a Space where the principal is an editor, or (None) in its user's personal Space.

    `parsed` is the result of `parse` for this text; a server gives it, so that no transaction waits for the parser.
    An agent that an app makes on its own behalf has no owner.
    Raises DefinitionError (an Invalid) with every problem of the text, Missing for a Space that is not visible, Denied.
    """
    await _require_editor(session, principal, space_id)
    parsed = parsed or definitions.parse(text)
    require_sound_comment(comment)
    at = clock.now()
    owner_id = principal.user_id or None
    agent = Agent(organization_id=principal.organization_id, space_id=space_id, user_id=owner_id, version=0, created_at=at)
    _apply(agent, parsed)
    session.add(agent)
    await session.flush()
    await _add_version(session, agent, text, comment, by)
    changes = {"version": (None, 1), "space_id": (None, space_id)}
    record(session, events.AgentCreated(target_id=agent.id, target_name=agent.name, changes=changes), by)
    return agent


async def change(
    session: AsyncSession,
    agent: Agent,
    text: str,
    *,
    parsed: definitions.Definition | None = None,
    comment: str | None = None,
    by: Actor,
) -> Agent:
    """Save a new version from a definition; `parsed` as for `create`.

    Get the agent by `get_for_change`. A text that is the same by `definitions.is_same` adds no version.

    Raises DefinitionError, Conflict where the agent has too many versions.
    """
    parsed = parsed or definitions.parse(text)
    require_sound_comment(comment)
    current = await version(session, agent.id, agent.version)
    if definitions.is_same(current.definition, text, parsed):
        return agent
    _apply(agent, parsed)
    await _add_version(session, agent, text, comment, by)
    changes = {"version": (current.version, agent.version)}
    record(session, events.AgentChanged(target_id=agent.id, target_name=agent.name, changes=changes, reason=_short(comment)), by)
    return agent


async def restore(
    session: AsyncSession,
    agent: Agent,
    number: int,
    *,
    parsed: definitions.Definition | None = None,
    comment: str | None,
    by: Actor,
) -> Agent:
    """Make an old version's text the newest version; the version number rises. `parsed` as for `create`: stored texts never change.

    Raises Missing for an unknown version, Conflict where the agent has too many.
    """
    require_sound_comment(comment)
    old = await version(session, agent.id, number)
    was = agent.version
    _apply(agent, parsed or definitions.parse(old.definition))
    await _add_version(session, agent, old.definition, comment or f"Restored version {number}", by)
    changes = {"version": (was, agent.version), "restored_from": (None, number)}
    record(session, events.AgentChanged(target_id=agent.id, target_name=agent.name, changes=changes, reason=_short(comment)), by)
    return agent


async def move(session: AsyncSession, principal: Principal, agent: Agent, space_id: int | None, *, by: Actor) -> None:
    """Move an agent with its runs to another Space, or (None) into its owner's personal Space. Get the agent by `get_for_change`.

    The principal must be an editor there as well. Raises Missing for a Space that is not visible, Denied, and Denied for everybody but
    the owner if the target is a personal Space. Moving it to the Space where it is changes nothing.
    """
    await _require_editor(session, principal, space_id)
    if space_id is None and agent.user_id != principal.user_id:
        raise Denied("Only its owner can move an agent into their personal Space.")
    if agent.space_id == space_id:
        return
    names = await _names_of_spaces(session, agent.space_id, space_id)
    changes = {"space_id": (agent.space_id, space_id), "space": (names[agent.space_id], names[space_id])}
    agent.space_id = space_id
    await session.flush()
    here = {"space_id": space_id, "concurrency_group": group_of_runs(agent)}
    await session.execute(update(Run).where(Run.agent_id == agent.id).values(**here).execution_options(synchronize_session=False))
    record(session, events.AgentMoved(target_id=agent.id, target_name=agent.name, changes=changes), by)


async def move_all(session: AsyncSession, principal: Principal, source_id: int, space_id: int, *, by: Actor) -> int:
    """Move every agent of a Space, archived ones too, to another, for an administrator; returns how many. Raises Missing, Denied."""
    await _require_editor(session, principal, source_id)
    await _require_editor(session, principal, space_id)
    query = select(Agent).where(Agent.space_id == source_id).order_by(Agent.id).with_for_update(key_share=True)
    agents = (await session.scalars(query)).all()
    for agent in agents:
        await move(session, principal, agent, space_id, by=by)
    return len(agents)


def group_of_runs(agent: Agent) -> int:
    """Return the group whose slots an agent's runs take: its Space, or minus the owner's id for a personal Space."""
    return agent.space_id or -(agent.user_id or 0)


async def _names_of_spaces(session: AsyncSession, *ids: int | None) -> dict[int | None, str]:
    """Return the names of Spaces by id, locked against deletion until the commit; raises Missing for one that is gone."""
    space_ids = [each for each in ids if each is not None]
    query = select(Space.id, Space.name).where(Space.id.in_(space_ids)).order_by(Space.id).with_for_update(read=True, key_share=True)
    names: dict[int | None, str] = {row.id: row.name for row in await session.execute(query)}
    for each in space_ids:
        if each not in names:
            raise Missing("space", each)
    return names | {None: "Personal"}


async def archive(session: AsyncSession, agent: Agent, *, by: Actor) -> None:
    """Hide an agent without deleting it; doing it twice changes nothing."""
    if agent.archived_at is None:
        agent.archived_at = clock.now()
        record(session, events.AgentArchived(target_id=agent.id, target_name=agent.name), by)


async def unarchive(session: AsyncSession, agent: Agent, *, by: Actor) -> None:
    """Restore an archived agent to the lists; doing it twice changes nothing."""
    if agent.archived_at is not None:
        agent.archived_at = None
        record(session, events.AgentUnarchived(target_id=agent.id, target_name=agent.name), by)


async def by_name(session: AsyncSession, principal: Principal, name: str, space_id: int | None) -> Agent | None:
    """Return the visible agent of exactly this name in a Space, or (None) in the personal Space; for `latchpin agent apply`."""
    in_space = Agent.space_id == space_id if space_id is not None else Agent.space_id.is_(None)
    query = select(Agent).where(access.visible_agents(principal), in_space, Agent.name == name).order_by(Agent.id).limit(1)
    return await session.scalar(query)


async def _require_editor(session: AsyncSession, principal: Principal, space_id: int | None) -> None:
    """Raise Missing for a Space that the principal cannot enter, Denied for one that it cannot write to: it must see what it makes."""
    role = await access.role_in(session, principal, space_id)
    if role is None and space_id is None:
        message = "This credential cannot use a personal Space. Name a Space that it may use: `spaceId` is the Space's id."
        raise Denied(message)
    if role is None:
        raise Missing("space", space_id)
    await access.require_role(session, principal, space_id, Role.EDITOR)


def _apply(agent: Agent, parsed: definitions.Definition) -> None:
    agent.name, agent.description, agent.documentation = parsed.name, parsed.description, parsed.documentation
    agent.config_type = ConfigType(int(parsed.type.config_type))
    agent.start_url = parsed.start_url
    agent.input_parameters = msgspec.json.encode(definitions.input_defaults(parsed)).decode()
    agent.updated_at = clock.now()


async def _add_version(session: AsyncSession, agent: Agent, text: str, comment: str | None, by: Actor) -> None:
    if agent.version >= MOST_VERSIONS:
        message = f"The agent has {agent.version:,} saved versions, the most there can be. Create a new agent from this definition."
        raise Conflict(message)
    agent.version += 1
    text = definitions.with_line_feeds(text)
    row = AgentVersion(
        agent_id=agent.id,
        version=agent.version,
        definition=text,
        file_size=len(text.encode()),
        comments=_short(comment),
        user_id=by.user_id,
        user_name=_author(by)[:200],
        created_at=clock.now(),
    )
    session.add(row)
    await session.flush()


def _author(by: Actor) -> str:
    """Return who saved a version; an app that acts on its own behalf is named by the client's name."""
    is_app = by.user_id is None and by.credential_kind == CredentialKind.ACCESS_TOKEN
    return by.credential_name if is_app else by.name


def require_sound_comment(comment: str | None) -> None:
    """Raise Invalid for a comment that cannot be stored with a version; `create`, `change` and `restore` call this themselves."""
    form = FieldValidation()
    form.line("comment", _short(comment) or "", most=200, required=False)
    if not form.problems:
        form.no_key("comment", comment or "")  # also if it is cut afterwards
    form.done()


def _short(comment: str | None) -> str | None:
    clean = plain_text.normalize(" ".join((comment or "").split()))
    return clean[:200] or None
