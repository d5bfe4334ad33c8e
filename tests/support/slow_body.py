"""A request whose body arrives late: something happens after the server began to wait for it, and before it has come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.support.server import Server


def send(server: Server, path: str, headers: Mapping[str, str], body: bytes, meanwhile: Callable[[], Awaitable[object]]) -> int:
    """Post to the application itself; `meanwhile` runs in the server's loop once the body is asked for. Returns the status."""

    async def ask() -> int:
        messages: list[Any] = []
        came = False

        async def receive() -> Any:
            nonlocal came
            if came:
                return {"type": "http.disconnect"}
            came = True
            await meanwhile()
            return {"type": "http.request", "body": body, "more_body": False}

        async def note(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", server.settings.port),
            "state": {},
        }
        await server.application(scope, receive, note)
        return int(next(message["status"] for message in messages if message["type"] == "http.response.start"))

    return server.run(ask())
