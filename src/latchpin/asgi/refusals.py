"""How a layer before the routes refuses a request: with a problem document and the rate limit headers."""

from __future__ import annotations

from typing import Any

from litestar.types import Send

from latchpin.asgi import problems
from latchpin.asgi.rate_limit import RateLimiter
from latchpin.errors import LatchpinError
from latchpin.kit import context


async def send_refusal(error: LatchpinError, scope: Any, send: Send, limiter: RateLimiter, public_url: str) -> None:  # noqa: ANN401  the server's dictionary
    """Send the problem document; a caller who was not counted gets the default limit in the headers."""
    request = context.of(scope)
    response = problems.of_error(error, instance=scope["path"], public_url=public_url, request_id=request.request_id, scheme=request.scheme)
    headers = response.headers
    if not limiter.has_headers(request):
        headers = [*headers, *limiter.default_headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body, "more_body": False})
