"""The access decision: what a principal may see and do, at this moment.

Effective right = the credential's scope AND the user's group AND the user's role in the object's Space. `visible_*` give the SQL condition
that every read of Space-owned rows starts from; `require_role` decides on one object that is already known to be visible.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Denied
from latchpin.identity.principal import Principal
from latchpin.identity.roles import Group, Permission, Role
from latchpin.storage.models import Agent, Space, SpaceMember
from latchpin.storage.models.space import SpaceScope


class InsufficientScope(Denied):
    """The credential lacks the scope; `needed` is the scope that would be enough (RFC 6750 section 3.1)."""

    code = "insufficient_scope"

    def __init__(self, needed: str) -> None:
        super().__init__(
            f"This credential does not carry the scope {needed}. Use a key whose access includes it, which an administrator issues "
            "under Users, Manage API keys; an app asks its user for the scope."
        )
        self.needed = needed


def allow(principal: Principal, permission: Permission) -> None:
    """Check what does not depend on the object itself: kind of credential, scope, group. Raises Denied or InsufficientScope."""
    if principal.credential.kind not in permission.kinds:
        raise Denied(
            "An API key or an app cannot do this: administration is for signed-in administrators in the Control Center.",
            code="credential_not_allowed",
        )
    if permission.scope is not None and permission.scope not in principal.scopes:
        raise InsufficientScope(permission.scope.value)
    if permission.group is Group.ADMINISTRATOR and not principal.is_administrator:
        raise Denied("Only administrators of the organization may do this. Ask one of them.")


class NamedSpace(NamedTuple):
    """The id and name of a Space, for callers who may enter it."""

    id: int
    name: str


class VisibilityRules(NamedTuple):
    """Which objects a principal can see. One SQL statement is built for each value, and executed with `visibility_params`."""

    as_app: bool
    as_administrator: bool
    restricted: bool
    personal: bool


def visibility_of(principal: Principal) -> VisibilityRules:
    """Return the visibility rules for the principal."""
    personal = principal.only is None or None in principal.only
    return VisibilityRules(principal.roles is not None, principal.is_administrator, principal.only is not None, personal)


def visibility_params(principal: Principal) -> dict[str, Any]:
    """Return the values of the conditions `spaces_in` and `agents_in`; a statement that is executed without them fails."""
    space_ids = principal.only or () if principal.roles is None else principal.roles
    return {
        "seer": principal.user_id,
        "seer_organization": principal.organization_id,
        "seer_spaces": [each for each in space_ids if each is not None],
    }


def visible_spaces(principal: Principal) -> ColumnElement[bool]:
    """The SQL condition for the Spaces that the principal may see; administrators see every Space of their organization."""
    return _spaces(visibility_of(principal), visibility_params(principal))


def visible_agents(principal: Principal) -> ColumnElement[bool]:
    """The SQL condition for the visible agents: those in visible Spaces, and the principal's own personal ones."""
    return _agents(visibility_of(principal), visibility_params(principal))


_VISIBLE_SPACES: Mapping[str, Any] = MappingProxyType(
    {
        "seer": bindparam("seer"),
        "seer_organization": bindparam("seer_organization"),
        "seer_spaces": bindparam("seer_spaces", expanding=True),
    }
)


@cache
def spaces_in(rules: VisibilityRules) -> ColumnElement[bool]:
    """`visible_spaces` for all principals with these rules; the statement is executed with `visibility_params`."""
    return _spaces(rules, _VISIBLE_SPACES)


@cache
def agents_in(rules: VisibilityRules) -> ColumnElement[bool]:
    """`visible_agents` for all principals with these rules; the statement is executed with `visibility_params`."""
    return _agents(rules, _VISIBLE_SPACES)


def _spaces(rules: VisibilityRules, values: Mapping[str, Any]) -> ColumnElement[bool]:
    in_allowed_spaces = Space.id.in_(values["seer_spaces"])
    if rules.as_app:
        return in_allowed_spaces
    return and_(in_allowed_spaces, _open_to_user(rules, values)) if rules.restricted else _open_to_user(rules, values)


