"""A list as one value: the database encodes its rows as JSON, and msgspec decodes them all at once. For frequent reads of many rows.

SQLite's driver releases and takes the interpreter lock for every row. While other requests are running, each time costs a switch of
threads, and for fifty rows these cost more than the rest of the response. A single value is also read faster than rows are.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, String, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from latchpin.storage.types import UtcTime


class rows(FunctionElement[str]):  # noqa: N801  a function of SQL
    """An aggregate: an array of rows, each an array of its columns, as text. The order is that of the query."""

    type = Text()
    inherit_cache = True

    def __init__(self, query: Select[Any]) -> None:
        super().__init__(*map(_plain, query.subquery().c))


class _time(FunctionElement[str]):  # noqa: N801  as above
    type = String()
    inherit_cache = True


class _flag(FunctionElement[bool]):  # noqa: N801  as above
    type = Boolean()
    inherit_cache = True


def _plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column's value for JSON: a time with its zone, true or false, and all else as it is stored."""
    if isinstance(column.type, UtcTime):
        return _time(column)
    return _flag(column) if isinstance(column.type, Boolean) else column


@compiles(rows, "sqlite")
def _rows_on_sqlite(element: rows, compiler: SQLCompiler, **kw: object) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **kw)}))"


@compiles(rows)
def _rows(element: rows, compiler: SQLCompiler, **kw: object) -> str:
    return f"coalesce(json_agg(json_build_array({compiler.process(element.clauses, **kw)}))::text, '[]')"


@compiles(_time, "sqlite")
def _time_on_sqlite(element: _time, compiler: SQLCompiler, **kw: object) -> str:
    return f"{compiler.process(element.clauses, **kw)} || 'Z'"


@compiles(_flag, "sqlite")
def _flag_on_sqlite(element: _flag, compiler: SQLCompiler, **kw: object) -> str:
    return f"json(CASE {compiler.process(element.clauses, **kw)} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)"


@compiles(_time)
@compiles(_flag)
def _as_it_is(element: _time | _flag, compiler: SQLCompiler, **kw: object) -> str:
    return compiler.process(element.clauses, **kw)
