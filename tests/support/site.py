"""A small site that agents of tests crawl: a shop with list pages and details, a slow page, broken ones. Served by the test itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PER_PAGE = 10
Page = tuple[int, dict[str, str], bytes]


@dataclass
class Site:
    """A running site. `seen` are the requests (path, headers in lower case); `gate` holds `/slow` pages back until it is set."""

    url: str
    address: str
    products: int = 30
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    pages: dict[str, Page] = field(default_factory=dict)

    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [path for path, _ in self.seen]


def page(text: str) -> Page:
    """Return an answer that is a page."""
    return 200, {"Content-Type": "text/html; charset=utf-8"}, f"<!doctype html><meta charset=utf-8>{text}".encode()


def _list(site: Site, query: dict[str, str]) -> Page:
    number = int(query.get("page", "1"))
    first = (number - 1) * PER_PAGE
    rows = "".join(
        f'<li class="product"><a href="/product/{each}">Product {each}</a> <span class="price">{each}.50 EUR</span></li>'
        for each in range(first + 1, min(first + PER_PAGE, site.products) + 1)
    )
    following = f'<a rel="next" href="/list?page={number + 1}">next</a>' if first + PER_PAGE < site.products else ""
    return page(f"<ul>{rows}</ul>{following}")


def _product(number: str) -> Page:
    return page(f'<h1>Product {number}</h1><span class="stock">{int(number) % 7}</span>')


def _slow(site: Site, query: dict[str, str]) -> Page:
    number = int(query.get("page", "1"))
    if number > 1:
        site.gate.wait(60)
    rows = "".join(f'<li class="product"><a href="/product/{each}">Product {each}</a></li>' for each in range(1, 4))
    return page(f'<ul>{rows}</ul><a rel="next" href="/slow?page={number + 1}">next</a>')


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the standard library's name
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        parts = urlsplit(self.path)
        self.site.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, headers, body = self._answer(parts.path, query)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, path: str, query: dict[str, str]) -> Page:
        if path in self.site.pages:
            return self.site.pages[path]
        if path == "/robots.txt":
            return 200, {"Content-Type": "text/plain"}, b"User-agent: *\nDisallow: /private\n"
        if path == "/list":
            return _list(self.site, query)
        if path == "/slow":
            return _slow(self.site, query)
        if path.startswith("/product/"):
            return _product(path.rpartition("/")[2])
        return 404, {"Content-Type": "text/html"}, b"<h1>Not found</h1>"


@contextmanager
def site(*, products: int = 30, host: str = "127.0.0.1") -> Iterator[Site]:
    """Serve a site for the length of the block."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer((host, 0), handler) as server:
        server.daemon_threads = True
        address = f"{host}:{server.server_port}"
        running_site = Site(f"http://{address}", address, products)
        handler.site = running_site  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield running_site
        finally:
            running_site.gate.set()
            server.shutdown()
            thread.join()


def agent(url: str, *, path: str = "/list", name: str = "Shop", follow: bool = True, **limits: Any) -> str:
    """Return the definition of an agent for a site."""
    chosen = {"delay_seconds": 0, "concurrency": 4, "retries": 0, **limits}
    details = "follow:\n  selector: a\n  fields:\n    - name: stock\n      selector: .stock\n      type: number\n" if follow else ""
    lines = "\n".join(f"  {key}: {value}" for key, value in chosen.items())
    return f"""version: 1
name: {name}
start_url: {url}{path}
record:
  selector: li.product
  fields:
    - name: title
      selector: a
      required: true
    - name: price
      selector: .price
      type: number
{details}pagination:
  kind: next_link
  selector: a[rel=next]
limits:
{lines}
"""
