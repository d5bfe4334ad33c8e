"""Reading one mapping of the YAML tree, field by field, with a path and a position for every problem.

A reader never raises: it notes a problem and returns a value of the right type, so that everything is checked.
The caller must not use the values before it has called `Problems.raise_any`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
import yaml

from latchpin.automation.definition_model import MAX_VALUE
from latchpin.automation.definition_problems import Mark, Problems
from latchpin.kit import plain_text
from latchpin.kit.plain_text import UNSAFE

Check = Callable[[str], str | None]
T = TypeVar("T", bound=StrEnum)

_NULL: Final = "tag:yaml.org,2002:null"
_INTEGER: Final = re.compile(r"-?[0-9]{1,12}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,3})?")
_SHOWN_KEY: Final = 40
_NOT_IN_NAMES: Final = re.compile(rf"[\t\n]|{UNSAFE.pattern}")


class Section:
    """One mapping. `struct_type` is the struct whose fields it may have; None allows any key (headers, form)."""

    def __init__(self, node: yaml.MappingNode, path: str, struct_type: type[msgspec.Struct] | None, problems: Problems) -> None:
        self.node = node
        self.path = path
        self.problems = problems
        self.field_names = struct_type.__struct_fields__ if struct_type else None
        self.keys: dict[str, yaml.ScalarNode] = {}
        self.values: dict[str, yaml.Node] = {}
        for key, value in node.value:
            self._take(key, value)

    def _take(self, key: yaml.Node, value: yaml.Node) -> None:
        if not isinstance(key, yaml.ScalarNode):
            self.problems.add(key.start_mark, self.path, "a field name must be plain text")
        elif match := _NOT_IN_NAMES.search(key.value):  # as an escape: problems are shown on terminals too
            self.problems.add(key.start_mark, self.path, f"a field name must not hold the character U+{ord(match[0]):04X}")
        elif key.value in self.keys:
            first = self.keys[key.value].start_mark.line + 1
            message = f"`{_shortened(key.value)}` is already there on line {first}"
            self.problems.add(key.start_mark, self.at(_shortened(key.value)), message)
        else:
            self.keys[key.value] = key
            if self.field_names is not None and key.value not in self.field_names:
                self.problems.add(key.start_mark, self.at(_shortened(key.value)), _unknown(key.value, self.field_names))
            elif not (isinstance(value, yaml.ScalarNode) and value.style is None and value.tag == _NULL):
                self.values[key.value] = value

    def at(self, name: str) -> str:
        """Return the path of a field of this section."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether the field is present, even if it is empty."""
        return name in self.keys

    def problem(self, name: str, message: str) -> None:
        """Note a problem at the field's value, else at its name, else at the start of the section."""
        mark: Mark = self.node.start_mark
        if name in self.values:
            mark = self.values[name].start_mark
        elif name in self.keys:
            mark = self.keys[name].start_mark
        self.problems.add(mark, self.at(name), message)

    def missing(self, name: str) -> None:
        """Note that a required field is missing or empty."""
        if name in self.keys:
            self.problem(name, "is empty; text that starts with `#` needs quotes")
        else:
            self.problem(name, f"`{name}` is required")

    def refuse(self, name: str, message: str) -> None:
        """Note a problem if the field is present."""
        if self.has(name):
            self.problem(name, message)

    def _scalar(self, name: str) -> yaml.ScalarNode | None:
        node = self.values.get(name)
        if node is None or isinstance(node, yaml.ScalarNode):
            return node
        is_list = isinstance(node, yaml.SequenceNode)
        opening, kind = ("[", "a list") if is_list else ("{", "a mapping")
        self.problem(name, f"must be one value, not {kind}; put quotes around text that starts with `{opening}`")
        del self.values[name]
        return None

    def text(self, name: str, longest: int, check: Check | None = None, *, lines: bool = False) -> str | None:
        """Read text as it is written, whatever YAML would make of it; None when missing, empty or not text.

        Space around it is dropped. `lines` allows line breaks and tabs.
        """
        node = self._scalar(name)
        if node is None:
            return None
        value = str(node.value).strip()
        message = self._text_problem(value, longest, lines=lines) or (check(value) if check else None)
        if message:
            self.problem(name, message)
        return value

    def _text_problem(self, value: str, longest: int, *, lines: bool) -> str | None:
        if not value:
            return "must not be empty"
        if len(value) > longest:
            return f"must be at most {longest:,} characters long"
        if UNSAFE.search(value) or (not lines and re.search(r"[\n\t]", value)):
            return "must not hold control characters" if lines else "must be one line without control characters"
        return None

    def required_text(self, name: str, longest: int, check: Check | None = None) -> str:
        """Read text that must be there."""
        known_before = len(self.problems.problems)
        value = self.text(name, longest, check)
        if value is None and len(self.problems.problems) == known_before:
            self.missing(name)
        return value or ""

    def prose(self, name: str, longest: int, *, lines: bool = True) -> str | None:
        """Read text for people by the rule for all such text (`kit/plain_text.py`); None when missing, empty or not text."""
        node = self._scalar(name)
        if node is None:
            return None
        value = plain_text.normalize(str(node.value))
        message = self._text_problem(value, longest, lines=lines)
        if message is None and (hidden := plain_text.hidden_in(value)):
            message = f"must not hold an invisible character ({hidden}); type the text anew instead of pasting it"
        elif message is None and not plain_text.is_visible(value):
            message = "must hold at least one character that can be seen"
        if message:
            self.problem(name, message)
        return value

    def required_prose(self, name: str, longest: int) -> str:
        """Read one line for people that must be there."""
        known_before = len(self.problems.problems)
        value = self.prose(name, longest, lines=False)
        if value is None and len(self.problems.problems) == known_before:
            self.missing(name)
        return value or ""

    def raw_text(self, name: str, longest: int) -> str | None:
        """Read one line of text with the space around it; it may be empty when quoted."""
        node = self._scalar(name)
        if node is None:
            return None
        if node.value and (message := self._text_problem(node.value, longest, lines=False)):
            self.problem(name, message)
        return str(node.value)

    def integer(self, name: str, bounds: tuple[int, int]) -> int | None:
        """Read a whole number within bounds, both included."""
        value = self.number(name, bounds, _INTEGER, "a whole number")
        return None if value is None else int(value)

    def number(self, name: str, bounds: tuple[int, int], shape: re.Pattern[str] = _DECIMAL, kind: str = "a number") -> float | None:
        """Read a number within bounds, both included."""
        node = self._scalar(name)
        if node is None:
            return None
        if node.style is None and shape.fullmatch(node.value) and bounds[0] <= float(node.value) <= bounds[1]:
            return float(node.value)
        self.problem(name, f"must be {kind} from {bounds[0]:,} to {bounds[1]:,}, without quotes or separators")
        return None

    def boolean(self, name: str, *, default: bool) -> bool:
        """Read `true` or `false`."""
        node = self._scalar(name)
        if node is None:
            return default
        if node.style is None and node.value in ("true", "false"):
            return bool(node.value == "true")
        self.problem(name, "must be `true` or `false`")
        return default

    def choice(self, name: str, default: T) -> T:
        """Read one word of an enumeration."""
        node = self._scalar(name)
        if node is None:
            return default
        words = [each.value for each in type(default)]
        if node.value in words:
            return type(default)(node.value)
        near = difflib.get_close_matches(node.value[:_SHOWN_KEY], words, 1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        self.problem(name, f"must be one of {', '.join(f'`{word}`' for word in words)}{hint}")
        return default

    def section(self, name: str, struct_type: type[msgspec.Struct] | None) -> Section | None:
        """Read a mapping."""
        node = self.values.get(name)
        if node is None or isinstance(node, yaml.MappingNode):
            return None if node is None else Section(node, self.at(name), struct_type, self.problems)
        self.problem(name, "must be a mapping: indented lines of `name: value`")
        return None

    def sections(self, name: str, struct_type: type[msgspec.Struct], most: int) -> list[Section]:
        """Read a list of mappings."""
        subsections = []
        for index, node in enumerate(self._items(name, most)):
            path = f"{self.at(name)}[{index}]"
            if isinstance(node, yaml.MappingNode):
                subsections.append(Section(node, path, struct_type, self.problems))
            else:
                self.problems.add(node.start_mark, path, "must be a mapping: indented lines of `name: value`")
        return subsections

    def texts(self, name: str, most: int, check: Check) -> tuple[str, ...]:
        """Read a list of single values, each at most once."""
        values: list[str] = []
        for index, node in enumerate(self._items(name, most)):
            value = node.value if isinstance(node, yaml.ScalarNode) else ""
            message = "is there twice" if value in values else check(value)
            if message:
                self.problems.add(node.start_mark, f"{self.at(name)}[{index}]", message)
            values.append(value)
        return tuple(values)

    def _items(self, name: str, most: int) -> list[yaml.Node]:
        node = self.values.get(name)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.problem(name, "must be a list: indented lines that start with `- `")
            return []
        if len(node.value) > most:
            self.problem(name, f"may hold at most {most}")
        return list(node.value[:most])

    def pairs(self, name: str, most: int) -> tuple[Section | None, tuple[tuple[str, str], ...]]:
        """Read a mapping of free names to one-line values; the section is for noting problems."""
        section = self.section(name, None)
        if section is None:
            return None, ()
        if len(section.keys) > most:
            self.problem(name, f"may hold at most {most}")
            return None, ()
        return section, tuple((key, section.required_text(key, MAX_VALUE)) for key in section.keys)


def _shortened(name: str) -> str:
    return name if len(name) <= _SHOWN_KEY else f"{name[:_SHOWN_KEY]}..."


def _unknown(name: str, field_names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name[:_SHOWN_KEY], field_names, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"the fields here are {', '.join(f'`{each}`' for each in field_names)}"
    return f"unknown field `{_shortened(name)}`; {hint}"
