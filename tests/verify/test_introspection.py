"""The introspector that others use: API keys, and tokens whose revocation counts at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import grants
from latchpin.identity.scopes import Access
from latchpin.kit.clock import Frozen
from latchpin.verify import Introspector, InvalidToken, IssuerUnreachable
from tests.support.apps import TOKEN, App, Apps
from tests.support.people import Organization
from tests.verify.conftest import IDENTIFIER, Resource


def end(apps: Apps, grant_id: int) -> None:
    """End a grant, as its user does under Connected apps."""

    async def work(session: AsyncSession) -> None:
        await grants.end(session, grant_id, reason="test", by=apps.organization.admin.actor)

    apps.organization.write(work)


def basic(apps: Apps, app: App, **form: str) -> dict[str, str]:
    """Return the token endpoint's answer to an app that proves itself by HTTP Basic."""
    tokens: dict[str, str] = apps.server.http.post(TOKEN, data=form, auth=(app.client_id, app.secret or "")).json()
    return tokens


def test_a_token_for_the_resource_is_told(apps: Apps, app: App, resource: Resource) -> None:
    """The server of a resource learns of a token for it what the token itself says."""
    tokens = apps.tokens(app, resource=IDENTIFIER, scope="agents:read")

    introspected_token = resource.introspector().verify(tokens.access)
    verified_token = resource.verifier.verify(tokens.access)

    assert (
        introspected_token.subject,
        introspected_token.client_id,
        introspected_token.scopes,
        introspected_token.sid,
        introspected_token.expires,
    ) == (
        verified_token.subject,
        verified_token.client_id,
        verified_token.scopes,
        verified_token.sid,
        verified_token.expires,
    )
    assert (introspected_token.organization, introspected_token.role, introspected_token.spaces) == (
        verified_token.organization,
        verified_token.role,
        verified_token.spaces,
    )


async def test_the_same_holds_in_an_event_loop(apps: Apps, app: App, resource: Resource) -> None:
    """`verify_async` gives what `verify` gives."""
    tokens = apps.tokens(app, resource=IDENTIFIER)
    introspector = resource.introspector()

    assert (await introspector.verify_async(tokens.access)).subject == introspector.verify(tokens.access).subject


def test_a_revoked_token_is_refused_at_once(apps: Apps, app: App, resource: Resource) -> None:
    """The very next question after the end of a grant is answered no, though the token's signature is still right (security.md 49)."""
    code = apps.code(app, resource=IDENTIFIER)
    access = apps.redeem(app, code).json()["access_token"]
    introspector = resource.introspector()
    introspector.verify(access)

    end(apps, code.grant_id)

    with pytest.raises(InvalidToken):
        introspector.verify(access)
    resource.verifier.verify(access)  # what is checked offline counts until it expires, as its documentation says


def test_a_cache_is_late_by_as_much_as_was_asked_for(apps: Apps, app: App, resource: Resource, clock: Frozen) -> None:
    """With `cache_seconds` a sound answer is believed for so long and no longer."""
    code = apps.code(app, resource=IDENTIFIER)
    access = apps.redeem(app, code).json()["access_token"]
    introspector = resource.introspector(cache_seconds=5)
    introspector.verify(access)
    end(apps, code.grant_id)

    introspector.verify(access)
    clock.advance(timedelta(seconds=6))
    with pytest.raises(InvalidToken):
        introspector.verify(access)


def test_a_token_for_another_resource_is_refused(apps: Apps, app: App, resource: Resource) -> None:
    """A token for our own API, and one that the asking client itself got, do not open the resource (security.md 45)."""
    with pytest.raises(InvalidToken):
        resource.introspector().verify(apps.tokens(app).access)
    service = apps.register(
        auth_method="client_secret_basic", grant_types=("client_credentials",), redirect_uris=(), scopes=("agents:read",)
    )
    own = basic(apps, service, grant_type="client_credentials")
    with pytest.raises(InvalidToken, match="another resource"):
        Introspector(resource.issuer, service.client_id, service.secret or "", audience=IDENTIFIER).verify(own["access_token"])


def test_a_refresh_token_opens_nothing(apps: Apps) -> None:
    """A refresh token is active for its own client, and is still no access token (security.md 41)."""
    app = apps.register(auth_method="client_secret_basic")
    code = apps.code(app)
    tokens = basic(apps, app, grant_type="authorization_code", code=code.code, code_verifier=code.verifier)
    introspector = Introspector(apps.server.url, app.client_id, app.secret or "", audience=apps.server.url)

    introspector.verify(tokens["access_token"])
    with pytest.raises(InvalidToken):
        introspector.verify(tokens["refresh_token"])


def test_an_api_key_is_told_with_its_scopes(apps: Apps, resource: Resource) -> None:
    """A key of the organization acts for its user, with the scopes of its access; a revoked one for nobody."""
    person = apps.organization.user()
    key = apps.organization.key(person, Access.BILLING_ONLY)
    introspector = resource.introspector()

    token = introspector.verify(key.secret)
    assert (token.subject, token.client_id) == (str(person.id), None)
    assert token.scopes == {"billing:read"}
    assert (token.organization, token.spaces) == (apps.organization.id, None)

    apps.organization.revoke(key)
    with pytest.raises(InvalidToken):
        introspector.verify(key.secret)


def test_a_key_bound_to_networks_needs_the_callers_address(apps: Apps, resource: Resource) -> None:
    """Such a key is active for an address in its networks only, and not where nobody says whence the request came."""
    key = apps.organization.key(networks=("192.0.2.0/24",))
    introspector = resource.introspector()

    introspector.verify(key.secret, client_address="192.0.2.7")
    for address in ("198.51.100.1", None):
        with pytest.raises(InvalidToken):
            introspector.verify(key.secret, client_address=address)


def test_another_organizations_key_is_refused(other: Organization, resource: Resource) -> None:
    """A key of another organization is as unknown as junk is."""
    introspector = resource.introspector()

    for text in (other.key().secret, "sk-lp_junk", "junk", "a.b.c"):
        with pytest.raises(InvalidToken):
            introspector.verify(text)


def test_a_wrong_secret_says_nothing_about_the_token(apps: Apps, app: App, resource: Resource) -> None:
    """Where the introspector itself is refused, the answer is 503: the token may be sound, and is not let in."""
    tokens = apps.tokens(app, resource=IDENTIFIER)

    with pytest.raises(IssuerUnreachable) as failed:
        Introspector(resource.issuer, resource.client_id, "wrong", audience=IDENTIFIER).verify(tokens.access)

    assert failed.value.status == 503
    assert tokens.access not in str(failed.value)
