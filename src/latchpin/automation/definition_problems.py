"""What is wrong with a definition, and where.

Problems are collected, not raised one by one, so that an author sees all of them after one attempt.
A message may repeat a field's name but never a value: a value may be a secret pasted in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from latchpin.errors import FieldProblem, Invalid

MAX_PROBLEMS: Final = 100


@dataclass(frozen=True, slots=True)
class Problem(FieldProblem):
    """One thing wrong at one place: `line` and `column` are 1-based, list positions in `field` 0-based."""

    line: int
    column: int


class DefinitionError(Invalid):
    """The text is not a definition. `problems` is ordered by place, never empty and never longer than 100."""

    code = "invalid_definition"
    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem]) -> None:
        sorted_problems = sorted(problems, key=lambda each: (each.line, each.column))
        reported_problems = tuple(sorted_problems[:MAX_PROBLEMS])
        first = reported_problems[0]
        where = f"Line {first.line}, {first.field}" if first.field else f"Line {first.line}"
        detail = f"The definition has {_counted(len(sorted_problems))}. {where}: {first.message}."
        super().__init__(detail, problems=reported_problems)


class Mark(Protocol):
    """A place in the text, counted from 0 as PyYAML does."""

    @property
    def line(self) -> int:
        """The line."""

    @property
    def column(self) -> int:
        """The column."""


class Problems:
    """The problems found so far in one text."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, mark: Mark, field: str, message: str) -> None:
        """Note one problem at a place counted from 0."""
        self.problems.append(Problem(field=field, message=message, line=mark.line + 1, column=mark.column + 1))

    def raise_any(self) -> None:
        """Raise `DefinitionError` if anything was noted."""
        if self.problems:
            raise DefinitionError(self.problems)


def _counted(count: int) -> str:
    return "1 problem" if count == 1 else f"{count} problems"
