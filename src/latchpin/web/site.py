"""What the pages work with. The composition root makes it and puts it into the application's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Request

from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.secrets import Secrets

STATE = "latchpin_site"
AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """The deployment, as the pages need it."""

    settings: Settings
    secrets: Secrets
    database: Database


def of(request: AnyRequest) -> Site:
    """Return the site of the application that the request came to."""
    found: Site = request.app.state[STATE]
    return found
