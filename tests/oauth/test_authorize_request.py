"""The authorization endpoint: which requests it takes, and how it refuses the others (OAuth 2.1 section 4.1.1)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from latchpin.oauth.authorization_request import PATH
from latchpin.storage.models.oauth_client import ClientSource
from tests.support.apps import CALLBACK, App, Apps
from tests.support.authorizing import HTML, Go, Journey, came, introduce
from tests.support.people import PASSWORD, Organization
from tests.support.server import Server
from tests.support.tokens import claims

CONFIDENTIAL = pytest.mark.parametrize("confidential", [False, True], ids=["public", "confidential"])


@CONFIDENTIAL
def test_a_request_without_a_code_challenge_is_refused(partners: Apps, go: Go, *, confidential: bool) -> None:
    """For every client, whether it has a secret or not (security.md 1)."""
    back = came(go(partners.register(confidential=confidential)).ask(code_challenge=None, code_challenge_method=None))

    assert back["error"] == "invalid_request"
    assert "code_challenge" in back["error_description"]


@pytest.mark.parametrize("method", ["plain", None, "s256"])
def test_only_the_method_s256_is_taken(go: Go, method: str | None) -> None:
    """`plain`, and no method (which means plain), are refused (security.md 2)."""
    assert came(go().ask(code_challenge_method=method))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "sent",
    [
        CALLBACK + "/more",
        CALLBACK + "/",
        CALLBACK + "?more=1",
        CALLBACK + "#part",
        "https://partner.example/Callback",
        "https://Partner.example/callback",
        "https://user@partner.example/callback",
        "https://partner.example/x/../callback",
        "https://partner.example/c%61llback",
        "https://partner.example:443/callback",
        "http://partner.example/callback",
        "https://partner.example.evil.example/callback",
    ],
)
def test_a_redirect_address_must_be_the_registered_bytes(go: Go, sent: str) -> None:
    """Path, case, slash, query, user, dots, encoding: each difference is refused (security.md 3)."""
    refused = go().ask(redirect_uri=sent)

    assert refused.status_code == 400
    assert "location" not in refused.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("registered", ["", ":7000"])
def test_a_loopback_address_may_have_any_port(partners: Apps, go: Go, host: str, registered: str) -> None:
    """The program takes the port that is free; the path must still match (security.md 4)."""
    app = partners.register(application_type="native", redirect_uris=(f"http://{host}{registered}/cb",))

    assert go(app).ask(redirect_uri=f"http://{host}:52001/cb").status_code == 200
    assert go(app).ask(redirect_uri=f"http://{host}:52001/other").status_code == 400


@pytest.mark.parametrize("source", [ClientSource.REGISTERED, ClientSource.DOCUMENT])
def test_localhost_may_have_any_port_and_the_page_warns_of_a_local_program(partners: Apps, go: Go, source: ClientSource) -> None:
    """For native and metadata-document clients (security.md 5)."""
    kind = "native" if source is ClientSource.REGISTERED else "web"
    app = partners.register(application_type=kind, redirect_uris=("http://localhost/cb",))
    if source is ClientSource.DOCUMENT:
        app = introduce(partners, app, source)

    page = go(app).ask(redirect_uri="http://localhost:52001/cb")

    assert page.status_code == 200
    assert "This program runs on your computer." in page.text


def test_a_web_app_gets_no_other_port_on_localhost(partners: Apps, go: Go) -> None:
    """Its address is the one that was registered."""
    app = partners.register(redirect_uris=("http://localhost/cb",))

    assert go(app).ask(redirect_uri="http://localhost:52001/cb").status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        "http://partner.example/cb",
        "https://partner.example/cb#x",
        "https://*.partner.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
    ],
)
def test_addresses_that_are_not_safe_cannot_be_registered(partners: Apps, uri: str) -> None:
    """So that the authorization endpoint never meets one (security.md 6)."""
    with pytest.raises(Exception, match="refused"):
        partners.register(redirect_uris=(uri,))


@pytest.mark.parametrize(
    "changes", [{"client_id": "app_unknown"}, {"client_id": None}, {"redirect_uri": "https://evil.example/"}, {"client_id": ["a", "b"]}]
)
def test_who_cannot_be_trusted_gets_an_error_page_and_no_redirect(go: Go, changes: dict[str, Any]) -> None:
    """With 400, whether somebody is signed in or not (security.md 7)."""
    for journey in (go(), go(signed_in=False)):
        refused = journey.ask(**changes)

        assert refused.status_code == 400
        assert refused.headers["content-type"].startswith("text/html")
        assert "location" not in refused.headers
        assert "evil.example" not in refused.text


def test_programs_get_the_same_error_as_json(go: Go) -> None:
    """The contract: 400 JSON, no redirect, for a client that is unknown or revoked (contract/auth.md 4)."""
    journey = go(signed_in=False)
    refused = journey.browser.open(f"{PATH}?{journey.query(client_id='app_unknown')}")

    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_client"
    assert refused.json()["error_description"]


def test_errors_go_back_only_after_somebody_has_signed_in(go: Go) -> None:
    """A link to us is no redirector for strangers (security.md 8)."""
    stranger = go(signed_in=False).ask(scope="everything")
    assert stranger.headers["location"].startswith("/login?next=")

    assert came(go().ask(scope="everything"))["error"] == "invalid_scope"


@pytest.mark.parametrize("source", [ClientSource.DYNAMIC, ClientSource.DOCUMENT])
def test_errors_do_not_go_by_themselves_to_an_app_that_is_new_to_the_user(
    partners: Apps, partner: App, go: Go, source: ClientSource
) -> None:
    """The person sees where it leads and decides (security.md 8)."""
    journey = go(introduce(partners, partner, source))
    refused = journey.ask(scope="everything")

    assert refused.status_code == 400
    assert "location" not in refused.headers
    assert "Continue to partner.example" in refused.text
    assert f'href="{CALLBACK}?error=invalid_scope' in refused.text

    journey.agree(journey.ask())
    assert came(journey.ask(scope="everything"))["error"] == "invalid_scope"


def test_every_answer_names_the_issuer_as_the_metadata_does(organization: Organization, go: Go) -> None:
    """Byte for byte, in success and in error (security.md 9; RFC 9207)."""
    metadata = organization.server.http.get("/.well-known/oauth-authorization-server").json()
    journey = go()

    done, failed = came(journey.agree(journey.ask())), came(journey.ask(response_type="token"))

    assert done["iss"] == failed["iss"] == metadata["issuer"]
    assert metadata["authorization_response_iss_parameter_supported"] is True


AWKWARD = " a b+c&d=e%20;/?:@#ä€\"'<>\\\r\n\t~ "


@pytest.mark.parametrize("state", ["plain", AWKWARD, "x" * 1500])
def test_state_comes_back_unchanged_and_once(go: Go, state: str) -> None:
    """In success and in error; so do code and issuer (security.md 10)."""
    journey = go()

    done, failed = came(journey.agree(journey.ask(state=state))), came(journey.ask(state=state, response_type="token"))

    assert done["state"] == failed["state"] == state
    assert set(done) == {"code", "state", "iss"}


def test_no_state_is_invented(go: Go) -> None:
    """Without `state` none comes back."""
    journey = go()

    assert set(came(journey.agree(journey.ask(state=None)))) == {"code", "iss"}


def test_the_query_of_a_registered_address_stays(partners: Apps, go: Go) -> None:
    """The answer is added to it (RFC 6749 section 3.1.2)."""
    address = "https://partner.example/callback?tenant=7"
    journey = go(partners.register(redirect_uris=(address,)), redirect_uri=address)

    back = journey.agree(journey.ask())

    assert back.headers["location"].startswith(f"{address}&code=")


@pytest.mark.parametrize("name", ["scope", "state", "response_type", "code_challenge", "nonce", "prompt", "unheard_of"])
def test_a_repeated_parameter_is_refused(go: Go, name: str) -> None:
    """Whichever it is (security.md 11)."""
    back = came(go().ask(**{name: ["one", "two"]}))

    assert back["error"] == "invalid_request"
    assert ("state" in back) == (name != "state")


def test_resource_may_be_repeated(organization: Organization, go: Go) -> None:
    """It alone (security.md 11; RFC 8707 section 2)."""
    url = organization.server.url

    assert go().ask(resource=[url, f"{url}/api/v1"]).status_code == 200


@pytest.mark.parametrize("wanted", ["token", "id_token", "code token", "code id_token", "none"])
def test_only_the_response_type_code_is_taken_and_advertised(organization: Organization, go: Go, wanted: str) -> None:
    """The implicit and hybrid flows do not exist here (security.md 12)."""
    metadata = organization.server.http.get("/.well-known/openid-configuration").json()

    assert came(go().ask(response_type=wanted))["error"] == "unsupported_response_type"
    assert metadata["response_types_supported"] == ["code"]


def test_there_is_no_password_grant(organization: Organization, partner: App) -> None:
    """Apps never see a password (security.md 12)."""
    form = {"grant_type": "password", "username": organization.admin.email, "password": PASSWORD, **partner.proof}

    refused = organization.server.http.post("/api/oauth/token", data=form)

    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_grant_type")


def test_a_missing_response_type_is_refused(go: Go) -> None:
    """It must be said (RFC 6749 section 4.1.2.1)."""
    assert came(go().ask(response_type=None))["error"] == "invalid_request"


def test_the_endpoint_answers_no_script_of_another_site(go: Go) -> None:
    """No CORS header, in success, error and JSON alike (security.md 15)."""
    journey = go()
    responses = [
        journey.ask(),
        journey.ask(response_type="token"),
        journey.ask(client_id="app_unknown"),
        journey.browser.open(f"{PATH}?{journey.query(client_id='app_unknown')}", headers={"Origin": "https://other.example"}),
    ]

    for response in responses:
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]


def test_unknown_parameters_are_ignored(go: Go) -> None:
    """As RFC 6749 section 3.1 wants (security.md 20)."""
    assert go().ask(unheard_of="1", ui_locales="de", claims="{}", display="popup").status_code == 200


@pytest.mark.parametrize(("name", "error"), [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")])
def test_request_objects_are_refused_by_name(go: Go, name: str, error: str) -> None:
    """OpenID Connect Core section 6: what is not supported says so."""
    assert came(go().ask(**{name: "https://partner.example/request"}))["error"] == error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "Agents:Read groups"}, "invalid_scope"),
        ({"resource": "https://nobody.example"}, "invalid_target"),
        ({"resource": "/relative"}, "invalid_target"),
        ({"resource": "https://nobody.example/#part"}, "invalid_target"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"dpop_jkt": "A" * 42}, "invalid_request"),
        ({"dpop_jkt": "A" * 42 + "+"}, "invalid_request"),
    ],
)
def test_what_cannot_be_granted_goes_back_with_its_error(go: Go, changes: dict[str, str], error: str) -> None:
    """In the registered words, with state and issuer."""
    back = came(go().ask(**changes))

    assert back["error"] == error
    assert back["state"] == "state-1"


def test_scopes_that_cannot_be_granted_are_left_out_and_scope_tells_what_was(partners: Apps, go: Go) -> None:
    """Unknown ones and those beyond what an administrator lets the app have; clients ask for what metadata lists (security.md 8)."""
    scopes_supported = " ".join(partners.server.http.get("/.well-known/oauth-authorization-server").json()["scopes_supported"])
    limited = partners.register(scopes=("agents:read",))
    cases = [
        (partners.register(), "openid profile groups", "openid profile"),
        (limited, scopes_supported, "agents:read offline_access"),
        (partners.register(scopes=("agents:read",)), "agents:read billing:read", "agents:read"),
        (partners.register(grant_types=("authorization_code",)), "agents:read offline_access", "agents:read"),
    ]

    for app, requested, granted in cases:
        journey = go(app)
        tokens = journey.redeem(journey.agree(journey.ask(scope=requested)))
        assert tokens["scope"] == claims(tokens["access_token"])["scope"] == granted, requested
        assert ("refresh_token" in tokens) is ("offline_access" in granted), requested


def test_where_no_scope_remains_the_request_is_refused(partners: Apps, go: Go) -> None:
    """What can be had is named, so that the app's makers need not guess (security.md 8)."""
    limited = partners.register(scopes=("agents:read",))

    for app, requested in ((limited, "billing:read groups"), (partners.register(grant_types=("authorization_code",)), "offline_access")):
        back = came(go(app).ask(scope=requested))
        assert back["error"] == "invalid_scope", requested
        assert "agents:read" in back["error_description"], requested
    assert came(go(partners.register(scopes=("openid",))).ask(scope=None))["error"] == "invalid_scope"  # the default is the API's own


