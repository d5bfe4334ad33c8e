"""From stored objects to the rows that pages show. Pure: everything comes in as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from latchpin.identity import active_keys, scopes
from latchpin.identity.queries.user_list import UserSummary
from latchpin.identity.roles import Role
from latchpin.identity.scopes import Access
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


def key(api_key: ApiKey, now: datetime, names: Mapping[int, str] = MappingProxyType({})) -> KeyRow:
    """One API key; `names` are full names by user id, if the user who created it still exists."""
    key_scopes = scopes.parse(api_key.scopes)
    access = scopes.access_of(key_scopes)
    return KeyRow(
        id=api_key.id,
        description=api_key.description or "",
        prefix=api_key.prefix,
        access=ACCESS_NAMES[access] if access else "Custom",
        scopes=tuple(api_key.scopes.split()),
        networks=tuple(api_key.networks.split()),
        created_at=api_key.created_at,
        created_by=names.get(api_key.created_by_id or 0, api_key.created_by_name),
        expires_at=api_key.expires_at,
        last_used_at=api_key.last_used_at,
        last_used_address=api_key.last_used_address or "",
        state=_key_state(api_key, now),
        revoked_at=api_key.revoked_at,
        revoked_by=api_key.revoked_by_name or "",
        revoked_reason=api_key.revoked_reason or "",
    )


def _key_state(api_key: ApiKey, now: datetime) -> KeyState:
    status = active_keys.status(api_key, now)
    return "expiring" if status == "active" and api_key.expires_at <= now + SOON else status


def user(summary: UserSummary, *, me: int) -> UserRow:
    """One user of a list."""
    return _user(summary.user, summary.active_keys, summary.keys_expiring, me)


def user_alone(user: User, keys: list[ApiKey], now: datetime, *, me: int) -> UserRow:
    """One user, from the user and their keys."""
    states = [_key_state(each, now) for each in keys]
    return _user(user, sum(state in ("active", "expiring") for state in states), states.count("expiring"), me)


def _user(user: User, active_count: int, expiring_count: int, me: int) -> UserRow:
    state: UserState = "active"
    if user.status is not UserStatus.ACTIVE:
        state = "disabled"
    elif user.must_change_password:
        state = "invited"
    return UserRow(
        user.id,
        user.full_name,
        user.email,
        user.user_group,
        state,
        active_count,
        expiring_count,
        user.last_sign_in_at,
        user.created_at,
        user.id == me,
    )


def agent(record: Any, *, spaces: dict[int, str], owners: dict[int, str], editable: bool) -> AgentRow:  # noqa: ANN401
    """One agent; `record` is an Agent or a row with its columns."""
    return AgentRow(
        record.id,
        record.name,
        record.description or "",
        record.space_id,
        spaces.get(record.space_id, "") if record.space_id else "",
        owners.get(record.user_id, "") if record.user_id else "An app",
        record.version,
        record.start_url or "",
        record.updated_at,
        record.created_at,
        record.archived_at is not None,
        editable,
    )


def version(agent_version: AgentVersion, *, current: int, names: Mapping[int, str], at_home: bool) -> VersionRow:
    """One version of an agent; `names` are full names by user id, for authors who still exist.

    `at_home` says whether the agent is of the viewer's organization; the people of another one are not named.
    """
    author = names.get(agent_version.user_id or 0, agent_version.user_name) if at_home else "Another organization"
    return VersionRow(
        agent_version.version,
        author,
        agent_version.created_at,
        agent_version.comments or "",
        agent_version.file_size,
        agent_version.version == current,
    )


def space(record: Space, *, agents: int, members: int, role: Role | None, manageable: bool) -> SpaceRow:
    """One Space, with what the viewer may do in it."""
    return SpaceRow(
        record.id,
        record.name,
        record.description or "",
        record.scope.value,
        record.is_default_access,
        members,
        agents,
        role.word.capitalize() if role else "",
        record.created_at,
        manageable,
    )


def member(user: User, role: Role) -> MemberRow:
    """One member of a Space."""
    return MemberRow(user.id, user.full_name, user.email, role.word.capitalize(), user.status is UserStatus.ACTIVE)


def browser_session(record: BrowserSession, *, current: int) -> SessionRow:
    """One browser session of the viewer."""
    return SessionRow(record.id, browser(record.user_agent), record.address, record.created_at, record.last_seen_at, record.id == current)


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
    """Browser and operating system in short, as far as the User-Agent shows them."""
    name = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if name and system:
        return f"{name} on {system}"
    return name or system or "Unknown browser"
