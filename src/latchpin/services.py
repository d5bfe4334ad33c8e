"""The services of a deployment in one object: `app` makes it, and API and pages get it with `of`.

The authorization server, a lower layer, sees only its own part, which is the base class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection

from latchpin.automation.run_engine import RunEngine
from latchpin.oauth.authorization_server import STATE, AnyRequest, AuthorizationServer

__all__ = ["AnyRequest", "Services", "of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(AuthorizationServer):
    """The whole deployment."""

    engine: RunEngine


def of(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    """Return the services of the application that a request came to."""
    services: Services = connection.app.state[STATE]
    return services