def _open_to_user(rules: VisibilityRules, values: Mapping[str, Any]) -> ColumnElement[bool]:
    everywhere = Space.scope == SpaceScope.GLOBAL
    at_home = Space.organization_id == values["seer_organization"]
    if rules.as_administrator:
        return or_(at_home, everywhere)
    # Correlate only Space: a surrounding query that joins members itself must not supply its own member table here.
    member = exists().where(SpaceMember.space_id == Space.id, SpaceMember.user_id == values["seer"]).correlate(Space)
    open_ = or_(Space.scope == SpaceScope.PUBLIC, Space.is_default_access, member)
    return or_(and_(at_home, open_), everywhere)


def _agents(rules: VisibilityRules, values: Mapping[str, Any]) -> ColumnElement[bool]:
    inside = Agent.space_id.in_(select(Space.id).where(_spaces(rules, values)))
    personal = and_(Agent.space_id.is_(None), Agent.user_id == values["seer"])
    return or_(inside, personal) if rules.personal else inside


async def role_in(session: AsyncSession, principal: Principal, space_id: int | None) -> Role | None:
    """Return the principal's role in a Space, None for none. The personal Space (None) makes its owner an editor: check ownership first."""
    if principal.only is not None and space_id not in principal.only:
        return None
    if principal.roles is not None:
        return None if space_id is None else principal.roles.get(space_id)
    if space_id is None:
        return Role.EDITOR
    row = (
        await session.execute(
            select(Space.organization_id, Space.scope, Space.is_default_access, SpaceMember.role)
            .outerjoin(SpaceMember, and_(SpaceMember.space_id == Space.id, SpaceMember.user_id == principal.user_id))
            .where(Space.id == space_id)
        )
    ).one_or_none()
    if row is None:
        return None
    return _role(principal, row)


def _role(principal: Principal, row: Any) -> Role | None:  # noqa: ANN401  a row with organization_id, scope, is_default_access, role
    roles: list[Role] = []
    if row.organization_id == principal.organization_id:
        if principal.is_administrator:
            return Role.EDITOR
        if row.role is not None:
            roles.append(Role(row.role))
        if row.is_default_access:
            roles.append(Role.OPERATOR)
        if row.scope is SpaceScope.PUBLIC:
            roles.append(Role.VIEWER)
    if row.scope is SpaceScope.GLOBAL:
        roles.append(Role.VIEWER)
    return max(roles, default=None)


async def require_role(session: AsyncSession, principal: Principal, space_id: int | None, role: Role) -> None:
    """Raise Denied unless the principal has `role` in the Space. Call it only for an object that is known to be visible."""
    actual_role = await role_in(session, principal, space_id)
    if actual_role is None or actual_role < role:
        raise Denied(
            f"This needs the role {role.word} in the Space; yours is {actual_role.word if actual_role else 'none'}. Ask an administrator."
        )


async def roles_in_all(session: AsyncSession, principal: Principal) -> list[tuple[NamedSpace, Role]]:
    """Return every Space that the principal may enter, with the role there, by id."""
    rows = await session.execute(_enterable(visibility_of(principal)), visibility_params(principal))
    if principal.roles is not None:
        return [(NamedSpace(row.id, row.name), principal.roles[row.id]) for row in rows]
    return [(NamedSpace(row.id, row.name), role) for row in rows if (role := _role(principal, row)) is not None]


@cache
def _enterable(rules: VisibilityRules) -> Select[Any]:
    """Query Spaces with the columns that decide the role in each. The statement is cached: building it takes longer than running it."""
    space, member = Space.__table__.c, SpaceMember.__table__.c
    own = and_(member.space_id == space.id, member.user_id == _VISIBLE_SPACES["seer"])
    return (
        select(space.id, space.name, space.organization_id, space.scope, space.is_default_access, member.role)
        .select_from(Space.__table__.outerjoin(SpaceMember.__table__, own))
        .where(spaces_in(rules))
        .order_by(space.id)
    )
