"""From stored objects to the rows that pages show. Pure: everything comes in as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from latchpin.identity import active_keys, scopes
from latchpin.identity.roles import Role
from latchpin.identity.scopes import Access
from latchpin.identity.user_list import UserSummary
from latchpin.storage.models import AgentVersion, ApiKey, BrowserSession, Space, User
from latchpin.storage.models.user import UserStatus
from latchpin.web.views.api_keys import KeyOwner, KeyRow, KeyState
from latchpin.web.views.automation import AgentRow, MemberRow, SpaceRow, VersionRow
from latchpin.web.views.organization import SessionRow
from latchpin.web.views.users import UserRow, UserState

SOON = timedelta(days=30)
ACCESS_NAMES = {
    Access.FULL: "Full access",
    Access.READ_ONLY: "Read-only",
    Access.RUNS_ONLY: "Runs-only",
    Access.BILLING_ONLY: "Billing-only",
}


def owner(user: User) -> KeyOwner:
    """The user a key acts for."""
    return KeyOwner(user.id, user.full_name, user.email, user.status is UserStatus.ACTIVE)


def key(found: ApiKey, now: datetime, names: Mapping[int, str] = MappingProxyType({})) -> KeyRow:
    """One API key; `names` are full names by user id, for a maker who is still there."""
    carried = scopes.parse(found.scopes)
    access = scopes.named(carried)
    return KeyRow(
        id=found.id,
        description=found.description or "",
        prefix=found.prefix,
        access=ACCESS_NAMES[access] if access else "Custom",
        scopes=tuple(found.scopes.split()),
        networks=tuple(found.networks.split()),
        created=found.created,
        created_by=names.get(found.created_by_id or 0, found.created_by_name),
        expires=found.expires,
        last_used=found.last_used,
        last_used_address=found.last_used_address or "",
        state=_key_state(found, now),
        revoked=found.revoked,
        revoked_by=found.revoked_by_name or "",
        revoked_reason=found.revoked_reason or "",
    )


def _key_state(found: ApiKey, now: datetime) -> KeyState:
    status = active_keys.status(found, now)
    return "expiring" if status == "active" and found.expires <= now + SOON else status


def user(found: UserSummary, *, me: int) -> UserRow:
    """One user of a list."""
    return _user(found.user, found.active_keys, found.keys_expiring, me)


def user_alone(found: User, keys: list[ApiKey], now: datetime, *, me: int) -> UserRow:
    """One user with their keys at hand."""
    states = [_key_state(each, now) for each in keys]
    return _user(found, sum(state in ("active", "expiring") for state in states), states.count("expiring"), me)


def _user(found: User, live: int, expiring: int, me: int) -> UserRow:
    state: UserState = "active"
    if found.status is not UserStatus.ACTIVE:
        state = "disabled"
    elif found.must_change_password:
        state = "invited"
    return UserRow(
        found.id,
        found.full_name,
        found.email,
        found.user_group,
        state,
        live,
        expiring,
        found.last_sign_in,
        found.created,
        found.id == me,
    )


def agent(found: Any, *, spaces: dict[int, str], owners: dict[int, str], editable: bool) -> AgentRow:  # noqa: ANN401
    """One agent; `found` is an Agent or a row with its columns."""
    return AgentRow(
        found.id,
        found.name,
        found.description or "",
        found.space_id,
        spaces.get(found.space_id, "") if found.space_id else "",
        owners.get(found.user_id, "") if found.user_id else "An app",
        found.version,
        found.start_url or "",
        found.updated,
        found.created,
        found.archived is not None,
        editable,
    )


def version(found: AgentVersion, *, current: int, names: Mapping[int, str], at_home: bool) -> VersionRow:
    """One version of an agent; `names` are full names by user id, for an author who is still there.

    `at_home` says whether the agent is of the viewer's organization; the people of another one are not named.
    """
    author = names.get(found.user_id or 0, found.user_name) if at_home else "Another organization"
    return VersionRow(found.version, author, found.created, found.comments or "", found.file_size, found.version == current)


def space(found: Space, *, agents: int, members: int, role: Role | None, manageable: bool) -> SpaceRow:
    """One Space, with what the viewer may do in it."""
    return SpaceRow(
        found.id,
        found.name,
        found.description or "",
        found.scope.value,
        found.is_default_access,
        members,
        agents,
        role.word.capitalize() if role else "",
        found.created,
        manageable,
    )


def member(found: User, role: Role) -> MemberRow:
    """One member of a Space."""
    return MemberRow(found.id, found.full_name, found.email, role.word.capitalize(), found.status is UserStatus.ACTIVE)


def browser_session(found: BrowserSession, *, current: int) -> SessionRow:
    """One browser session of the viewer."""
    return SessionRow(found.id, browser(found.user_agent), found.address, found.created, found.last_seen, found.id == current)


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser(user_agent: str) -> str:
    """A browser and system in two words, as well as the user agent text tells."""
    name = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if name and system:
        return f"{name} on {system}"
    return name or system or "Unknown browser"
