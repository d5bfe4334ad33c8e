"""The public pages that a problem document's `type` leads to."""

from __future__ import annotations

from dataclasses import dataclass

from latchpin.problem_types import ProblemType
from latchpin.web.views.common import Shell


@dataclass(frozen=True, slots=True)
class Types:
    """Every type, in the order of their status."""

    shell: Shell
    types: tuple[ProblemType, ...]


@dataclass(frozen=True, slots=True)
class Type:
    """One type. ``title`` is that of the status, and ``example`` a whole document as JSON."""

    shell: Shell
    problem_type: ProblemType
    title: str
    example: str
