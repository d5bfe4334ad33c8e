"""OAuth apps, API resources and connected apps in the Control Center, over HTTP and without script."""

from __future__ import annotations

import html
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit.clock import Frozen
from latchpin.storage.models import OAuthClient
from tests.support.apps import CALLBACK, App, Apps
from tests.support.people import PASSWORD, Organization, Person
from tests.support.user_access import resource
from tests.web.browser import Browser, value_of
from tests.web.conftest import Browse

BASE = "/organization/apps"
WEB = {"kind": "confidential", "name": "Price dashboard", "redirect_uris": CALLBACK, "auth_method": "client_secret_post"}
SERVICE = {"kind": "service", "name": "Nightly", "auth_method": "client_secret_post", "scope_agents:read": "yes"}


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of the organization."""
    return Apps(organization)


def _made(organization: Organization, page: str) -> App:
    """Read the secret and the client ID off the one page that shows them."""
    secret = re.search(r'id="the-key"[^>]*>(lps_[0-9A-Za-z]+)<', page)
    client_id = re.search(r"CLIENT_ID=(app_[0-9A-Za-z]+)", page)
    assert secret, page[:3000]
    assert client_id
    return App(_pk(organization, client_id[1]), client_id[1], secret[1])


def _register(administrator: Browser, **form: str) -> httpx.Response:
    """Fill in the form of a new app, and send it."""
    idempotency_key = administrator.field(f"{BASE}/new?kind={form['kind']}", "idempotency_key")
    return administrator.send(f"{BASE}/new", **{"idempotency_key": idempotency_key, **form})


def _pk(organization: Organization, client_id: str) -> int:
    async def work(session: AsyncSession) -> int:
        pk = await session.scalar(select(OAuthClient.id).where(OAuthClient.client_id == client_id))
        assert pk is not None
        return pk

    return organization.write(work)


def _count(organization: Organization) -> int:
    async def work(session: AsyncSession) -> int:
        apps = select(func.count()).select_from(OAuthClient).where(OAuthClient.organization_id == organization.id)
        return await session.scalar(apps) or 0

    return organization.write(work)


def _flags(organization: Organization, app: App) -> tuple[bool, bool]:
    async def work(session: AsyncSession) -> tuple[bool, bool]:
        row = await session.get_one(OAuthClient, app.pk)
        return row.require_pushed, row.dpop_bound

    return organization.write(work)


def test_an_empty_list_teaches_the_next_step(administrator: Browser) -> None:
    """What an app is for, and the button that begins one; the three kinds in plain words."""
    empty = administrator.open(BASE).text
    kinds = administrator.open(f"{BASE}/new").text

    assert "No apps yet" in empty
    assert f'href="{BASE}/new"' in empty
    for kind in ("confidential", "public", "service"):
        assert f'href="{BASE}/new?kind={kind}"' in kinds
        assert "<form" in administrator.open(f"{BASE}/new?kind={kind}").text


def test_a_secret_is_shown_once_and_works(organization: Organization, administrator: Browser, apps: Apps) -> None:
    """The answer to the form holds it, is not stored by browsers, and no later page does."""
    page = _register(administrator, **SERVICE)
    app = _made(organization, page.text)

    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert apps.own(app).status_code == 200
    for path in (BASE, f"{BASE}/{app.pk}", f"{BASE}/{app.pk}/edit", "/audit"):
        later = administrator.open(path).text
        assert str(app.secret) not in later
    assert str(app.secret)[:8] in administrator.open(f"{BASE}/{app.pk}").text


def test_a_public_app_leads_straight_to_its_page(administrator: Browser) -> None:
    """It has no secret to show; its page holds what the app needs to know."""
    form = {"kind": "public", "name": "Phone", "application_type": "native", "redirect_uris": "com.example.phone:/back"}

    response = _register(administrator, **form)
    page = administrator.open(response.headers["location"]).text

    assert response.status_code == 303
    assert re.search(r'id="client-id">app_[0-9A-Za-z]{22}<', page)
    assert f'id="issuer">{administrator.server.settings.public_url}<' in page
    assert "/.well-known/openid-configuration" in page
    assert "Rotate secret" not in page


@pytest.mark.parametrize(
    ("field", "entries"),
    [
        ("name", {"name": ""}),
        ("redirect_uris", {"redirect_uris": "http://partner.example/cb"}),
        ("redirect_uris", {"redirect_uris": ""}),
        ("jwks", {"auth_method": "private_key_jwt", "jwks": "{"}),
        ("jwks_uri", {"auth_method": "private_key_jwt", "jwks_uri": "http://partner.example/jwks"}),
        ("client_uri", {"client_uri": "partner.example"}),
        ("logout_uris", {"logout_uris": "/home"}),
    ],
)
def test_a_refused_entry_is_marked_and_kept(administrator: Browser, field: str, entries: dict[str, str]) -> None:
    """422, the field marked and opened to view, what was typed kept, and nothing registered."""
    response = _register(administrator, **{**WEB, **entries})

    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text
    if field != "name":
        assert value_of(response.text, "name") == WEB["name"]
    assert "No apps yet" in administrator.open(BASE).text


@pytest.mark.parametrize("entries", [WEB, SERVICE], ids=["web", "service"])
def test_a_form_that_is_sent_twice_registers_one_app(administrator: Browser, organization: Organization, entries: dict[str, str]) -> None:
    """The second answer leads to the app that the first made; its secret is not shown again."""
    idempotency_key = administrator.field(f"{BASE}/new?kind={entries['kind']}", "idempotency_key")
    first = _made(organization, administrator.send(f"{BASE}/new", **entries, idempotency_key=idempotency_key).text)

    again = administrator.send(f"{BASE}/new", **entries, idempotency_key=idempotency_key)

    assert (again.status_code, again.headers["location"]) == (303, f"{BASE}/{first.pk}")
    assert "lps_" not in again.text
    assert "This form was sent before" in administrator.open(f"{BASE}/{first.pk}").text
    assert _count(organization) == 1


def test_a_form_that_is_sent_twice_at_the_same_moment_registers_one_app(administrator: Browser, organization: Organization) -> None:
    """The database decides."""
    idempotency_key = administrator.field(f"{BASE}/new?kind=service", "idempotency_key")
    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(lambda _: administrator.send(f"{BASE}/new", **SERVICE, idempotency_key=idempotency_key), range(6)))

    apps = [_made(organization, response.text) for response in responses if response.status_code == 200]
    assert len(apps) == 1
    assert [response.headers["location"] for response in responses if response.status_code != 200] == [f"{BASE}/{apps[0].pk}"] * 5
    assert _count(organization) == 1


@pytest.mark.parametrize("idempotency_key", ["", "short", "x" * 65, "with a space in it"])
def test_a_form_without_its_number_registers_nothing(administrator: Browser, organization: Organization, idempotency_key: str) -> None:
    """It comes back filled in and with a number, to be sent once more."""
    response = administrator.send(f"{BASE}/new", **WEB, idempotency_key=idempotency_key)

    assert response.status_code == 422
    assert "This form cannot be sent again" in response.text
    assert value_of(response.text, "name") == WEB["name"]
    assert _count(organization) == 0
    assert administrator.send(f"{BASE}/new", **WEB, idempotency_key=value_of(response.text, "idempotency_key")).status_code == 200


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_form_that_made_an_app_of_others_leads_to_none_of_theirs(
    organization: Organization, other: Organization, administrator: Browser, browse: Browse
) -> None:
    """Somebody who learned of the number finds the list, and nothing in it."""
    theirs = browse(other.server)
    theirs.sign_in(other.admin)
    idempotency_key = theirs.field(f"{BASE}/new?kind=public", "idempotency_key")
    form = {"kind": "public", "name": "Theirs", "application_type": "web", "redirect_uris": CALLBACK, "idempotency_key": idempotency_key}
    assert theirs.send(f"{BASE}/new", **form).status_code == 303

    response = administrator.send(f"{BASE}/new", **form)

    assert (response.status_code, response.headers["location"]) == (303, BASE)
    assert _count(organization) == 0


def test_what_an_app_must_do_is_ticked_shown_and_kept(organization: Organization, administrator: Browser) -> None:
    """Sending requests ahead and proof of a key: in plain words, in the form, on the app's page, and off again."""
    form = administrator.open(f"{BASE}/new?kind=confidential").text
    assert "Require pushed authorization requests (PAR)" in form
    assert "Require DPoP-bound tokens" in form
    app = _made(organization, _register(administrator, **WEB, require_pushed="yes", dpop_bound="yes").text)

    page, filled = administrator.open(f"{BASE}/{app.pk}").text, administrator.open(f"{BASE}/{app.pk}/edit").text
    assert _flags(organization, app) == (True, True)
    assert "Pushed authorization requests (PAR) required" in page
    assert "DPoP-bound tokens required" in page
    for name in ("require_pushed", "dpop_bound"):
        assert re.search(rf'name="{name}" value="yes" checked', filled)

    administrator.send(f"{BASE}/{app.pk}/edit", **WEB, dpop_bound="yes")
    assert _flags(organization, app) == (False, True)
    assert "pushed" not in administrator.open(f"{BASE}/{app.pk}").text


