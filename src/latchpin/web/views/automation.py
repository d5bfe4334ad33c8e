"""Agents and Spaces, as the Control Center shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from latchpin.web.views.common import Form, Listing, Option, Problem, Shell, initials


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent. ``space_id`` is None in the owner's personal space; ``editable`` is what the viewer may do."""

    id: int
    name: str
    description: str
    space_id: int | None
    space_name: str
    owner: str
    version: int
    start_url: str
    updated_at: datetime
    created_at: datetime
    archived: bool
    editable: bool


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One saved version of an agent; sizes are bytes."""

    number: int
    author: str
    created_at: datetime
    comment: str
    size: int
    current: bool


@dataclass(frozen=True, slots=True)
class InputRow:
    """One input parameter; an encrypted default is never shown."""

    name: str
    default: str
    encrypted: bool


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of the records an agent collects."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Agents:
    """The list of agents."""

    shell: Shell
    listing: Listing
    rows: tuple[AgentRow, ...]
    spaces: tuple[Option, ...]
    space: str
    statuses: tuple[Option, ...]
    status: str
    can_create: bool


@dataclass(frozen=True, slots=True)
class AgentDetails:
    """One agent. ``tab`` is overview, definition or versions."""

    shell: Shell
    agent: AgentRow
    tab: str
    inputs: tuple[InputRow, ...]
    fields: tuple[FieldRow, ...]
    facts: tuple[tuple[str, str], ...]
    definition: str
    versions: tuple[VersionRow, ...]


@dataclass(frozen=True, slots=True)
class AgentVersion:
    """The definition as it was in one version."""

    shell: Shell
    agent: AgentRow
    version: VersionRow
    definition: str


@dataclass(frozen=True, slots=True)
class AgentEditor:
    """The definition editor; ``agent`` is None for a new agent."""

    shell: Shell
    form: Form
    agent: AgentRow | None
    spaces: tuple[Option, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class AgentConfirm:
    """Before an agent is archived."""

    shell: Shell
    agent: AgentRow
    form: Form


@dataclass(frozen=True, slots=True)
class AgentMove:
    """Before an agent is moved; ``spaces`` are those to which it can move, empty where there is no other."""

    shell: Shell
    agent: AgentRow
    form: Form
    spaces: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class VersionRestore:
    """Before an old version becomes the current one."""

    shell: Shell
    agent: AgentRow
    version: VersionRow
    form: Form


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """One Space. ``role`` is what the viewer may do in it; ``manageable`` that they may change it."""

    id: int
    name: str
    description: str
    scope: str
    default_access: bool
    members: int
    agents: int
    role: str
    created_at: datetime
    manageable: bool


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member of a Space."""

    user_id: int
    name: str
    email: str
    role: str
    active: bool

    @property
    def initials(self) -> str:
        """At most two letters, for the round mark beside the name."""
        return initials(self.name)


@dataclass(frozen=True, slots=True)
class Spaces:
    """The list of Spaces."""

    shell: Shell
    listing: Listing
    rows: tuple[SpaceRow, ...]
    can_create: bool


@dataclass(frozen=True, slots=True)
class SpaceDetails:
    """One Space. ``tab`` is agents or members."""

    shell: Shell
    space: SpaceRow
    tab: str
    agents: tuple[AgentRow, ...]
    members: tuple[MemberRow, ...]


@dataclass(frozen=True, slots=True)
class SpaceEditor:
    """New Space when ``space`` is None, otherwise its settings."""

    shell: Shell
    form: Form
    space: SpaceRow | None
    scopes: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class SpaceConfirm:
    """Before a Space is deleted; ``agents`` counts archived ones too, ``spaces`` are those to which they can go."""

    shell: Shell
    space: SpaceRow
    form: Form
    agents: int
    spaces: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class MemberEditor:
    """Adding a member, or changing the role of one when ``member`` is given."""

    shell: Shell
    space: SpaceRow
    form: Form
    member: MemberRow | None
    people: tuple[Option, ...]
    roles: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class MemberConfirm:
    """Before a member is taken out of a Space."""

    shell: Shell
    space: SpaceRow
    member: MemberRow
    form: Form
