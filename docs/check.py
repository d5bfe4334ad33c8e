"""Checks the documentation, for `make docs`: exit code 1 with one line for each thing to mend.

Generated pages are fresh, relative links and anchors resolve, modules have docstrings, decisions stay short, and the commands that the
README tells of exist.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import generate

from latchpin.cli.commands import ALL

ROOT = generate.ROOT
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_ADR_LINES = 60


def problems() -> Iterator[str]:
    """Yield what is wrong and what to do."""
    yield from _stale()
    for page in _pages():
        yield from _broken_links(page)
    yield from _silent_modules()
    yield from _long_decisions()
    yield from _unknown_commands()


def _pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def _stale() -> Iterator[str]:
    for page, text in generate.pages().items():
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            yield f"{page.relative_to(ROOT)} is not what the code says. Run: .venv/bin/python docs/generate.py"


def _broken_links(page: Path) -> Iterator[str]:
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked_page = (page.parent / path).resolve() if path else page
        if not linked_page.exists():
            yield f"{page.relative_to(ROOT)}: the link {target} leads nowhere. Correct it, or add the page."
        elif anchor and linked_page.suffix == ".md" and anchor not in _anchors(linked_page):
            yield f"{page.relative_to(ROOT)}: {target} names no heading of that page."


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _silent_modules() -> Iterator[str]:
    for module in sorted((ROOT / "src" / "latchpin").rglob("*.py")):
        if not ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))):
            yield f"{module.relative_to(ROOT)} has no docstring. Say in two to four lines what it is for."


def _long_decisions() -> Iterator[str]:
    for page in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        lines = len(page.read_text(encoding="utf-8").splitlines())
        if lines > _ADR_LINES:
            yield f"{page.relative_to(ROOT)} has {lines} lines. Shorten it to {_ADR_LINES}."


def _unknown_commands() -> Iterator[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for target in sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) - targets):
        yield f"README.md: there is no `make {target}`. Name a target of the Makefile."
    for command in sorted(set(re.findall(r"(?:^|`)latchpin ([a-z-]+)", text, re.MULTILINE)) - ALL.keys()):
        yield f"README.md: there is no `latchpin {command}`. Name a command of the command line."


if __name__ == "__main__":
    messages = list(problems())
    print("\n".join(messages) if messages else "The documentation is sound.", file=sys.stderr if messages else sys.stdout)
    sys.exit(bool(messages))
