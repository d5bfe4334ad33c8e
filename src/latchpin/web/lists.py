"""The state of a list, read from the address: search, sorting, page. Invalid values fall back to the default."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from litestar.params import PathParameter

from latchpin.services import AnyRequest
from latchpin.web import forms
from latchpin.web.views.common import Listing

Id = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]
_MOST_PAGES = 1_000_000


def read_listing(request: AnyRequest, base: str, sorts: tuple[str, ...], size: int, filters: tuple[str, ...] = ()) -> Listing:
    """Read an address; the first of `sorts` is the default. The total is not known yet: see `with_total`."""
    query = {name: forms.query(request, name) for name in ("q", *filters, "sort", "order", "page")}
    sort = query["sort"] if query["sort"] in sorts else sorts[0]
    page = forms.number(query["page"], most=_MOST_PAGES) or 1
    nonempty = {name: value for name, value in query.items() if value}
    return Listing(base, nonempty, sort, query["order"] == "desc", page, size, 0)


def with_total(listing: Listing, total: int) -> Listing:
    """The same listing, with the length of the whole list."""
    return replace(listing, total=total)
