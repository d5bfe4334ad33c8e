"""The seven promises that users know, one test each, over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from latchpin.storage.models.space import SpaceScope
from tests.support.people import Key, Organization, Person
from tests.support.wire import audit, stored, until
from tests.web.browser import Browser, key_in

pytestmark = pytest.mark.both_databases("the promises hold on both databases")

SCRIPT = (
    "import os, requests; print(requests.get('{url}/api/v1/agent/all', "
    "headers={{'Authorization': f\"ApiKey {{os.environ['SEQUENTUM_API_KEY']}}\"}}).json())"
)


@pytest.fixture
def administrator(organization: Organization) -> Iterator[Browser]:
    """The organization's administrator, signed in to the Control Center."""
    browser = Browser(organization.server)
    with browser.http:
        assert browser.sign_in(organization.admin).status_code == 303
        yield browser


def _keys(person: Person) -> str:
    return f"/organization/users/{person.id}/api-keys"


def _issue(administrator: Browser, organization: Organization, person: Person, **chosen: str) -> Key:
    """Make a key on the page, as an administrator does."""
    entries = {"access": "full", "expires_in": "365", "description": "From the page", **chosen}
    page = administrator.send(
        f"{_keys(person)}/new", idempotency_key=administrator.field(f"{_keys(person)}/new", "idempotency_key"), **entries
    )
    secret = key_in(page.text)
    assert secret, page.text[:2000]
    (row,) = [row for row in audit(organization, "api_key.created") if row.target_name and secret[:10] in row.target_name]
    return Key(row.target_id or 0, secret, secret[:10])


def test_promise_1_the_script_that_users_know_prints_a_list(organization: Organization, administrator: Browser) -> None:
    """A key is sent as `Authorization: ApiKey <key>`, and the script with only the host changed prints the agents (promise 1)."""
    organization.agent("Book prices", organization.space(scope=SpaceScope.PUBLIC))
    key = _issue(administrator, organization, organization.user())
    environ = {**os.environ, "SEQUENTUM_API_KEY": key.secret, "NO_PROXY": "127.0.0.1"}
    script = SCRIPT.format(url=organization.server.url)

    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=environ, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("[{")
    assert "'name': 'Book prices'" in done.stdout


def test_promise_2_only_an_administrator_issues_keys_per_user_for_one_year(organization: Organization, administrator: Browser) -> None:
    """Users, the user, Manage API keys, New API key: an administrator's way, closed to everybody else and to keys (promise 2)."""
    person = organization.user()
    assert _keys(person) in administrator.open("/organization/users").text
    assert f"{_keys(person)}/new" in administrator.open(_keys(person)).text
    form = administrator.open(f"{_keys(person)}/new").text
    assert str((datetime.now(UTC) + timedelta(days=365)).date()) in form
    key = _issue(administrator, organization, person, description="Nightly export")

    row = stored(organization, key)
    assert (row.user_id, row.created_by_id, row.description) == (person.id, organization.admin.id, "Nightly export")
    assert timedelta(days=364) < row.expires_at - row.created_at < timedelta(days=367)
    colleague = Browser(organization.server)
    with colleague.http:
        colleague.sign_in(person)
        for path in (_keys(person), f"{_keys(person)}/new", f"/organization/users/{organization.admin.id}/api-keys"):
            assert colleague.open(path).status_code in (403, 404)
            assert organization.server.http.get(path, headers=key.header).status_code in (302, 303, 401, 403, 404)
        refused = colleague.send(f"{_keys(person)}/new", idempotency_key="a" * 20, access="full", expires_in="365")
        assert refused.status_code in (403, 404)
    assert len(audit(organization, "api_key.created", organization_id=organization.id)) == 1


def test_promise_3_only_a_hash_is_stored_and_a_lost_key_is_replaced(organization: Organization, administrator: Browser) -> None:
    """No page shows a key again; the lost one is deleted and another made (promise 3)."""
    person = organization.user()
    lost = _issue(administrator, organization, person)
    row = stored(organization, lost)

    assert len(row.digest) == 32
    assert lost.secret not in str(vars(row))
    for path in (_keys(person), "/audit", "/", f"{_keys(person)}/{lost.id}/expiry"):
        assert lost.secret[10:] not in administrator.open(path).text

    assert administrator.send(f"{_keys(person)}/{lost.id}/delete", confirm="yes").status_code == 303
    replacement = _issue(administrator, organization, person)
    assert organization.get("/agent/all", lost).status_code == 401
    assert organization.get("/agent/all", replacement).status_code == 200


