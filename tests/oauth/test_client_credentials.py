"""An app acts on its own behalf with what an administrator assigned (RFC 6749 section 4.4)."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid
from latchpin.identity.roles import Role
from latchpin.oauth import client_admin
from latchpin.oauth.client_admin import ClientFields
from latchpin.storage.models import OAuthGrant
from tests.support.apps import App, Apps, Tokens
from tests.support.people import Organization
from tests.support.tokens import claims, reasons, with_client


def own(organization: Organization, app: App, **more: str) -> Tokens:
    """Return a token for the app itself."""
    response = Apps(organization).own(app, **more)
    assert response.status_code == 200, response.text
    return Tokens(response.json())


def test_it_gets_what_was_assigned_or_less(organization: Organization) -> None:
    """Without `scope` all of it; no refresh token (security.md 67)."""
    app = Apps(organization).service("agents:read spaces:read")

    tokens = own(organization, app)

    assert tokens.answer["scope"] == "agents:read spaces:read"
    assert "refresh_token" not in tokens.answer
    assert "id_token" not in tokens.answer
    assert own(organization, app, scope="agents:read").answer["scope"] == "agents:read"


def test_it_gets_nothing_that_was_not_assigned(organization: Organization) -> None:
    """Nor an identity: there is no user (security.md 67). The rest it gets, and `scope` tells what that is (security.md 8)."""
    apps = Apps(organization)
    app = apps.service("agents:read")

    for scope in ("agents:write", "openid", "offline_access", "openid agents:write", "nonsense"):
        refused = apps.own(app, scope=scope)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope"), scope
    for scope in ("agents:read agents:write", "agents:read offline_access", "openid agents:read nonsense"):
        tokens = apps.own(app, scope=scope).json()
        assert tokens["scope"] == claims(tokens["access_token"])["scope"] == "agents:read", scope
        assert "id_token" not in tokens


def test_without_assigned_scopes_it_is_not_even_registered(organization: Organization) -> None:
    """An empty list is none, not all (security.md 67)."""
    with pytest.raises(Invalid):
        Apps(organization).service("")


def test_its_subject_can_be_no_users(organization: Organization) -> None:
    """`sub` is the client_id, which is never a number, as a user's is (security.md 67)."""
    app = Apps(organization).service()

    payload = claims(own(organization, app).access)

    assert payload["sub"] == payload["client_id"] == app.client_id
    assert not payload["sub"].isdigit()
    assert client_admin.new_client_id().startswith("app_")


def test_it_sees_the_spaces_that_were_assigned(organization: Organization) -> None:
    """With its role there, and no personal Space of anybody."""
    apps = Apps(organization)
    mine, other = organization.space("Retail"), organization.space("Travel")
    organization.agent("In Retail", mine)
    organization.agent("In Travel", other)
    organization.agent("Ada's own")

    tokens = own(organization, apps.service(spaces={mine: Role.VIEWER}))

    assert [each["name"] for each in apps.get("/agent/all", tokens).json()] == ["In Retail"]
    assert apps.get(f"/spaces/{other}", tokens).status_code == 404
    assert claims(tokens.access)["spaces"] == [{"id": mine, "name": "Retail", "role": "viewer"}]


def test_a_public_app_cannot_act_for_itself(organization: Organization) -> None:
    """It cannot prove itself, so it cannot even be registered for it, and is refused (security.md 67)."""
    apps = Apps(organization)

    refused = apps.own(apps.register())

    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")


def test_what_is_taken_from_it_is_gone_at_once(organization: Organization) -> None:
    """A scope from the next request, a Space from its token."""
    apps = Apps(organization)
    space_id = organization.space("Retail")
    app = apps.service("agents:read spaces:read", {space_id: Role.VIEWER})
    tokens = own(organization, app)
    assert apps.get("/agent/all", tokens).status_code == 200

    fields = ClientFields(
        name="Export",
        auth_method="client_secret_post",
        grant_types=("client_credentials",),
        scopes=("spaces:read",),
        spaces={space_id: Role.VIEWER},
    )
    with_client(organization, app, lambda session, client, by: client_admin.change(session, client, fields, by=by))
    assert apps.get("/agent/all", tokens).status_code == 403
    assert apps.get("/spaces", tokens).status_code == 200

    gone = ClientFields(name="Export", auth_method="client_secret_post", grant_types=("client_credentials",), scopes=("spaces:read",))
    with_client(organization, app, lambda session, client, by: client_admin.change(session, client, gone, by=by))
    assert apps.get("/spaces", tokens).status_code == 401


def test_a_revoked_app_gets_nothing_and_its_tokens_end(organization: Organization) -> None:
    """From the next request on."""
    apps = Apps(organization)
    app = apps.service()
    tokens = own(organization, app)
    assert apps.get("/spaces", tokens).status_code == 200

    with_client(organization, app, lambda session, client, by: client_admin.revoke(session, client, by=by))

    assert apps.get("/spaces", tokens).status_code == 401
    assert apps.own(app).json()["error"] == "invalid_client"


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_all_its_tokens_belong_to_one_grant(organization: Organization) -> None:
    """Issuing one writes nothing after the first."""
    app = Apps(organization).service()

    sids = {claims(own(organization, app).access)["sid"] for _ in range(3)}

    async def work(session: AsyncSession) -> int:
        return len((await session.scalars(select(OAuthGrant).where(OAuthGrant.oauth_client_id == app.pk))).all())

    assert len(sids) == organization.write(work) == 1
    assert reasons(organization, "grant.began") == [None]


def test_it_lives_on_after_its_grant_was_ended(organization: Organization) -> None:
    """Ending the grant ends the tokens, not the app: the next one belongs to another grant."""
    apps = Apps(organization)
    app = apps.service()
    tokens = own(organization, app)
    organization.server.http.post("/api/oauth/revoke", data={"token": tokens.access, **app.proof})
    assert apps.get("/spaces", tokens).status_code == 401

    assert apps.get("/spaces", own(organization, app)).status_code == 200
