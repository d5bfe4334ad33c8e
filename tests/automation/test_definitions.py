"""An agent definition: what a complete one means, and that writing and reading it again changes nothing."""

from __future__ import annotations

import pytest

from latchpin.automation import definition_model as model
from latchpin.automation import definitions

MINIMAL = """\
version: 1
name: Books
start_url: https://books.example/
record:
  selector: article
  fields:
    - name: title
"""

COMPLETE = """\
version: 1
type: agent
name: Book prices
description: All books of a category
documentation: |-
  Ask the pricing team.

  Prices change at 06:00: wait for it.
start_url: https://books.example/{category}?q={q}
allowed_domains:
  - books.example
input_parameters:
  - name: category
    description: Last part of the address
    default: fiction
  - name: q
  - name: access_token
    encrypted: true
request:
  method: POST
  headers:
    Authorization: Bearer {access_token}
  form:
    sort: price
  obey_robots: false
record:
  selector: article.book
  fields:
    - name: title
      selector: h2 a
      required: true
    - name: price
      selector: .price
      type: number
      decimal_separator: ','
    - name: tags
      selector: .tag
      attribute: title
      many: true
follow:
  selector: h2 a
  fields:
    - name: published
      selector: time
      type: date
      date_format: '%d %B %Y'
pagination:
  kind: page_parameter
  parameter: page
  first: 0
  last: 100
  step: 20
limits:
  max_pages: 50
  max_records: 2000
  max_run_seconds: 600
  delay_seconds: 0.25
  timeout_seconds: 20
  concurrency: 4
  retries: 0
"""


def test_a_minimal_definition_takes_every_default() -> None:
    """What is left out has the default that the reference promises."""
    definition = definitions.parse(MINIMAL)

    assert definition == model.Definition(
        name="Books",
        start_url="https://books.example/",
        record=model.Record(selector="article", fields=(model.Field(name="title"),)),
    )
    assert definition.limits == model.Limits(
        max_pages=100,
        max_records=10_000,
        max_run_seconds=3_600,
        delay_seconds=1.0,
        timeout_seconds=30,
        concurrency=2,
        retries=2,
    )


def test_a_complete_definition_is_already_in_canonical_form() -> None:
    """Writing a definition that names every field gives its text back, in the order of the reference."""
    assert definitions.dump(definitions.parse(COMPLETE)) == COMPLETE


def test_a_definition_cannot_be_changed() -> None:
    """What was checked stays as it was checked."""
    definition = definitions.parse(MINIMAL)

    # The type checker knows it too; here it is seen while running.
    with pytest.raises(AttributeError):
        definition.name = "Other"  # type: ignore[misc]


def test_the_type_decides_the_number_of_the_api() -> None:
    """An agent is 1 and a command is 4 where the API says configType."""
    command = "version: 1\ntype: command\nname: Ping\nstart_url: https://shop.example/\n"

    assert definitions.parse(MINIMAL).config_type == 1
    assert definitions.parse(command).config_type == 4


@pytest.mark.parametrize("written", ["no", "2026-01-01", "0417", "1e3", "12:30", "true"])
def test_text_is_taken_as_it_is_written(written: str) -> None:
    """A default that YAML would read as a date, a number or a truth value is the author's text."""
    text = f"{MINIMAL}input_parameters:\n  - name: value\n    default: {written}\n"

    definition = definitions.parse(text)

    assert definition.input_parameters[0].default == written
    assert definitions.parse(definitions.dump(definition)) == definition


def test_an_empty_default_is_not_a_missing_one() -> None:
    """Quoted emptiness is a value, and nothing at all means that the value is asked for at run time."""
    text = f"{MINIMAL}input_parameters:\n  - name: a\n    default: ''\n  - name: b\n    default:\n"

    first, second = definitions.parse(text).input_parameters

    assert (first.default, second.default) == ("", None)


def test_defaults_for_the_api_are_texts_and_never_secrets() -> None:
    """The map of defaults holds every declared name, and nothing for an encrypted parameter."""
    definition = definitions.parse(COMPLETE)

    assert definitions.input_defaults(definition) == {"category": "fiction", "q": "", "access_token": ""}
    assert definitions.input_parameters(definition) == definition.input_parameters


def test_the_parameters_of_the_start_url_come_once_and_in_order() -> None:
    """A parameter used twice in the address is one parameter."""
    text = COMPLETE.replace("/{category}?q={q}", "/{category}?q={q}&again={category}")

    assert definitions.start_url_parameters(definitions.parse(text)) == ("category", "q")


@pytest.mark.parametrize(
    "text",
    [MINIMAL.encode(), b"\xef\xbb\xbf" + MINIMAL.encode(), MINIMAL.replace("\n", "\r\n")],
    ids=["plain", "mark", "windows"],
)
def test_bytes_a_byte_order_mark_and_windows_lines_are_read(text: str | bytes) -> None:
    """A file as an editor on another system leaves it means the same."""
    assert definitions.parse(text) == definitions.parse(MINIMAL)
