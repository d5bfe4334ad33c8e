"""The token endpoint's manners: who may ask, how often, and what the answers look like (RFC 6749 sections 2.3, 3.2, 5)."""

from __future__ import annotations

import base64
import hmac
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.oauth import client_admin
from tests.support.apps import TOKEN, App, Apps
from tests.support.people import Organization
from tests.support.signers import Signer
from tests.support.tokens import reasons, with_client

CREDENTIALS = {"grant_type": "client_credentials"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header of HTTP Basic, its halves form-encoded (section 2.3.1)."""
    text = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def service(organization: Organization, method: str) -> App:
    """Register an app that acts for itself and authenticates in this way."""
    return Apps(organization).register(
        confidential=True,
        auth_method=method,
        grant_types=("client_credentials",),
        redirect_uris=(),
        scopes=("agents:read",),
    )


def post(organization: Organization, form: dict[str, str], headers: dict[str, str] | None = None) -> httpx.Response:
    """Ask the token endpoint."""
    return organization.server.http.post(TOKEN, data=form, headers=headers)


def said(response: httpx.Response) -> tuple[int, str]:
    """Return status and error."""
    return response.status_code, response.json()["error"]


def test_answers_are_json_that_nobody_stores(organization: Organization) -> None:
    """Tokens and refusals alike (security.md 57)."""
    apps = Apps(organization)
    app = apps.register()
    http = organization.server.http

    for response in (
        apps.redeem(app, apps.code(app)),
        apps.refresh(app, "junk"),
        post(organization, {"grant_type": "password"}),
        post(organization, {**CREDENTIALS, "client_id": app.client_id, "client_secret": "lps_wrong"}),
        http.get(TOKEN),
        http.post(TOKEN, json={"grant_type": "refresh_token"}),
        http.post("/api/oauth/revoke", data={"token": "junk"}),
        http.post("/api/oauth/introspect", data={"token": "junk"}),
        http.get("/api/oauth/userinfo"),
        http.post("/api/oauth/device_authorization", data={}),
    ):
        assert response.headers["Cache-Control"] == "no-store", response.request.url
        assert response.headers["Pragma"] == "no-cache"
        assert response.headers["Content-Type"] == "application/json"


def test_two_ways_of_proving_a_client_are_refused(organization: Organization) -> None:
    """In header and form, or in two headers; even where both are right (security.md 58)."""
    app = service(organization, "client_secret_basic")
    secret = app.secret or ""
    header = basic(app.client_id, secret)

    assert said(post(organization, {**CREDENTIALS, **app.proof}, header)) == (400, "invalid_request")
    assertion = {"client_assertion": "a.b.c", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    assert said(post(organization, {**CREDENTIALS, **assertion}, header)) == (400, "invalid_request")
    two = [("Authorization", header["Authorization"])] * 2
    assert said(organization.server.http.post(TOKEN, data=CREDENTIALS, headers=two)) == (400, "invalid_request")
    assert said(post(organization, {**CREDENTIALS, "client_id": "another"}, header)) == (400, "invalid_request")
    assert post(organization, {**CREDENTIALS, "client_id": app.client_id}, header).status_code == 200


@pytest.mark.parametrize("field", ["client_id", "client_secret", "grant_type", "scope"])
def test_a_repeated_parameter_is_refused(organization: Organization, field: str) -> None:
    """Two readers may each take another one (security.md 11)."""
    app = service(organization, "client_secret_post")
    form = {**CREDENTIALS, **app.proof, "scope": "agents:read"}

    response = organization.server.http.post(TOKEN, data={**form, field: [form[field], form[field]]})

    assert said(response) == (400, "invalid_request")


def test_a_failed_header_says_how_to_do_it(organization: Organization) -> None:
    """401 with `WWW-Authenticate: Basic`; a failed form secret is 401 too (security.md 59)."""
    app, posted = service(organization, "client_secret_basic"), service(organization, "client_secret_post")

    in_header = post(organization, CREDENTIALS, basic(app.client_id, "lps_wrong"))
    in_form = post(organization, {**CREDENTIALS, "client_id": posted.client_id, "client_secret": "lps_wrong"})
    unreadable = post(organization, CREDENTIALS, {"Authorization": "Basic !"})
    foreign = post(organization, CREDENTIALS, {"Authorization": "Bearer a.b.c"})

    for response in (in_header, unreadable, foreign):
        assert said(response) == (401, "invalid_client")
        assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert said(in_form) == (401, "invalid_client")
    assert reasons(organization, "client.refused") == ["wrong client secret or assertion"] * 2


def test_a_right_secret_is_taken_in_the_header_and_in_the_form(organization: Organization) -> None:
    """Whichever of the two was registered, at every endpoint that asks for it: libraries choose for themselves (security.md 60)."""
    for registered in ("client_secret_basic", "client_secret_post"):
        app = service(organization, registered)
        header = basic(app.client_id, app.secret or "")

        assert post(organization, CREDENTIALS, header).status_code == 200, registered
        assert post(organization, {**CREDENTIALS, **app.proof}).status_code == 200, registered
        for path in ("/api/oauth/revoke", "/api/oauth/introspect"):
            http = organization.server.http
            assert http.post(path, data={"token": "junk"}, headers=header).status_code == 200, (registered, path)
            assert http.post(path, data={"token": "junk", **app.proof}).status_code == 200, (registered, path)


def test_another_method_than_the_apps_own_is_refused_and_audited_as_such(organization: Organization) -> None:
    """A secret is no key and a key is no secret; the answer names the method that is due (security.md 60)."""
    with_secret, public = service(organization, "client_secret_post"), Apps(organization).register()
    signer = Signer(organization)
    secret = {"client_secret": with_secret.secret or ""}
    assertion = {"client_assertion": signer.assertion(iss=with_secret.client_id, sub=with_secret.client_id)}
    assertion["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    tried = [
        ({"client_id": with_secret.client_id}, "client_secret_basic or client_secret_post"),
        (assertion, "client_secret_basic or client_secret_post"),
        ({"client_id": signer.app.client_id}, "private_key_jwt"),
        ({"client_id": signer.app.client_id, **secret}, "private_key_jwt"),
        ({"client_id": public.client_id, **secret}, "client_id alone"),
    ]

    for form, due in tried:
        response = post(organization, {**CREDENTIALS, **form})
        assert said(response) == (401, "invalid_client"), form
        assert due in response.json()["error_description"], form
    assert (
        reasons(organization, "client.refused") == ["another client authentication method than the app's"] * 3
    )  # one of each app, with its number


def test_a_public_client_that_sends_a_secret_is_refused(organization: Organization) -> None:
    """It has none, so whatever it sends proves nothing (security.md 60)."""
    apps = Apps(organization)
    app = apps.register()
    code = apps.code(app)

    for secret in ("lps_anything", "x"):
        assert said(apps.redeem(app, code, client_secret=secret)) == (401, "invalid_client")
    empty = basic(app.client_id, "")
    form = {"grant_type": "authorization_code", "code": code.code, "code_verifier": code.verifier}
    assert said(post(organization, form, empty)) == (401, "invalid_client")
    assert apps.redeem(app, code).status_code == 200


def test_get_is_not_taken(organization: Organization) -> None:
    """405 with the methods that are (security.md 62)."""
    response = organization.server.http.get(TOKEN)

    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("body", [{"json": CREDENTIALS}, {"files": {"grant_type": (None, "client_credentials")}}, {"content": b""}])
def test_another_kind_of_body_gets_a_clear_error(organization: Organization, body: Any) -> None:
    """JSON, multipart and nothing (security.md 62)."""
    response = organization.server.http.post(TOKEN, **body)

    assert said(response) == (400, "invalid_request")
    assert "application/x-www-form-urlencoded" in response.json()["error_description"]


@pytest.mark.parametrize("body", [b"grant_type=%ff%fe", b"\xff=1", b"&".join(b"p%d=1" % n for n in range(61)), b"grant_type=%00x"])
def test_a_form_that_cannot_be_read_is_refused(organization: Organization, body: bytes) -> None:
    """Bytes that are no text, NUL, and endless parameters."""
    response = organization.server.http.post(TOKEN, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})

    assert said(response) == (400, "invalid_request")


def test_what_is_missing_is_named_in_known_words(organization: Organization) -> None:
    """Existing clients know the texts (contract)."""
    assert post(organization, {"client_id": "x"}).json()["error_description"] == "grant_type is required"
    response = post(organization, {"grant_type": "authorization_code", "code": "x"})
    assert response.json() == {"error": "invalid_request", "error_description": "client_id is required"}


@pytest.mark.parametrize("grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:saml2-bearer", "AUTHORIZATION_CODE"])
def test_other_grant_types_are_not_supported(organization: Organization, grant_type: str) -> None:
    """The password grant among them (security.md 12)."""
    response = post(organization, {"grant_type": grant_type, "username": "ada", "password": "x", "client_id": "x"})

    assert said(response) == (400, "unsupported_grant_type")


def test_a_client_uses_its_own_grant_types_only(organization: Organization) -> None:
    """What was not registered is refused before anything is looked at."""
    apps = Apps(organization)
    app = apps.register(grant_types=("authorization_code",))

    assert said(apps.refresh(app, "lpr_whatever")) == (400, "unauthorized_client")


def test_an_unknown_client_costs_the_same_comparison_as_a_known_one(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many constant-time comparisons, so the time tells nothing (security.md 66)."""
    app = service(organization, "client_secret_post")
    compared: list[int] = []
    compare = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    counts = []
    for client_id in (app.client_id, "app_nobody"):
        compared.clear()
        response = post(organization, {**CREDENTIALS, "client_id": client_id, "client_secret": "lps_wrong"})
        assert said(response) == (401, "invalid_client")
        counts.append(compared.count(32))

    assert counts[0] == counts[1] > 0


def test_unknown_and_wrong_get_the_same_answer(organization: Organization) -> None:
    """Nobody learns which client exists (security.md 66)."""
    app = service(organization, "client_secret_post")

    responses = [
        post(organization, {**CREDENTIALS, "client_id": client_id, "client_secret": "lps_wrong"})
        for client_id in (app.client_id, "app_nobody")
    ]

    assert responses[0].text == responses[1].text


def test_two_secrets_live_while_one_replaces_the_other(organization: Organization) -> None:
    """Both count until the older one runs out."""
    app, new_secrets = service(organization, "client_secret_post"), []
    secrets = organization.server.services.secrets

    async def rotate(session: AsyncSession, client: Any, by: Any) -> None:
        new_secrets.append(await client_admin.rotate_secret(session, client, secrets=secrets, overlap=timedelta(hours=1), by=by))

    with_client(organization, app, rotate)

    for secret in (app.secret or "", new_secrets[0]):
        assert post(organization, {**CREDENTIALS, "client_id": app.client_id, "client_secret": secret}).status_code == 200


def test_a_client_is_limited_by_address(serve: Any) -> None:
    """Twenty a minute by default; the answer says when to come back, and other clients are not affected."""
    organization = Organization(serve(token_limit=3))
    apps = Apps(organization)
    one, two = apps.service(), apps.service()

    assert [apps.own(one).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = apps.own(one)
    assert refused.json()["error"] == "slow_down"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert apps.own(two).status_code == 200


def test_wrong_secrets_are_limited_by_address(serve: Any) -> None:
    """Whatever client is named, and together with refused API keys; sound clients are not affected."""
    organization = Organization(serve(bad_key_limit=3))
    apps = Apps(organization)

    def guess(client_id: str) -> int:
        return post(organization, {**CREDENTIALS, "client_id": client_id, "client_secret": "lps_wrong"}).status_code

    assert [guess(f"app_{number}") for number in range(4)] == [401, 401, 401, 429]
    assert apps.own(apps.service()).status_code == 200


def test_no_secret_is_kept_by_the_rate_limiter(organization: Organization) -> None:
    """Its windows are named by who the client says it is, and may stand in Redis."""
    app = service(organization, "client_secret_basic")
    post(organization, CREDENTIALS, basic(app.client_id, app.secret or ""))
    encoded = basic(app.client_id, app.secret or "")["Authorization"].removeprefix("Basic ")

    names = str(list(organization.server.services.counter._windows))

    assert app.client_id in names
    assert encoded not in names
    assert (app.secret or "") not in names


def test_a_web_page_may_ask(organization: Organization) -> None:
    """Browser apps trade their codes themselves (security.md 15)."""
    for path in (TOKEN, "/api/oauth/device_authorization"):
        response = organization.server.http.options(
            path, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        )
        assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (204, "*")
        assert organization.server.http.post(path, data={}).headers["Access-Control-Allow-Origin"] == "*"


def test_what_metadata_advertises_answers(organization: Organization) -> None:
    """No endpoint that is listed is missing (security.md 81)."""
    http = organization.server.http
    metadata = http.get("/.well-known/openid-configuration").json()

    for name in ("token", "revocation", "introspection", "device_authorization"):
        response = http.post(metadata[f"{name}_endpoint"], data={"client_id": "nobody", "grant_type": "refresh_token", "token": "x"})
        assert said(response) == (401, "invalid_client"), name
    assert http.get(metadata["userinfo_endpoint"]).status_code == 401
    for grant_type in metadata["grant_types_supported"]:
        assert said(post(organization, {"grant_type": grant_type, "client_id": "nobody"})) == (401, "invalid_client"), grant_type
