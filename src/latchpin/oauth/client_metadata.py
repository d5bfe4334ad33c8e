"""Reads and checks client metadata, from a metadata document or a registration (RFC 7591 section 2). Pure.

Members that we do not know are ignored (section 3.1). Logos are not fetched and not shown (security.md 76).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from latchpin.identity import jwk
from latchpin.identity.scopes import OFFLINE, REQUESTABLE, ordered
from latchpin.kit.fields import FieldValidation
from latchpin.oauth import auth_methods, redirects
from latchpin.oauth.client_admin import DEVICE
from latchpin.oauth.errors import OAuthError
from latchpin.storage.models import OAuthClient

GRANT_TYPES = ("authorization_code", "refresh_token", DEVICE)
_MOST_REDIRECTS, _MOST_KEYS = 20, 10
_MOST_JWKS = 20_000  # characters
_KEY_PROBLEMS = {
    jwk.Problem.KEY_TYPE: "only public RSA, EC and OKP keys can be used",
    jwk.Problem.PRIVATE: "a private key was published; make a new one",
    jwk.Problem.RSA_SIZE: f"an RSA key needs {jwk.RSA_BITS[0]} to {jwk.RSA_BITS[-1]} bits",
    jwk.Problem.UNREADABLE: "a key cannot be read",
}
REQUIRE_PUSHED = "require_pushed_authorization_requests"  # RFC 9126 section 6
DPOP_BOUND = "dpop_bound_access_tokens"  # RFC 9449 section 5.2
REDIRECTS = ("redirect_uris", "post_logout_redirect_uris")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """Client metadata that is valid in itself. `grant_types` and `scopes` are space-separated, the lists JSON, as in OAuthClient."""

    name: str
    redirect_uris: str
    post_logout_redirect_uris: str
    grant_types: str
    auth_method: str
    application_type: str
    scopes: str
    jwks: str | None
    jwks_uri: str | None
    client_uri: str | None
    require_pushed: bool
    dpop_bound: bool

    def values(self) -> dict[str, str | bool | None]:
        """Return the columns of OAuthClient by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def invalid(description: str) -> OAuthError:
    """Make the error for invalid metadata (RFC 7591 section 3.2.2)."""
    return OAuthError("invalid_client_metadata", description)


