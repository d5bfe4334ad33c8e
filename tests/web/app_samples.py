"""Samples of the pages about OAuth apps, API resources, and what stands open for a user."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from latchpin.web.pages import app_editor
from latchpin.web.views import apps, organization
from latchpin.web.views.common import Form, Listing, Option
from tests.web.samples import EMPTY, NOW, USERS, before, listing, shell

ISSUER = "https://latchpin.northwind.example"
BASE = "/organization/apps"
SECRET = "lps_" + "0" * 43
READ = ("See agents and their schedules", "See runs and download files")
STATUSES = (Option("", "Any status"), Option("active", "Active"), Option("waiting", "Waiting for approval"))


def app(number: int, name: str, kind: apps.Kind, state: apps.AppState = "active", **changes: Any) -> apps.AppRow:
    """One app."""
    facts: dict[str, Any] = {
        "id": number,
        "client_id": f"app_{['3XZa7LxwpWCMmAHsPnKQa7', '7Ove3auBKi3wC42X8g5rdV', 'K0peVv3dRt7mAb129xQz00'][number % 3]}",
        "name": name,
        "kind": kind,
        "kind_word": {"confidential": "Web app", "public": "Public app", "service": "Service"}[kind],
        "source": "Registered here",
        "own": True,
        "state": state,
        "users": number * 3 % 11,
        "last_used_at": before(minutes=7 + number * 420),
        "created_at": before(days=20 * number + 4),
        "has_secret": kind != "public",
    }
    return apps.AppRow(**{**facts, **changes})


DASHBOARD = app(1, "Price dashboard", "confidential")
NIGHTLY = app(2, "Nightly export", "service", users=0)
PHONE = app(3, "Field phone app", "public", last_used_at=None, users=0)
ASSISTANT = app(
    4,
    "Research assistant for analysts",
    "public",
    "waiting",
    own=False,
    source="Metadata document",
    client_id="https://assistant.research.example/oauth/client-metadata.json",
    users=0,
    last_used_at=None,
)
PARTNER = app(5, "Partner portal", "confidential", own=False, source="Another organization")
BLOCKED = app(6, "Inspector", "public", "blocked", own=False, source="Registered itself", users=0)
GONE = app(7, "Old dashboard", "confidential", "revoked", users=0)
APPS = (DASHBOARD, PHONE, BLOCKED, NIGHTLY, GONE, PARTNER, ASSISTANT)
OLDER = apps.SecretRow("lps_9xQz", before(days=190), "maya@northwind.example", NOW + timedelta(hours=19))
NEWER = apps.SecretRow("lps_Ab12", before(hours=5), "maya@northwind.example", None)
PEOPLE = (
    apps.AppUserRow(2, "Tomás Okafor", "tomas@northwind.example", READ, before(days=30), before(minutes=7)),
    apps.AppUserRow(3, "Ingrid Haugen-Þorvaldsdóttir", "ingrid@northwind.example", READ[:1], before(days=3), before(days=2)),
)
CONNECTED = (
    organization.ConnectedRow(
        1,
        "Price dashboard",
        DASHBOARD.client_id,
        ("prices.northwind.example",),
        READ,
        "Retail intelligence",
        before(days=30),
        before(minutes=7),
        NOW + timedelta(days=60),
        active=True,
    ),
    organization.ConnectedRow(
        2,
        "Latchpin command line",
        "latchpin-cli",
        (),
        ("Everything the API offers",),
        "All Spaces",
        before(days=2),
        before(days=1),
        NOW + timedelta(days=88),
        active=True,
    ),
    organization.ConnectedRow(
        4,
        "Latchpin API key exchange",
        "latchpin-key-exchange",
        (),
        READ,
        "All Spaces",
        before(days=5),
        before(hours=1),
        NOW + timedelta(days=20),
        active=True,
        api_keys=("Nightly export", "Grafana"),
    ),
    organization.ConnectedRow(
        3, "Research assistant", ASSISTANT.client_id, ("127.0.0.1",), READ[:1], "Personal Space", before(days=90), None, None, active=False
    ),
)
SESSIONS = (
    organization.SessionRow(7, "Chrome on Windows", "203.0.113.24", before(days=1), before(minutes=12), current=False),
    organization.SessionRow(8, "Safari on iPhone", "2001:db8:85a3::8a2e:370:7334", before(days=3), before(hours=19), current=False),
)


def facts(**changes: Any) -> apps.ApplicationFacts:
    """What an app is made of."""
    defaults: dict[str, Any] = {
        "client_authentication": "With its secret, by HTTP Basic",
        "grant_types": ("Authorization code", "Refresh token"),
        "addresses": ("https://dashboard.northwind.example/callback", "http://127.0.0.1/callback"),
        "logout_addresses": ("https://dashboard.northwind.example/",),
        "home": "https://dashboard.northwind.example/",
        "keys": "",
        "rights": READ,
        "spaces": (),
        "created_by": "maya@northwind.example",
        "revoked_at": None,
        "revoked_by": "",
        "decision": "",
        "require_pushed": False,
        "dpop_bound": False,
    }
    return apps.ApplicationFacts(**{**defaults, **changes})


ASKED = facts(
    client_authentication="Not at all: it cannot keep a secret. PKCE ties each sign-in to the app that began it.",
    addresses=("http://localhost/callback",),
    logout_addresses=(),
    home="",
    rights=(),
    created_by="",
    decision="Asked for by Tomás Okafor, 23 Nov 2026",
)
SERVICE = facts(addresses=(), logout_addresses=(), home="", spaces=(("Public filings", "viewer"), ("Retail intelligence", "operator")))


def _lists() -> Iterator[tuple[str, str, Any]]:
    frame = shell("apps")
    yield "apps", "apps/list.html", apps.Apps(frame, listing(BASE, 7, "name"), APPS, STATUSES, 1)
    yield "apps-empty", "apps/list.html", apps.Apps(frame, listing(BASE, 0, "name"), (), STATUSES, 0)
    narrowed = Listing(BASE, {"q": "zebra", "status": "waiting"}, "users", descending=True, page=1, size=50, total=0)
    yield "apps-none", "apps/list.html", apps.Apps(frame, narrowed, (), STATUSES, 2)


def _app() -> Iterator[tuple[str, str, Any]]:
    frame = shell("apps")
    yield (
        "app",
        "apps/details.html",
        apps.AppDetails(frame, DASHBOARD, facts(require_pushed=True, dpop_bound=True), (OLDER, NEWER), PEOPLE, ISSUER),
    )
    yield "app-service", "apps/details.html", apps.AppDetails(frame, NIGHTLY, SERVICE, (NEWER,), (), ISSUER)
    yield "app-waiting", "apps/details.html", apps.AppDetails(frame, ASSISTANT, ASKED, (), (), ISSUER)
    ended = facts(revoked_at=before(days=9), revoked_by="maya@northwind.example", keys="https://old.northwind.example/jwks")
    yield "app-revoked", "apps/details.html", apps.AppDetails(frame, GONE, ended, (), (), ISSUER)
    yield "app-secret", "apps/secret.html", _secret(DASHBOARD, facts(), (OLDER, NEWER), first=False, basic=True)
    yield "app-secret-service", "apps/secret.html", _secret(NIGHTLY, SERVICE, (NEWER,), first=True, basic=False)
    yield "app-rotate", "apps/rotate.html", apps.AppRotate(frame, DASHBOARD, Form({"overlap": "24"}), (OLDER, NEWER), app_editor.OVERLAPS)
    yield "app-revoke", "apps/revoke.html", apps.AppConfirm(frame, DASHBOARD, facts(), 1, EMPTY)
    yield "app-approve", "apps/approve.html", apps.AppConfirm(frame, ASSISTANT, ASKED, 1, EMPTY)
    yield "app-block", "apps/block.html", apps.AppConfirm(frame, PARTNER, facts(), 2, EMPTY)
    yield "app-delete", "apps/delete.html", apps.AppConfirm(frame, GONE, facts(), 1, EMPTY)


def _secret(
    row: apps.AppRow, made_of: apps.ApplicationFacts, secrets: tuple[apps.SecretRow, ...], *, first: bool, basic: bool
) -> apps.AppSecret:
    return apps.AppSecret(shell("apps"), row, made_of, secrets, (), ISSUER, SECRET, first, basic)


def _editors() -> Iterator[tuple[str, str, Any]]:
    yield "app-kinds", "apps/kinds.html", apps.AppKinds(shell("apps"), app_editor.KINDS)
    form = Form({"auth_method": "client_secret_basic", "application_type": "web"})
    yield "app-new-web", "apps/edit.html", _editor("confidential", form)
    yield "app-new-public", "apps/edit.html", _editor("public", form)
    yield "app-new-service", "apps/edit.html", _editor("service", Form({**form.values, "scope_agents:read": "yes", "space_1": "viewer"}))
    refused = Form(
        {"name": "Price dashboard", "redirect_uris": "http://dashboard.example/back", "auth_method": "private_key_jwt", "jwks": "{}"},
        {
            "redirect_uris": "http://dashboard.example/back must use https, unless it is a loopback address.",
            "jwks": 'Paste a JWK Set, {"keys": [...]}, with 1 to 20 keys.',
        },
    )
    yield "app-new-refused", "apps/edit.html", _editor("confidential", refused)
    filled = Form({"name": "Price dashboard", "redirect_uris": "\n".join(facts().addresses), "auth_method": "client_secret_basic"})
    filled = Form({**filled.values, "require_pushed": "yes"})
    yield "app-edit", "apps/edit.html", _editor("confidential", filled, DASHBOARD)


def _editor(kind: apps.Kind, form: Form, row: apps.AppRow | None = None) -> apps.AppEditor:
    words = {"agents:read": READ[0], "agents:write": "Run, schedule and change agents", "runs:read": READ[1], "spaces:read": "See Spaces"}
    scopes = tuple(Option(scope, text, scope) for scope, text in words.items())
    spaces = (apps.SpaceChoice("space_1", "Retail intelligence"), apps.SpaceChoice("space_2", "Public filings"))
    return apps.AppEditor(
        shell("apps"),
        form,
        "sample-form-id",
        row,
        kind,
        app_editor.METHODS,
        app_editor.TYPES,
        scopes,
        spaces if kind == "service" else (),
        app_editor.ROLES,
        3 if kind == "service" else 0,
    )


def _resources() -> Iterator[tuple[str, str, Any]]:
    frame = shell("resources")
    data = apps.ResourceRow(
        1, "Data service", "https://data.northwind.example", may_call_api=False, client_id=NIGHTLY.client_id, secrets=(OLDER, NEWER),
        created_at=before(days=40),
    )  # fmt: skip
    tools = apps.ResourceRow(
        2, "Tools for assistants", "https://tools.northwind.example:8443/mcp", may_call_api=True, client_id=DASHBOARD.client_id,
        secrets=(NEWER,), created_at=before(days=4),
    )  # fmt: skip
    yield "resources", "resources/list.html", apps.Resources(frame, (data, tools))
    yield "resources-empty", "resources/list.html", apps.Resources(frame, ())
    yield "resource-new", "resources/edit.html", apps.ResourceEditor(frame, EMPTY, None)
    refused = Form({"name": "Data", "identifier": "data"}, {"identifier": "Enter the server's address, such as https://data.example.com."})
    yield "resource-new-refused", "resources/edit.html", apps.ResourceEditor(frame, refused, None)
    yield "resource-edit", "resources/edit.html", apps.ResourceEditor(frame, Form({"name": "Data service"}), data)
    yield "resource-secret", "resources/secret.html", apps.ResourceSecret(frame, (data, tools), tools, SECRET, ISSUER)
    rotating = apps.ResourceRotate(frame, data, Form({"overlap": "24"}), app_editor.OVERLAPS)
    yield "resource-rotate", "resources/rotate.html", rotating
    yield "resource-delete", "resources/delete.html", apps.ResourceConfirm(frame, tools, EMPTY)


def _users() -> Iterator[tuple[str, str, Any]]:
    frame = shell("users")
    yield "user-access", "users/access.html", apps.UserAccess(frame, USERS[1], SESSIONS, CONNECTED)
    yield "user-access-empty", "users/access.html", apps.UserAccess(frame, USERS[6], (), ())
    trail = (("Users", "/organization/users"), ("Sessions and apps of Tomás Okafor", "/organization/users/2/access"))
    ending = apps.ConnectedConfirm(frame, CONNECTED[0], "Tomás Okafor", "/organization/users/2/apps/1/withdraw", trail)
    yield "user-withdraw", "account/withdraw.html", ending
    own = (("My account", "/account"), ("Connected apps", "/account#apps"))
    mine = apps.ConnectedConfirm(shell("account"), CONNECTED[1], "", "/account/apps/2/withdraw", own)
    yield "account-withdraw", "account/withdraw.html", mine


def every() -> Iterator[tuple[str, str, Any]]:
    """Each sample page about apps."""
    for group in (_lists, _app, _editors, _resources, _users):
        yield from group()
