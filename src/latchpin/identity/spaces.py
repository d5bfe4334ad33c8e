"""Spaces: create, change, delete, and their members' roles. `access` decides what a principal may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict, FieldProblem, Invalid, Missing
from latchpin.identity import grants
from latchpin.identity.access import visible_spaces
from latchpin.identity.principal import Principal
from latchpin.identity.queries.space_lists import SpaceRow
from latchpin.identity.roles import Group, Role
from latchpin.kit import clock, plain_text
from latchpin.kit.fields import FieldValidation
from latchpin.storage import search, subjects, violations
from latchpin.storage.generation import invalidate
from latchpin.storage.models import Agent, Space, SpaceMember, User
from latchpin.storage.models.space import SpaceScope
from latchpin.storage.subjects import EVERYTHING, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceFields:
    """What an administrator enters for a Space."""

    name: str
    description: str | None = None
    scope: SpaceScope = SpaceScope.PRIVATE
    is_default_access: bool = False
    run_retention_hours: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A user with a role in a Space."""

    user: User
    role: Role


def visible(principal: Principal) -> Select[Space]:
    """The query for the Spaces that the principal may see, by name."""
    return select(Space).where(visible_spaces(principal)).order_by(func.lower(Space.name), Space.id)


async def list_all(session: AsyncSession, principal: Principal) -> list[Space]:
    """Return the Spaces that the principal may see, by name."""
    return list((await session.scalars(visible(principal))).all())


async def get(session: AsyncSession, principal: Principal, space_id: int) -> Space:
    """Return one visible Space; raises Missing."""
    space = await session.scalar(visible(principal).where(Space.id == space_id))
    if space is None:
        raise Missing("space", space_id)
    return space


async def find(session: AsyncSession, principal: Principal, name: str) -> Space:
    """Return the visible Space of that name, any case, else the first by name that contains it. Raises Invalid (blank), Missing."""
    clean_name = plain_text.normalize(name)
    if not clean_name:
        raise Invalid("Say which name to look for.", field="name")
    query = visible(principal)
    exact = await session.scalar(query.where(search.equals(Space.name, clean_name)).limit(1))
    space = exact or await session.scalar(query.where(search.contains(Space.name, clean_name)).limit(1))
    if space is None:
        raise Missing("space")
    return space


async def group_access(session: AsyncSession, spaces: Iterable[Space]) -> dict[int, list[str]]:
    """Return the names of the groups that can enter each Space (by id), as the API's `access` lists them."""
    spaces = list(spaces)
    ids = [space.id for space in spaces]
    rows = await session.execute(
        select(SpaceMember.space_id, User.user_group)
        .join(User, User.id == SpaceMember.user_id)
        .where(SpaceMember.space_id.in_(ids))
        .distinct()
    )
    with_users = {space_id for space_id, group in rows if group == Group.USER}
    return {space.id: groups(space, has_users=space.id in with_users) for space in spaces}


def groups(space: Space | SpaceRow, *, has_users: bool) -> list[str]:
    """Return the names of the groups that can enter a Space; `has_users` says whether a user who is no administrator is a member."""
    open_to_users = has_users or space.is_default_access or space.scope is not SpaceScope.PRIVATE
    return [Group.ADMINISTRATOR.value, Group.USER.value] if open_to_users else [Group.ADMINISTRATOR.value]


async def create(session: AsyncSession, organization_id: int, fields: SpaceFields, *, by: Actor) -> Space:
    """Create a Space; raises Invalid for invalid fields or a name in use."""
    values = _validated(fields)
    at = clock.now()
    space = Space(organization_id=organization_id, initiated_by=by.name[:200], created_at=at, updated_at=at, **values)
    session.add(space)
    invalidate(session, _entrants(organization_id, space.scope))
    await _flush(session)
    changes = {"name": (None, space.name), "scope": (None, space.scope.value)}
    record(session, events.SpaceCreated(target_id=space.id, target_name=space.name, changes=changes), by)
    return space


def _entrants(organization_id: int, *scopes: object) -> Subject:
    """Who is affected by a change of a Space: its organization, or everybody where it is, or was, open to every organization."""
    return EVERYTHING if SpaceScope.GLOBAL in scopes else subjects.organization(organization_id)


async def owned(session: AsyncSession, organization_id: int, space_id: int) -> Space:
    """Return a Space of the organization itself, for changing it; raises Missing also for another organization's global Space."""
    space = await session.scalar(select(Space).where(Space.id == space_id, Space.organization_id == organization_id))
    if space is None:
        raise Missing("space", space_id)
    return space


