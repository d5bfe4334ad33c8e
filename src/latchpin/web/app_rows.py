"""From stored apps, resources and grants to the rows that pages show. Pure: everything comes in as arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from latchpin.identity.roles import Role
from latchpin.identity.scopes import ALL
from latchpin.oauth import auth_methods, client_admin, redirects
from latchpin.oauth.client_list import AppKind, ClientSummary, ClientUser
from latchpin.oauth.connected import ConnectedApp
from latchpin.oauth.resource_admin import Resource
from latchpin.storage.models import OAuthClientSecret
from latchpin.storage.models.oauth_client import ClientSource
from latchpin.storage.models.oauth_grant import Reach
from latchpin.web import consent_view, time_filters
from latchpin.web.views.apps import ApplicationFacts, AppRow, AppUserRow, ResourceRow, SecretRow
from latchpin.web.views.organization import ConnectedRow

KIND_WORDS = {AppKind.CONFIDENTIAL: "Web app", AppKind.PUBLIC: "Public app", AppKind.SERVICE: "Service"}
_AUTH_METHODS = {
    "none": "Not at all: it cannot keep a secret. PKCE ties each sign-in to the app that began it.",
    "client_secret_basic": "With its secret, by HTTP Basic",
    "client_secret_post": "With its secret, in the form",
    "private_key_jwt": "With a signature of its own key (private_key_jwt)",
}
_GRANT_TYPES = {
    "authorization_code": "Authorization code",
    "refresh_token": "Refresh token",
    "client_credentials": "Client credentials",
    client_admin.DEVICE: "Device authorization",
    client_admin.EXCHANGE: "Token exchange",
}


def app(summary: ClientSummary) -> AppRow:
    """One app of a list."""
    client = summary.client
    return AppRow(
        client.id,
        client.client_id,
        client.name,
        summary.kind.value,
        KIND_WORDS[summary.kind],
        _source(summary),
        summary.own,
        summary.status.value,
        summary.users,
        summary.last_used_at,
        client.created_at,
        client.auth_method in auth_methods.SECRET_METHODS,
    )


def _source(summary: ClientSummary) -> str:
    if summary.own:
        return "Registered here"
    return {
        ClientSource.DYNAMIC: "Registered itself",
        ClientSource.DOCUMENT: "Metadata document",
    }.get(summary.client.source, "Another organization")


def facts(summary: ClientSummary, spaces: Mapping[int, Role], names: Mapping[int, str]) -> ApplicationFacts:
    """The settings of an app, in words; `names` are those of Spaces by id."""
    client = summary.client
    return ApplicationFacts(
        client_authentication=_AUTH_METHODS.get(client.auth_method, client.auth_method),
        grant_types=tuple(_GRANT_TYPES.get(each, each) for each in client.grant_types.split()),
        addresses=tuple(json.loads(client.redirect_uris)),
        logout_addresses=tuple(json.loads(client.post_logout_redirect_uris)),
        home=client.client_uri or "",
        keys=client.jwks_uri or ("Kept here" if client.jwks else ""),
        rights=rights(client.scopes),
        spaces=tuple(sorted((names.get(space_id, "A Space that is gone"), role.word) for space_id, role in spaces.items())),
        created_by=client.created_by_name if summary.own else "",
        revoked_at=client.revoked_at,
        revoked_by=(client.revoked_by_name or "") if summary.own else "",
        decision=_decision(summary),
        require_pushed=client.require_pushed,
        dpop_bound=client.dpop_bound,
    )


def _decision(summary: ClientSummary) -> str:
    approval = summary.approval
    if approval is None:
        return ""
    requested_by = f"Asked for by {approval.asked_by_name}" if approval.asked_by_name else ""
    if approval.approved is None:
        return f"{requested_by}, {time_filters.day(approval.updated_at)}" if requested_by else ""
    decision = f"{'Approved' if approval.approved else 'Blocked'} by {approval.decided_by_name}, {time_filters.day(approval.updated_at)}"
    changed = ". It has changed since" if summary.has_changed else ""
    return f"{requested_by}. {decision}{changed}" if requested_by else f"{decision}{changed}"


def rights(scopes: str) -> tuple[str, ...]:
    """Scopes in plain words; all scopes of the API together become one entry."""
    right_texts = tuple(right.text for right in consent_view.rights(scopes))
    if set(ALL) <= set(scopes.split()):
        return ("Everything the API offers", *right_texts[len(ALL) :])
    return right_texts


def secrets(active_secrets: Iterable[OAuthClientSecret]) -> tuple[SecretRow, ...]:
    """Valid secrets, the oldest first."""
    return tuple(SecretRow(each.prefix, each.created_at, each.created_by_name, each.expires_at) for each in active_secrets)


def app_user(client_user: ClientUser) -> AppUserRow:
    """A user of an app."""
    right_texts = rights(" ".join(client_user.scopes))
    return AppUserRow(
        client_user.user.id, client_user.user.full_name, client_user.user.email, right_texts, client_user.since, client_user.last_used_at
    )


def resource(api_resource: Resource) -> ResourceRow:
    """One API resource."""
    row = api_resource.row
    return ResourceRow(
        row.id, row.name, row.identifier, row.may_call_api, api_resource.client.client_id, secrets(api_resource.secrets), row.created_at
    )


def connected(connected_app: ConnectedApp) -> ConnectedRow:
    """One app that a user has authorized."""
    client = connected_app.client
    space_names = sorted(place.name for place in connected_app.spaces if place.name)
    reaches = {place.reach for place in connected_app.spaces}
    wide = ["All Spaces"] if Reach.ALL in reaches else []
    personal = ["Personal Space"] if Reach.PERSONAL in reaches and not wide else []
    return ConnectedRow(
        client.id,
        client.name,
        client.client_id,
        tuple(dict.fromkeys(redirects.host_of(uri) for uri in json.loads(client.redirect_uris))),
        rights(connected_app.scopes),
        ", ".join([*wide, *personal, *([] if wide else space_names)]) or "Nowhere any more",
        connected_app.since,
        connected_app.last_used_at,
        connected_app.until,
        connected_app.active,
        tuple(sorted(connected_app.api_keys)),
    )
