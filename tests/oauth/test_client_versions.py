"""An approval and a consent are for one version of an app: as it was seen. Another one waits for approval, and asks again."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from latchpin.kit.clock import Frozen
from latchpin.oauth import client_versions
from latchpin.oauth.client_admin import DEVICE
from tests.oauth.test_registration import as_app
from tests.oauth.test_registration_management import Entry
from tests.support.apps import CALLBACK, App, Apps
from tests.support.authorizing import Go, Journey, came
from tests.support.devices import begin, device, poll, said
from tests.support.documents import RSA_KEY
from tests.support.people import Organization
from tests.support.signed_in import SignedIn, problem
from tests.web.browser import Browser, value_of

pytestmark = pytest.mark.both_databases("versions and consents are compared by statements")

WEB = {
    "client_name": "Desk app",
    "redirect_uris": [CALLBACK],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
    "application_type": "web",
    "scope": "agents:read spaces:read",
}
KEYS = {"keys": [RSA_KEY.as_dict(private=False)]}
OTHERS: dict[str, dict[str, Any]] = {
    "another name": {"client_name": "Latchpin Support"},
    "another address": {"redirect_uris": [CALLBACK, "https://elsewhere.example/callback"]},
    "another address after sign-out": {"post_logout_redirect_uris": ["https://elsewhere.example/"]},
    "another home page": {"client_uri": "https://elsewhere.example/"},
    "another grant type": {"grant_types": [*WEB["grant_types"], DEVICE]},
    "wider scopes": {"scope": "agents:read agents:write spaces:read"},
    "keys": {"token_endpoint_auth_method": "private_key_jwt", "jwks": KEYS},
}


def _words(page: httpx.Response) -> str:
    return " ".join(html.unescape(re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", page.text, flags=re.DOTALL)).split())


class Scene:
    """An app that registered itself, in an organization where an administrator has to approve such apps."""

    def __init__(self, organization: Organization, go: Go) -> None:
        self.entry = Entry(organization, **WEB)
        self.app: App = as_app(organization, self.entry.client_id)
        self.admin = SignedIn(organization.server, organization.admin)
        self.admin.put("/app-policy", {"needsApproval": True})
        self.journey: Journey = go(self.app, organization.user("Grace User"))

    def change(self, **changes: Any) -> None:
        """Send the entry whole, as the app does, with what the test says differently."""
        body = {"client_id": self.entry.client_id, **WEB, **changes}
        response = self.entry.call("PUT", body=body)
        assert response.status_code == 200, response.text

    def approve(self) -> None:
        """Approve the app as it is now."""
        assert self.admin.post(f"/apps/{self.app.pk}/approve").status_code == 204

    @property
    def status(self) -> str:
        """Where the app stands, as administrators see it."""
        return str(self.admin.get(f"/apps/{self.app.pk}").json()["status"])


@pytest.fixture
def scene(organization: Organization, go: Go) -> Scene:
    """An app that was asked for, approved and agreed to."""
    new_scene = Scene(organization, go)
    assert new_scene.journey.ask().status_code == 403
    new_scene.approve()
    page = new_scene.journey.ask()
    assert "Nobody here has checked it" in _words(page)
    came(new_scene.journey.agree(page))
    assert "code" in came(new_scene.journey.ask())
    return new_scene


def test_another_version_waits_for_approval_and_asks_again(scene: Scene, subtests: pytest.Subtests) -> None:
    """Whatever was seen of it: with another one nobody is let through, and once approved the page warns and asks (RFC 7592 PUT)."""
    for name, other in OTHERS.items():
        with subtests.test(change=name):
            scene.change(**other)

            assert (scene.status, scene.journey.ask().status_code) == ("waiting", 403)
            scene.approve()
            page = scene.journey.ask()
            assert scene.status == "active"
            assert "Nobody here has checked it" in _words(page)
            came(scene.journey.agree(page))
            assert "code" in came(scene.journey.ask())


def test_another_order_is_no_other_version(organization: Organization) -> None:
    """Nor is a narrower scope, nor another way to send the same secret."""
    registration = Entry(
        organization, **{**WEB, "redirect_uris": [CALLBACK, f"{CALLBACK}/2"], "token_endpoint_auth_method": "client_secret_post"}
    )
    body = {"client_id": registration.client_id, **WEB, "redirect_uris": [f"{CALLBACK}/2", CALLBACK], "scope": "spaces:read"}
    body |= {"grant_types": WEB["grant_types"][::-1], "token_endpoint_auth_method": "client_secret_basic"}

    assert registration.call("PUT", body=body).status_code == 200

    assert registration.row().version == 1


def test_every_column_that_people_see_makes_another_version() -> None:
    """One by one; the others say nothing of who the app is."""
    before: dict[str, Any] = {
        "name": "Desk app",
        "redirect_uris": '["https://a.example/"]',
        "post_logout_redirect_uris": "[]",
        "client_uri": None,
        "jwks": None,
        "jwks_uri": None,
        "auth_method": "none",
        "grant_types": "authorization_code",
        "scopes": "agents:read",
        "require_pushed": False,
        "dpop_bound": False,
        "application_type": "web",
    }
    others = {
        "name": "Other",
        "redirect_uris": "[]",
        "post_logout_redirect_uris": '["https://a.example/"]',
        "client_uri": "https://a.example/",
        "jwks": '{"keys": []}',
        "jwks_uri": "https://a.example/keys",
        "auth_method": "private_key_jwt",
        "grant_types": "authorization_code refresh_token",
        "scopes": "",
    }

    assert {name for name, value in others.items() if client_versions.is_another(before, {**before, name: value})} == set(others)
    for name, value in (("require_pushed", True), ("dpop_bound", True), ("application_type", "native")):
        assert not client_versions.is_another(before, {**before, name: value})
    assert not client_versions.is_another({**before, "scopes": ""}, before)


def test_the_policy_alone_lets_another_version_in(scene: Scene) -> None:
    """Where no approval is asked for, the user decides anew."""
    scene.admin.put("/app-policy", {"needsApproval": False})
    scene.change(client_name="Latchpin Support")

    page = scene.journey.ask()

    assert page.status_code == 200
    assert "Latchpin Support" in page.text
    assert scene.status == "active"


def test_a_blocked_app_stays_out_whatever_it_becomes(scene: Scene) -> None:
    """A no is for the app, not for one version of it."""
    scene.admin.post(f"/apps/{scene.app.pk}/block")
    scene.change(client_name="Latchpin Support")

    assert "has blocked this app" in scene.journey.ask().text


def test_an_answer_counts_for_the_app_that_the_page_showed(scene: Scene) -> None:
    """Changed while the page was open, it is shown again as it is now; only then it can be authorized."""
    scene.admin.put("/app-policy", {"needsApproval": False})
    page = scene.journey.ask(prompt="consent")
    scene.change(client_name="Latchpin Support")

    again = scene.journey.agree(page, space="personal")

    assert again.status_code == 422
    assert "The app has changed" in _words(again)
    assert "Latchpin Support" in again.text
    assert '<option value="personal" selected>' in again.text
    assert "code" in came(scene.journey.browser.send("/oauth/consent", request=_token(again), decision="authorize", space="personal"))


def _token(page: httpx.Response) -> str:
    return value_of(page.text, "request")


def test_a_device_is_connected_to_the_app_that_the_page_showed(partners: Apps, go: Go, clock: Frozen) -> None:
    """In the same way; the device waits meanwhile."""
    organization = partners.organization
    app, admin = device(organization), SignedIn(organization.server, organization.admin)
    device_authorization = begin(organization, app)
    journey = go(app)
    page = journey.browser.send("/device", user_code=device_authorization["user_code"])
    body = {"name": "Radio", "grantTypes": [DEVICE, "refresh_token"]}
    assert admin.put(f"/apps/{app.pk}", body).status_code == 200

    again = journey.answer(page, decision="authorize", space="all")

    assert again.status_code == 422
    assert "Radio" in again.text
    assert said(poll(organization, app, device_authorization)) == "authorization_pending"
    journey.browser.send("/oauth/consent", request=_token(again), decision="authorize", space="all")
    clock.advance(timedelta(seconds=30))
    assert poll(organization, app, device_authorization).status_code == 200


def test_an_app_of_another_organization_waits_again_too(
    organization: Organization, other: Organization, go: Go, administrator: Browser
) -> None:
    """Its own administrators change it; here it was approved as it was."""
    theirs, admin = Apps(other).register(name="Partner portal"), SignedIn(organization.server, organization.admin)
    admin.put("/app-policy", {"needsApproval": True})
    journey = go(theirs)
    journey.ask()
    admin.post(f"/apps/{theirs.pk}/approve")
    came(journey.agree(journey.ask()))

    SignedIn(other.server, other.admin).put(f"/apps/{theirs.pk}", {"name": "Latchpin Support", "redirectUris": [CALLBACK]})

    assert journey.ask().status_code == 403
    assert "It has changed since" in administrator.open(f"/organization/apps/{theirs.pk}").text


@pytest.fixture
def administrator(organization: Organization) -> Iterator[Browser]:
    """A browser of the administrator."""
    browser = Browser(organization.server)
    browser.sign_in(organization.admin)
    yield browser
    browser.http.close()


def test_an_administrator_approves_what_they_saw(scene: Scene, administrator: Browser) -> None:
    """Changed between the look and the approval, it is shown again; the API takes the version that was looked at."""
    path = f"/organization/apps/{scene.app.pk}/approve"
    browser = administrator
    scene.change(client_name="First change")
    version = value_of(browser.open(path).text, "version")
    scene.change(client_name="Second change")

    refused = browser.send(path, version=version)

    assert refused.status_code == 422
    assert "Second change" in refused.text
    problem(scene.admin.post(f"/apps/{scene.app.pk}/approve", {"version": int(version)}), 409, "conflict")
    assert scene.status == "waiting"
    assert browser.send(path, version=value_of(refused.text, "version")).status_code == 303
    assert scene.status == "active"
