"""An API key is traded for a short token (RFC 8693), so that browsers and edge code never hold the key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from latchpin.identity.scopes import Access
from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.oauth.client_admin import EXCHANGE
from tests.support.apps import TOKEN, Apps, Tokens
from tests.support.people import Key, Organization
from tests.support.tokens import claims, reasons
from tests.support.wire import audit, stored

KEY_TYPE = "urn:latchpin:params:oauth:token-type:api_key"
ACCESS_TYPE = "urn:ietf:params:oauth:token-type:access_token"


def exchange(organization: Organization, secret: str, *, page: str = "", **more: str) -> httpx.Response:
    """Ask for a token for a key; `page` is the origin of a web page that asks."""
    form = {"grant_type": EXCHANGE, "subject_token": secret, "subject_token_type": KEY_TYPE, **more}
    return organization.server.http.post(TOKEN, data=form, headers={"Origin": page} if page else {})


def exchanged(organization: Organization, key: Key, **more: str) -> Tokens:
    """Return the token that a key was traded for."""
    response = exchange(organization, key.secret, **more)
    assert response.status_code == 200, response.text
    return Tokens(response.json())


def test_a_key_is_traded_for_a_short_token_without_registering_an_app(organization: Organization) -> None:
    """The key proves itself; the token opens what the key opens, and there is no refresh token."""
    organization.agent("Book prices")
    key = organization.key(access=Access.READ_ONLY)

    tokens = exchanged(organization, key)

    assert tokens.answer["issued_token_type"] == ACCESS_TYPE
    assert tokens.answer["token_type"] == "Bearer"
    assert tokens.answer["expires_in"] == 900
    assert "refresh_token" not in tokens.answer
    response = Apps(organization).get("/agent/all", tokens)
    assert [each["name"] for each in response.json()] == ["Book prices"]


def test_a_token_has_the_scopes_of_its_key_or_fewer(organization: Organization) -> None:
    """Without `scope` all of the key's; more than the key's is left out, and refused where nothing remains (security.md 8)."""
    key = organization.key(access=Access.READ_ONLY)

    assert exchanged(organization, key).answer["scope"] == "agents:read runs:read spaces:read billing:read"
    assert exchanged(organization, key, scope="agents:read").answer["scope"] == "agents:read"
    assert exchanged(organization, key, scope="agents:read agents:write").answer["scope"] == "agents:read"
    refused = exchange(organization, key.secret, scope="agents:write openid")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


def test_a_narrowed_token_opens_no_more_than_it_says(organization: Organization) -> None:
    """The same key gives another token more."""
    apps, key = Apps(organization), organization.key()

    assert apps.get("/agent/all", exchanged(organization, key, scope="spaces:read")).status_code == 403
    assert apps.get("/agent/all", exchanged(organization, key)).status_code == 200


def test_revoking_the_key_ends_its_tokens(organization: Organization) -> None:
    """The next request with the token is refused."""
    apps, key = Apps(organization), organization.key()
    tokens = exchanged(organization, key)
    assert apps.get("/spaces", tokens).status_code == 200

    organization.revoke(key)

    assert apps.get("/spaces", tokens).status_code == 401


def test_a_token_does_not_outlive_its_key(organization: Organization, clock: Frozen) -> None:
    """The key's expiry is the token's where it comes first."""
    key = organization.key(expires=kit_clock.now() + timedelta(minutes=5))

    tokens = exchanged(organization, key)

    assert tokens.answer["expires_in"] == 300
    clock.advance(timedelta(minutes=5))
    assert Apps(organization).get("/spaces", tokens).status_code == 401


def test_all_tokens_of_a_key_belong_to_one_grant(organization: Organization) -> None:
    """Exchanging every few minutes for a year leaves one row."""
    key = organization.key()

    sids = {claims(exchanged(organization, key).access)["sid"] for _ in range(3)}

    assert len(sids) == 1
    assert claims(exchanged(organization, organization.key()).access)["sid"] not in sids


def test_a_key_that_is_traded_was_used(organization: Organization) -> None:
    """Each trade counts as a use of the key, and each use of a token as one of the grant."""
    key = organization.key()

    for _ in range(3):
        Apps(organization).get("/agent/all", exchanged(organization, key))
    organization.server.flush()

    used = {(row.reason, row.count) for row in audit(organization, "api_key.used", target_id=key.id)}
    assert {reason for reason, _ in used} == {"POST /api/oauth/token"}
    assert sum(count for _, count in used) == 3
    assert stored(organization, key).last_used_at is not None
    calls = audit(organization, "access_token.used", organization_id=organization.id)
    assert sum(row.count for row in calls) == 3


def test_a_bad_key_gets_one_answer_and_is_noted_with_its_reason(organization: Organization) -> None:
    """RFC 8693 section 2.2.2 asks for invalid_request; the audit trail tells what was wrong."""
    revoked = organization.key()
    organization.revoke(revoked)

    responses = [exchange(organization, secret) for secret in ("junk", revoked.secret)]

    assert {(each.status_code, each.json()["error"]) for each in responses} == {(400, "invalid_request")}
    assert len({each.text for each in responses}) == 1
    assert reasons(organization, "api_key.refused") == ["revoked"]


def test_a_key_outside_its_networks_is_refused(organization: Organization) -> None:
    """What the gate would refuse cannot be traded."""
    key = organization.key(networks=("192.0.2.0/24",))

    assert exchange(organization, key.secret).status_code == 400
    assert reasons(organization, "api_key.refused") == ["address outside the key's networks"]


def test_a_token_of_a_key_is_bound_to_the_keys_networks(organization: Organization) -> None:
    """An allowed network may exchange, and use."""
    key = organization.key(networks=("127.0.0.0/8",))

    assert Apps(organization).get("/spaces", exchanged(organization, key)).status_code == 200


def test_a_key_that_a_web_page_exchanges_is_refused(organization: Organization) -> None:
    """Whoever reads the page reads the key."""
    key = organization.key()

    response = exchange(organization, key.secret, page="https://shop.example")

    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert reasons(organization, "api_key.refused") == ["sent by a web page"]


def test_nothing_but_a_key_is_traded(organization: Organization) -> None:
    """An access token is not, whatever it is called; nobody acts for somebody else."""
    apps = Apps(organization)
    access = apps.tokens(apps.register()).access
    key = organization.key().secret

    for more in (
        {"subject_token": access, "subject_token_type": ACCESS_TYPE},
        {"subject_token": access},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token": key, "actor_token_type": KEY_TYPE},
    ):
        refused = exchange(organization, key, **more)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request"), more


def test_an_app_of_another_organization_gets_no_token_for_a_key(organization: Organization, other: Organization) -> None:
    """A registered app trades keys of its own organization only."""
    app = Apps(other).register(confidential=True, grant_types=(EXCHANGE,), redirect_uris=())

    refused = exchange(organization, organization.key().secret, **app.proof)

    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert exchange(other, other.key().secret, **app.proof).status_code == 200


def test_an_apps_own_scopes_narrow_what_it_gets_for_a_key(organization: Organization) -> None:
    """What an administrator gave the app is its most."""
    app = Apps(organization).register(confidential=True, grant_types=(EXCHANGE,), redirect_uris=(), scopes=("agents:read",))

    assert exchange(organization, organization.key().secret, **app.proof).json()["scope"] == "agents:read"


def test_guessing_keys_is_slowed_by_address(serve: Any) -> None:
    """The same budget of refusals as at the API's gate; a sound key is not affected."""
    organization = Organization(serve(bad_key_limit=3))

    statuses = [exchange(organization, "junk").status_code for _ in range(4)]

    assert statuses == [400, 400, 400, 429]
    assert exchange(organization, organization.key().secret).status_code == 200
    assert organization.server.http.get("/api/v1/spaces", headers={"Authorization": "ApiKey junk"}).status_code == 429
