"""The documentation of agent definitions: its examples are accepted and its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from latchpin.automation import definition_model as model
from latchpin.automation import definitions

_DOCS = Path(__file__).parents[2] / "docs"
_HOWTO = (_DOCS / "howto" / "write-an-agent.md").read_text(encoding="utf-8")
_REFERENCE = (_DOCS / "reference" / "agent-definition.md").read_text(encoding="utf-8")
_EXAMPLES = [block for block in re.findall(r"```yaml\n(.*?)```", _HOWTO, re.DOTALL) if block.startswith("version:")]


@pytest.mark.parametrize("number", range(len(_EXAMPLES)))
def test_a_whole_example_is_a_sound_definition(number: int) -> None:
    """What a reader copies can be saved."""
    assert definitions.parse(_EXAMPLES[number]).name


def test_the_how_to_has_its_examples() -> None:
    """A small one, a complete one and a command."""
    assert len(_EXAMPLES) == 3


@pytest.mark.parametrize(
    "part",
    [
        model.Definition,
        model.InputParameter,
        model.Request,
        model.Record,
        model.Follow,
        model.Field,
        model.Pagination,
        model.Limits,
    ],
)
def test_every_field_is_in_the_reference(part: type[msgspec.Struct]) -> None:
    """Nothing can be written that the reference does not explain."""
    missing = [info.name for info in msgspec.structs.fields(part) if f"| `{info.name}` |" not in _REFERENCE]

    assert missing == []


def test_every_limit_is_in_the_reference_with_its_range_and_default() -> None:
    """The numbers in the reference are those of the code."""
    for name, (low, high) in model.LIMIT_BOUNDS.items():
        default = getattr(model.Limits(), name)
        assert re.search(rf"\| `{name}` \| {low:,}\.\.{high:,}[^|]*\| {default:,} \|", _REFERENCE), name
