"""Enum values in requests: a number or a name in any case, because clients send both (contract/README.md, Enums)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import TypeVar

from latchpin.automation.run_removal import RunRemoveMethod
from latchpin.errors import Malformed
from latchpin.storage.models.agent import ConfigType, RunStatus
from latchpin.storage.models.run import LogLevel, LogMode, ParallelExport

Member = TypeVar("Member", bound=IntEnum)
Word = TypeVar("Word", bound=StrEnum)


class Nothing(IntEnum):
    """A value that some clients send and that matches no row."""

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


_LOG_LEVELS = {"trace": LogLevel.INFO, "debug": LogLevel.INFO, "critical": LogLevel.FATAL}
_LOG_MODES = {"json": LogMode.TEXT}
_EXPORTS = {"separate": ParallelExport.SEPARATED}


def log_level(given: str | int | None) -> LogLevel:
    """Read a LogLevel, Info where there is none; Trace and Debug are Info, and Critical is Fatal. Raises Malformed."""
    return _word(LogLevel, given, "logLevel", _LOG_LEVELS) or LogLevel.INFO


def log_mode(given: str | int | None) -> LogMode:
    """Read a LogMode, Text where there is none; Json is Text. Raises Malformed."""
    return _word(LogMode, given, "logMode", _LOG_MODES) or LogMode.TEXT


def parallel_export(given: str | int | None) -> ParallelExport:
    """Read a ParallelExport, Combined where there is none; Separate is Separated. Raises Malformed."""
    return _word(ParallelExport, given, "parallelExport", _EXPORTS) or ParallelExport.COMBINED


def run_remove_method(text: str) -> RunRemoveMethod:
    """Read what to delete of a run; raises Malformed."""
    return _word(RunRemoveMethod, text, "removeMethod", {}) or RunRemoveMethod.ENTIRE_RUN


def _word(kind: type[Word], given: str | int | None, field: str, synonyms: Mapping[str, Word]) -> Word | None:
    """Read a member by its text in any case, or by its place in the list, from 0."""
    if given is None or given == "":
        return None
    flat = str(given).lower()
    for place, member in enumerate(kind):
        if flat in (member.value.lower(), str(place)):
            return member
    if flat in synonyms:
        return synonyms[flat]
    detail = f"{field} must be one of: {', '.join(member.value for member in kind)}."
    raise Malformed(detail, field=field)


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


def wire_name(member: IntEnum) -> str:
    """Return a member's name as the contract writes it."""
    return member.name.title().replace("_", "")
