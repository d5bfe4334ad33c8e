"""The form of an app: reads its entries into an app's fields, and fills it in from an app. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from latchpin.identity.roles import Role
from latchpin.identity.scopes import REQUESTABLE
from latchpin.oauth.client_admin import DEVICE, EXCHANGE, ClientFields
from latchpin.oauth.client_list import AppKind, ClientSummary
from latchpin.storage.models import OAuthClient
from latchpin.web.forms import Entries
from latchpin.web.views.apps import Kind, SpaceChoice

_GRANTS: dict[str, tuple[str, ...]] = {
    "confidential": ("authorization_code", "refresh_token"),
    "public": ("authorization_code", "refresh_token"),
    "service": ("client_credentials",),
}


@dataclass(frozen=True, slots=True)
class OfferedSpaces:
    """The Spaces that a service's form offers, and the roles to keep in the Spaces that it omits."""

    spaces: tuple[SpaceChoice, ...]
    left_out: int
    hidden_roles: Mapping[int, Role]


def known_kind(text: str) -> Kind | None:
    """Return the kind of app that a form names, or None."""
    return next((kind for kind in ("confidential", "public", "service") if kind == text), None)


def kind_of(summary: ClientSummary) -> Kind:
    """Return the kind of app whose form fits."""
    kinds: dict[AppKind, Kind] = {AppKind.CONFIDENTIAL: "confidential", AppKind.PUBLIC: "public", AppKind.SERVICE: "service"}
    return kinds[summary.kind]


def read_fields(kind: Kind, entries: Entries, offered: OfferedSpaces, client: OAuthClient | None) -> ClientFields:
    """Read a form. Fields of an existing app that the form does not show keep their values."""
    method = "none" if kind == "public" else entries.get("auth_method", "client_secret_basic")
    own_key = method == "private_key_jwt"
    current_grant_types = client.grant_types.split() if client else []
    optional = {DEVICE: entries.get("device") == "yes" and kind != "service", EXCHANGE: entries.get("exchange") == "yes"}
    base_grant_types = [each for each in current_grant_types if each not in optional] or list(_GRANTS[kind])
    scopes = [scope for scope in REQUESTABLE if entries.get(f"scope_{scope}") == "yes"]
    roles = dict(offered.hidden_roles)
    for choice in offered.spaces:
        if role := next((role for role in Role if role.word == entries.get(choice.field)), None):
            roles[int(choice.field.removeprefix("space_"))] = role
    return ClientFields(
        name=entries.get("name", ""),
        auth_method=method,
        application_type=entries.get("application_type", "web") if kind == "public" else "web",
        redirect_uris=_lines(entries.get("redirect_uris", "")),
        post_logout_redirect_uris=_lines(entries.get("logout_uris", "")),
        grant_types=[*base_grant_types, *(grant for grant, enabled in optional.items() if enabled)],
        scopes=scopes,
        jwks=entries.get("jwks", "").strip() or None if own_key else None,
        jwks_uri=entries.get("jwks_uri", "").strip() or None if own_key else None,
        client_uri=entries.get("client_uri", "").strip() or None,
        require_pushed=entries.get("require_pushed") == "yes" if kind != "service" else bool(client and client.require_pushed),
        dpop_bound=entries.get("dpop_bound") == "yes",
        spaces=roles,
    )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(re.split(r"\s+", text.strip())) if text.strip() else ()


def form_entries(client: OAuthClient, roles: Mapping[int, Role]) -> dict[str, str]:
    """Return the entries of the form for an existing app."""
    grant_types = client.grant_types.split()
    return {
        "name": client.name,
        "auth_method": client.auth_method,
        "application_type": client.application_type,
        "redirect_uris": "\n".join(json.loads(client.redirect_uris)),
        "logout_uris": "\n".join(json.loads(client.post_logout_redirect_uris)),
        "jwks": json.dumps(json.loads(client.jwks), indent=2) if client.jwks else "",
        "jwks_uri": client.jwks_uri or "",
        "client_uri": client.client_uri or "",
        "device": "yes" if DEVICE in grant_types else "",
        "exchange": "yes" if EXCHANGE in grant_types else "",
        "require_pushed": "yes" if client.require_pushed else "",
        "dpop_bound": "yes" if client.dpop_bound else "",
        **{f"scope_{scope}": "yes" for scope in client.scopes.split()},
        **{f"space_{space_id}": role.word for space_id, role in roles.items()},
    }
