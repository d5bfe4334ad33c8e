"""What clients find out by themselves: metadata (RFC 8414, OpenID Connect Discovery, RFC 9728) and keys (RFC 7517).

Every form of an address gives the same issuer, which is the public address and not what the request calls us (security.md 82, 83); an
address that is neither of our issuer nor of our API gives none. What is listed works; what does not work is not listed.
"""

from __future__ import annotations

from typing import Any

from litestar import Response, get, route
from litestar.enums import HttpMethod

from latchpin.identity import dpop
from latchpin.identity.scopes import ALL, REQUESTABLE, serialize
from latchpin.identity.signing_keys import JWKS_SECONDS
from latchpin.oauth import auth_methods, authorization_request, authorization_server, client_assertion, end_session, pkce
from latchpin.oauth.authorization_server import AnyRequest, AuthorizationServer
from latchpin.oauth.endpoints import device_authorization, introspect, pushed, register, revoke, userinfo
from latchpin.oauth.endpoints.responses import cacheable_json, preflight
from latchpin.oauth.endpoints.token import GRANTS
from latchpin.oauth.endpoints.token import PATH as TOKEN
from latchpin.oauth.errors import OAuthError

_METADATA_SECONDS = 300
CERTS = "/api/oauth/certs"
_API = "/api/v1"
_AUTHORIZATION_SERVER, _OPENID, _RESOURCE = "oauth-authorization-server", "openid-configuration", "oauth-protected-resource"
_RESOURCE_METADATA = "/api/oauth/resource-metadata"


def oauth_metadata(server: AuthorizationServer) -> dict[str, Any]:
    """Return our metadata (RFC 8414 section 2)."""
    issuer = server.issuer
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + authorization_request.PATH,
        "token_endpoint": issuer + TOKEN,
        "jwks_uri": issuer + CERTS,
        "scopes_supported": list(REQUESTABLE),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANTS),
        "token_endpoint_auth_methods_supported": list(auth_methods.METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(client_assertion.ALGORITHMS),
        "revocation_endpoint": issuer + revoke.PATH,
        "revocation_endpoint_auth_methods_supported": list(auth_methods.METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(client_assertion.ALGORITHMS),
        "introspection_endpoint": issuer + introspect.PATH,
        "introspection_endpoint_auth_methods_supported": [each for each in auth_methods.METHODS if each != auth_methods.NONE],
        "introspection_endpoint_auth_signing_alg_values_supported": list(client_assertion.ALGORITHMS),
        "pushed_authorization_request_endpoint": issuer + pushed.PATH,
        "require_pushed_authorization_requests": server.settings.require_pushed_authorization_requests,
        "device_authorization_endpoint": issuer + device_authorization.PATH,
        **({"registration_endpoint": issuer + register.PATH} if register.is_offered(server) else {}),
        "client_id_metadata_document_supported": server.settings.client_documents,
        "code_challenge_methods_supported": [pkce.METHOD],
        "authorization_response_iss_parameter_supported": True,
        "resource_indicators_supported": True,
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "protected_resources": [issuer],
        "service_documentation": f"{issuer}/api-docs",
        "ui_locales_supported": ["en"],
    }


def openid_provider(server: AuthorizationServer) -> dict[str, Any]:
    """Return our metadata as an OpenID provider (OpenID Connect Discovery section 3)."""
    return {
        **oauth_metadata(server),
        "userinfo_endpoint": server.issuer + userinfo.PATH,
        "end_session_endpoint": server.issuer + end_session.PATH,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": server.ring.algorithms,
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid", "at_hash", "name", "email", "email_verified"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


def _forms(document: str) -> list[str]:
    return [f"/.well-known/{document}", f"/.well-known/{document}/{{_rest:path}}"]


def _require_ours(request: AnyRequest, document: str) -> str:
    """Return the path for which metadata is requested (RFC 8414 section 3.1): empty for our issuer, or that of our API.

    Raises OAuthError, 404, for any other: the response would name another issuer than the requested one, and clients try other paths then.
    """
    path: str = request.scope["path"].rstrip("/").removeprefix(f"/.well-known/{document}")
    if path not in ("", _API):
        raise OAuthError(
            "invalid_request", f"nothing of ours is at this path; our issuer is {authorization_server.of(request).issuer}", status=404
        )
    return path


@get(_forms(_AUTHORIZATION_SERVER))
async def authorization_server_metadata(request: AnyRequest) -> Response[bytes]:
    """Tell OAuth clients where everything is."""
    _require_ours(request, _AUTHORIZATION_SERVER)
    server = authorization_server.of(request)
    await server.now()
    return cacheable_json(oauth_metadata(server), seconds=_METADATA_SECONDS)


@get(_forms(_OPENID))
async def openid_configuration(request: AnyRequest) -> Response[bytes]:
    """Tell OpenID Connect clients where everything is."""
    _require_ours(request, _OPENID)
    server = authorization_server.of(request)
    await server.now()
    return cacheable_json(openid_provider(server), seconds=_METADATA_SECONDS)


@get([*_forms(_RESOURCE), _RESOURCE_METADATA])
async def protected_resource(request: AnyRequest) -> Response[bytes]:
    """Describe our API as a protected resource (RFC 9728 section 2)."""
    issuer = authorization_server.of(request).issuer
    path = "" if request.scope["path"].rstrip("/") == _RESOURCE_METADATA else _require_ours(request, _RESOURCE)
    return cacheable_json(
        {
            "resource": issuer + path,  # what the address was made from (section 3.3); tokens may be for either
            "resource_name": "Latchpin API",
            "authorization_servers": [issuer],
            "scopes_supported": serialize(ALL).split(),
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
            "dpop_bound_access_tokens_required": False,
            "jwks_uri": issuer + CERTS,
            "resource_documentation": f"{issuer}/api-docs",
        },
        seconds=_METADATA_SECONDS,
    )


@route(
    [*_forms(_AUTHORIZATION_SERVER), *_forms(_OPENID), *_forms(_RESOURCE), _RESOURCE_METADATA, CERTS],
    http_method=[HttpMethod.OPTIONS],
)
async def discovery_preflight() -> Response[bytes]:
    """Let other sites' pages ask: clients in browsers send headers of their own here too."""
    return preflight("GET")


@get(CERTS)
async def certs(request: AnyRequest) -> Response[bytes]:
    """Return the public keys that tokens are signed with, the next one among them."""
    server = authorization_server.of(request)
    await server.now()
    return cacheable_json(server.ring.jwks, seconds=JWKS_SECONDS)
