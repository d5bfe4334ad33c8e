"""Records of a page: each element that the record's selector finds is one, and its fields are read inside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parsel import Selector

from latchpin.automation.definition_model import Field, FieldType, Follow, Record
from latchpin.automation.extraction import values
from latchpin.automation.extraction.links import follow_address
from latchpin.automation.extraction.page import Page

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A record as read from its list page; `follow` is the address of the page with its further fields, where there is one."""

    values: Values
    follow: str | None = None


def take_records(page: Page, record: Record, follow: Follow | None = None) -> Iterator[ListedRecord]:
    """Return a page's records in its own order."""
    for element in page.root.css(record.selector):
        address = follow_address(page, element, follow) if follow else None
        yield ListedRecord(take_fields(page, element, record.fields), address)


def take_fields(page: Page, element: Selector, fields: Sequence[Field]) -> Values:
    """Read fields inside an element; a missing field is None, or an empty list for one with many values."""
    return {field.name: _take(page, element, field) for field in fields}


def complete(record_values: Mapping[str, Any], fields: Sequence[Field]) -> list[str]:
    """Return the names of required fields that have no value."""
    return [field.name for field in fields if field.required and record_values.get(field.name) in (None, [])]


def _take(page: Page, element: Selector, field: Field) -> object:
    matches = element.css(field.selector) if field.selector else [element]
    if field.type is FieldType.BOOLEAN:
        return any(field.attribute is None or field.attribute in match.attrib for match in matches)
    if not field.many:
        return _value(page, matches[0], field) if matches else None
    read = (_value(page, match, field) for match in matches)
    return [value for value in read if value is not None]


def _value(page: Page, match: Selector, field: Field) -> object:
    if field.type is FieldType.HTML:
        markup: str = match.get()
        return markup
    if field.type is FieldType.URL:
        address = _address(match, field)
        return page.absolute(address) if address and address.strip() else None
    raw = _text(match, field)
    if raw is None:
        return None
    if field.type is FieldType.NUMBER:
        return values.number(raw, field.decimal_separator)
    if field.type is FieldType.DATE:
        return values.moment(raw, field.date_format)
    return values.text(raw)


def _address(match: Selector, field: Field) -> str | None:
    if field.attribute is not None:
        return match.attrib.get(field.attribute)
    return match.attrib.get("href", match.attrib.get("src"))


def _text(match: Selector, field: Field) -> str | None:
    """Return an attribute's text, or that of the element and all below it."""
    if field.attribute is not None:
        return match.attrib.get(field.attribute)
    text: str | None = match.xpath("string(.)").get()
    return text
