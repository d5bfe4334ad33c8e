"""Searching in columns by the rule of `plain_text.fold`, alike on SQLite and PostgreSQL, whatever the database's locale.

SQLite's own comparison ignores case for ASCII only, and PostgreSQL's as the database's locale says. So a term becomes a pattern
that names both cases of each of its letters, GLOB for the one and a regular expression for the other. Columns hold normalized text.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Dialect, String, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from latchpin.kit import plain_text

_GLOB_SIGNS = re.compile(r"[*?\[]")
_ASCII_SIGNS = re.compile(r"[!-/:-@\[-`{-~]")


class Term(TypeDecorator[str]):
    """The type of a search parameter that may stand anywhere in a column; its value is the text as the user typed it."""

    impl = String
    cache_ok = True
    is_whole = False

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the dialect's pattern for a text."""
        if value is None:
            return None
        letters = plain_text.variants(plain_text.normalize(value))
        if dialect.name == "sqlite":
            return self.around("".join(map(_glob, letters)), "*")
        pattern = "".join(map(_expression, letters))
        return f"^{pattern}$" if self.is_whole else pattern

    def around(self, pattern: str, anything: str) -> str:
        """Return the pattern for the whole column, or between two wildcards (`anything`) for any part of it."""
        return pattern if self.is_whole else f"{anything}{pattern}{anything}"


class RoughTerm(Term):
    """As `Term`, for SQLite's LIKE, which is several times as fast as GLOB: matches all that the exact pattern matches, and some more."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  SQLAlchemy's signature
        """Return a pattern with the one-letter wildcard in place of every blank and every letter beyond ASCII."""
        return None if value is None else self.around("".join(map(_rough, plain_text.normalize(value))), "%")


class WholeTerm(Term):
    """The type of a search parameter that must match the whole column."""

    cache_ok = True
    is_whole = True


class RoughWholeTerm(RoughTerm):
    """As `RoughTerm`, for the whole column."""

    cache_ok = True
    is_whole = True


class _Matches(FunctionElement[bool]):
    """Whether a column matches a pattern; the second pattern is the rough one."""

    inherit_cache = True
    type = Boolean()

    def self_group(self, against: Any = None) -> Any:  # noqa: ANN401, ARG002  SQLAlchemy's signature
        """Return itself: SQLAlchemy would write `... = 1` for SQLite, and both patterns would be tried on every row."""
        return self


@compiles(_Matches, "sqlite")
def _matches_sqlite(element: _Matches, compiler: Any, **options: Any) -> str:  # noqa: ANN401  SQLAlchemy's compiler
    column, pattern, rough = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} LIKE {rough} ESCAPE '/' AND {column} GLOB {pattern})"


@compiles(_Matches, "postgresql")
def _matches_postgresql(element: _Matches, compiler: Any, **options: Any) -> str:  # noqa: ANN401  as above
    column, pattern, _ = element.clauses
    return f"({compiler.process(column, **options)} ~ {compiler.process(pattern, **options)})"


def contains(column: Any, term: str) -> ColumnElement[bool]:  # noqa: ANN401  any mapped column of text
    """Whether a column contains a text, given as the user typed it."""
    return _matches(column, term, Term(), RoughTerm())


def equals(column: Any, term: str) -> ColumnElement[bool]:  # noqa: ANN401  as above
    """Whether a column equals a text, given as the user typed it, whatever its case."""
    return _matches(column, term, WholeTerm(), RoughWholeTerm())


def contains_parameter(column: Any, name: str) -> ColumnElement[bool]:  # noqa: ANN401  as above
    """Whether a column contains a text that is given when the statement is executed, by `parameters` of the same name."""
    return _Matches(column, bindparam(name, type_=Term()), bindparam(f"{name}_rough", type_=RoughTerm()))


def parameters(name: str, term: str) -> dict[str, str]:
    """Return the parameters of `contains_parameter`."""
    return {name: term, f"{name}_rough": term}


def _matches(column: Any, term: str, *kinds: Term) -> ColumnElement[bool]:  # noqa: ANN401  as above
    return _Matches(column, *(bindparam(None, term, type_=kind, unique=True) for kind in kinds))


def _glob(letters: str) -> str:
    return f"[{letters}]" if len(letters) > 1 or _GLOB_SIGNS.match(letters) else letters


def _expression(letters: str) -> str:
    if len(letters) > 1:
        return f"[{letters}]"
    return rf"\{letters}" if _ASCII_SIGNS.match(letters) else letters


def _rough(letter: str) -> str:
    if not letter.isascii() or letter == " ":
        return "_"
    return f"/{letter}" if letter in "/%_" else letter
