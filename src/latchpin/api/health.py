"""Whether the process runs, and whether it can serve requests: for load balancers and supervisors."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from latchpin.api.routing import database


@get("/health/live", operation_id="live", summary="Whether the process runs", tags=["Operations"], exclude_from_auth=True)
async def live() -> dict[str, str]:
    """Answer 200 as long as the process runs, even when the database fails."""
    return {"status": "ok"}


@get("/health/ready", operation_id="ready", summary="Whether requests can be served", tags=["Operations"], exclude_from_auth=True)
async def ready(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Answer 200 while the database can be read and written, else 503; always within two seconds."""
    await database(request).require_ready()
    return {"status": "ok"}


HANDLERS = [live, ready]
