"""From text to a YAML node tree with line marks, without YAML's other features.

Anchors, aliases, tags, several documents, deep nesting and very many nodes are refused, so that a text stays a small tree.
Values are left as written: the field that they belong to decides what `yes` or `2026-01-01` means.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final, NamedTuple

import yaml

from latchpin import secret_forms
from latchpin.automation.definition_problems import MAX_PROBLEMS, DefinitionError, Problem, Problems
from latchpin.kit import plain_text

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 10
MAX_NODES: Final = 5_000  # a long definition has a few hundred; far more would only cost time
_NULL: Final = "tag:yaml.org,2002:null"

_OWN_KEY: Final = re.compile(secret_forms.PASTED_API_KEY)


class Position(NamedTuple):
    """A place counted from 0."""

    line: int
    column: int


def compose(text: str | bytes) -> yaml.MappingNode:
    """Return the root mapping of the one document in `text`. Raises `DefinitionError`."""
    clean = _clean(text)
    problems = Problems()
    composer = _Composer(clean, problems)
    try:
        root = composer.get_single_node()
    except (ValueError, OverflowError):  # of chr(), for an escape like \Uffffffff
        problems.add(composer.get_mark(), "", "an escape names a character that there is not")
        raise DefinitionError(problems.problems) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or Position(0, 0)
        problems.add(mark, "", _syntax_message(error))
        raise DefinitionError(problems.problems) from None
    problems.raise_any()
    if root is None:
        raise _at(0, 0, "the definition is empty")
    if not isinstance(root, yaml.MappingNode):
        raise _at(
            root.start_mark.line,
            root.start_mark.column,
            "must be a mapping that starts with `version: 1`",
        )
    return root


class _Composer(yaml.SafeLoader):
    """PyYAML's composer, which builds nodes and never an object."""

    def __init__(self, text: str, problems: Problems) -> None:
        super().__init__(text)
        self.problems = problems
        self.depth = 0
        self.nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; an alias becomes an empty value, so that the rest is still checked."""
        # PyYAML's stubs leave the parser's methods untyped.
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark or Position(0, 0)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.problems.add(mark, "", f"the definition has more than {MAX_NODES:,} names and values")
            raise DefinitionError(self.problems.problems)
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            self.problems.add(mark, "", "aliases are not allowed; quote text that starts with `*`")
            return yaml.ScalarNode(_NULL, "")
        if event.anchor is not None:
            self.problems.add(mark, "", "anchors are not allowed; quote text that starts with `&`")
            event.anchor = None
        if event.tag is not None:
            self.problems.add(mark, "", "tags are not allowed; quote text that starts with `!`")
            event.tag = None
        if self.depth >= MAX_DEPTH:
            self.problems.add(mark, "", f"nested more than {MAX_DEPTH} levels deep")
            raise DefinitionError(self.problems.problems)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def with_line_feeds(text: str) -> str:
    """Return a definition's text as it is stored: without a byte order mark, its lines ended as on Unix."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _clean(text: str | bytes) -> str:
    size = len(text) if isinstance(text, bytes) else len(text[: MAX_BYTES + 1].encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise _at(0, 0, f"the definition is larger than {MAX_BYTES // 1024} KiB")
    if isinstance(text, bytes):
        text = _decode(text)
    text = with_line_feeds(text)
    problems = [
        _problem(text, match.start(), f"the character U+{ord(match[0]):04X} is not allowed")
        for match in islice(plain_text.UNSAFE.finditer(text), MAX_PROBLEMS)
    ]
    problems += [
        _problem(
            text,
            match.start(),
            "this looks like an API key; revoke it, and keep secrets out of definitions",
        )
        for match in islice(_OWN_KEY.finditer(text), MAX_PROBLEMS)
    ]
    if problems:
        raise DefinitionError(problems)
    return text


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise DefinitionError([_problem(before, len(before), "the text is not UTF-8")]) from None


def _problem(text: str, offset: int, message: str) -> Problem:
    line = text.count("\n", 0, offset)
    column = offset - (text.rfind("\n", 0, offset) + 1)
    return Problem(field="", message=message, line=line + 1, column=column + 1)


def _at(line: int, column: int, message: str) -> DefinitionError:
    return DefinitionError([Problem(field="", message=message, line=line + 1, column=column + 1)])


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    if "single document" in f"{error.context}":
        return "a definition is one YAML document; remove the second `---`"
    hint = ""
    if "mapping values are not allowed" in problem:
        hint = "; put quotes around text that holds `: `"
    elif r"'\t' that cannot" in problem:
        hint = "; indent with spaces, not tabs"
    elif "cannot start any token" in problem:
        hint = "; put quotes around the text"
    return f"not valid YAML: {problem}{hint}"
