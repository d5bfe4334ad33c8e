"""Values that many pages share: the frame around a page, forms, lists with sorting and pages, sentences.

Nothing here reads a request or a database. A page's dataclass names every variable its template may use, and a
test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import urlencode

Theme = Literal["auto", "light", "dark"]
Tone = Literal["success", "info", "danger"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """The signed-in person, as the frame shows them."""

    id: int
    name: str
    email: str
    organization: str
    administrator: bool

    @property
    def initials(self) -> str:
        """At most two letters, for the round mark beside a name."""
        return initials(self.name)


@dataclass(frozen=True, slots=True)
class Toast:
    """A short message about what has just been done, shown once. ``undo`` is the address of a form that reverts it, if there is one."""

    tone: Tone
    text: str
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame around every page.

    ``viewer`` is None on the pages that need no sign-in. ``now`` is the moment all relative times of the page are
    counted from, in UTC. ``path`` is this page's address with its query, so that choosing a theme returns here.
    """

    viewer: Viewer | None
    section: str
    theme: Theme
    now: datetime
    path: str
    toast: Toast | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed, and what is wrong with it, by field name.

    An error under the empty name concerns the form as a whole. ``from_draft`` says that the values were typed before the
    session ended, and that nothing was saved.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    from_draft: bool = False

    def value(self, name: str) -> str:
        """What was typed into a field; empty when nothing was."""
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        """What is wrong with a field; empty when nothing is."""
        return self.errors.get(name, "")

    @property
    def first_error(self) -> str:
        """The name of the first refused field; empty when none is."""
        return next((name for name in self.errors if name), "")


@dataclass(frozen=True, slots=True)
class Option:
    """One entry of a select or a choice card."""

    value: str
    label: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter, with the address that removes it."""

    label: str
    value: str
    remove: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The state of a list: its address, filters, order and page.

    Pages count from 1. ``query`` holds only what differs from the default, so that addresses stay short.
    """

    base: str
    query: Mapping[str, str]
    sort: str
    descending: bool
    page: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """The number of the first row on this page, counted from 1; 0 when there is none."""
        return 0 if self.total == 0 else (self.page - 1) * self.size + 1

    @property
    def last(self) -> int:
        """The number of the last row on this page."""
        return min(self.total, self.page * self.size)

    @property
    def search(self) -> str:
        """What is searched for; empty when nothing is."""
        return self.query.get("q", "")

    @property
    def filtered(self) -> bool:
        """Whether a search or filter narrows the list."""
        return any(value for name, value in self.query.items() if name not in {"sort", "order", "page"})

    def link(self, **changes: str) -> str:
        """The list's address with some of its query changed; an empty value removes."""
        merged = {**self.query, **changes}
        nonempty = {name: value for name, value in merged.items() if value}
        return f"{self.base}?{urlencode(nonempty)}" if nonempty else self.base

    def sort_link(self, column: str) -> str:
        """The address that sorts by a column, or reverses the order when the list is sorted by it already."""
        descending = column == self.sort and not self.descending
        return self.link(sort=column, order="desc" if descending else "", page="")

    def page_link(self, number: int) -> str:
        """The address of another page of the same list."""
        return self.link(page=str(number) if number > 1 else "")

    def aria_sort(self, column: str) -> str:
        """The value of a column head's aria-sort attribute."""
        if column != self.sort:
            return "none"
        return "descending" if self.descending else "ascending"

    @property
    def near_pages(self) -> tuple[int | None, ...]:
        """Page numbers to offer: both ends and the neighbours of this page, None for a gap."""
        candidates = {1, self.pages, self.page - 1, self.page, self.page + 1}
        numbers = sorted(number for number in candidates if 1 <= number <= self.pages)
        page_numbers: list[int | None] = []
        for number in numbers:
            if page_numbers and page_numbers[-1] is not None and number - page_numbers[-1] > 1:
                page_numbers.append(None)
            page_numbers.append(number)
        return tuple(page_numbers)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence; strong pieces are names."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a definition: where it is and what to do. Lines count from 1; 0 means the whole."""

    line: int
    field: str
    message: str


def initials(name: str) -> str:
    """At most two letters that stand for a name."""
    words = [word for word in name.split() if word[0].isalnum()]
    letters = [words[0][0], words[-1][0]] if len(words) > 1 else [word[0] for word in words]
    return "".join(letters).upper() or "?"
