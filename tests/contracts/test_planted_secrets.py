"""Secrets planted in good and bad requests, and then looked for wherever the product writes or answers (security.md 101)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import text

from latchpin.identity import credentials, organizations
from latchpin.kit import cookie_names
from latchpin.oauth import par
from tests.support.apps import Apps
from tests.support.authorizing import HTML, Journey, onward
from tests.support.people import PASSWORD, Organization
from tests.support.server import Server
from tests.support.wire import LIST, get, until

OWN = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Planted:
    """A deployment after a day of requests, the secrets that were in them, and what was answered to the bad ones."""

    server: Server
    secrets: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    def heard(self, response: httpx.Response) -> httpx.Response:
        """Keep an answer, its headers included, except cookies that hand a secret to its owner."""
        headers = [f"{name}: {value}" for name, value in response.headers.multi_items() if name != "set-cookie"]
        self.answers.append("\n".join(headers) + "\n" + response.text)
        return response


@pytest.fixture
def planted(serve: Callable[..., Server]) -> Planted:
    """Send good and bad requests with known secrets."""
    day = Planted(serve(log_level="debug"))
    _set_up(day)
    organization = Organization(day.server)
    _keys(day, organization)
    _signing_in(day, organization)
    _pages(day, organization)
    _sent_ahead(day, organization)
    day.server.flush()
    last = day.server.http.get("/health/live").headers["x-request-id"]
    until(lambda: last in day.server.log.getvalue())
    return day


def _set_up(day: Planted) -> None:
    async def offer() -> str:
        async with day.server.database.transaction() as session:
            return await organizations.offer_setup(session) or ""

    token = day.secrets["setup token"] = day.server.run(offer())
    assert token
    assert day.server.http.get(f"/setup/{token}").status_code == 200
    weak = day.secrets["weak first password"] = "short-Qz9"
    entries = {"organization": "A", "full_name": "B", "email": "first@example.com", "password": weak}
    day.heard(day.server.http.post("/setup/wrong-token", data=entries, headers=OWN))


def _keys(day: Planted, organization: Organization) -> None:
    server, http = day.server, day.server.http
    agent = organization.agent()
    good, revoked = organization.key(description="planted"), organization.key()
    organization.revoke(revoked)
    unknown = credentials.new_api_key()
    mistyped = unknown[:30] + ("A" if unknown[30] != "A" else "B") + unknown[31:]
    day.secrets |= {"key": good.secret, "revoked key": revoked.secret, "unknown key": unknown, "mistyped key": mistyped}
    assert organization.get("/agent/all", good).status_code == 200
    session = cookie_names.of(server.settings)
    for secret in list(day.secrets.values()):
        if not secret.startswith("sk-lp_"):
            continue
        bearing = {"Authorization": f"ApiKey {secret}"}
        for headers in (
            {"Authorization": f"Bearer {secret}"},
            {"Authorization": f"Basic {secret}"},
            {"Authorization": secret},
            {"Authorization": f"ApiKey {secret}, ApiKey {secret}"},
            {"X-API-Key": secret},
            {"Cookie": f"key={secret}; {session}={secret}"},
            {"Origin": f"https://{secret}.example"},
            {**bearing, "Origin": "https://evil.example"},
            {
                "User-Agent": f"client/{secret}",
                "X-Request-Id": secret,
                "Referer": f"https://example.com/?{secret}",
                "X-Forwarded-For": secret,
            },
            {**bearing, "User-Agent": f"client/{secret}", "X-Request-Id": secret},
        ):
            day.heard(http.get(LIST, headers=headers))
            day.heard(http.get("/api/v1/agent/999999", headers=headers))
        for path in (
            f"{LIST}?api_key={secret}",
            f"{LIST}?sortColumn={secret}",
            f"/api/v1/agent/{secret}",
            f"/{secret}",
        ):
            day.heard(http.get(path))
            day.heard(http.get(path, headers=bearing))
        http.get(f"/login?next=/{secret}")  # the form keeps where to go; the log must not
        status, body = get(server, b"Authorization: ApiKey " + secret.encode(), b"Authorization: ApiKey x")
        day.answers.append(f"{status} {body.decode()}")
        restore = f"/api/v1/agent/{agent}/version/1/restore"
        day.heard(http.post(restore, json={"api_key": secret}))
        day.heard(http.post(restore, headers=bearing, json=[secret]))
        day.heard(http.post(restore, headers=bearing, content=b'{"content": "' + secret.encode()))


def _signing_in(day: Planted, organization: Organization) -> None:
    session = cookie_names.of(day.server.settings)
    wrong = day.secrets["wrong password"] = "Zq7-wrong-horse-staple"
    day.secrets["password"] = PASSWORD
    with day.server.client() as browser:
        for email in (organization.admin.email, "nobody@example.com"):
            day.heard(browser.post("/login", data={"email": email, "password": wrong}, headers=OWN))
        day.heard(browser.post("/login", data={"email": "Zq8-typed-into-the-wrong-field", "password": ""}, headers=OWN))
        entered = browser.post("/login", data={"email": organization.admin.email, "password": PASSWORD}, headers=OWN)
        assert entered.status_code in (302, 303), entered.text
        cookies = dict(browser.cookies)
        day.secrets |= {f"cookie {name}": value for name, value in cookies.items() if name != "theme" and len(value) > 20}
        assert f"cookie {session}" in day.secrets
        day.heard(browser.get(LIST))
        day.heard(browser.get("/nowhere"))
        day.heard(browser.post("/api/v1/agent/1/archive", headers={"Origin": "https://evil.example"}))
        new = day.secrets["new weak password"] = "qq-Zx"
        entries = {"current_password": wrong, "new_password": new}
        day.heard(browser.post("/account/password", data=entries, headers=OWN))
        browser.post("/logout", headers=OWN)
        day.heard(browser.get(LIST, headers={"Cookie": f"{session}={cookies[session]}"}))


def _pages(day: Planted, organization: Organization) -> None:
    """Make a key and reset a password in the Control Center; each secret may stand in its one answer only."""
    person = organization.user()
    address = f"/organization/users/{person.id}"
    with day.server.client() as browser:
        browser.post("/login", data={"email": organization.admin.email, "password": PASSWORD}, headers=OWN)
        form = browser.get(f"{address}/api-keys/new").text
        idempotency_key_match = re.search(r'name="idempotency_key" value="([^"]+)"', form)
        assert idempotency_key_match
        entries = {"idempotency_key": idempotency_key_match[1], "access": "full", "expires_in": "365", "description": "from the page"}
        created = browser.post(f"{address}/api-keys/new", data=entries, headers=OWN)
        key_match = re.search(r"sk-lp_[0-9A-Za-z]{49}", created.text)
        assert key_match, created.text[:2000]
        assert created.headers["cache-control"] == "no-store"
        day.secrets["key from the page"] = key_match[0]
        day.heard(browser.post(f"{address}/api-keys/new", data=entries, headers=OWN))
        reset = browser.post(f"{address}/reset-password", headers=OWN)
        temporary = re.search(r"(?:[a-z2-9]{4}-){3}[a-z2-9]{4}", reset.text)
        assert temporary, reset.text[:2000]
        day.secrets["temporary password"] = temporary[0]
        apps = ("/organization/apps", "/organization/resources")
        day.secrets |= _of_apps(browser)
        for path in ("/", "/audit", "/account", "/organization/users", f"{address}/api-keys", address, *apps):
            page = day.heard(browser.get(path))
            assert page.status_code == 200, path
        day.secrets["second session"] = browser.cookies[cookie_names.of(day.server.settings)]


def _sent_ahead(day: Planted, organization: Organization) -> None:
    """Send a request ahead with the app's secret in it, and visit until somebody would have to sign in; each half is kept as a digest."""
    apps = Apps(organization)
    app = apps.register(confidential=True)
    day.secrets["secret of the app that sends ahead"] = app.secret or ""
    journey = Journey(apps, app)
    with closing(journey.browser.http):
        request_uri = journey.pushed()
        address = onward(journey.visit(request_uri))
        day.secrets["request_uri"] = request_uri.removeprefix(par.PUSHED_PREFIX)
        day.secrets["way to go on"] = parse_qs(urlsplit(address).query)["request_uri"][0].removeprefix(par.CONTINUATION_PREFIX)
        day.secrets["cookie of the browser"] = journey.browser.http.cookies[cookie_names.of(day.server.settings, "par")]
        day.heard(journey.push(client_secret="wrong", state=day.secrets["request_uri"]))
        day.heard(journey.visit(request_uri))
        assert journey.browser.open(address, headers=HTML).status_code == 303