def without_empty(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that are set: null and "", which many clients send for unset members, mean the same as no member."""
    return {name: value for name, value in metadata.items() if value is not None and value != ""}


def parse_registration(metadata: Mapping[str, Any]) -> ClientMetadata:
    """Read what an app registers; raises OAuthError `invalid_redirect_uri` or `invalid_client_metadata`.

    What it may not have is refused with an error: above all client_credentials, which only administrators give.
    """
    metadata = without_empty(metadata)
    grant_types = _words(metadata, "grant_types", ["authorization_code"])
    if unknown := [each for each in grant_types if each not in GRANT_TYPES]:
        raise invalid(f"grant_types may be {', '.join(GRANT_TYPES)}; not {unknown[0][:100]}")
    if any(each != "code" for each in _words(metadata, "response_types", ["code"])):
        raise invalid("response_types may be code only")
    method = metadata.get("token_endpoint_auth_method", auth_methods.BASIC)  # RFC 7591 section 2: the default
    if method not in auth_methods.METHODS:
        raise invalid("token_endpoint_auth_method may be none, client_secret_basic, client_secret_post or private_key_jwt")
    return _read(metadata, grant_types, str(method))


def parse_document(metadata: Mapping[str, Any]) -> ClientMetadata:
    """Read a metadata document; raises OAuthError (security.md 69, 72).

    One document serves many authorization servers, so grant types that we do not support are ignored. There can be no secret in a
    public document, so whatever needs one is refused.
    """
    if "client_secret" in metadata or "client_secret_expires_at" in metadata:  # even an empty one: nobody should look for it there
        raise invalid("a document that everybody can read may not hold a client_secret")
    metadata = without_empty(metadata)
    if not isinstance(metadata.get("client_name"), str) or not metadata["client_name"].strip():
        raise invalid("client_name is missing")
    if not metadata.get("redirect_uris"):
        raise invalid("redirect_uris are missing")
    method = metadata.get("token_endpoint_auth_method", auth_methods.NONE)
    if method not in (auth_methods.NONE, auth_methods.PRIVATE_KEY_JWT):
        raise invalid("token_endpoint_auth_method may be none or private_key_jwt")
    grant_types = [each for each in _words(metadata, "grant_types", ["authorization_code"]) if each in GRANT_TYPES]
    if "authorization_code" not in grant_types or "code" not in _words(metadata, "response_types", ["code"]):
        raise invalid("grant_types must hold authorization_code, and response_types code")
    return _read(metadata, grant_types, str(method))


def notes(metadata: Mapping[str, Any], client: OAuthClient) -> list[str]:
    """Return notes for the developers of an app about its entry; `metadata` is what they sent."""
    messages = []
    if metadata.get("application_type") == "web" and client.application_type == "native":
        messages.append("application_type is native, since a redirect address leads to a program on the user's own computer")
    if "refresh_token" in client.grant_types.split() and OFFLINE not in client.scopes.split():
        messages.append(
            f"refresh tokens are for {OFFLINE}: ask for that scope when you send the user here; "
            "where you do not, the user is asked whether you may stay connected"
        )
    return messages


def _read(metadata: Mapping[str, Any], grant_types: Sequence[str], method: str) -> ClientMetadata:
    addresses = {each: _words(metadata, each, []) for each in REDIRECTS}
    application_type = _application_type(metadata, [*addresses["redirect_uris"], *addresses["post_logout_redirect_uris"]])
    for member, uris in addresses.items():
        _check_redirects(member, uris, application_type, public=method == auth_methods.NONE)
    if "authorization_code" in grant_types and not addresses["redirect_uris"]:
        raise OAuthError("invalid_redirect_uri", "redirect_uris are missing")
    jwks, jwks_uri = _keys(metadata), _address(metadata, "jwks_uri")
    if jwks and jwks_uri:
        raise invalid("jwks and jwks_uri may not both be there")
    if method == auth_methods.PRIVATE_KEY_JWT and not (jwks or jwks_uri):
        raise invalid("private_key_jwt needs jwks or jwks_uri")
    return ClientMetadata(
        name=_name(metadata) or f"App at {redirects.host_of(next(iter(addresses['redirect_uris']), '')) or 'an unknown place'}"[:200],
        redirect_uris=json.dumps(addresses["redirect_uris"]),
        post_logout_redirect_uris=json.dumps(addresses["post_logout_redirect_uris"]),
        grant_types=" ".join(each for each in GRANT_TYPES if each in grant_types),
        auth_method=method,
        application_type=application_type,
        scopes=_scopes(metadata),
        jwks=jwks,
        jwks_uri=jwks_uri,
        client_uri=_address(metadata, "client_uri"),
        require_pushed=_flag(metadata, REQUIRE_PUSHED),
        dpop_bound=_flag(metadata, DPOP_BOUND),
    )


def _name(metadata: Mapping[str, Any]) -> str:
    name = metadata.get("client_name", "")
    if not isinstance(name, str):
        raise invalid("client_name must be text")
    form = FieldValidation()
    clean = form.line("client_name", name, most=200, required=False)
    if form.problems:
        raise invalid(f"client_name: {form.problems[0].message}")
    return clean


def _application_type(metadata: Mapping[str, Any], addresses: Sequence[str]) -> str:
    """Return what kind of app it is; where it does not say, its addresses do: local programs are native (RFC 8252 section 7).

    A loopback address makes an app native also where it says `web`, which many libraries send by default.
    """
    application_type = metadata.get("application_type")
    if application_type not in (None, "web", "native"):
        raise invalid("application_type may be web or native")
    makes_native = redirects.is_local if application_type is None else redirects.is_loopback
    return "native" if application_type == "native" or any(makes_native(each) for each in addresses) else "web"


def _check_redirects(member: str, addresses: Sequence[str], application_type: str, *, public: bool) -> None:
    if len(addresses) > _MOST_REDIRECTS:
        raise OAuthError("invalid_redirect_uri", f"at most {_MOST_REDIRECTS} {member}")
    for each in addresses:
        if problem := redirects.problem(each, application_type, public=public):
            raise OAuthError("invalid_redirect_uri", f"{member}: {each[:200]!a} {problem}")


def _words(metadata: Mapping[str, Any], name: str, default: list[str]) -> list[str]:
    words = metadata.get(name, default)
    if not isinstance(words, list) or not all(isinstance(each, str) for each in words):
        error = "invalid_redirect_uri" if name in REDIRECTS else "invalid_client_metadata"
        raise OAuthError(error, f"{name} must be a list of texts")
    return words


def _scopes(metadata: Mapping[str, Any]) -> str:
    """Return the scopes that the app may ask for: those that it named and we know, or "" for all where it named none."""
    scope = metadata.get("scope")
    if scope is None:
        return ""
    if not isinstance(scope, str) or not (scopes := ordered(scope.split(" "))):
        raise invalid(f"scope holds none that we know: {' '.join(REQUESTABLE)}")
    return scopes


def _address(metadata: Mapping[str, Any], name: str) -> str | None:
    address = metadata.get(name)
    if address is None:
        return None
    if not isinstance(address, str) or redirects.problem(address, "web", public=False) is not None or not urlsplit(address).hostname:
        raise invalid(f"{name} must be an https address")
    return address


def _flag(metadata: Mapping[str, Any], name: str) -> bool:
    flag = metadata.get(name, False)
    if not isinstance(flag, bool):
        raise invalid(f"{name} must be true or false")
    return flag


def _keys(metadata: Mapping[str, Any]) -> str | None:
    """Return the public keys as JSON; symmetric and private ones are refused (security.md 72)."""
    jwks = metadata.get("jwks")
    if jwks is None:
        return None
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_KEYS:
        raise invalid(f"jwks must hold 1 to {_MOST_KEYS} keys")
    for each in keys:
        if problem := jwk.problem(each):
            raise invalid(f"jwks: {_KEY_PROBLEMS[problem]}")
    text = json.dumps({"keys": keys}, sort_keys=True)
    if len(text) > _MOST_JWKS:
        raise invalid(f"jwks may have {_MOST_JWKS} characters at most")
    return text
