"""A token is for the resource that was asked for, and for no other (RFC 8707)."""

from __future__ import annotations

import httpx
import jwt
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import settings
from latchpin.audit import Actor
from latchpin.identity.active_grant import own_audiences
from latchpin.identity.tokens import default_audience
from latchpin.oauth import resource_admin
from latchpin.oauth.resource_admin import ResourceFields
from latchpin.verify import InvalidToken, Verifier
from tests.support.apps import Apps, Tokens
from tests.support.forgery import claims, resigned
from tests.support.people import Organization

BY = Actor("test")
PRICES, STOCK = "https://prices.example", "https://stock.example"


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of the organization."""
    return Apps(organization)


def register(apps: Apps, identifier: str, *, may_call_api: bool = False) -> int:
    """Register a resource and return its id."""
    secrets = apps.server.services.secrets

    async def work(session: AsyncSession) -> int:
        fields = ResourceFields(name="Prices", identifier=identifier, may_call_api=may_call_api)
        created_resource = await resource_admin.create(
            session, apps.organization.id, fields, settings=apps.server.settings, secrets=secrets, by=BY
        )
        return created_resource.resource.row.id

    return apps.organization.write(work)


def error(response: httpx.Response) -> str:
    """Return the error of a refusal."""
    assert response.status_code == 400, response.text
    code: str = response.json()["error"]
    return code


@pytest.mark.parametrize(
    "resource",
    [
        "https://unknown.example",
        "prices.example",
        "/api/v1",
        "https://prices.example/#part",
        "https://prices.example#",
        "https://PRICES.example",
        "https://prices.example:8443",
        "https://prices.example.evil.example",
        "urn:prices",
        "https://",
        "https://prices.example /",
        "https://prices.\u00e9xample",
    ],
)
def test_another_resource_than_a_registered_one_is_refused(apps: Apps, resource: str) -> None:
    """Unknown, relative, with a fragment, nearly the same: `invalid_target` (RFC 8707 section 2, security.md 44)."""
    register(apps, PRICES)

    assert error(apps.own(apps.service(), resource=resource)) == "invalid_target"


def test_a_resource_of_another_organization_is_unknown(apps: Apps, other: Organization) -> None:
    """What others registered is theirs (security.md 44)."""
    register(Apps(other), PRICES)

    assert error(apps.own(apps.service(), resource=PRICES)) == "invalid_target"


def test_a_resource_beyond_the_grant_is_refused(apps: Apps) -> None:
    """Neither the code nor a refresh gets a token for what the user did not agree to (security.md 37, 44)."""
    register(apps, PRICES)
    register(apps, STOCK)
    app = apps.register()

    assert error(apps.redeem(app, apps.code(app, resource=PRICES), resource=STOCK)) == "invalid_target"
    assert error(apps.redeem(app, apps.code(app), resource=PRICES)) == "invalid_target"
    tokens = apps.tokens(app, resource=PRICES)
    assert error(apps.refresh(app, tokens.refresh, resource=STOCK)) == "invalid_target"
    assert claims(apps.refresh(app, tokens.refresh, resource=PRICES).json()["access_token"])["aud"] == PRICES


def test_a_token_may_be_for_one_of_two_resources(apps: Apps) -> None:
    """All that was granted where nothing is asked for, else the one that is (RFC 8707 section 2.2, security.md 43)."""
    register(apps, PRICES)
    register(apps, STOCK)
    app = apps.register()

    both = apps.tokens(app, resource=f"{PRICES} {STOCK}")
    one = apps.refresh(app, both.refresh, resource=STOCK).json()["access_token"]

    assert claims(both.access)["aud"] == [PRICES, STOCK]
    assert claims(one)["aud"] == STOCK


@pytest.mark.parametrize("suffix", ["", "/", "/api/v1", "/api/v1/"])
def test_our_api_is_a_resource_by_any_of_its_names(apps: Apps, suffix: str) -> None:
    """Clients append a slash or the path; a token for any of these opens the API (security.md 43)."""
    resource = apps.server.url + suffix
    tokens = apps.tokens(apps.register(), resource=resource)

    assert claims(tokens.access)["aud"] == resource
    assert apps.get("/agent/all", tokens).status_code == 200


def test_a_token_for_another_resource_is_refused_here_and_here_only(apps: Apps) -> None:
    """401 with `invalid_token` at our API, accepted at its own server, refused at a third (security.md 45)."""
    register(apps, PRICES)
    tokens = apps.tokens(apps.register(), resource=PRICES)

    response = apps.get("/agent/all", tokens)

    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert Verifier(apps.server.url, audience=PRICES).verify(tokens.access).subject == str(apps.organization.admin.id)
    with pytest.raises(InvalidToken):
        Verifier(apps.server.url, audience=STOCK).verify(tokens.access)


def test_a_resource_that_may_call_the_api_does_until_it_may_not(apps: Apps) -> None:
    """An administrator's choice, which counts with the next request (security.md 45, 49)."""
    resource_id = register(apps, PRICES, may_call_api=True)
    app = apps.register()
    tokens, slashed = apps.tokens(app, resource=PRICES), apps.tokens(app, resource=PRICES + "/")
    assert [apps.get("/agent/all", each).status_code for each in (tokens, slashed)] == [200, 200]

    async def close(session: AsyncSession) -> None:
        resource = await resource_admin.get(session, apps.organization.id, resource_id)
        await resource_admin.change(session, resource, name="Prices", may_call_api=False, by=BY)

    apps.organization.write(close)

    assert [apps.get("/agent/all", each).status_code for each in (tokens, slashed)] == [401, 401]


