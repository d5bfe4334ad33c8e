"""The product's application with one trivial route twice: open, and behind a key."""

from __future__ import annotations

from litestar import get

from latchpin import settings
from latchpin.api.routing import require_permission, requires
from latchpin.app import Application, build
from latchpin.identity import roles
from latchpin.kit import logs
from latchpin.storage import secrets


@get("/bench/trivial", sync_to_thread=False)
def open_() -> dict[str, str]:
    """Answer without asking who calls."""
    return {"status": "ok"}


@get("/api/v1/bench/trivial", sync_to_thread=False, opt=requires(roles.AGENTS_READ), before_request=require_permission)
def guarded() -> dict[str, str]:
    """Answer a caller whose key carries agents:read."""
    return {"status": "ok"}


def create() -> Application:
    """Build from the environment."""
    chosen = settings.load()
    logs.configure(chosen)
    return build(chosen, secrets.load(chosen.secrets_file), also=[open_, guarded])