def test_a_service_sends_no_requests_ahead_but_can_have_to_prove_a_key(organization: Organization, administrator: Browser) -> None:
    """It has no users to send here."""
    form = administrator.open(f"{BASE}/new?kind=service").text
    app = _made(organization, _register(administrator, **SERVICE, require_pushed="yes", dpop_bound="yes").text)

    assert 'name="require_pushed"' not in form
    assert 'name="dpop_bound"' in form
    assert _flags(organization, app) == (False, True)


def test_a_service_gets_what_is_ticked_and_no_more(organization: Organization, administrator: Browser, apps: Apps) -> None:
    """Scopes and roles in Spaces; changed by the same form, for the next request."""
    space, other = organization.space("Retail"), organization.space("Filings")
    app = _made(organization, _register(administrator, **SERVICE, **{f"space_{space}": "viewer", "scope_spaces:read": "yes"}).text)
    token = apps.own(app).json()["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    response = organization.server.http.get("/api/v1/spaces", headers=header)
    page = administrator.open(f"{BASE}/{app.pk}").text

    assert [each["id"] for each in response.json()] == [space]
    assert "Retail" in page
    administrator.send(f"{BASE}/{app.pk}/edit", **SERVICE, **{f"space_{other}": "operator"})
    assert organization.server.http.get("/api/v1/spaces", headers=header).status_code in (401, 403)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_editing_keeps_what_the_form_does_not_show(organization: Organization, administrator: Browser, apps: Apps) -> None:
    """Other redirect addresses are taken, and the ways to get tokens stay."""
    app = apps.register(name="Before", grant_types=("authorization_code",))
    filled = administrator.open(f"{BASE}/{app.pk}/edit").text
    assert CALLBACK in filled

    saved = administrator.send(
        f"{BASE}/{app.pk}/edit", name="After", redirect_uris=f"{CALLBACK}\nhttp://127.0.0.1/cb", application_type="web"
    )

    async def work(session: AsyncSession) -> OAuthClient:
        return await session.get_one(OAuthClient, app.pk)

    row = organization.write(work)
    assert saved.status_code == 303
    assert (row.name, row.grant_types, row.version) == ("After", "authorization_code", 2)


def test_the_old_secret_lives_on_for_as_long_as_was_chosen(
    organization: Organization, administrator: Browser, apps: Apps, clock: Frozen
) -> None:
    """One day of both; its end is on the app's page; then only the new one counts."""
    old = _made(organization, _register(administrator, **SERVICE).text)
    clock.advance(timedelta(seconds=1))
    new = _made(organization, administrator.send(f"{BASE}/{old.pk}/rotate", overlap="24").text)
    page = administrator.open(f"{BASE}/{old.pk}").text

    assert new.client_id == old.client_id
    assert [apps.own(each).status_code for each in (old, new)] == [200, 200]
    assert "Ending" in page
    assert "End the older one now" in page
    clock.advance(timedelta(days=1))
    assert [apps.own(each).status_code for each in (old, new)] == [401, 200]
    clock.advance(-timedelta(days=1))


def test_the_older_secret_is_ended_from_the_apps_page(organization: Organization, administrator: Browser, apps: Apps) -> None:
    """Before its time, once the app has the new one; and `End it now` needs no second step."""
    first = _made(organization, _register(administrator, **SERVICE).text)
    second = _made(organization, administrator.send(f"{BASE}/{first.pk}/rotate", overlap="168").text)

    administrator.send(f"{BASE}/{first.pk}/end-older-secret")
    assert [apps.own(each).status_code for each in (first, second)] == [401, 200]

    third = _made(organization, administrator.send(f"{BASE}/{first.pk}/rotate", overlap="0").text)
    assert [apps.own(each).status_code for each in (second, third)] == [401, 200]
    assert administrator.send(f"{BASE}/{first.pk}/rotate", overlap="999").status_code == 422


def test_a_revoked_app_is_refused_by_the_next_request(administrator: Browser, apps: Apps) -> None:
    """The confirmation says what stops working; once the page has answered, it has; deleting comes after."""
    app = apps.register(name="Partner")
    tokens = apps.tokens(app)

    confirmation = administrator.open(f"{BASE}/{app.pk}/revoke").text
    revoked = administrator.send(f"{BASE}/{app.pk}/revoke")

    assert "refused from the moment you confirm" in confirmation
    assert "One user lets it act now" in confirmation
    assert revoked.headers["location"] == f"{BASE}/{app.pk}"
    assert apps.get("/agent/all", tokens).status_code == 401
    assert "Revoked" in administrator.open(BASE).text
    assert administrator.send(f"{BASE}/{app.pk}/delete").headers["location"] == BASE
    assert administrator.open(f"{BASE}/{app.pk}").status_code == 404


def test_an_app_of_others_is_blocked_and_approved(organization: Organization, other: Organization, administrator: Browser) -> None:
    """Blocking ends what users granted at once; approving lets them grant again."""
    theirs = Apps(other)
    app = theirs.register(name="Partner portal")
    tokens = Apps(organization).tokens(app)
    assert "Another organization" in administrator.open(BASE).text

    administrator.send(f"{BASE}/{app.pk}/block")
    assert theirs.get("/agent/all", tokens).status_code == 401
    assert "Blocked" in administrator.open(f"{BASE}/{app.pk}").text

    administrator.send(f"{BASE}/{app.pk}/approve", version=administrator.field(f"{BASE}/{app.pk}/approve", "version"))
    assert theirs.get("/agent/all", Apps(organization).tokens(app)).status_code == 200
    for change in ("edit", "rotate", "revoke", "delete"):
        assert administrator.open(f"{BASE}/{app.pk}/{change}").status_code == 404
        assert administrator.send(f"{BASE}/{app.pk}/{change}", **WEB).status_code == 404


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_policy_asks_for_approval_and_says_who_waits(organization: Organization, other: Organization, administrator: Browser) -> None:
    """The box on the policy page; the list then counts what waits, and can show only that."""
    app = Apps(other).register(name="Partner portal")
    Apps(organization).tokens(app)
    Apps(organization).register(name="Own app")

    saved = administrator.send("/organization/policy", default_days="365", max_days="365", app_approval="yes")
    everything, waiting = administrator.open(BASE).text, administrator.open(f"{BASE}?status=waiting").text

    assert saved.headers["location"] == "/organization/policy"
    assert re.search(r'name="app_approval" value="yes" checked', administrator.open("/organization/policy").text)
    assert "One app waits for your approval" in everything
    assert "Partner portal" in waiting
    assert "Own app" not in waiting
    administrator.send("/organization/policy", default_days="365", max_days="365")
    assert "waits for your approval" not in administrator.open(BASE).text


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_list_is_searched_and_sorted_in_the_address(administrator: Browser, apps: Apps) -> None:
    """A part of the name or of the client ID; nonsense falls back."""
    apps.register(name="Zebra")
    apps.register(name="Aardvark")

    search_page = administrator.open(f"{BASE}?q=zebr").text
    sorted_page = administrator.open(f"{BASE}?sort=name&order=desc").text

    assert "Zebra" in search_page
    assert "Aardvark" not in search_page
    assert sorted_page.index("Zebra") < sorted_page.index("Aardvark")
    assert administrator.open(f"{BASE}?sort=secret&order=odd&page=-1&status=odd").status_code == 200


def test_the_contracts_own_address_leads_to_the_list(administrator: Browser, user: Browser) -> None:
    """Admin > MCP Integrations; for administrators only."""
    response = administrator.open("/manage/admin/mcp-integrations")

    assert (response.status_code, response.headers["location"]) == (303, BASE)
    assert user.open("/manage/admin/mcp-integrations").status_code == 404


def test_an_old_proof_asks_for_the_password_and_then_goes_on(administrator: Browser, organization: Organization, clock: Frozen) -> None:
    """Eleven minutes after the password the form is interrupted, and carried out with it as it was typed."""
    clock.advance(timedelta(minutes=11))
    prompt = _register(administrator, **WEB)
    response = administrator.send(f"{BASE}/new", **WEB, idempotency_key=value_of(prompt.text, "idempotency_key"), confirm_password=PASSWORD)

    assert prompt.status_code == 403
    assert "Confirm your identity" in prompt.text
    assert _made(organization, response.text).secret is not None
    assert administrator.open(BASE).text.count("Actions for Price dashboard") == 1


def test_what_somebody_typed_is_never_markup(administrator: Browser, apps: Apps) -> None:
    """A name that looks like HTML is shown as it was typed, on every page that shows it."""
    typed = "<img src=x onerror=alert(1)>"
    app = apps.register(name=typed)
    apps.tokens(app)

    for path in (BASE, f"{BASE}/{app.pk}", f"{BASE}/{app.pk}/revoke", "/account", f"/account/apps/{app.pk}/withdraw", "/audit"):
        page = administrator.open(path).text
        assert typed not in page, path
        assert html.escape(typed, quote=False) in page, path


def test_another_organizations_app_is_not_there(administrator: Browser, other: Organization) -> None:
    """Neither seen nor changed by an administrator of an organization that does not know it."""
    theirs = Apps(other)
    app = theirs.register()
    tokens = theirs.tokens(app)

    for path in ("", "/edit", "/rotate", "/revoke", "/block", "/approve", "/delete"):
        assert administrator.open(f"{BASE}/{app.pk}{path}").status_code == 404, path
        assert administrator.send(f"{BASE}/{app.pk}{path}", **WEB).status_code in (404, 405), path
    assert theirs.get("/agent/all", tokens).status_code == 200


# API resources -------------------------------------------------------------------------------


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_resource_and_its_servers_secret(administrator: Browser) -> None:
    """Registered with an address; the secret is shown once, rotated, and gone with the resource."""
    base = "/organization/resources"
    assert "No API resources yet" in administrator.open(base).text
    response = administrator.send(f"{base}/new", name="Data service", identifier="https://data.example/")
    secret = re.search(r'id="the-key"[^>]*>(lps_[0-9A-Za-z]+)<', response.text)
    assert secret
    assert response.headers["cache-control"] == "no-store"
    list_page = administrator.open(base).text
    here = re.search(rf'href="({base}/\d+)"', list_page)
    assert here
    assert "https://data.example" in list_page
    assert secret[1] not in list_page

    rotated = administrator.send(f"{here[1]}/rotate", overlap="24")
    assert "lps_" in rotated.text
    assert "ends <time" in administrator.open(base).text
    assert administrator.send(f"{base}/new", name="Again", identifier="https://data.example").status_code == 422
    assert administrator.send(here[1], name="Data", may_call_api="yes").status_code == 303
    assert 'value="yes" checked' in administrator.open(here[1]).text
    administrator.send(f"{here[1]}/delete")
    assert "No API resources yet" in administrator.open(base).text


def test_another_organizations_resource_is_not_there(administrator: Browser, other: Organization) -> None:
    """Like everything of theirs."""
    created = resource(other)

    for path in ("", "/rotate", "/delete"):
        address = f"/organization/resources/{created.resource.row.id}{path}"
        assert administrator.open(address).status_code == 404
        assert administrator.send(address, name="Mine", overlap="0").status_code == 404


# Connected apps and sessions -----------------------------------------------------------------


def test_a_user_withdraws_an_app(organization: Organization, browse: Browse, apps: Apps) -> None:
    """My account lists what it may do in words, and taking it back counts for the next request (security.md 49, 114)."""
    grace = organization.user()
    app = apps.register(name="Partner")
    tokens = apps.tokens(app, grace, scope="agents:read offline_access")
    browser = browse(organization.server)
    browser.sign_in(grace)

    account_page = browser.open("/account").text
    confirmation = browser.open(f"/account/apps/{app.pk}/withdraw").text
    done = browser.send(f"/account/apps/{app.pk}/withdraw")

    assert "Partner" in account_page
    assert "See agents and their schedules" in account_page
    assert "next request is refused" in confirmation
    assert done.headers["location"] == "/account#apps"
    assert apps.get("/agent/all", tokens).status_code == 401
    assert "No connected apps" in browser.open("/account").text
    assert browser.send(f"/account/apps/{app.pk}/withdraw").status_code == 404


def test_an_administrator_ends_a_users_sessions_and_apps(
    organization: Organization, administrator: Browser, browse: Browse, apps: Apps
) -> None:
    """Both on one page, reached from the user's row; each ends with the next request (security.md 114)."""
    grace = organization.user()
    app = apps.register(name="Partner")
    tokens = apps.tokens(app, grace)
    browser = browse(organization.server)
    browser.sign_in(grace)
    here = f"/organization/users/{grace.id}"

    assert f'href="{here}/access"' in administrator.open("/organization/users").text
    page = administrator.open(f"{here}/access").text
    assert "Partner" in page
    administrator.send(f"{here}/apps/{app.pk}/withdraw")
    administrator.send(f"{here}/sessions/end-all")

    assert apps.get("/agent/all", tokens).status_code == 401
    assert browser.open("/account").status_code == 303
    after = administrator.open(f"{here}/access").text
    assert "Not signed in" in after
    assert "No connected apps" in after


def test_the_administrators_own_session_survives_signing_out_everywhere(
    organization: Organization, administrator: Browser, browse: Browse
) -> None:
    """Of one's own sessions the one at hand stays."""
    second = browse(organization.server)
    second.sign_in(organization.admin)

    administrator.send(f"/organization/users/{organization.admin.id}/sessions/end-all")

    assert second.open("/account").status_code == 303
    assert administrator.open("/account").status_code == 200


def test_ending_what_is_somebody_elses_leads_nowhere(organization: Organization, other: Organization, administrator: Browser) -> None:
    """Users of another organization, and sessions under the wrong user."""
    stranger: Person = other.user()
    here = f"/organization/users/{stranger.id}"
    grace = organization.user()

    assert administrator.open(f"{here}/access").status_code == 404
    assert administrator.send(f"{here}/sessions/end-all").status_code == 404
    assert administrator.send(f"{here}/sessions/1/end").status_code == 404
    assert administrator.send(f"/organization/users/{grace.id}/sessions/2147483647/end").status_code == 404
    assert administrator.send(f"/organization/users/{grace.id}/apps/2147483647/withdraw").status_code == 404