def test_an_app_without_the_code_flow_is_refused(partners: Apps, go: Go) -> None:
    """What it may use was registered, too."""
    app = partners.register(grant_types=("urn:ietf:params:oauth:grant-type:device_code",), redirect_uris=(CALLBACK,))

    assert came(go(app).ask())["error"] == "unauthorized_client"


def test_without_scope_the_six_scopes_of_the_api_are_granted(go: Go) -> None:
    """And no offline access (contract/auth.md 3)."""
    journey = go()

    tokens = journey.redeem(journey.agree(journey.ask(scope=None)))

    assert set(tokens["scope"].split()) == {"agents:read", "agents:write", "runs:read", "spaces:read", "spaces:write", "billing:read"}
    assert "refresh_token" not in tokens


def test_the_only_registered_address_need_not_be_sent(partners: Apps, go: Go) -> None:
    """With several it must be (OAuth 2.1 section 4.1.1)."""
    two = partners.register(redirect_uris=(CALLBACK, "https://partner.example/other"))
    journey = go()

    assert journey.agree(journey.ask(redirect_uri=None)).headers["location"].startswith(f"{CALLBACK}?code=")
    assert go(two).ask(redirect_uri=None).status_code == 400


def test_the_token_endpoint_takes_a_code_without_its_redirect_address_but_no_other(go: Go) -> None:
    """Clients of OAuth 2.1 leave it out; who sends it must send the right one (security.md 21)."""
    journey = go()
    code = came(journey.agree(journey.ask()))["code"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": journey.verifier, **journey.app.proof}

    wrong = journey.apps.server.http.post("/api/oauth/token", data={**form, "redirect_uri": "https://partner.example/other"})
    right = journey.apps.server.http.post("/api/oauth/token", data=form)

    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    assert right.status_code == 200


def test_a_posted_request_goes_on_as_a_link(go: Go) -> None:
    """RFC 6749 section 3.1 allows POST; the answer is 303, so that nothing is sent again (security.md 13)."""
    journey = go()
    query = journey.query()

    posted = journey.browser.http.post(
        PATH, content=query, headers={"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "cross-site", **HTML}
    )

    assert posted.status_code == 303
    assert parse_qs(urlsplit(posted.headers["location"]).query) == parse_qs(query)
    assert journey.browser.open(posted.headers["location"], headers=HTML).status_code == 200


@pytest.mark.parametrize("body", [b"client_id=a\r\nSet-Cookie: b=c", b"client_id=a\nb", b"client_id=a\r", b"\x00", b"client_id=\x1b[31m"])
def test_a_posted_request_with_raw_control_characters_is_refused(organization: Organization, body: bytes) -> None:
    """It goes on as an address in a header, which line breaks would end: the answer is 400, and no part of it a header."""
    posted = organization.server.http.post(PATH, content=body, headers={"Content-Type": "application/x-www-form-urlencoded", **HTML})

    assert posted.status_code == 400
    assert "location" not in posted.headers
    assert "set-cookie" not in posted.headers


def test_after_signing_in_a_person_comes_back_to_a_long_request(go: Go, organization: Organization) -> None:
    """Whatever the app put into it, which is kept here: on the way it stands in no address, which a proxy could refuse for its length."""
    journey, state = go(signed_in=False), secrets.token_hex(1500)
    sign_in_page = journey.ask(state=state)
    next_url = parse_qs(urlsplit(sign_in_page.headers["location"]).query)["next"][0]

    signed_in = journey.browser.send("/login", email=organization.admin.email, password=PASSWORD, next=next_url)
    back = journey.browser.walk(signed_in)

    assert back.status_code == 200
    assert max(len(response.headers["location"]) for response in (sign_in_page, signed_in)) < 1000
    assert state not in str(back.request.url)
    assert came(journey.agree(back))["state"] == state
    assert journey.browser.open(next_url, headers=HTML).status_code == 400  # it was answered, once


def test_a_long_posted_request_is_kept_as_well(go: Go, organization: Organization) -> None:
    """It comes from another site's page, so without the cookies of who is signed in."""
    journey, state = go(), "s" * 4000
    form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "cross-site", **HTML}
    posted = journey.browser.http.post(PATH, content=journey.query(state=state), headers=form)

    assert len(posted.headers["location"]) < 1000
    page = journey.browser.open(posted.headers["location"], headers=HTML)
    assert came(journey.agree(page))["state"] == state


def test_another_account_takes_a_long_request_along(go: Go, organization: Organization) -> None:
    """From the choice of the account over signing out and in."""
    journey, state = go(), "s" * 1500
    chosen = journey.answer(journey.ask(state=state, prompt="select_account"), "/oauth/account", choice="other")
    location = chosen.headers["location"]
    next_url = parse_qs(urlsplit(location).query)["next"][0]

    back = journey.browser.walk(journey.browser.send("/login", email=organization.admin.email, password=PASSWORD, next=next_url))

    assert len(location) < 1000
    assert came(journey.agree(back))["state"] == state


def test_a_long_request_is_no_way_around_sending_ahead(partners: Apps, go: Go) -> None:
    """What is kept of a browser's request never counts as what an app sent ahead (RFC 9126 section 5; security.md 89)."""
    journey = go(partners.register(require_pushed=True), signed_in=False)
    sign_in_page = journey.ask(state="s" * 1500)
    next_url = parse_qs(urlsplit(sign_in_page.headers["location"]).query)["next"][0]

    back = journey.browser.walk(journey.browser.send("/login", email=partners.organization.admin.email, password=PASSWORD, next=next_url))

    assert "continued" not in next_url
    assert came(back)["error"] == "invalid_request"


def test_strangers_have_few_long_requests_kept(serve: Callable[..., Server]) -> None:
    """So many in an hour of one subnet; the next ones go on as they came, so that nobody is shut out and no database is filled."""
    organization = Organization(serve(pending_limit=2))
    apps = Apps(organization)
    journey = Journey(apps, apps.register())
    with closing(journey.browser.http):
        last = [journey.ask(state="s" * 1500).headers["location"] for _ in range(3)][-2:]

    assert "continued" in last[0]
    assert "continued" not in last[1]
    assert "s" * 1500 in last[1]
