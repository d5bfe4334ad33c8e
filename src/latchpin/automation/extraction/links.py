"""The addresses that a crawl goes to: where it starts, which page comes next, and what a record leads to."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from parsel import Selector

from latchpin.automation.definition_model import Follow, Pagination, PaginationKind
from latchpin.automation.definition_values import PLACEHOLDER
from latchpin.automation.extraction.page import Page


def start_address(template: str, inputs: Mapping[str, str]) -> str:
    """Fill a start URL's placeholders in, percent-encoded; raises KeyError for a value that is not given."""
    return PLACEHOLDER.sub(lambda match: quote(inputs[match[1]], safe=""), template)


def fill(template: str, inputs: Mapping[str, str]) -> str:
    """Fill the placeholders of a header or form value in as they are; raises KeyError for a value that is not given."""
    return PLACEHOLDER.sub(lambda match: inputs[match[1]], template)


def page_address(start: str, pagination: Pagination, number: int) -> str:
    """Return the start URL with its page parameter set, replacing one of the same name."""
    parts = urlsplit(start)
    name = pagination.parameter or ""
    other_pairs = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] != name]
    return urlunsplit(parts._replace(query="&".join([*other_pairs, f"{name}={number}"])))


def next_address(page: Page, pagination: Pagination) -> str | None:
    """Return where a page's link to the next one leads; None where there is none."""
    if pagination.kind is not PaginationKind.NEXT_LINK or pagination.selector is None:
        return None
    return _first_link(page, page.root, pagination.selector)


def follow_address(page: Page, element: Selector, follow: Follow) -> str | None:
    """Return where a record's link leads; None where the record has none."""
    return _first_link(page, element, follow.selector)


def _first_link(page: Page, element: Selector, selector: str) -> str | None:
    """Return the address of the first match: its own, or that of the first link inside it."""
    for match in element.css(selector)[:1]:
        address = match.attrib.get("href") or match.css("a[href]::attr(href)").get()
        return page.absolute(address) if address else None
    return None
