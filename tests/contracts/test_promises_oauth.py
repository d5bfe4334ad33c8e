"""The five promises of the second way in, one test each, over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from latchpin.identity.roles import Group, Role
from latchpin.identity.scopes import ALL
from latchpin.kit import clock as kit_clock
from latchpin.oauth import pkce
from tests.contracts import routes
from tests.support.apps import CALLBACK, Apps, Tokens
from tests.support.consenting import Consenting
from tests.support.forgery import claims
from tests.support.people import Organization
from tests.support.wire import audit
from tests.web.browser import Browser

pytestmark = pytest.mark.both_databases("the promises hold on both databases")

SCRIPT = """import os, requests
url = "{url}/api/v1/agent/all"
answer = requests.get(url, headers={{"Authorization": f"Bearer {{os.environ['SEQUENTUM_TOKEN']}}"}})
answer.raise_for_status()
print(answer.json())"""


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of the organization."""
    return Apps(organization)


def test_promise_1_a_credential_is_exchanged_for_a_token_that_the_script_works_with(apps: Apps) -> None:
    """A user agrees, the app trades its code for a JWT, and the script with only the header changed prints the agents (promise 1)."""
    home = apps.organization
    person, space_id = home.user(), home.space()
    home.member(space_id, person, Role.VIEWER)
    home.agent("Book prices", space_id)
    app, verifier = apps.register(), "v" * 64
    authorization_request = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": CALLBACK,
        "scope": "agents:read",
        "state": "xyz",
        "code_challenge": pkce.challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    back = Consenting(apps.server, person).authorize(str(httpx.URL("/api/oauth/authorize", params=authorization_request)))
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    assert back.startswith(CALLBACK)
    assert (query["state"], query["iss"]) == ("xyz", apps.server.url)
    form = {"grant_type": "authorization_code", "code": query["code"], "code_verifier": verifier, "redirect_uri": CALLBACK, **app.proof}
    token = apps.server.http.post("/api/oauth/token", data=form).json()["access_token"]

    environ = {**os.environ, "SEQUENTUM_TOKEN": token, "NO_PROXY": "127.0.0.1"}
    script = SCRIPT.format(url=apps.server.url)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=environ, capture_output=True, text=True, check=True)

    assert len(script.splitlines()) == 5
    assert done.stdout.startswith("[{")
    assert "'name': 'Book prices'" in done.stdout


def test_promise_2_the_token_carries_who_the_user_is_and_where_they_belong(apps: Apps) -> None:
    """Identity and Space membership stand in the JWT, and are the same as what the API says (promise 2)."""
    home = apps.organization
    person, retail = home.user("Grace User"), home.space("Retail")
    home.member(retail, person, Role.EDITOR)
    home.space("Travel")

    tokens = apps.tokens(apps.register(), person, scope="openid profile email spaces:read")

    token_claims = claims(tokens.access)
    assert (token_claims["sub"], token_claims["org"], token_claims["role"]) == (str(person.id), home.id, "User")
    mine = [each for each in token_claims["spaces"] if each["id"] == retail]
    assert mine == [{"id": retail, "name": "Retail", "role": "editor"}]
    assert sorted(each["id"] for each in token_claims["spaces"]) == sorted(each["id"] for each in apps.get("/spaces", tokens).json())
    who = apps.server.http.get("/api/oauth/userinfo", headers=tokens.header).json()
    assert (who["sub"], who["name"], who["email"]) == (token_claims["sub"], "Grace User", person.email)


def test_promise_3_tokens_are_short_lived_and_refreshed_by_the_standard_flow(apps: Apps, clock: kit_clock.Frozen) -> None:
    """A quarter of an hour, then 401; `grant_type=refresh_token` gives the next one, and a new refresh token each time (promise 3)."""
    app = apps.register()
    tokens = apps.tokens(app)
    assert (tokens.answer["token_type"], tokens.answer["expires_in"]) == ("Bearer", 900)

    for _ in range(3):
        clock.advance(timedelta(minutes=15))
        assert apps.get("/agent/all", tokens).status_code == 401
        response = apps.refresh(app, tokens.refresh)
        assert response.status_code == 200, response.text
        assert response.json()["refresh_token"] != tokens.refresh
        tokens = Tokens(response.json())
        assert apps.get("/agent/all", tokens).status_code == 200


def test_promise_4_pages_and_partner_apps_use_it_and_integrations_keep_their_key(apps: Apps) -> None:
    """The Control Center's pages get a JWT for their session, an app has its own, and a key goes on as before (promise 4)."""
    home = apps.organization
    home.agent("Book prices")
    page = Browser(apps.server)
    with page.http:
        assert page.sign_in(home.admin).status_code == 303
        fetched = page.send("/session/token")

    assert fetched.status_code == 200, fetched.text
    of_page, of_app = Tokens(fetched.json()), apps.tokens(apps.register())
    assert claims(of_page.access)["client_id"] == "latchpin-control-center"
    lists = [apps.get("/agent/all", of_page), apps.get("/agent/all", of_app), home.get("/agent/all", home.key())]
    assert [response.status_code for response in lists] == [200, 200, 200]
    assert lists[0].json() == lists[1].json() == lists[2].json()


def test_promise_5_both_ways_in_come_to_the_same_decisions(apps: Apps) -> None:
    """Every route, for users of every kind: a key and a token get the same answer, and leave the same in the trail (promise 5)."""
    home = apps.organization
    space_id, closed = home.space("Retail"), home.space("Closed")
    people = {"viewer": home.user(), "editor": home.user(), "stranger": home.user(), "administrator": home.user(group=Group.ADMINISTRATOR)}
    home.member(space_id, people["viewer"], Role.VIEWER)
    home.member(space_id, people["editor"], Role.EDITOR)
    ids = {"spaceId": space_id, "agentId": home.agent("Book prices", space_id), "versionNumber": 1, "userId": home.admin.id, "keyId": 1}
    ids["eventId"] = 1
    home.agent("Hidden", closed)
    app = apps.register()

    for name, person in people.items():
        key, tokens = home.key(person), apps.tokens(app, person, scope=" ".join(sorted(ALL)))
        for route in routes.scoped():
            responses = [
                apps.server.http.request(route.method, route.filled(ids), headers=header, params=route.query(), json=route.body)
                for header in (key.header, tokens.header)
            ]
            one, other = ({"status": response.status_code, "body": _comparable(response)} for response in responses)
            assert one == other, (name, route.name)
        assert [apps.get("/admin/users", each).status_code for each in (tokens,)] == [home.get("/admin/users", key).status_code] == [403]
        trails = [
            sorted((row.reason, row.outcome, row.actor_name) for row in audit(home, action, actor_id=person.id))
            for action in ("api_key.used", "access_token.used")
        ]
        assert trails[0] == trails[1]
        assert trails[0]


def _comparable(response: httpx.Response) -> object:
    """Return a body without what belongs to the one request, or to the moment of a change."""
    if not response.content:
        return None
    body = response.json()
    if isinstance(body, dict):
        return {name: value for name, value in body.items() if name not in ("requestId", "instance", "updated", "version")}
    return len(body)
