"""The page on which a device's code is typed (RFC 8628 section 3.3), and what a decision there gives the device."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from latchpin import settings
from latchpin.kit.clock import Frozen
from latchpin.storage.models import DeviceCode, OAuthClient
from latchpin.web import login_context
from tests.support.apps import App, Apps
from tests.support.people import Organization
from tests.support.server import Server
from tests.web.browser import Browser, value_of
from tests.web.conftest import Browse

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
WRONG = "Code not found or expired."


@pytest.fixture
def television(organization: Organization) -> App:
    """An app on a device, which may refresh."""
    return Apps(organization).register(
        name="Wall display", application_type="native", redirect_uris=(), grant_types=(DEVICE, "refresh_token")
    )


def _ask(server: Server, app: App, scope: str = "agents:read offline_access") -> dict[str, Any]:
    response = server.http.post("/api/oauth/device_authorization", data={"scope": scope, **app.proof})
    assert response.status_code == 200, response.text
    device_authorization: dict[str, Any] = response.json()
    return device_authorization


def _poll(server: Server, app: App, device_authorization: dict[str, Any]) -> httpx.Response:
    return server.http.post(
        "/api/oauth/token", data={"grant_type": DEVICE, "device_code": device_authorization["device_code"], **app.proof}
    )


def _typed(browser: Browser, code: str) -> httpx.Response:
    return browser.send("/device", user_code=code)


def test_a_typed_code_shows_the_app_and_asks(administrator: Browser, organization: Organization, television: App) -> None:
    """The client, what it wants, and from where it asked; nothing is granted by typing (security.md 90)."""
    device_authorization = _ask(organization.server, television)

    page = _typed(administrator, device_authorization["user_code"])

    assert page.status_code == 200
    for text in (
        "Wall display",
        "wants to act for",
        "See agents and their schedules",
        "The device asked",
        "127.0.0.1",
        "Go on only if the device is in front of you",
    ):
        assert text in page.text
    assert _poll(organization.server, television, device_authorization).json()["error"] == "authorization_pending"


def test_an_allowed_device_gets_its_tokens(administrator: Browser, organization: Organization, television: App, clock: Frozen) -> None:
    """For the Space that the person chose (security.md 90)."""
    retail = organization.space("Retail")
    organization.agent("Prices", retail)
    organization.agent("Notes")
    device_authorization = _ask(organization.server, television)
    page = _typed(administrator, device_authorization["user_code"])

    done = administrator.send("/oauth/consent", request=value_of(page.text, "request"), decision="authorize", space=str(retail))
    clock.advance(timedelta(seconds=6))
    tokens = _poll(organization.server, television, device_authorization).json()

    assert (done.status_code, done.headers["location"]) == (303, "/device/allowed")
    assert "The device is connected" in administrator.open("/device/allowed").text
    assert tokens["refresh_token"]
    agents = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
    assert [agent["name"] for agent in agents] == ["Prices"]


def test_a_denied_device_gets_nothing(administrator: Browser, organization: Organization, television: App) -> None:
    """And learns it."""
    device_authorization = _ask(organization.server, television)
    page = _typed(administrator, device_authorization["user_code"])

    done = administrator.send("/oauth/consent", request=value_of(page.text, "request"), decision="deny")

    assert done.headers["location"] == "/device/denied"
    assert _poll(organization.server, television, device_authorization).json()["error"] == "access_denied"


def test_an_address_with_the_code_only_fills_it_in(administrator: Browser, organization: Organization, television: App) -> None:
    """Whoever sends somebody a link has not got them to agree (security.md 90)."""
    device_authorization = _ask(organization.server, television)

    page = administrator.open(device_authorization["verification_uri_complete"])

    assert value_of(page.text, "user_code") == device_authorization["user_code"]
    assert "Wall display" not in page.text
    assert _poll(organization.server, television, device_authorization).json()["error"] == "authorization_pending"


def test_a_code_survives_signing_in(organization: Organization, browse: Browse, television: App) -> None:
    """A person who is not signed in comes back to the filled field."""
    device_authorization = _ask(organization.server, television)
    browser = browse(organization.server)

    location = browser.open(device_authorization["verification_uri_complete"]).headers["location"]

    assert location.startswith("/login?next=")
    assert device_authorization["user_code"] in location


@pytest.mark.parametrize(
    "change", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code[:4]} {code[5:]} "], ids=["small", "dashless", "blanks"]
)
def test_case_dashes_and_blanks_do_not_matter(
    administrator: Browser, organization: Organization, television: App, change: Callable[[str], str]
) -> None:
    """People type as they like (RFC 8628 section 6.1)."""
    device_authorization = _ask(organization.server, television)

    assert "Wall display" in _typed(administrator, change(device_authorization["user_code"])).text


@pytest.mark.parametrize("code", ["", "BCDF-GHJK", "not a code", "é" * 50, "<script>"])
def test_a_wrong_code_keeps_what_was_typed(administrator: Browser, code: str) -> None:
    """And says what to do."""
    refused = _typed(administrator, code)

    assert refused.status_code == 422
    assert WRONG in refused.text
    assert value_of(refused.text, "user_code") == code[:40]


def test_guessing_is_slowed_for_a_person(administrator: Browser, organization: Organization, television: App, clock: Frozen) -> None:
    """After ten tries in ten minutes the right code does not help either (security.md 90)."""
    device_authorization = _ask(organization.server, television)
    for _ in range(10):
        assert _typed(administrator, "BCDF-GHJK").status_code == 422

    stopped = _typed(administrator, device_authorization["user_code"])

    assert stopped.status_code == 429
    assert int(stopped.headers["Retry-After"]) > 0
    assert value_of(stopped.text, "user_code") == device_authorization["user_code"]
    clock.advance(timedelta(seconds=601))
    assert _typed(administrator, "BCDF-GHJK").status_code == 422


def test_guessing_is_slowed_for_an_address(serve: Callable[..., Server], browse: Browse) -> None:
    """Many accounts at one address do not help (security.md 90)."""
    organization = Organization(serve())
    codes = []
    for number in range(6):
        browser = browse(organization.server)
        browser.sign_in(organization.user(f"Grace{number} User"))
        codes += [_typed(browser, "BCDF-GHJK").status_code for _ in range(9)]

    assert codes[:50] == [422] * 50
    assert codes[50:] == [429] * 4


def test_a_decided_or_expired_code_is_unknown(administrator: Browser, organization: Organization, television: App, clock: Frozen) -> None:
    """It looks like any wrong code."""
    decided, old = _ask(organization.server, television), _ask(organization.server, television)
    page = _typed(administrator, decided["user_code"])
    administrator.send("/oauth/consent", request=value_of(page.text, "request"), decision="deny")
    assert WRONG in _typed(administrator, decided["user_code"]).text

    clock.advance(timedelta(minutes=11))
    assert WRONG in _typed(administrator, old["user_code"]).text


def test_of_two_people_who_typed_the_code_one_decides(
    organization: Organization, administrator: Browser, user: Browser, television: App
) -> None:
    """The second gets a page that says so."""
    device_authorization = _ask(organization.server, television)
    pages = [(browser, _typed(browser, device_authorization["user_code"])) for browser in (administrator, user)]

    responses = [
        browser.send("/oauth/consent", request=value_of(page.text, "request"), decision="authorize", space="all") for browser, page in pages
    ]

    assert [response.status_code for response in responses] == [303, 409]
    assert "answered already" in responses[1].text


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_device_of_a_revoked_app_is_refused(administrator: Browser, organization: Organization, television: App) -> None:
    """With a page."""
    device_authorization = _ask(organization.server, television)

    async def work(session: Any) -> None:
        (await session.get(OAuthClient, television.pk)).status = "revoked"

    organization.write(work)
    assert _typed(administrator, device_authorization["user_code"]).status_code == 409


def test_a_code_sent_by_another_site_is_refused(administrator: Browser) -> None:
    """The form is ours alone."""
    assert administrator.send("/device", headers={"Sec-Fetch-Site": "cross-site"}, user_code="BCDF-GHJK").status_code == 403


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_device_cannot_get_a_token_for_a_resource_that_the_persons_organization_does_not_know(
    administrator: Browser, other: Organization
) -> None:
    """What its own organization registered counts for that organization (security.md 44)."""
    far = Apps(other).register(redirect_uris=(), grant_types=(DEVICE,), application_type="native")
    device_authorization = _ask(other.server, far)

    async def work(session: Any) -> None:
        (await session.scalars(select(DeviceCode).where(DeviceCode.oauth_client_id == far.pk))).one().resource = "https://far.example"

    other.write(work)
    refused = _typed(administrator, device_authorization["user_code"])
    assert refused.status_code == 409
    assert "your organization does not know" in refused.text


def test_a_device_that_cannot_refresh_is_promised_minutes(administrator: Browser, organization: Organization) -> None:
    """Whatever it asked for."""
    app = Apps(organization).register(redirect_uris=(), grant_types=(DEVICE,), application_type="native")
    device_authorization = _ask(organization.server, app)

    assert "For 15 minutes" in _typed(administrator, device_authorization["user_code"]).text


@pytest.mark.parametrize(
    ("address", "policy"),
    [
        ("https://latchpin.example", {"Referrer-Policy": "no-referrer"}),
        ("http://localhost:8080", {"Referrer-Policy": "no-referrer"}),
        ("http://latchpin.lan:8080", {}),
    ],
)
def test_the_sign_in_page_says_no_referrer_wherever_its_form_still_arrives(tmp_path: Path, address: str, policy: dict[str, str]) -> None:
    """On plain HTTP in a network browsers would say `Origin: null` then, and nobody could sign in (security.md 14)."""
    assert login_context.private(settings.load({}, data_dir=tmp_path, public_url=address)) == policy
