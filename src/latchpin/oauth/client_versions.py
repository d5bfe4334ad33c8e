"""Versions of an app: what administrators approve and users agree to is the app as they saw it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from latchpin.oauth import auth_methods

_TEXTS = ("name", "jwks_uri", "client_uri")
_JSON_LISTS = ("redirect_uris", "post_logout_redirect_uris")


def is_another(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a change creates a new version of an app: another name, address, key, grant type, or wider scopes.

    Both map the columns of OAuthClient to values. The order of a list says nothing.
    """
    return (
        any(before[name] != after[name] for name in _TEXTS)
        or any(set(json.loads(before[name])) != set(json.loads(after[name])) for name in _JSON_LISTS)
        or json.loads(before["jwks"] or "null") != json.loads(after["jwks"] or "null")
        or not auth_methods.is_same(before["auth_method"], after["auth_method"])
        or set(before["grant_types"].split()) != set(after["grant_types"].split())
        or _is_wider(set(after["scopes"].split()), set(before["scopes"].split()))
    )


def _is_wider(scopes: set[str], than: set[str]) -> bool:
    """Whether scopes allow more than others; no scopes allow all."""
    return bool(than) and (not scopes or not scopes <= than)
