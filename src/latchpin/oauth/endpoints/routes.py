"""All JSON endpoints of the authorization server, as the composition root mounts them."""

from __future__ import annotations

from litestar import Router

from latchpin.oauth.endpoints import device_authorization, discovery, introspect, pushed, register, revoke, token, userinfo
from latchpin.oauth.endpoints.responses import HANDLERS
from latchpin.oauth.params import MOST_BODY_BYTES

ROUTER = Router(
    "/",
    route_handlers=[
        # Preflights first: Litestar answers OPTIONS by itself for a path whose first handler does not.
        device_authorization.device_authorization_preflight,
        discovery.discovery_preflight,
        introspect.introspect_preflight,
        pushed.push_preflight,
        revoke.revoke_preflight,
        token.token_preflight,
        userinfo.userinfo_preflight,
        token.token,
        device_authorization.device_authorization,
        introspect.introspect,
        pushed.push,
        revoke.revoke,
        userinfo.userinfo,
        userinfo.userinfo_by_post,
        discovery.authorization_server_metadata,
        discovery.openid_configuration,
        discovery.protected_resource,
        discovery.certs,
        *register.HANDLERS,
    ],
    exception_handlers=HANDLERS,
    request_max_body_size=MOST_BODY_BYTES,
    include_in_schema=False,
)
