"""A partner's app in Chromium: sign in, choose a Space, authorize, and the app's program gets a token that sees that Space only."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from latchpin.oauth import pkce
from tests.support import browser as support
from tests.support.apps import App, Apps
from tests.support.authorizing import introduce
from tests.support.people import PASSWORD, Organization

pytestmark = pytest.mark.browser
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "agents:read agents:write runs:read spaces:read spaces:write billing:read openid profile email offline_access"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SHAPES = (("wide", 1280, 900), ("phone", 360, 740))


class Callback:
    """The app's own little server: keeps what it was called with, and sends the browser on to another name of itself."""

    def __init__(self, server: ThreadingHTTPServer, called: list[dict[str, list[str]]]) -> None:
        self.port, self.called = server.server_address[1], called
        self.address = f"http://127.0.0.1:{self.port}/callback"

    def came(self) -> dict[str, str]:
        """Return the parameters of the only call."""
        assert len(self.called) == 1
        return {name: values[0] for name, values in self.called[0].items()}


@contextmanager
def _listening() -> Iterator[Callback]:
    called: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/callback":
                called.append(parse_qs(parts.query))
                self.send_response(303)
                self.send_header("Location", f"http://localhost:{server.server_port}/done")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = b"<!doctype html><title>Partner</title><h1>Connected</h1>" if parts.path == "/done" else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Callback(server, called)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def callback() -> Iterator[Callback]:
    """The app's server."""
    with _listening() as callback_server:
        yield callback_server


def _address(url: str, app: App, callback: Callback | None, verifier: str, **more: str) -> str:
    query = {
        "client_id": app.client_id,
        "redirect_uri": callback.address if callback else "",
        "response_type": "code",
        "scope": SCOPE,
        "state": "awkward +&ä",
        "code_challenge": pkce.challenge_of(verifier),
        "code_challenge_method": "S256",
        **more,
    }
    return f"{url}/api/oauth/authorize?{urlencode(query)}"


