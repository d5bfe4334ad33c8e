"""Believable people, keys, agents and records, so that every page can be drawn without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from latchpin.web.views import api_keys, automation, organization, users
from latchpin.web.views.common import Form, Listing, Option, Part, Shell, Toast, Viewer

NOW = datetime(2026, 11, 24, 11, 35, tzinfo=UTC)
KEY = "sk-lp_" + "0" * 49
ADMIN = Viewer(1, "Maya Lindqvist", "maya@northwind.example", "Northwind Data", administrator=True)
PERSON = Viewer(2, "Tomás Okafor", "tomas@northwind.example", "Northwind Data", administrator=False)
DEFINITION = """\
name: Retail prices
description: Prices and stock of every product in a category
start: https://shop.example/catalogue
inputs:
  - name: category
    default: kettles
  - name: session_token
    encrypted: true
record:
  title: css(h1)
  price: css(.price)
  in_stock: css(.stock)
pagination:
  next: css(a.next)
  max_pages: 40
limits:
  requests_per_second: 2
"""


def before(**ago: float) -> datetime:
    """A moment before now."""
    return NOW - timedelta(**ago)


def shell(section: str, viewer: Viewer | None = ADMIN, toast: Toast | None = None, path: str = "/") -> Shell:
    """The frame of a page."""
    return Shell(viewer, section, "auto", NOW, path, toast)


def listing(base: str, total: int, sort: str, *, page: int = 1, descending: bool = False, **query: str) -> Listing:
    """Where a list stands."""
    return Listing(base, query, sort, descending, page, 20, total)


EMPTY = Form()
OWNER = api_keys.KeyOwner(2, "Tomás Okafor", "tomas@northwind.example", active=True)
ALL_SCOPES = ("agents:read", "agents:write", "runs:read", "spaces:read", "spaces:write", "billing:read")


def key(number: int, description: str, access: str, state: api_keys.KeyState, days: float, **changes: Any) -> api_keys.KeyRow:
    """One key that ends in so many days."""
    facts: dict[str, Any] = {
        "id": number,
        "description": description,
        "prefix": f"sk-lp_{['Ab12', '9xQz', 'Rt7m', 'K0pe', 'Vv3d'][number % 5]}",
        "access": access,
        "scopes": ALL_SCOPES if access == "Full access" else ("agents:read", "agents:write", "runs:read"),
        "networks": (),
        "created_at": before(days=40 * number + 3),
        "created_by": "Maya Lindqvist",
        "expires_at": NOW + timedelta(days=days),
        "last_used_at": before(minutes=4 + number * 700),
        "last_used_address": "203.0.113.24",
        "state": state,
        "revoked_at": None,
        "revoked_by": "",
        "revoked_reason": "",
    }
    return api_keys.KeyRow(**{**facts, **changes})


LIVE = (
    key(0, "Nightly export on build-3", "Full access", "active", 362),
    key(1, "Grafana dashboard", "Read-only", "expiring", 12, networks=("203.0.113.0/24",)),
    key(2, "", "Runs-only", "active", 87, last_used_at=None, last_used_address=""),
)
INACTIVE = (
    key(3, "Old laptop", "Full access", "revoked", 190, revoked_at=before(days=9), revoked_by="Maya Lindqvist"),
    key(4, "Finance sync 2025", "Billing-only", "expired", -21),
)
LIFETIME = api_keys.Lifetime(365, 730, NOW.date(), date(2027, 11, 24), date(2026, 11, 25), date(2028, 11, 23))
QUICK = (
    Option("30", "30 days", "2026-12-24"),
    Option("90", "90 days", "2027-02-22"),
    Option("365", "1 year", "2027-11-24"),
    Option("custom", "Custom"),
)
ACCESSES = (
    Option("full", "Full access", "Everything the user may do through the API."),
    Option("read-only", "Read-only", "See agents, runs, Spaces and billing; change nothing."),
    Option("runs-only", "Runs-only", "See and run agents and fetch their results; no Spaces, no billing."),
    Option("billing-only", "Billing-only", "Read costs and credit; nothing else."),
)
NEW_KEY = Form({"expires_in": "365", "expires_on": "2027-11-24", "access": "full"})
REFUSED_KEY = Form(
    {"expires_in": "custom", "expires_on": "2031-01-01", "access": "read-only", "networks": "300.1.2.3/99"},
    {
        "expires_on": "The latest date allowed is 23 Nov 2028.",
        "networks": "Line 1: 300.1.2.3/99 is not an address or a CIDR range.",
    },
)


def person(
    number: int, name: str, email: str, state: users.UserState, keys: tuple[int, int], last: datetime | None, **rest: str
) -> users.UserRow:
    """One user; `keys` are the live ones and how many of them end soon."""
    group = rest.get("group", "User")
    return users.UserRow(number, name, f"{email}@northwind.example", group, state, *keys, last, before(days=300), number == 1)


USERS = (
    person(1, "Maya Lindqvist", "maya", "active", (1, 0), before(minutes=2), group="Administrator"),
    person(2, "Tomás Okafor", "tomas", "active", (3, 1), before(hours=5)),
    person(3, "Ingrid Haugen-Þorvaldsdóttir", "ingrid.haugen.thorvaldsdottir", "active", (0, 0), before(days=17)),
    person(4, "Raj Patel", "raj", "active", (2, 2), before(days=1), group="Administrator"),
    person(5, "Chloé Marchand", "chloe", "invited", (0, 0), None),
    person(6, "Export service", "export-bot", "active", (4, 0), None),
    person(7, "Ben Achterberg", "ben", "disabled", (0, 0), before(days=140)),
)
GROUPS = (
    Option("User", "User", "Works with agents and Spaces."),
    Option("Administrator", "Administrator", "Also manages users, API keys, apps, policy and the audit log."),
)
SPACE = automation.SpaceRow(
    1,
    "Retail intelligence",
    "Prices, stock and reviews of the shops we follow",
    "Private",
    default_access=False,
    members=4,
    agents=6,
    role="Editor",
    created_at=before(days=220),
    manageable=True,
)
SPACES = (
    SPACE,
    automation.SpaceRow(
        2,
        "Public filings",
        "",
        "Public",
        default_access=True,
        members=2,
        agents=3,
        role="Viewer",
        created_at=before(days=120),
        manageable=True,
    ),
    automation.SpaceRow(
        3,
        "Shared templates",
        "Agents every organization may read",
        "Global",
        default_access=False,
        members=1,
        agents=2,
        role="Viewer",
        created_at=before(days=12),
        manageable=False,
    ),
)
MEMBERS = (
    automation.MemberRow(1, "Maya Lindqvist", "maya@northwind.example", "Editor", active=True),
    automation.MemberRow(2, "Tomás Okafor", "tomas@northwind.example", "Operator", active=True),
    automation.MemberRow(7, "Ben Achterberg", "ben@northwind.example", "Viewer", active=False),
)
ROLES = (
    Option("viewer", "Viewer", "Sees the agents and their results."),
    Option("operator", "Operator", "Also starts and stops runs."),
    Option("editor", "Editor", "Also changes, restores and archives agents."),
)


def agent(number: int, name: str, description: str, space: int | None, *, archived: bool = False) -> automation.AgentRow:
    """One agent."""
    return automation.AgentRow(
        number,
        name,
        description,
        space,
        "Retail intelligence" if space == 1 else "Public filings" if space else "",
        "Tomás Okafor",
        number % 5 + 1,
        "https://shop.example/catalogue",
        before(hours=7 * number),
        before(days=90),
        archived=archived,
        editable=True,
    )


AGENTS = (
    agent(11, "Retail prices", "Prices and stock of every product in a category", 1),
    agent(12, "Store locator", "Addresses and opening hours of 2,400 stores in eleven countries, with coordinates and services", 1),
    agent(13, "Company register", "New companies since yesterday", 2),
    agent(14, "Court calendar", "", 2),
    agent(15, "My reading list", "Articles I keep an eye on", None),
    agent(16, "Fuel prices 2024", "Replaced by Retail prices", 1, archived=True),
)
VERSIONS = (
    automation.VersionRow(3, "Tomás Okafor", before(hours=3), "Read stock as well", 512, current=True),
    automation.VersionRow(2, "Maya Lindqvist", before(days=12), "", 471, current=False),
    automation.VersionRow(1, "Tomás Okafor", before(days=90), "First version", 402, current=False),
)


def event(number: int, actor: str, kind: str, credential: str, *parts: str, outcome: str = "done", **rest: str) -> organization.EventRow:
    """One audit record; every second part of the sentence is a name."""
    return organization.EventRow(
        number,
        before(minutes=17 * number),
        actor,
        kind,
        credential,
        tuple(Part(text, strong=index % 2 == 1) for index, text in enumerate(parts)),
        outcome,
        rest.get("reason", ""),
        rest.get("address", "203.0.113.24"),
        rest.get("icon", "key"),
    )


EVENTS = (
    event(1, "Maya Lindqvist", "user", "Browser session", "created API key ", "Nightly export on build-3", " for ", "Tomás Okafor"),
    event(
        2,
        "Unknown",
        "nobody",
        "",
        "failed to sign in",
        outcome="refused",
        reason="Unknown user",
        icon="sign-in",
        address="198.51.100.7",
    ),
    event(3, "Maya Lindqvist", "user", "Browser session", "changed ", "API policy", icon="policy"),
    event(4, "Command line", "command line", "maya on build-3", "created user ", "Export service", icon="user-plus"),
    event(
        5, "Tomás Okafor", "user", "API key Grafana dashboard", "restored version ", "2", " of agent ", "Company register", icon="restore"
    ),
    event(6, "Raj Patel", "user", "API key sk-lp_9xQz", "failed to authenticate", outcome="refused", reason="Key revoked", icon="ban"),
)
RETRY = Form({}, {"confirm_password": "This is not your password."})
