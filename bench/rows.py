"""The rows of the table: what each measures, with which it is compared, and its goal."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from bench.data import POSTGRESQL, SQLITE

OIDC_PROVIDER, DJANGO_OAUTH_TOOLKIT = "oidc-provider", "django-oauth-toolkit"
PEERS = (OIDC_PROVIDER, DJANGO_OAUTH_TOOLKIT)
RATE, PROCESSOR = "rate", "processor time"


@dataclass(frozen=True, slots=True)
class Goal:
    """The least ratio to the row that is compared with, and whether rates or processor times decide."""

    least: float
    by: str


@dataclass(frozen=True, slots=True)
class Row:
    """`place` is our deployment's database, or the peer; `title` is filled with the sizes; `base` is the id of what it is compared with."""

    place: str
    what: str
    title: str
    base: str | None = None
    goal: Goal | None = None

    @property
    def id(self) -> str:
        """What `--rows` calls it."""
        return f"{self.place}:{self.what}"


def _of_deployment(place: str) -> list[Row]:
    def row(what: str, title: str, base: str | None = None, least: float | None = None, by: str = PROCESSOR) -> Row:
        on_sqlite = place == SQLITE
        goal = None if least is None or not on_sqlite else Goal(least, by)
        if what == "key" and not on_sqlite:
            goal = Goal(0.80, RATE)
        return Row(place, what, title, base and (base if ":" in base else f"{place}:{base}"), goal)

    return [
        row("open", "open endpoint"),
        row("key", "one warm key", "open", 0.90),
        row("token", "one warm access token", "open", 0.90),
        row("keys-1000", "{sizes.rotation:,} keys in rotation", "key", 0.95),
        row("keys-1000-changes", "{sizes.rotation:,} keys, 20 changes a second to others", "keys-1000", 0.90),
        row("keys-100000", "{sizes.many:,} keys in rotation", "open", 0.30),
        row("keys-unseen", "keys never seen", "open", 0.30),
        row("tokens-unseen-one", "tokens never seen, of one grant", "open", 0.30),
        row("tokens-unseen", "tokens never seen, of {sizes.grants:,} grants", "open", 0.30),
        row("refresh", "refresh_token, rotated, RS256", f"{OIDC_PROVIDER}:refresh", 0.50, RATE),
        row("client-credentials", "client_credentials, RS256", f"{OIDC_PROVIDER}:client-credentials", 1.00, RATE),
        row("agents", "the list of 50 agents, one warm key"),
    ]


ALL: tuple[Row, ...] = (
    *_of_deployment(SQLITE),
    *_of_deployment(POSTGRESQL),
    Row(OIDC_PROVIDER, "refresh", "refresh_token, rotated, RS256, in memory"),
    Row(OIDC_PROVIDER, "client-credentials", "client_credentials, RS256, in memory"),
    Row(DJANGO_OAUTH_TOOLKIT, "refresh", "refresh_token, rotated, opaque, SQLite"),
    Row(DJANGO_OAUTH_TOOLKIT, "client-credentials", "client_credentials, opaque, SQLite"),
)


class UnknownRow(Exception):
    """A pattern fits no row."""


def choose(patterns: Sequence[str]) -> list[Row]:
    """Return the rows that patterns such as `sqlite:key*` or `refresh` name, and those that they are compared with; all without one.

    Raises UnknownRow.
    """
    if not patterns:
        return list(ALL)
    by_id = {row.id: row for row in ALL}
    ids: set[str] = set()
    for pattern in patterns:
        fitting = fnmatch.filter(by_id, pattern if ":" in pattern else f"*:{pattern}")
        if not fitting:
            raise UnknownRow(pattern)
        ids.update(fitting)
    ids |= {base for id_ in ids if (base := by_id[id_].base)}
    return [row for row in ALL if row.id in ids]
