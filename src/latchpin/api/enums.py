"""Enum values in requests: a number or a name, any case, as different clients send them (contract/README.md, Enums)."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

from latchpin.errors import Malformed
from latchpin.storage.models.agent import ConfigType, RunStatus

Member = TypeVar("Member", bound=IntEnum)


class Nothing(IntEnum):
    """A value that some client sends and that stands for no row."""

    NOTHING = -1


NOTHING = Nothing.NOTHING
_SYNONYMS = {"shared": ConfigType.SHARED_FILE}


def config_type(text: str | None) -> ConfigType | Nothing | None:
    """Read a ConfigType; `Shared` is SharedFile, and `Api` is NOTHING, which matches no agent. Raises Malformed."""
    if text is not None and text.lower() in _SYNONYMS:
        return _SYNONYMS[text.lower()]
    if text is not None and text.lower() == "api":
        return NOTHING
    return _member(ConfigType, text, "configType")


def run_status(text: str | None) -> RunStatus | None:
    """Read a RunStatus; raises Malformed."""
    return _member(RunStatus, text, "status")


def _member(kind: type[Member], text: str | None, field: str) -> Member | None:
    if text is None or text == "":
        return None
    flat = text.replace("_", "").lower()
    for member in kind:
        if flat == member.name.replace("_", "").lower() or (flat.isascii() and flat.isdigit() and len(flat) < 4 and int(flat) == member):  # noqa: PLR2004  short numbers only
            return member
    names = ", ".join(f"{member.value} {member.name.title().replace('_', '')}" for member in kind)
    detail = f"{field} must be one of: {names}."
    raise Malformed(detail, field=field)
