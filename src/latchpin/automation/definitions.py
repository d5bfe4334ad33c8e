"""Agent definitions: from the text an author writes to what a crawl needs, and back.

Pure: no database, no network, and no object is ever built from YAML. Only `parse` returns a trusted definition;
`dump` writes its canonical text, and `parse(dump(definition)) == definition` always holds.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import msgspec
import yaml

from latchpin.automation.definition_model import AgentType, ConfigType, Definition, InputParameter
from latchpin.automation.definition_problems import DefinitionError, Problem, Problems
from latchpin.automation.definition_reader import Section
from latchpin.automation.definition_sections import read_definition
from latchpin.automation.definition_values import placeholders
from latchpin.automation.definition_yaml import MAX_BYTES, compose, with_line_feeds

__all__ = [
    "MAX_BYTES",
    "AgentType",
    "ConfigType",
    "Definition",
    "DefinitionError",
    "InputParameter",
    "Problem",
    "dump",
    "input_defaults",
    "input_parameters",
    "is_same",
    "parse",
    "start_url_parameters",
    "with_line_feeds",
]

_ALWAYS_WRITTEN: Final = frozenset({"version", "type"})
_MAPPINGS: Final = frozenset({"headers", "form"})


def parse(text: str | bytes) -> Definition:
    """Read and check a definition. Raises `DefinitionError` with every problem at once, ordered by line."""
    problems = Problems()
    definition = read_definition(Section(compose(text), "", Definition, problems))
    problems.raise_any()
    return definition


def is_same(old: str, new: str, parsed: Definition) -> bool:
    """Whether two texts are the same definition, comments included; line endings and Unicode composition are ignored.

    Values that the crawler compares exactly, such as selectors, must be identical. `parsed` is the definition of `new`.
    """
    if old == new:
        return True
    if unicodedata.normalize("NFC", with_line_feeds(old)) != unicodedata.normalize("NFC", with_line_feeds(new)):
        return False
    try:
        return parse(old) == parsed
    except DefinitionError:
        return False


def dump(definition: Definition) -> str:
    """Write the canonical YAML: fields in the order of the reference, those at their default left out."""
    return yaml.dump(
        _plain(definition),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )


def input_parameters(definition: Definition) -> tuple[InputParameter, ...]:
    """Return the declared input parameters, in the author's order."""
    return definition.input_parameters


def input_defaults(definition: Definition) -> dict[str, str]:
    """Return name to default for the API; "" where there is no default and for every encrypted parameter."""
    return {each.name: each.default or "" for each in definition.input_parameters}


def start_url_parameters(definition: Definition) -> tuple[str, ...]:
    """Return the names of the parameters in the start URL, each once, in order."""
    return tuple(dict.fromkeys(placeholders(definition.start_url)))


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe writer, with lists indented and long texts as blocks, as a person would write them."""

    # The signatures are PyYAML's, which explains the suppressions.
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Indent lists under their name."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Write equal values out each time: the reader refuses aliases."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _plain(struct: msgspec.Struct) -> dict[str, object]:
    fields: dict[str, object] = {}
    for info in msgspec.structs.fields(struct):
        value = getattr(struct, info.name)
        if value != info.default or (info.name in _ALWAYS_WRITTEN and isinstance(struct, Definition)):
            fields[info.name] = _written(info.name, value)
    return fields


def _written(name: str, value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return _plain(value)
    if isinstance(value, tuple):
        return dict(value) if name in _MAPPINGS else [_written(name, each) for each in value]
    return str(value) if isinstance(value, str) else value
