"""What holds for every agent definition and every text: reading back what was written, refusing quickly."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from latchpin.automation import definition_model as model
from latchpin.automation import definitions
from latchpin.automation.definitions import DefinitionError
from latchpin.kit import plain_text

_SMALL = """\
version: 1
name: Books
start_url: https://books.example/
record:
  selector: article
  fields:
    - name: title
"""

_GOOD = f"""{_SMALL}follow:
  selector: h2 a
  fields:
    - name: published
      selector: time
      type: date
      date_format: '%d %B %Y'
input_parameters:
  - name: category
    description: Last part of the address
    default: fiction
  - name: access_token
    encrypted: true
request:
  headers:
    Authorization: Bearer {{access_token}}
pagination:
  kind: page_parameter
  parameter: page
  first: 0
limits:
  delay_seconds: 0.25
"""

_identifiers = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
_plain_names = _identifiers.filter(lambda name: not any(word in name.lower() for word in ("pass", "secret", "token", "key")))
_characters = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Cn"))
_lines = st.text(_characters, min_size=1, max_size=150).map(plain_text.normalize).filter(lambda text: _may_be_kept(text, 200))
_texts = (
    st.lists(st.text(_characters, max_size=130), min_size=1, max_size=6)
    .map("\n".join)
    .map(plain_text.normalize)
    .filter(lambda text: _may_be_kept(text, 1000))
)
_selectors = st.sampled_from(["a", "#main > p", "li:nth-child(2)", "a[href^='x: y']", "* + b", "td, th", ".a:not(.b)"])


def _may_be_kept(text: str, longest: int) -> bool:
    """Whether a normalized text is one that definitions let people write; normalizing can make it longer."""
    return 0 < len(text) <= longest and plain_text.lines_problem(text) is None


@st.composite
def _fields(draw: st.DrawFn, name: str) -> model.Field:
    kind = draw(st.sampled_from(model.FieldType))
    single = kind is model.FieldType.BOOLEAN
    return model.Field(
        name=name,
        selector=draw(st.none() | _selectors),
        type=kind,
        attribute=None if kind is model.FieldType.HTML else draw(st.sampled_from([None, "href", "data-id"])),
        required=not single and draw(st.booleans()),
        many=not single and draw(st.booleans()),
        decimal_separator=draw(st.sampled_from(model.DecimalSeparator)) if kind is model.FieldType.NUMBER else model.DecimalSeparator.POINT,
        date_format=draw(st.sampled_from([None, "%d/%m/%Y", "%H:%M, %d %B %Y"])) if kind is model.FieldType.DATE else None,
    )


@st.composite
def _limits(draw: st.DrawFn) -> model.Limits:
    values: dict[str, Any] = {
        name: draw(st.integers(low, high)) for name, (low, high) in model.LIMIT_BOUNDS.items() if name != "delay_seconds"
    }
    return model.Limits(delay_seconds=draw(st.integers(0, 300_000)) / 1000, **values)


_paginations = st.one_of(
    st.just(model.Pagination()),
    _selectors.map(lambda each: model.Pagination(kind=model.PaginationKind.NEXT_LINK, selector=each)),
    st.builds(
        model.Pagination,
        kind=st.just(model.PaginationKind.PAGE_PARAMETER),
        parameter=st.sampled_from(["page", "p[]", "no"]),
        first=st.integers(0, 1_000_000),
        last=st.none() | st.integers(1_000_000, 10_000_000),
        step=st.integers(1, 10_000),
    ),
)


@st.composite
def _definitions(draw: st.DrawFn) -> model.Definition:
    names = draw(st.lists(_identifiers, min_size=2, max_size=6, unique_by=str.lower))
    fields = [draw(_fields(name)) for name in names]
    parameters = draw(st.lists(_plain_names, max_size=3, unique_by=str.lower))
    return model.Definition(
        name=draw(_lines),
        description=draw(st.none() | _texts),
        documentation=draw(st.none() | _texts),
        start_url="https://shop.example/" + "".join(f"{{{name}}}/" for name in parameters),
        input_parameters=tuple(
            model.InputParameter(
                name=name,
                description=draw(st.none() | _texts),
                default=draw(st.none() | _lines | st.just("")),
            )
            for name in parameters
        ),
        request=model.Request(
            method=model.Method.POST,
            form=tuple({name: draw(_lines.filter(lambda text: not set("{}") & set(text))) for name in parameters}.items()),
        ),
        record=model.Record(selector=draw(_selectors), fields=tuple(fields[:-1])),
        follow=model.Follow(selector=draw(_selectors), fields=(fields[-1],)),
        pagination=draw(_paginations),
        limits=draw(_limits()),
    )


@given(_definitions())
@settings(deadline=None)
def test_writing_and_reading_again_changes_nothing(definition: model.Definition) -> None:
    """Whatever a definition says, its canonical text says the same, and is a fixed point."""
    text = definitions.dump(definition)

    assert definitions.parse(text) == definition
    assert definitions.dump(definitions.parse(text)) == text


def _parse_or_refuse(text: str | bytes) -> None:
    started = time.thread_time()
    try:
        definitions.parse(text)
    except DefinitionError as error:
        places = [(each.line, each.column) for each in error.problems]
        assert 1 <= len(places) <= 100
        assert places == sorted(places)
        assert min(places) >= (1, 1)
        for message in (error.detail, *(f"{each.field} {each.message}" for each in error.problems)):
            assert not re.search(rf"[\n\t]|{plain_text.UNSAFE.pattern}", message)  # it can be sent as JSON, and printed
    assert time.thread_time() - started < 5


@given(st.text() | st.binary())
@settings(deadline=None)
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    """Nothing but a definition or a DefinitionError comes out, whatever goes in."""
    _parse_or_refuse(text)


_KEYS = st.sampled_from(
    sorted(
        {
            name
            for each in (
                model.Definition,
                model.Field,
                model.Pagination,
                model.Limits,
                model.Request,
                model.InputParameter,
            )
            for name in (info.name for info in msgspec.structs.fields(each))
        }
    )
)
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS | st.text(max_size=8), inner, max_size=6),
    max_leaves=30,
)


@given(st.dictionaries(_KEYS, _anything, max_size=12))
@settings(deadline=None)
def test_any_tree_with_the_right_names_is_read_or_refused(tree: dict[str, Any]) -> None:
    """Known fields with values of any shape never break the reader."""
    _parse_or_refuse(yaml.safe_dump(tree, allow_unicode=True))


@given(st.data())
@settings(deadline=None)
def test_any_damaged_definition_is_read_or_refused(data: st.DataObject) -> None:
    """A slip of the keyboard anywhere in a good definition gives a place and a message."""
    start = data.draw(st.integers(0, len(_GOOD)))
    length = data.draw(st.integers(0, 12))
    slip = data.draw(st.text(st.sampled_from("{}[]:-#&*!|>'\"%@` \n\tab1"), max_size=8))

    _parse_or_refuse(_GOOD[:start] + slip + _GOOD[start + length :])


@given(st.data())
@settings(deadline=None)
def test_any_escape_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever characters an escape makes, in a name or in a value, they are accepted or named."""
    short = st.builds("\\x{:02x}".format, st.integers(0, 255)) | st.sampled_from("0abtnvfre NL_P").map("\\{}".format)
    long = st.builds("\\u{:04X}".format, st.integers(0, 0xFFFF)) | st.builds("\\U{:08X}".format, st.integers(0, 0xFFFFFFFF))
    halves = st.builds("\\u{:04X}".format, st.integers(0xD800, 0xDFFF))
    text = st.lists(short | long | halves | st.sampled_from(["a", "é", "{a}"]), max_size=3).map("".join)
    place = data.draw(st.sampled_from(sorted(set(re.findall(r"[\w/:.{} %']+", _GOOD)))))

    _parse_or_refuse(_GOOD.replace(place, f'"{data.draw(text)}"', 1))