def _sign_in(page: Page, email: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def _photograph(page: Page, name: str) -> None:
    """Keep the page wide and narrow, light and dark; nothing serious may be wrong, nothing may be cut off, the buttons stay in sight."""
    for shape, width, height in SHAPES:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # painted anew
            support.picture(page, f"oauth-{name}-{shape}-{scheme}")
            assert support.serious_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for button in page.locator("main button:not(.link):visible, main a.button:visible").all():
            expect(button).to_be_in_viewport(ratio=1)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_partners_app_gets_the_space_that_its_user_chose(organization: Organization, context: BrowserContext, callback: Callback) -> None:
    """From the app to sign-in, Space picker, consent, and back with a code that opens that Space's agents (security.md 13, 14, 75)."""
    heard = support.complaints(context)
    retail, url = organization.space("Retail"), organization.server.url
    organization.agent("Prices", retail)
    organization.agent("Ledger", organization.space("Finance"))
    apps = Apps(organization)
    app = apps.register(name="Northwind Reports", application_type="native", redirect_uris=("http://127.0.0.1/callback",))
    verifier, page = secrets.token_urlsafe(48), context.new_page()

    page.goto(_address(url, app, callback, verifier, login_hint=organization.admin.email))
    expect(page.get_by_text("to continue to Northwind Reports")).to_be_visible()
    _photograph(page, "sign-in")
    _sign_in(page, organization.admin.email)
    expect(page.get_by_role("heading", name="Northwind Reports")).to_be_visible()
    expect(page.get_by_text("This program runs on your computer.")).to_be_visible()
    _photograph(page, "consent")
    page.get_by_label("wants to act for Ada Admin in").select_option("Retail (editor)")
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()

    back = callback.came()
    assert (back["state"], back["iss"]) == ("awkward +&ä", url)
    form = {"grant_type": "authorization_code", "code": back["code"], "code_verifier": verifier, **app.proof}
    tokens = organization.server.http.post("/api/oauth/token", data=form).json()
    response = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert [agent["name"] for agent in response.json()] == ["Prices"]
    assert tokens["refresh_token"]
    assert heard == []


def test_who_has_agreed_before_goes_from_sign_in_straight_to_the_app(
    organization: Organization, context: BrowserContext, callback: Callback
) -> None:
    """The sign-in form's redirects end at the app, and the browser lets them (security.md 14)."""
    heard = support.complaints(context)
    app = Apps(organization).register(confidential=True, redirect_uris=(callback.address,))
    page, verifier = context.new_page(), secrets.token_urlsafe(48)
    page.goto(_address(organization.server.url, app, callback, verifier))
    _sign_in(page, organization.admin.email)
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    callback.called.clear()
    context.clear_cookies()

    page.goto(_address(organization.server.url, app, callback, verifier))
    _sign_in(page, organization.admin.email)

    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    assert "code" in callback.came()
    assert heard == []


def test_denying_and_giving_the_password_lead_back_too(organization: Organization, context: BrowserContext, callback: Callback) -> None:
    """Each by a form of ours whose redirect ends at the app."""
    heard = support.complaints(context)
    app, url = (
        Apps(organization).register(confidential=True, name="Northwind Reports", redirect_uris=(callback.address,)),
        organization.server.url,
    )
    page, verifier = context.new_page(), secrets.token_urlsafe(48)
    support.sign_in(page, url, organization.admin.email, PASSWORD)

    page.goto(_address(url, app, callback, verifier))
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    assert callback.came()["error"] == "access_denied"

    page.goto(_address(url, app, callback, verifier))
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    callback.called.clear()

    page.goto(_address(url, app, callback, verifier, prompt="login"))
    _photograph(page, "password")
    page.get_by_label("Password of Ada Admin", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    assert "code" in callback.came()

    callback.called.clear()
    page.goto(_address(url, app, callback, verifier, prompt="select_account"))
    _photograph(page, "account")
    page.get_by_role("button", name="Continue as Ada Admin").click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    assert heard == []


def test_the_consent_page_works_without_script(organization: Organization, chromium: Browser, callback: Callback) -> None:
    """Forms post and links navigate; nothing of it needs script."""
    context = chromium.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=False)
    app = Apps(organization).register(confidential=True, redirect_uris=(callback.address,))
    page = context.new_page()
    page.goto(_address(organization.server.url, app, callback, secrets.token_urlsafe(48)))
    _sign_in(page, organization.admin.email)
    page.get_by_label("wants to act for Ada Admin in").select_option("My personal Space")
    page.get_by_role("button", name="Authorize").click()

    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    assert "code" in callback.came()
    context.close()


def test_a_new_apps_refusal_is_a_page_with_a_way_on(organization: Organization, context: BrowserContext, callback: Callback) -> None:
    """And so is a link that cannot be trusted at all, which has none (security.md 7, 8)."""
    apps, url = Apps(organization), organization.server.url
    app = introduce(apps, apps.register(name="Meridian Desk", redirect_uris=(callback.address,)))
    page = context.new_page()
    support.sign_in(page, url, organization.admin.email, PASSWORD)

    page.goto(_address(url, app, callback, secrets.token_urlsafe(48), redirect_uri="https://evil.example/"))
    _photograph(page, "error")
    expect(page.locator("main a.button")).to_have_count(0)

    page.goto(_address(url, app, callback, secrets.token_urlsafe(48), scope="everything"))
    _photograph(page, "refused")
    assert callback.called == []
    page.get_by_role("link", name="Continue to 127.0.0.1").click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    assert callback.came()["error"] == "invalid_scope"


def test_an_app_with_a_scheme_of_its_own_leaves_a_page_that_says_what_to_do(organization: Organization, context: BrowserContext) -> None:
    """The browser hands the answer to the program, and the question with its pressed button is gone."""
    uri, url = "cursor://anysphere.cursor-mcp/oauth/callback", organization.server.url
    app = Apps(organization).register(name="Field Notes", application_type="native", redirect_uris=(uri,))
    page, tried = context.new_page(), list[str]()
    devtools = context.new_cdp_session(page)
    devtools.send("Page.enable")
    devtools.on("Page.frameRequestedNavigation", lambda event: tried.append(event["url"]))
    support.sign_in(page, url, organization.admin.email, PASSWORD)

    page.goto(_address(url, app, None, secrets.token_urlsafe(48), redirect_uri=uri))
    page.get_by_role("button", name="Authorize").click()

    expect(page.get_by_role("heading", name="You can close this page")).to_be_visible()
    link = page.get_by_role("link", name="Open the app again")
    assert (link.get_attribute("href") or "").startswith(f"{uri}?code=")
    _photograph(page, "opened")
    opened = [each for each in tried if each.startswith(uri)]
    link.click()
    expect(page.get_by_role("heading", name="You can close this page")).to_be_visible()
    assert opened == [link.get_attribute("href")], tried  # by itself, before the link was pressed


def test_a_device_is_connected_in_the_browser(organization: Organization, context: BrowserContext) -> None:
    """The link fills the code in, a person sends it, sees the app, and decides (security.md 90)."""
    heard = support.complaints(context)
    app = Apps(organization).register(name="Wall display", application_type="native", redirect_uris=(), grant_types=(DEVICE,))
    http = organization.server.http
    device_authorization = json.loads(http.post("/api/oauth/device_authorization", data={"scope": "agents:read", **app.proof}).text)
    page = context.new_page()
    support.sign_in(page, organization.server.url, organization.admin.email, PASSWORD)

    page.goto(device_authorization["verification_uri_complete"])
    expect(page.get_by_label("Code")).to_have_value(device_authorization["user_code"])
    _photograph(page, "device")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Wall display")).to_be_visible()
    _photograph(page, "device-consent")
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("heading", name="The device is connected")).to_be_visible()
    _photograph(page, "device-done")

    form = {"grant_type": DEVICE, "device_code": device_authorization["device_code"], **app.proof}
    assert http.post("/api/oauth/token", data=form).json()["access_token"]
    assert heard == []
