"""What pages of other sites may do with the API (Fetch, CORS protocol): call it with a token, and read the answer. Never with a cookie."""

from __future__ import annotations

from litestar.types import Send

from latchpin.kit import cors

PREFLIGHT = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", cors.REQUEST_HEADERS.encode()),
    (b"access-control-max-age", cors.PREFLIGHT_SECONDS.encode()),
    (b"content-length", b"0"),
)
READABLE = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"www-authenticate, dpop-nonce, retry-after, ratelimit, ratelimit-policy, x-request-id"),
)


async def answer_preflight(send: Send) -> None:
    """Answer a browser's question whether another site's page may call with a token."""
    await send({"type": "http.response.start", "status": 204, "headers": list(PREFLIGHT)})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