def _of_apps(browser: httpx.Client) -> dict[str, str]:
    """Register an app and an API resource, and rotate the app's secret; each secret may stand in its one answer only."""
    service = {"kind": "service", "name": "Nightly", "auth_method": "client_secret_basic", "scope_agents:read": "yes"}
    form = browser.get("/organization/apps/new?kind=service").text
    idempotency_key = re.search(r'name="idempotency_key" value="([^"]+)"', form)
    assert idempotency_key, form[:2000]
    service["idempotency_key"] = idempotency_key[1]
    data = {"name": "Data", "identifier": "https://data.example"}
    created = browser.post("/organization/apps/new", data=service, headers=OWN).text
    app = re.search(r'data-address="(/organization/apps/[0-9]+)"', created)
    assert app, created[:2000]
    rotated = browser.post(f"{app[1]}/rotate", data={"overlap": "24"}, headers=OWN).text
    resource = browser.post("/organization/resources/new", data=data, headers=OWN).text
    pages = {"app secret": created, "rotated secret": rotated, "resource secret": resource}
    matches = {name: re.search(r'id="the-key"[^>]*>(lps_[0-9A-Za-z]{43})<', page) for name, page in pages.items()}
    assert all(matches.values())
    return {name: match[1] for name, match in matches.items() if match}


