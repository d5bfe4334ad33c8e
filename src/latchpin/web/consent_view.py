"""What the authorization pages show of an app and of its request, and the headers of these pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from latchpin.identity import active_grant
from latchpin.identity.access import NamedSpace
from latchpin.identity.roles import Role
from latchpin.identity.scopes import EMAIL, OFFLINE, OPENID, PROFILE, Scope
from latchpin.kit import clock
from latchpin.oauth import redirects, scope
from latchpin.oauth.clients import Client
from latchpin.settings import Settings
from latchpin.storage.models.oauth_client import ClientSource
from latchpin.storage.models.oauth_grant import Reach
from latchpin.web import render
from latchpin.web.views.common import Option
from latchpin.web.views.oauth import AppFacts, Destination, Right

_RIGHTS: tuple[tuple[str, str, str], ...] = (
    (Scope.AGENTS_READ, "agents", "See agents and their schedules"),
    (Scope.AGENTS_WRITE, "play", "Run, schedule and change agents"),
    (Scope.RUNS_READ, "audit", "See runs and download files"),
    (Scope.SPACES_READ, "spaces", "See Spaces"),
    (Scope.SPACES_WRITE, "upload", "Run Spaces and upload files"),
    (Scope.BILLING_READ, "card", "See costs and credit"),
)
PRIVATE: Mapping[str, str] = {"Referrer-Policy": "no-referrer"}


def app(client: Client, redirect_uri: str, organization_id: int, *, has_consented: bool) -> AppFacts:
    """An app, with the host that it belongs to, if known; `has_consented` says that this person has authorized it before.

    What an app says about itself (its home page) is used only where an administrator of the person's own organization entered it.
    """
    is_trusted = client.is_trusted_by(organization_id)
    local = bool(redirect_uri) and redirects.is_local(redirect_uri)
    identified_by = redirects.host_of(client.client_id) if client.source is ClientSource.DOCUMENT else ""
    home = client.client_uri if is_trusted and client.client_uri else redirect_uri
    host = identified_by or ("" if not home or (local and home == redirect_uri) else redirects.host_of(home))
    return AppFacts(client.name, host, local, not (is_trusted or has_consented), identified_by, destination(redirect_uri))


def destination(uri: str) -> Destination | None:
    """Where an address leads, as pages show it; None for an empty address."""
    return Destination(redirects.host_of(uri), is_scheme=not redirects.has_host(uri)) if uri else None


def rights(scopes: str) -> tuple[Right, ...]:
    """Scopes in plain words, in a fixed order; without offline access, for which the page shows a time."""
    words = set(scopes.split())
    items = [Right(icon, text) for word, icon, text in _RIGHTS if word in words]
    about = _about_the_person(words)
    return (*items, Right("user", about)) if about else tuple(items)


def _about_the_person(words: set[str]) -> str:
    if EMAIL in words:
        return "Know your name and e-mail" if PROFILE in words else "Know your e-mail"
    if PROFILE in words:
        return "Know your name"
    return "Know which account you have here" if OPENID in words else ""


def spaces(space_roles: Sequence[tuple[NamedSpace, Role]]) -> tuple[Option, ...]:
    """The Spaces that a person can choose: all, the personal one, or one that they may enter, with their role there."""
    ordered = sorted(space_roles, key=lambda each: each[0].name.casefold())
    return (
        Option(Reach.ALL.value, "All my Spaces"),
        Option(Reach.PERSONAL.value, "My personal Space"),
        *(Option(str(space.id), f"{space.name} ({role.word})") for space, role in ordered),
    )


def other_resources(resource: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Hosts of the requested resources other than our own API."""
    own = active_grant.own_audiences(settings)
    return tuple(dict.fromkeys(redirects.host_of(each) for each in resource if each not in own))


def offline_until(scopes: str, settings: Settings) -> datetime | None:
    """When the access of an app that can refresh its tokens ends at the latest; None where it cannot refresh."""
    return clock.now() + timedelta(days=settings.refresh_max_days) if OFFLINE in scopes.split() else None


def may_stay_until(scopes: str, client: Client, settings: Settings) -> datetime | None:
    """When access would end at the latest if the person lets the app stay connected; None where the page does not offer that."""
    is_asked = not client.is_first_party and scope.may_stay(scopes, client.grant_types)
    return offline_until(OFFLINE, settings) if is_asked else None


def redirect_policy(redirect_uri: str) -> dict[str, str]:
    """Headers of a page whose form redirects to an app's address; empty for none: the form then ends here, as for a private-use scheme.

    Browsers apply `form-action` to every redirect after a form, and an app's callback often redirects again, to another host of the app.
    So the policy allows all of https, and what a local program needs.
    """
    if not redirect_uri or redirects.opens_app(redirect_uri):
        return dict(PRIVATE)
    parts = urlsplit(redirect_uri)
    sources = ["https:"]
    if parts.scheme == "http":  # a loopback address; policies cannot name IPv6 addresses
        sources += ["http:"] if ":" in (parts.hostname or "") else ["http://localhost:*", "http://127.0.0.1:*"]
    policy = render.HEADERS["Content-Security-Policy"].replace("form-action 'self'", f"form-action 'self' {' '.join(sources)}")
    return {**PRIVATE, "Content-Security-Policy": policy}
