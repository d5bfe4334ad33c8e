"""Checks of the fields that administrators enter for an app, with messages for them. Pure: the caller looks the Spaces up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from latchpin.identity import jwk
from latchpin.identity.roles import Role
from latchpin.identity.scopes import ALL, REQUESTABLE, ordered
from latchpin.kit.fields import FieldValidation
from latchpin.oauth import auth_methods, redirects

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials", DEVICE, EXCHANGE)
MOST_ADDRESSES = 20
_MOST_JWKS = 20_000
_MOST_KEYS = 20
_KEY_PROBLEMS = {
    jwk.Problem.KEY_TYPE: "Only public keys of the kinds RSA, EC and OKP are taken; a symmetric key would be a secret that others see.",
    jwk.Problem.PRIVATE: "This holds a private key. It may have been seen now: make a new one, and paste only its public half.",
    jwk.Problem.RSA_SIZE: f"An RSA key needs {jwk.RSA_BITS[0]:,} to {jwk.RSA_BITS[-1]:,} bits.",
    jwk.Problem.UNREADABLE: "One of the keys cannot be read.",
}
_ENGLISH = {"jwks_uri": "the address of the keys", "client_uri": "the app's home page"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFields:
    """What an administrator enters for an app. `spaces` are roles by Space id of its own service principal (client_credentials).

    With `require_pushed` its authorization requests must be pushed (RFC 9126), with `dpop_bound` it gets tokens only
    with a DPoP proof (RFC 9449).
    """

    name: str
    auth_method: str = "none"
    application_type: str = "web"
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    grant_types: Sequence[str] = ("authorization_code", "refresh_token")
    scopes: Sequence[str] = ()
    jwks: str | None = None
    jwks_uri: str | None = None
    client_uri: str | None = None
    require_pushed: bool = False
    dpop_bound: bool = False
    spaces: Mapping[int, Role] = field(default_factory=dict)


def values(form: FieldValidation, fields: ClientFields) -> dict[str, str | bool | None]:
    """Return the columns for these fields; problems are added to `form`."""
    name = form.line("name", fields.name, most=200)
    _check_words(form, fields)
    _check_fit(form, fields)
    return {
        "name": name,
        "auth_method": fields.auth_method,
        "application_type": fields.application_type,
        "redirect_uris": _addresses(form, "redirect_uris", fields.redirect_uris, fields),
        "post_logout_redirect_uris": _addresses(form, "post_logout_redirect_uris", fields.post_logout_redirect_uris, fields),
        "grant_types": " ".join(each for each in GRANT_TYPES if each in fields.grant_types),
        "scopes": ordered(fields.scopes),
        "jwks": _jwks(form, fields.jwks),
        "jwks_uri": _https(form, "jwks_uri", fields.jwks_uri),
        "client_uri": _https(form, "client_uri", fields.client_uri),
        "require_pushed": fields.require_pushed,
        "dpop_bound": fields.dpop_bound,
    }


def public_keys(text: str) -> str | None:
    """Return why a text is no JWK Set of public keys for client authentication, or None where it is one (RFC 7517)."""
    if len(text) > _MOST_JWKS:
        return f"At most {_MOST_JWKS:,} characters."
    try:
        jwk_set: Any = json.loads(text)
    except (ValueError, RecursionError):
        return 'This is not JSON. Paste the app\'s JWK Set: {"keys": [...]}.'
    keys = jwk_set.get("keys") if isinstance(jwk_set, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_KEYS or not all(isinstance(each, dict) for each in keys):
        return f'Paste a JWK Set, {{"keys": [...]}}, with 1 to {_MOST_KEYS} keys.'
    problem = next(filter(None, map(jwk.problem, keys)), None)
    return _KEY_PROBLEMS[problem] if problem else None


def _jwks(form: FieldValidation, text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    if problem := public_keys(text):
        form.problem("jwks", problem)
        return None
    return json.dumps(json.loads(text))


def _addresses(form: FieldValidation, name: str, entered: Sequence[str], fields: ClientFields) -> str:
    addresses = list(dict.fromkeys(entered))
    if len(addresses) > MOST_ADDRESSES:
        form.problem(name, f"At most {MOST_ADDRESSES} addresses; these are {len(addresses)}.")
    for each in addresses[:MOST_ADDRESSES]:
        form.no_key(name, each)
        if problem := redirects.problem(each, fields.application_type, public=fields.auth_method == auth_methods.NONE):
            form.problem(name, f"{each[:200]} {problem}.")
            break
    return json.dumps(addresses)


def _https(form: FieldValidation, name: str, text: str | None) -> str | None:
    """Check a URL that others will open: absolute, https, and with nothing that misleads about its host."""
    if text is None or not text.strip():
        return None
    clean = text.strip()
    form.no_key(name, clean)
    if not is_https(clean):
        form.problem(name, f"Enter {_ENGLISH[name]} as an https address, such as https://app.example.com/.")
    return clean


def is_https(text: str, *, most: int = 2000) -> bool:
    """Whether a text is an absolute https address with a host, without a user or a fragment in it."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    sound = text.isascii() and text.isprintable() and not set(' "<>\\^`{|}') & set(text) and len(text) <= most
    return sound and parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and "#" not in text


def _check_words(form: FieldValidation, fields: ClientFields) -> None:
    """Check that every word is known."""
    if fields.auth_method not in auth_methods.METHODS:
        form.problem("auth_method", f"Choose one of {', '.join(auth_methods.METHODS)}.")
    if fields.application_type not in ("web", "native"):
        form.problem("application_type", "Choose web or native.")
    for name, words, allowed in (("grant_types", fields.grant_types, GRANT_TYPES), ("scopes", fields.scopes, REQUESTABLE)):
        if unknown := set(words).difference(allowed):
            form.problem(name, f"Unknown: {', '.join(sorted(unknown))[:200]}.")


def _check_fit(form: FieldValidation, fields: ClientFields) -> None:
    """Check that the fields fit together."""
    if not fields.grant_types:
        form.problem("grant_types", "Choose at least one way in which the app gets its tokens.")
    if "client_credentials" in fields.grant_types:
        if fields.auth_method == auth_methods.NONE:
            form.problem("grant_types", "client_credentials is for apps that can keep a secret; choose another authentication method.")
        if not set(fields.scopes).intersection(ALL):
            form.problem("scopes", "Choose at least one scope: an app that acts for itself may do what is ticked here, and nothing else.")
    elif fields.spaces:
        form.problem("spaces", "Spaces are for apps that act for themselves (client_credentials); others act where their user may.")
    if "authorization_code" in fields.grant_types and not fields.redirect_uris:
        form.problem("redirect_uris", "Enter at least one address to send users back to.")
    if fields.auth_method == auth_methods.PRIVATE_KEY_JWT and not (fields.jwks or fields.jwks_uri):
        form.problem("jwks", "Enter the app's public keys, or the address of its JWKS.")
    if fields.jwks and fields.jwks_uri:
        form.problem("jwks_uri", "Enter the keys or their address, not both (RFC 7591 section 2).")
