"""All JSON endpoints of the authorization server, as the composition root mounts them."""

from __future__ import annotations

from litestar import Router

from latchpin.oauth.endpoints import discovery, token
from latchpin.oauth.endpoints.answers import HANDLERS

ROUTER = Router(
    "/",
    route_handlers=[
        token.token,
        token.token_preflight,
        discovery.authorization_server_metadata,
        discovery.openid_configuration,
        discovery.protected_resource,
        discovery.certs,
    ],
    exception_handlers=HANDLERS,
    include_in_schema=False,
)