async def change(session: AsyncSession, space: Space, fields: SpaceFields, *, by: Actor) -> Space:
    """Set a Space's fields; raises Invalid."""
    values = _validated(fields)
    changes = {name: (getattr(space, name), value) for name, value in values.items() if getattr(space, name) != value}
    if changes:
        invalidate(session, _entrants(space.organization_id, space.scope, values["scope"]))
        for name, value in values.items():
            setattr(space, name, value)
        space.updated_at = clock.now()
        await _flush(session)
        record(session, events.SpaceChanged(target_id=space.id, target_name=space.name, changes=changes), by)
    return space


async def delete(session: AsyncSession, space: Space, *, by: Actor) -> None:
    """Delete an empty Space; raises Conflict while it has agents, archived ones included, and Missing where it does not exist any more."""
    if await session.scalar(select(Space.id).where(Space.id == space.id).with_for_update()) is None:
        raise Missing("space", space.id)
    agents = await session.scalar(select(func.count()).select_from(Agent).where(Agent.space_id == space.id)) or 0
    if agents:
        them = "one agent" if agents == 1 else f"{agents} agents"
        raise Conflict(f"The Space still has {them}, archived ones counted. Move {'it' if agents == 1 else 'them'} first.")
    invalidate(session, _entrants(space.organization_id, space.scope))
    await session.execute(sql_delete(SpaceMember).where(SpaceMember.space_id == space.id))
    record(session, events.SpaceDeleted(target_id=space.id, target_name=space.name), by)
    await session.delete(space)


async def members(session: AsyncSession, space_id: int) -> list[Member]:
    """Return a Space's members with their roles, by name. Check first that the Space is visible."""
    rows = await session.execute(
        select(User, SpaceMember.role)
        .join(SpaceMember, SpaceMember.user_id == User.id)
        .where(SpaceMember.space_id == space_id)
        .order_by(func.lower(User.full_name), User.id)
    )
    return [Member(user, Role(role)) for user, role in rows]


async def set_member(session: AsyncSession, space: Space, user: User, role: Role | None, *, by: Actor) -> None:
    """Give a user a role in a Space, or remove the user (None). The user must be of the Space's organization."""
    if user.organization_id != space.organization_id:
        raise Missing("user", user.id)
    await _lock_member(session, space, user)
    row = await session.get(SpaceMember, (space.id, user.id))
    old = Role(row.role) if row else None
    if old == role:
        return
    if role is None:
        await session.delete(row)
        if space.scope is SpaceScope.PRIVATE and not space.is_default_access and user.user_group != Group.ADMINISTRATOR:
            await grants.end_in_space(session, user.id, space.id, reason="no member of its Space any more", by=by)
    elif row is None:
        session.add(SpaceMember(space_id=space.id, user_id=user.id, role=int(role), created_at=clock.now()))
    else:
        row.role = int(role)
    invalidate(session, subjects.user(user.id))
    changes = {user.email: (old.word if old else None, role.word if role else None)}
    record(session, events.SpaceMemberChanged(target_id=space.id, target_name=space.name, changes=changes), by)


async def _lock_member(session: AsyncSession, space: Space, user: User) -> None:
    """Lock the Space and the user (PostgreSQL), so that concurrent changes of one member run one after the other. Raises Missing."""
    held = select(Space.id).where(Space.id == space.id).with_for_update(key_share=True)
    if await session.scalar(held) is None:
        raise Missing("space", space.id)
    if await session.scalar(select(User.id).where(User.id == user.id).with_for_update(read=True, key_share=True)) is None:
        raise Missing("user", user.id)


async def roles_of(session: AsyncSession, user_id: int) -> list[tuple[Space, Role]]:
    """Return the Spaces of which a user is a member, with the role, by name."""
    rows = await session.execute(
        select(Space, SpaceMember.role)
        .join(SpaceMember, SpaceMember.space_id == Space.id)
        .where(SpaceMember.user_id == user_id)
        .order_by(func.lower(Space.name))
    )
    return [(space, Role(role)) for space, role in rows]


def _validated(fields: SpaceFields) -> dict[str, Any]:
    form = FieldValidation()
    values: dict[str, Any] = {
        "name": form.line("name", fields.name, most=200),
        "description": form.optional_line("description", fields.description, most=2000),
        "scope": fields.scope,
        "is_default_access": fields.is_default_access,
        "run_retention_hours": form.number("run_retention_hours", fields.run_retention_hours, least=1, most=87_600),
    }
    form.done()
    return values


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        if not violations.is_unique(error):
            raise
        problem = FieldProblem("name", "The organization has a Space of this name already.")
        raise Invalid("One entry was refused; nothing was changed.", problems=[problem]) from None
