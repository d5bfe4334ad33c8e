"""What is refused in an agent definition, where the author is sent, and in which words."""

from __future__ import annotations

import pytest

from latchpin.automation import definitions
from latchpin.automation.definitions import DefinitionError, Problem
from latchpin.errors import Invalid

GOOD = """\
version: 1
name: Books
start_url: https://books.example/
record:
  selector: article
  fields:
    - name: title
      selector: h2
"""


def _problems(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        definitions.parse(text)
    return caught.value.problems


def test_all_problems_come_at_once_in_the_order_of_the_lines() -> None:
    """One attempt shows the author everything, with place, path and message."""
    problems = _problems(
        "version: 1\nnmae: Books\nstart_url: ftp://books.example/\nrecord:\n  selector: 'a['\n  fields:\n"
        "    - name: title\n      selectr: h2\n    - name: 2nd\n      type: nubmer\n"
    )

    assert [(each.line, each.column, each.field) for each in problems] == [
        (1, 1, "name"),
        (2, 1, "nmae"),
        (3, 12, "start_url"),
        (5, 13, "record.selector"),
        (8, 7, "record.fields[0].selectr"),
        (9, 13, "record.fields[1].name"),
        (10, 13, "record.fields[1].type"),
    ]
    assert problems[1].message == "unknown field `nmae`; did you mean `name`?"
    assert problems[4].message == "unknown field `selectr`; did you mean `selector`?"


def test_a_refused_definition_is_an_invalid_input_with_a_summary() -> None:
    """Every surface can show the error as it shows any other refused input."""
    with pytest.raises(Invalid) as caught:
        definitions.parse(GOOD.replace("https:", "ftp:"))

    assert caught.value.code == "invalid_definition"
    assert caught.value.detail == ("The definition has 1 problem. Line 3, start_url: must start with `https://` or `http://`.")


def _with(addition: str) -> str:
    return GOOD + addition


# Name: text, path of the field, line, part of the message.
_REFUSED: dict[str, tuple[str, str, int, str]] = {
    "nothing": ("", "", 1, "empty"),
    "only a comment": ("# hello\n", "", 1, "empty"),
    "a list": ("- a\n", "", 1, "must be a mapping"),
    "two documents": (f"{GOOD}---\nversion: 1\n", "", 9, "one YAML document"),
    "syntax": (_with("description: a: b\n"), "", 9, "quotes around text that holds `: `"),
    "tab": (_with("limits:\n\tmax_pages: 1\n"), "", 10, "spaces, not tabs"),
    "anchor": (_with("description: &x text\n"), "", 9, "anchors are not allowed"),
    "alias": (_with("description: *x\n"), "", 9, "aliases are not allowed"),
    "tag": (_with("description: !!python/object:os.system x\n"), "", 9, "tags are not allowed"),
    "merge": (_with("<<: {name: x}\n"), "<<", 9, "unknown field `<<`"),
    "depth": (_with(f"limits: {'[' * 12}\n"), "", 9, "nested more than 10 levels deep"),
    "null character": (_with("description: a\x00b\n"), "", 9, "U+0000 is not allowed"),
    "escaped control": (_with('description: "a\\x07b"\n'), "description", 9, "control characters"),
    "text direction": (_with("description: a\u202eb\n"), "", 9, "U+202E is not allowed"),
    "field twice": (_with("name: Again\n"), "name", 9, "`name` is already there on line 2"),
    "list as field name": (_with("? [a]\n: b\n"), "", 9, "a field name must be plain text"),
    "no version": (GOOD.replace("version: 1\n", ""), "version", 1, "`version` is required"),
    "other version": (GOOD.replace("version: 1", "version: 2"), "version", 1, "must be `1`"),
    "no name": (GOOD.replace("name: Books", "name:"), "name", 2, "is empty"),
    "blank name": (GOOD.replace("name: Books", "name: '  '"), "name", 2, "must not be empty"),
    "long name": (GOOD.replace("Books", "x" * 201), "name", 2, "at most 200 characters"),
    "name of two lines": (GOOD.replace("Books", '"a\\nb"'), "name", 2, "must be one line"),
    "long description": (_with(f"description: {'x' * 2001}\n"), "description", 9, "at most 2,000"),
    "long documentation": (_with(f"documentation: {'x' * 20001}\n"), "documentation", 9, "at most 20,000"),
    "type": (_with("type: agnet\n"), "type", 9, "did you mean `agent`?"),
    "no record": ("version: 1\nname: a\nstart_url: https://a.example/\n", "record", 1, "is required"),
    "no fields": (GOOD[: GOOD.index("  fields")], "record.fields", 5, "is required"),
    "empty fields": (GOOD[: GOOD.index("    - name")].rstrip() + " []\n", "record.fields", 6, "at least one"),
    "field that is no mapping": (_with("    - title\n"), "record.fields[1]", 9, "must be a mapping"),
    "field name": (_with("    - name: the title\n"), "record.fields[1].name", 9, "letters, digits and `_`"),
    "field name twice": (_with("    - name: Title\n"), "record.fields[1].name", 9, "used twice"),
    "field in follow twice": (
        _with("follow:\n  selector: a\n  fields:\n    - name: title\n"),
        "follow.fields[0].name",
        12,
        "used twice",
    ),
    "selector syntax": (GOOD.replace("h2", "'h2['"), "record.fields[0].selector", 8, "not a CSS selector"),
    "selector that cannot run": (
        GOOD.replace("h2", "h2:first"),
        "record.fields[0].selector",
        8,
        "not a CSS selector",
    ),
    "pseudo-element": (GOOD.replace("h2", "h2::text"), "record.fields[0].selector", 8, "text is the default"),
    "selector read as comment": (GOOD.replace("h2", "#main"), "record.fields[0].selector", 8, "needs quotes"),
    "selector read as list": (
        GOOD.replace("h2", "[href]"),
        "record.fields[0].selector",
        8,
        "quotes around text",
    ),
    "long selector": (GOOD.replace("h2", "a" * 501), "record.fields[0].selector", 8, "at most 500"),
    "required word": (_with("      required: yes\n"), "record.fields[0].required", 9, "`true` or `false`"),
    "boolean that is required": (
        _with("      type: boolean\n      required: true\n"),
        "record.fields[0].required",
        10,
        "always there",
    ),
    "html of an attribute": (
        _with("      type: html\n      attribute: id\n"),
        "record.fields[0].attribute",
        10,
        "markup",
    ),
    "separator of a text": (
        _with("      decimal_separator: ','\n"),
        "record.fields[0].decimal_separator",
        9,
        "number",
    ),
    "format of a text": (
        _with("      date_format: '%d'\n"),
        "record.fields[0].date_format",
        9,
        "`type: date`",
    ),
    "unknown directive": (
        _with("      type: date\n      date_format: '%Q'\n"),
        "record.fields[0].date_format",
        10,
        "not supported",
    ),
    "directive twice": (
        _with("      type: date\n      date_format: '%d.%d'\n"),
        "record.fields[0].date_format",
        10,
        "is a directive there twice?",
    ),
    "no kind": (_with("pagination:\n  selector: a\n"), "pagination.kind", 10, "`kind` is required"),
    "next link without selector": (
        _with("pagination: {kind: next_link}\n"),
        "pagination.selector",
        9,
        "is required",
    ),
    "selector of a page parameter": (
        _with("pagination: {kind: page_parameter, parameter: p, selector: a}\n"),
        "pagination.selector",
        9,
        "belongs to `kind: next_link`",
    ),
    "parameter of a next link": (
        _with("pagination: {kind: next_link, selector: a, last: 3}\n"),
        "pagination.last",
        9,
        "belongs to `kind: page_parameter`",
    ),
    "page parameter": (
        _with("pagination: {kind: page_parameter, parameter: 'a=b'}\n"),
        "pagination.parameter",
        9,
        "name of a query parameter",
    ),
    "last before first": (
        _with("pagination: {kind: page_parameter, parameter: p, last: 0}\n"),
        "pagination.last",
        9,
        "less than `first`",
    ),
    "limit too low": (_with("limits: {max_pages: 0}\n"), "limits.max_pages", 9, "from 1 to 100,000"),
    "limit too high": (_with("limits: {concurrency: 33}\n"), "limits.concurrency", 9, "from 1 to 32"),
    "limit that is text": (_with("limits: {retries: '3'}\n"), "limits.retries", 9, "without quotes"),
    "limit in other digits": (_with("limits: {retries: \u0663}\n"), "limits.retries", 9, "a whole number"),
    "negative delay": (_with("limits: {delay_seconds: -1}\n"), "limits.delay_seconds", 9, "from 0 to 300"),
    "infinite delay": (_with("limits: {delay_seconds: .inf}\n"), "limits.delay_seconds", 9, "a number"),
    "limits that are a list": (_with("limits: []\n"), "limits", 9, "must be a mapping"),
    "pagination of a command": (
        _with("type: command\npagination: {kind: none}\n"),
        "pagination",
        10,
        "a command makes one request",
    ),
    "domain": (
        _with("allowed_domains: ['https://a.example']\n"),
        "allowed_domains[0]",
        9,
        "must be a domain",
    ),
    "domain twice": (_with("allowed_domains: [a.example, a.example]\n"), "allowed_domains[1]", 9, "twice"),
    "parameter twice": (
        _with("input_parameters: [{name: a}, {name: A}]\n"),
        "input_parameters[1].name",
        9,
        "used twice",
    ),
    "default of two lines": (
        _with('input_parameters: [{name: a, default: "x\\ny"}]\n'),
        "input_parameters[0].default",
        9,
        "one line",
    ),
    "too many parameters": (
        _with(f"input_parameters: [{', '.join(f'{{name: p{number}}}' for number in range(51))}]\n"),
        "input_parameters",
        9,
        "at most 50",
    ),
    "form without post": (_with("request: {form: {a: b}}\n"), "request.form", 9, "`method: POST`"),
    "header name": (_with("request: {headers: {'a b': c}}\n"), "request.headers.a b", 9, "not the name of"),
    "header of the crawler": (
        _with("request: {headers: {Host: c}}\n"),
        "request.headers.Host",
        9,
        "crawler itself",
    ),
    "header twice": (_with("request: {headers: {X-A: c, x-a: d}}\n"), "request.headers.x-a", 9, "twice"),
    "header value": (
        _with("request: {headers: {X-A: 'caf\u00e9'}}\n"),
        "request.headers.X-A",
        9,
        "plain ASCII",
    ),
    "header injection": (
        _with('request: {headers: {X-A: "a\\r\\nB: c"}}\n'),
        "request.headers.X-A",
        9,
        "one line",
    ),
    "half a character as a name": (_with('request: {headers: {"\\uD800": c}}\n'), "request.headers", 9, "U+D800"),
    "half a character as a field": (_with('"\\uD800": c\n'), "", 9, "U+D800"),
    "half a character as a value": (GOOD.replace("name: Books", 'name: "\\uD800"'), "name", 2, "without control characters"),
    "terminal escape as a name": (_with('request: {form: {"\\e[31mred": c}}\n'), "request.form", 9, "U+001B"),
    "line break in a name": (_with('"a\\nb": c\n'), "", 9, "U+000A"),
    "no character at all": (_with('description: "\\UFFFFFFFF"\n'), "", 9, "a character that there is not"),
    "undeclared in a header": (
        _with("request: {headers: {X-A: '{b}'}}\n"),
        "request.headers.X-A",
        9,
        "`{b}`",
    ),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_what_is_wrong_is_refused_at_its_place(case: str) -> None:
    """Each slip names its field and line, and says what would be right."""
    text, field, line, message = _REFUSED[case]

    positions = [(each.field, each.line) for each in _problems(text) if message in each.message]

    assert positions == [(field, line)]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("books.example/a", "must start with"),
        ("//books.example/a", "must start with"),
        ("file:///etc/passwd", "must start with"),
        ("javascript:alert(1)", "must start with"),
        ("https://mia:pw@books.example/", "must not hold a user name or password"),
        ("https://", "has no usable host"),
        ("https://books..example/", "has no usable host"),
        ("https://books.example%2f@x/", "must not hold a user name or password"),
        ("https://books%00.example/", "has no usable host"),
        ("https://books.example:0/", "has no usable host"),
        ("https://books.example:99999/", "is not an address"),
        ("https://[::1/", "is not an address"),
        ("https://books.example/a b", "percent-encode"),
        ("https://books.example\\@other.example/", "percent-encode"),
        ("https://{host}/a", "only path and query"),
        ("https://books.example:{port}/a", "only path and query"),
        ("{address}", "only path and query"),
        ("https://books.example/{city}", "`{city}`, which is not in `input_parameters`"),
        ("https://books.example/{two words}", "braces may only surround"),
        ("https://books.example/}{", "braces may only surround"),
        ("https://books.example/" + "a" * 2000, "at most 2,000 characters"),
    ],
)
def test_a_start_url_that_cannot_be_used_is_refused(url: str, message: str) -> None:
    """The address is http or https, with a host in writing and with declared parameters only."""
    problems = _problems(GOOD.replace("https://books.example/", f"'{url}'"))

    assert [(each.field, each.line) for each in problems if message in each.message] == [("start_url", 3)]