def test_a_deleted_resource_opens_nothing_any_more(apps: Apps) -> None:
    """Its tokens are refused with the next request, and none is issued again (security.md 44, 49)."""
    resource_id = register(apps, PRICES, may_call_api=True)
    service = apps.service()
    tokens = Tokens(apps.own(service, resource=PRICES).json())
    assert apps.get("/agent/all", tokens).status_code == 200

    async def delete(session: AsyncSession) -> None:
        await resource_admin.delete(session, await resource_admin.get(session, apps.organization.id, resource_id), by=BY)

    apps.organization.write(delete)

    assert apps.get("/agent/all", tokens).status_code == 401
    assert error(apps.own(service, resource=PRICES)) == "invalid_target"


def test_another_organizations_resource_opens_nothing_here(apps: Apps, other: Organization) -> None:
    """That its tokens may call the API is said for its own organization (security.md 45)."""
    register(Apps(other), PRICES, may_call_api=True)
    token = apps.tokens(apps.register()).access

    assert apps.get("/agent/all", Tokens({"access_token": resigned(apps.server, token, aud=PRICES)})).status_code == 401


def test_a_list_of_audiences_opens_where_one_of_them_is_ours(apps: Apps) -> None:
    """`aud` is a text or a list (RFC 7519 section 4.1.3)."""
    token = apps.tokens(apps.register()).access

    def status(audience: object) -> int:
        return apps.get("/agent/all", Tokens({"access_token": resigned(apps.server, token, aud=audience)})).status_code

    assert status([PRICES, apps.server.url]) == 200
    assert status([PRICES, STOCK]) == 401
    assert status([]) == 401


def test_a_client_id_is_never_an_audience(apps: Apps) -> None:
    """That is what an ID token has; the API refuses it (RFC 9068 section 5, security.md 42)."""
    app = apps.register()
    token = apps.tokens(app).access

    assert apps.get("/agent/all", Tokens({"access_token": resigned(apps.server, token, aud=app.client_id)})).status_code == 401


def test_a_token_without_a_resource_is_for_our_api_by_both_of_its_names(apps: Apps) -> None:
    """Our own, and the one that validators of the public API compare with; a resource that is asked for stands alone (security.md 43)."""
    app = apps.register()
    plain, modern = apps.tokens(app), apps.tokens(app, resource=apps.server.url)
    key = jwt.PyJWKClient(f"{apps.server.url}/api/oauth/certs").get_signing_key_from_jwt(plain.access)

    for audience in (apps.server.url, "Sequentum Enterprise"):
        assert jwt.decode(plain.access, key, algorithms=["RS256"], issuer=apps.server.url, audience=audience)["scope"]
    assert claims(plain.access)["aud"] == [apps.server.url, "Sequentum Enterprise"]
    assert claims(modern.access)["aud"] == apps.server.url
    assert [apps.get("/agent/all", each).status_code for each in (plain, modern)] == [200, 200]
    refreshed = apps.refresh(app, plain.refresh).json()["access_token"]
    assert claims(refreshed)["aud"] == claims(plain.access)["aud"]
    assert claims(apps.own(apps.service()).json()["access_token"])["aud"] == claims(plain.access)["aud"]


def test_the_second_audience_is_the_deployments_own_or_none() -> None:
    """Where a setting names another, or takes it away; then the old name opens nothing (security.md 43)."""
    url = "https://latchpin.example"
    for legacy_audience, expected in ((None, [url, "Sequentum Enterprise"]), ("Our API", [url, "Our API"]), ("", [url])):
        chosen = settings.load(
            {"LATCHPIN_PUBLIC_URL": url} | ({} if legacy_audience is None else {"LATCHPIN_LEGACY_AUDIENCE": legacy_audience})
        )
        assert default_audience(chosen) == expected
        assert set(expected) <= own_audiences(chosen)
        assert ("Sequentum Enterprise" in own_audiences(chosen)) is (legacy_audience is None)
