"""A small web server for documents that somebody else publishes: metadata documents, key sets, and what goes wrong with them."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc.jwk import ECKey, RSAKey

from tests.support.ports import free_port

RSA_KEY = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
EC_KEY = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig"})


@dataclass
class Page:
    """What is answered at a path. `wait` holds the answer up until it is set."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    wait: threading.Event | None = None
    counted_length: bool = True


class Publisher:
    """Serves pages at one address; `asked` are the paths that were asked for, `hosts` the Host headers that came along."""

    def __init__(self, address: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._came = threading.Condition()
        self._server = ThreadingHTTPServer((address, port), _handler(self))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = port
        self.url = f"{'https' if tls else 'http'}://{address}:{port}"

    def json(self, path: str, document: Any, *, cache: str | None = None, **more: Any) -> str:
        """Publish a JSON document and return its address."""
        headers = {"Content-Type": "application/json", **({"Cache-Control": cache} if cache else {})}
        self.pages[path] = Page(json.dumps(document).encode(), headers=headers, **more)
        return self.url + path

    def client(self, path: str = "/app.json", *, cache: str | None = None, without: str = "", **more: Any) -> str:
        """Publish a client ID metadata document and return its address, which is the client_id."""
        document = {
            "client_id": self.url + path,
            "client_name": "Far app",
            "redirect_uris": ["https://far.example/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            **more,
        }
        document.pop(without, None)
        return self.json(path, document, cache=cache)

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come; fails after ten seconds."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.asked) >= count, 10), self.asked

    def came(self, path: str, headers: dict[str, str]) -> None:
        """Note a request."""
        with self._came:
            self.asked.append(path)
            self.headers.append(headers)
            self._came.notify_all()

    def run(self) -> None:
        """Serve until closed."""
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """Stop serving; the address is free again."""
        self._server.shutdown()
        self._server.server_close()


def _handler(publisher: Publisher) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer."""
            publisher.came(self.path, {name.lower(): value for name, value in self.headers.items()})
            page = publisher.pages.get(self.path) or Page(b"{}", 404)
            if page.wait is not None:
                page.wait.wait(20)
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.counted_length:
                self.send_header("Content-Length", str(len(page.body)))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            try:
                self.wfile.write(page.body)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
            """Say nothing."""

    return Handler


@contextmanager
def published(address: str = "127.0.0.1", port: int | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Publisher]:
    """Publish documents for the length of the block."""
    publisher = Publisher(address, port or free_port(), tls)
    thread = threading.Thread(target=publisher.run, daemon=True)
    thread.start()
    try:
        yield publisher
    finally:
        publisher.close()
        thread.join(10)