def test_bytes_that_are_not_utf_8_are_refused_with_their_line() -> None:
    """The author learns where the wrong byte is."""
    (problem,) = _problems(GOOD.encode() + b"description: caf\xe9\n")

    assert (problem.line, problem.column, problem.message) == (9, 17, "the text is not UTF-8")


def test_a_text_over_the_size_limit_is_refused_unread() -> None:
    """Size is counted in bytes of UTF-8, and the limit itself still fits."""
    room = definitions.MAX_BYTES - len(GOOD)
    assert definitions.parse(f"{GOOD}#{'x' * (room - 1)}").name == "Books"

    (problem,) = _problems(GOOD + "#" + "\u00e9" * (room // 2 + 1))

    assert problem.message == "the definition is larger than 64 KiB"


@pytest.mark.parametrize("flood", ["a,", "[],", "{},"])
def test_a_text_of_very_many_values_is_given_up_early(flood: str) -> None:
    """A text within the size limit cannot keep the reader busy with tens of thousands of values."""
    text = f"{GOOD}x: [{flood * 15_000}]\n"
    assert len(text) < definitions.MAX_BYTES

    problems = _problems(text)

    assert "the definition has more than 5,000 names and values" in [each.message for each in problems]


def test_a_message_never_repeats_a_long_or_unsafe_name() -> None:
    """An unknown field is quoted in short and without control characters."""
    (problem,) = _problems(GOOD + f'"{"x" * 500}\\x1b[2J": 1\n')

    assert len(problem.message) < 400
    assert len(problem.field) < 60
    assert problem.message.isprintable()


def test_of_very_many_problems_the_first_hundred_are_listed() -> None:
    """A flood of mistakes is told in full as a number and in part as a list."""
    with pytest.raises(DefinitionError) as caught:
        definitions.parse(GOOD + "\n".join(f"k{number}: v" for number in range(500)))

    assert len(caught.value.problems) == 100
    assert caught.value.detail.startswith("The definition has 500 problems.")
