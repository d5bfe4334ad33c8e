"""Fenced blocks of the documentation, as they stand in the text.

Two comments in the text, which no reader sees, belong to them: `<!-- not run: why -->` on the line before a block that tests cannot run,
and `<!-- by hand: what -->` where readers do something themselves, such as copying a code out of the browser's address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = frozenset({"sh", "python", "js"})
TEXTS = frozenset({"text", "json", "yaml", "nginx"})  # what programs print or are given in a file
_PART = re.compile(r"<!-- (?P<what>by hand|not run): (?P<text>.+?) -->|^```(?P<language>\w+)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a language; `line` is where it begins, `not_run` why it cannot be run, `by_hand` what readers have done before it."""

    page: str
    line: int
    language: str
    code: str
    not_run: str
    by_hand: tuple[str, ...]


def pages() -> list[Path]:
    """Return the pages whose commands are to run as written."""
    return [ROOT / "README.md", *sorted((ROOT / "docs" / "howto").glob("*.md"))]


def comments(page: Path) -> list[str]:
    """Return the words of all comments of the convention on a page."""
    return [match["text"] for match in _PART.finditer(page.read_text(encoding="utf-8")) if match["what"]]


def blocks(page: Path) -> Iterator[Block]:
    """Yield a page's blocks in order."""
    text, not_run = page.read_text(encoding="utf-8"), ""
    by_hand: list[str] = []
    for match in _PART.finditer(text):
        if match["what"] == "by hand":
            by_hand.append(match["text"])
        elif match["what"] == "not run":
            not_run = match["text"]
        else:
            line = text.count("\n", 0, match.start()) + 1
            yield Block(page.name, line, match["language"], match["code"], not_run, tuple(by_hand))
            not_run, by_hand = "", []