def _found(day: Planted, content: str) -> list[str]:
    """Return the names of the secrets in a text; a key's display prefix may stand anywhere, the rest of it nowhere."""
    return [name for name, secret in day.secrets.items() if (secret[10:] if secret.startswith("sk-lp_") else secret) in content]


def test_no_secret_reaches_the_log(planted: Planted) -> None:
    """Access lines and failures hold none of the planted secrets, at any level."""
    log = planted.server.log.getvalue()

    assert log.count('"event":"request"') > 100
    assert _found(planted, log) == []


def test_no_secret_reaches_an_answer_but_the_one_that_hands_it_out(planted: Planted) -> None:
    """Refusals and pages repeat none of the planted secrets."""
    leaks = {name: response_text[:300] for response_text in planted.answers for name in _found(planted, response_text)}

    assert len(planted.answers) > 100
    assert leaks == {}


def test_no_secret_reaches_the_database(planted: Planted) -> None:
    """Neither rows nor the raw file and its journal hold a planted secret; what they do hold are digests."""
    server = planted.server

    async def dump() -> str:
        async with server.database.read() as session:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
            if not server.settings.is_sqlite:
                tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            names = (await session.scalars(text(tables))).all()
            rows = [str((await session.execute(text(f'SELECT * FROM "{name}"'))).all()) for name in names]  # noqa: S608
            return "".join(rows)

    rows = server.run(dump())

    assert "api_key.refused" in rows
    assert _found(planted, rows) == []
    for path in server.settings.data_dir.rglob("*"):
        if path.is_file():
            assert _found(planted, path.read_bytes().decode("latin-1")) == [], path.name


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_deployments_own_secrets_stay_in_their_file(planted: Planted) -> None:
    """Peppers and the master key are in no log, answer or row."""
    secrets_file = planted.server.settings.secrets_file
    values = re.findall(r'"([A-Za-z0-9+/=]{40,})"', secrets_file.read_text())
    everything = planted.server.log.getvalue() + "".join(planted.answers)

    assert secrets_file.stat().st_mode & 0o777 == 0o600
    assert len(values) == 2
    assert not [value for value in values if value in everything]
    others = (path for path in planted.server.settings.data_dir.rglob("*") if path.is_file() and path != secrets_file)
    assert not [path.name for path in others for value in values if value.encode() in path.read_bytes()]
