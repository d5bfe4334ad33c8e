"""A page as extraction sees it: its parsed root, and the address that its links start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin

from parsel import Selector
from w3lib.html import get_base_url


@dataclass(frozen=True, slots=True)
class Page:
    """One HTML page. `base` is what relative addresses start from: the page's own URL, or that of its <base> element."""

    root: Selector
    url: str
    base: str

    @classmethod
    def parse(cls, text: str, url: str) -> Self:
        """Parse a page's text, which was fetched from `url`."""
        return cls(Selector(text=text, type="html"), url, get_base_url(text, url))

    @classmethod
    def of(cls, root: Selector, text: str, url: str) -> Self:
        """Make a page from a parsed root."""
        return cls(root, url, get_base_url(text, url))

    def absolute(self, address: str) -> str | None:
        """Make an address absolute; None if it is not http or https."""
        try:
            joined = urljoin(self.base, address.strip())
        except ValueError:
            return None
        return joined if joined.startswith(("http://", "https://")) else None