@given(st.text(st.sampled_from("a#.:[]()>+~*,'\"= \\1-"), max_size=60))
@settings(deadline=None)
def test_any_selector_is_read_or_refused(selector: str) -> None:
    """A selector of any shape is accepted or named, never an error of the selector library."""
    _parse_or_refuse(_SMALL.replace("article", yaml.safe_dump(selector, width=1000).strip().removesuffix("\n...")))


_KIB = 1024


_HOSTILE = {
    "deep list": "[" * 60 * _KIB,
    "deep mapping": "a: " * 20 * _KIB,
    "deep dashes": "- " * 30 * _KIB,
    "deep keys": "? " * 30 * _KIB,
    "many aliases": "a: &a [x]\nb: [" + "*a," * 20 * _KIB + "]",
    "many fields": "\n".join(f"k{number}: v" for number in range(6_000)),
    "many flow fields": "{" + ",".join(f"k{number}: [1]" for number in range(4_000)) + "}",
    "many repetitions": _SMALL + "limits: {" + "max_pages: 1, " * 4_000 + "}",
    "open quote": "'" + "x" * 60 * _KIB,
    "control characters": "\x00" * 60 * _KIB,
    "empty lines": "x: |\n" + " \n" * 30 * _KIB,
    "deep selector": _SMALL.replace("article", "'" + ":is(" * 90 + "a" + ")" * 90 + "'"),
    "alias bomb": "a: &a [1]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n",
    "ten million characters": "x" * 10_000_000,
}


@pytest.mark.parametrize("kind", _HOSTILE)
def test_a_hostile_text_is_refused_quickly(kind: str) -> None:
    """A text made to be slow costs no more than a moment and yields at most a hundred problems."""
    started = time.thread_time()

    with pytest.raises(DefinitionError) as caught:
        definitions.parse(_HOSTILE[kind])

    assert len(caught.value.problems) <= 100
    assert time.thread_time() - started < 3
