"""What is taken out of a page: every type of field, records, and the links to other pages."""

from __future__ import annotations

from latchpin.automation import definitions, extraction
from latchpin.automation.definition_model import DecimalSeparator, Definition
from latchpin.automation.extraction import Page, values

PAGE = """<!doctype html><base href="/shop/">
<article><a class="title" href="one">First
   <b>book</b></a><i>1,299.50 EUR</i><time datetime="2026-03-01T10:00:00Z">1 March 2026</time><em class="sold">sold</em>
   <ul><li>red</li><li> </li><li>blue</li></ul><img src="/one.png" alt=" "></article>
<article><a class="title" href="javascript:void(0)"></a><i>free</i></article>
<nav><a rel="next" href="?page=2">next</a></nav>"""
HEAD = """version: 1
name: Books
start_url: https://books.example/shop/{genre}?page=1&sort=name
input_parameters:
  - name: genre
record:
  selector: article
  fields:
"""


def parsed(fields: str, more: str = "") -> Definition:
    """Read a definition with these fields."""
    return definitions.parse(HEAD + "".join(f"    - {line}\n" for line in fields.splitlines()) + more)


def taken(fields: str) -> list[dict[str, object]]:
    """Take the records of the page with these fields."""
    record = parsed(fields).record
    assert record is not None
    return [item.values for item in extraction.take_records(Page.parse(PAGE, "https://books.example/list"), record)]


def test_each_type_of_field_gives_its_value() -> None:
    """Text is made one line, numbers lose their groups, addresses are absolute, dates are ISO 8601, and what is not there is null."""
    rows: dict[str, tuple[object, object]] = {
        "{name: v, selector: .title}": ("First book", None),
        "{name: v, selector: .nothing}": (None, None),
        "{name: v, selector: i, type: number}": (1299.5, None),
        "{name: v, selector: .title, type: url}": ("https://books.example/shop/one", None),
        "{name: v, selector: img, type: url}": ("https://books.example/one.png", None),
        "{name: v, selector: time, type: date, date_format: '%d %B %Y'}": ("2026-03-01", None),
        "{name: v, selector: time, type: date, attribute: datetime}": ("2026-03-01T10:00:00Z", None),
        "{name: v, selector: i, type: date}": (None, None),
        "{name: v, selector: em, type: html}": ('<em class="sold">sold</em>', None),
        "{name: v, selector: .sold, type: boolean}": (True, False),
        "{name: v, selector: img, type: boolean, attribute: alt}": (True, False),
        "{name: v, selector: img, attribute: alt}": (None, None),
        "{name: v, selector: li, many: true}": (["red", "blue"], []),
        "{name: v, selector: ':scope > i'}": ("1,299.50 EUR", "free"),
    }

    for field, expected in rows.items():
        assert tuple(item["v"] for item in taken(field)) == expected, field


def test_numbers_are_read_as_people_write_them() -> None:
    """Signs, groups and both decimal separators; whole numbers stay whole, and text without a digit is no number."""
    point, comma = DecimalSeparator.POINT, DecimalSeparator.COMMA
    rows: list[tuple[str, DecimalSeparator, object]] = [
        ("1,299.50", point, 1299.5),
        ("1.299,50", comma, 1299.5),
        ("EUR 12", point, 12),
        ("\N{MINUS SIGN}3.5 C", point, -3.5),
        ("1'000'000", point, 1_000_000),
        ("1 000,5", comma, 1000.5),
        ("12 of 30", point, 12),
        ("+7", point, 7),
        ("none", point, None),
        ("", point, None),
        ("9" * 30, point, 1e30),
        ("9" * 500, point, None),
    ]

    for text, separator, expected in rows:
        number = values.number(text, separator)
        assert number == expected, text
        assert type(number) is type(expected), text


def test_a_record_without_a_required_value_is_told_apart() -> None:
    """The names of what is lacking; an empty list is no value."""
    record = parsed("{name: title, selector: .title, required: true}\n{name: tags, selector: li, many: true, required: true}").record
    assert record is not None
    items = list(extraction.take_records(Page.parse(PAGE, "https://books.example/list"), record))

    assert [extraction.complete(each.values, record.fields) for each in items] == [[], ["title", "tags"]]


def test_links_lead_where_the_page_says() -> None:
    """A record's link and the next page's start from <base>; what is no web address is none."""
    more = (
        "follow: {selector: .title, fields: [{name: isbn, selector: .isbn}]}\npagination: {kind: next_link, selector: 'nav a[rel=next]'}\n"
    )
    definition = parsed("{name: title, selector: .title}", more)
    page = Page.parse(PAGE, "https://books.example/list")
    assert definition.record is not None

    records = list(extraction.take_records(page, definition.record, definition.follow))

    assert [each.follow for each in records] == ["https://books.example/shop/one", None]
    assert extraction.next_address(page, definition.pagination) == "https://books.example/shop/?page=2"


def test_addresses_are_filled_in() -> None:
    """Values are percent-encoded, and a page parameter replaces the one that is there."""
    definition = parsed("{name: title}", "pagination: {kind: page_parameter, parameter: page}\n")

    start = extraction.start_address(definition.start_url, {"genre": "sci-fi & more/ä"})

    assert start == "https://books.example/shop/sci-fi%20%26%20more%2F%C3%A4?page=1&sort=name"
    assert extraction.page_address(start, definition.pagination, 7).endswith("?sort=name&page=7")