def test_promise_4_a_key_acts_for_the_user_it_was_issued_to(organization: Organization, administrator: Browser) -> None:
    """What a user sees the user's key sees, and nothing more, although an administrator made it (promise 4)."""
    grace, linus = organization.user("Grace User"), organization.user("Linus User")
    organization.agent("Of Grace", owner=grace)
    organization.agent("Of Linus", owner=linus)
    organization.agent("Of the administrator", organization.space())

    def names(person: Person) -> list[str]:
        return [agent["name"] for agent in organization.get("/agent/all", _issue(administrator, organization, person)).json()]

    assert names(grace) == ["Of Grace"]
    assert names(linus) == ["Of Linus"]


def test_promise_5_revocation_is_immediate_and_requests_in_flight_complete(organization: Organization, administrator: Browser) -> None:
    """The page's answer means that the next request is refused, while one that was let in before still finishes (promise 5)."""
    person, server = organization.user(), organization.server
    agent = organization.agent(owner=person)
    key = _issue(administrator, organization, person)
    body = b'{"content": "in flight"}'
    head = (
        f"POST /api/v1/agent/{agent}/version/1/restore HTTP/1.1\r\nHost: test\r\nAuthorization: ApiKey {key.secret}\r\n"
        f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    with closing(socket.create_connection(("127.0.0.1", server.settings.port), timeout=15)) as in_flight:
        in_flight.sendall(head + body[:5])
        verified = server.services.keys.cache.verified
        until(lambda: any(each.value.principal.credential.id == key.id for each in list(verified.entries())))
        response = administrator.send(f"{_keys(person)}/{key.id}/revoke", reason="left the company")
        assert response.status_code == 303
        assert organization.get("/agent/all", key).status_code == 401
        in_flight.sendall(body[5:])
        done = in_flight.recv(65536)

    assert done.startswith(b"HTTP/1.1 204 "), done
    assert organization.get("/agent/all", key).status_code == 401
    assert "Revoked" in administrator.open(_keys(person)).text


def test_promise_6_narrower_keys_exist(organization: Organization, administrator: Browser) -> None:
    """Full access, read-only, runs-only and billing-only can be chosen on the page and hold what they say (promise 6)."""
    agent = organization.agent("Book prices", organization.space())
    expected = {
        "full": (200, 200, 204),
        "read-only": (200, 200, 403),
        "runs-only": (200, 403, 204),
        "billing-only": (403, 403, 403),
    }
    for access, statuses in expected.items():
        key = _issue(administrator, organization, organization.admin, access=access, description=access)
        responses = (
            organization.get("/agent/all", key),
            organization.get("/spaces", key),
            organization.post(f"/agent/{agent}/version/1/restore", key, {"content": "again"}),
        )
        assert tuple(response.status_code for response in responses) == statuses, access


def test_promise_7_everything_a_key_does_can_be_told_apart(organization: Organization, administrator: Browser) -> None:
    """Two keys of one user do the same things, and the trail tells which did what, also of refused tries (promise 7)."""
    person, server = organization.user(), organization.server
    agent = organization.agent(owner=person)
    one, other = (_issue(administrator, organization, person, description=text) for text in ("Nightly", "Laptop"))
    organization.get("/agent/all", one)
    organization.post(f"/agent/{agent}/version/1/restore", other, {"content": "by the laptop"})
    organization.revoke(one)
    late = server.http.get("/api/v1/agent/all", headers={**one.header, "User-Agent": "nightly/1.0"})

    def of(key: Key) -> list[tuple[str, str | None]]:
        rows = [row for action in ("api_key.used", "agent.changed", "api_key.refused") for row in audit(organization, action)]
        return [(row.action, row.reason) for row in rows if row.credential_kind == "api_key" and row.credential_id == key.id]

    assert of(one) == [("api_key.used", "GET /api/v1/agent/all"), ("api_key.refused", "revoked")]
    assert [action for action, _ in of(other)] == ["api_key.used", "agent.changed"]
    (changed,) = audit(organization, "agent.changed", target_id=agent)
    assert (changed.actor_name, changed.credential_name) == (person.email, f"Laptop ({other.prefix}...)")
    assert json.loads(changed.changes or "")
    (refused,) = audit(organization, "api_key.refused", target_id=one.id)
    assert (refused.address, refused.user_agent, refused.request_id) == ("127.0.0.1", "nightly/1.0", late.headers["x-request-id"])
    page = administrator.open("/audit").text
    assert "Nightly" in page
    assert "Laptop" in page
