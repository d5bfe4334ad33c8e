"""docs/security.md names tests that exist, and every line of its part of the list."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", DOCUMENT)


def test_every_test_that_the_document_names_exists() -> None:
    """A renamed test is renamed there too."""
    gone = [f"{file}::{test}" for file, test in NAMED if not re.search(rf"\bdef {test}\(", _text(file))]

    assert gone == []
    assert len(NAMED) > 80


def test_every_line_has_a_state() -> None:
    """Lines 1 to 123, each once; what is proven names a test."""
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", DOCUMENT, re.MULTILINE)

    assert sorted(int(number) for number, _ in rows) == list(range(1, 124))
    for _, rest in rows:
        _asks, tests, state = (cell.strip() for cell in rest.split("|"))
        assert state.startswith(("proven", "partly", "later", "not offered"))
        assert "::" in tests or state.startswith(("later", "not offered"))


def _text(file: str) -> str:
    path = ROOT / "tests" / file
    return path.read_text(encoding="utf-8") if path.exists() else ""
