"""Authentication: where a key may stand in a request, and what is said to one that is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import api_keys, credentials, policy, users
from latchpin.kit import clock as kit_clock
from latchpin.kit import cookie_names
from tests.support.people import Key, Organization
from tests.support.wire import LIST, audit, get, present, same_refusal, statements


def _disable(organization: Organization, user_id: int) -> None:
    async def work(session: AsyncSession) -> None:
        await users.disable(session, await users.get(session, organization.id, user_id), by=organization.admin.actor)

    organization.write(work)


def _change_expiry(organization: Organization, key: Key, days: float) -> None:
    async def work(session: AsyncSession) -> None:
        rules = await policy.get(session, organization.id, organization.server.settings)
        api_key = await api_keys.get(session, organization.id, key.id)
        await api_keys.change_expiry(session, api_key, kit_clock.now() + timedelta(days=days), policy=rules, by=organization.admin.actor)

    organization.write(work)


@pytest.mark.parametrize("scheme", ["ApiKey", "apikey", "APIKEY", "aPiKeY"])
def test_the_scheme_may_be_written_in_any_case(organization: Organization, scheme: str) -> None:
    """Authentication schemes are case-insensitive (security.md 94)."""
    key = organization.key()

    assert present(organization.server, f"{scheme} {key.secret}").status_code == 200


@pytest.mark.parametrize(
    ("authorization", "says"),
    [
        ("Bearer {key}", "An API key is not a bearer token."),
        ("bearer {key}", "An API key is not a bearer token."),
        ("Basic {key}", "The Authorization scheme is not known here."),
        ("{key}", "The Authorization scheme is not known here."),
        ("Token {key}", "The Authorization scheme is not known here."),
    ],
)
def test_a_key_after_another_scheme_is_refused_with_how_to_do_it(organization: Organization, authorization: str, says: str) -> None:
    """A sound key in the wrong form opens nothing, and the answer shows the right form (security.md 94)."""
    response = present(organization.server, authorization.format(key=organization.key().secret))

    assert response.status_code == 401
    assert response.json()["detail"].startswith(says)
    assert "Authorization: ApiKey <key>" in response.json()["detail"]


@pytest.mark.parametrize("name", ["api_key", "ApiKey", "access_token", "anything"])
def test_a_key_in_the_address_is_refused(organization: Organization, name: str) -> None:
    """A key in the query ends in logs and histories, so it is never taken there (security.md 94)."""
    response = organization.server.http.get(LIST, params={name: organization.key().secret})

    assert response.status_code == 401
    assert response.json()["detail"].startswith("A key in the address is not accepted")


def test_a_key_in_the_address_is_found_behind_escapes(organization: Organization) -> None:
    """Percent-encoding and many other parameters hide nothing (security.md 94)."""
    hidden = "".join(f"%{ord(letter):02x}" for letter in organization.key().secret)
    padding = "&".join(f"p{number}={'x' * 60}" for number in range(300))

    alone = organization.server.http.get(f"{LIST}?{padding}&q={hidden}")
    beside = organization.server.http.get(f"{LIST}?{padding}&q={hidden}", headers=organization.key().header)

    assert (alone.status_code, beside.status_code) == (401, 400)
    assert alone.json()["detail"].startswith("A key in the address is not accepted")
    assert beside.json()["errorCode"] == "two_credentials"


def test_a_key_in_the_path_opens_nothing_and_is_struck_out(organization: Organization) -> None:
    """A key in the path is refused, and neither the answer nor the log repeats it (security.md 94, 101)."""
    key = organization.key()

    without = organization.server.http.get(f"/api/v1/agent/{key.secret}")
    with_header = organization.get(f"/agent/{key.secret}", key)

    assert without.status_code == 401
    assert with_header.status_code in (400, 404)
    assert key.secret not in without.text + with_header.text


def test_a_key_in_a_cookie_is_refused(organization: Organization) -> None:
    """Cookies are sent by browsers on their own, so a key does not belong there (security.md 94)."""
    response = organization.server.http.get(LIST, headers={"Cookie": f"key={organization.key().secret}"})

    assert response.status_code == 401
    assert response.json()["detail"].startswith("A key in a cookie is not accepted")


def test_a_key_in_the_body_is_refused(organization: Organization) -> None:
    """A key in a body is not looked for: the request is one without a credential (security.md 94)."""
    agent = organization.agent()
    secret = organization.key().secret

    response = organization.server.http.post(f"/api/v1/agent/{agent}/version/1/restore", json={"api_key": secret})

    assert response.status_code == 401
    assert secret not in response.text


@pytest.mark.parametrize("name", ["access_token", "api_key", "key"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_key_in_a_body_opens_nothing_whatever_its_form(organization: Organization, name: str, content_type: str) -> None:
    """Not as RFC 6750 section 2.2 sends tokens either, and with a key that would do in the header (security.md 94)."""
    agent, key = organization.agent(), organization.key()
    sent = {name: key.secret, "content": "again"}
    body = json.dumps(sent) if content_type == "application/json" else urlencode(sent)
    path = f"/api/v1/agent/{agent}/version/1/restore"

    response = organization.server.http.post(path, content=body, headers={"Content-Type": content_type})

    assert response.status_code == 401
    assert key.secret not in response.text
    assert [each["version"] for each in organization.get(f"/agent/{agent}/versions", key).json()] == [1]


def test_a_key_in_x_api_key_is_refused(organization: Organization) -> None:
    """There is one way to send a key; the answer to another one shows it (security.md 94)."""
    response = organization.server.http.get(LIST, headers={"X-API-Key": organization.key().secret})

    assert response.status_code == 401
    assert response.json()["detail"].startswith("A key in X-API-Key is not accepted")


def test_two_authorization_headers_are_refused(organization: Organization) -> None:
    """Two credentials at once are a mistake or a trick, even where both are the same sound key (security.md 94)."""
    line = b"Authorization: ApiKey " + organization.key().secret.encode()

    status, body = get(organization.server, line, line)

    assert status == 400
    assert b'"two_credentials"' in body


@pytest.mark.parametrize("between", [", ApiKey ", ",", ", Bearer "])
def test_two_credentials_in_one_header_are_refused(organization: Organization, between: str) -> None:
    """Proxies join repeated headers with a comma, which makes two credentials no better (security.md 94)."""
    key = organization.key()

    response = present(organization.server, f"ApiKey {key.secret}{between}{key.secret}")

    assert response.status_code == 400
    assert response.json()["errorCode"] == "two_credentials"


def test_a_key_with_another_credential_in_the_address_is_refused(organization: Organization) -> None:
    """A key in the header does not excuse one in the query (security.md 94)."""
    key = organization.key()

    response = organization.get("/agent/all", key, access_token="something")

    assert response.status_code == 400
    assert response.json()["errorCode"] == "two_credentials"


def test_a_key_with_a_browser_session_is_refused(organization: Organization) -> None:
    """A key and the Control Center's cookie are two credentials, whoever they belong to (security.md 94)."""
    key = organization.key()
    cookie = f"theme=dark; {cookie_names.of(organization.server.settings)}=abcdefg"

    response = present(organization.server, f"ApiKey {key.secret}", Cookie=cookie)

    assert response.status_code == 400
    assert response.json()["errorCode"] == "two_credentials"
    assert present(organization.server, f"ApiKey {key.secret}", Cookie="theme=dark").status_code == 200


def test_our_own_pages_may_send_a_key_next_to_their_cookie(organization: Organization) -> None:
    """The API explorer is a page of the same origin, whose browser adds the cookie by itself."""
    key = organization.key()
    cookie = f"{cookie_names.of(organization.server.settings)}=abcdefg"

    response = present(organization.server, f"ApiKey {key.secret}", Cookie=cookie, Sec_Fetch_Site="same-origin")

    assert response.status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "{url}.evil.example"])
def test_a_key_from_a_web_page_is_refused(organization: Organization, origin: str) -> None:
    """Keys do not belong in client-side code: a foreign Origin with a sound key gets 403 and says so."""
    server = organization.server

    response = present(server, f"ApiKey {organization.key().secret}", Origin=origin.format(url=server.url))

    assert response.status_code == 403
    assert response.json()["errorCode"] == "key_in_browser"
    assert "client-side code" in response.json()["detail"]


def test_a_key_from_our_own_page_is_admitted(organization: Organization) -> None:
    """The API explorer at /api-docs works, by either name of the loopback address."""
    server, key = organization.server, organization.key()

    assert present(server, f"ApiKey {key.secret}", Origin=server.url).status_code == 200
    assert present(server, f"ApiKey {key.secret}", Origin=server.url.replace("127.0.0.1", "localhost")).status_code == 200


def test_every_refused_key_gets_one_and_the_same_answer(organization: Organization, clock: kit_clock.Frozen) -> None:
    """Unknown, malformed, revoked, expired, wrong-network keys and keys of disabled users look alike (security.md 93)."""
    revoked, foreign, expired = organization.key(), organization.key(networks=("203.0.113.0/24",)), organization.key()
    colleague = organization.user()
    orphan = organization.key(colleague)
    organization.revoke(revoked)
    _disable(organization, colleague.id)
    _change_expiry(organization, expired, 1)
    clock.advance(timedelta(days=2))
    secrets = ["junk", credentials.new_api_key(), *(key.secret for key in (revoked, expired, foreign, orphan))]

    responses = [present(organization.server, f"ApiKey {secret}") for secret in secrets]

    assert {response.status_code for response in responses} == {401}
    bodies = [same_refusal(response) for response in responses]
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["errorCode"] == "unauthenticated"
    (challenges,) = {tuple(response.headers.get_list("www-authenticate")) for response in responses}
    challenge, bound = challenges
    assert (
        bound == 'DPoP realm="latchpin", algs="ES256 Ed25519 EdDSA PS256 RS256"'
    )  # for tokens that are bound to a key (RFC 9449 section 7.1)
    assert challenge.startswith('Bearer realm="latchpin", scope="')
    assert challenge.endswith(', ApiKey realm="latchpin"')
    assert "error=" not in challenge  # no token was sent (RFC 6750 section 3.1)
    assert {response.headers["content-type"] for response in responses} == {"application/problem+json"}
    names = [sorted(set(response.headers) - {"date"}) for response in responses]
    assert all(header_names == names[0] for header_names in names)


def test_the_audit_tells_the_true_reason_of_each_refusal(organization: Organization, clock: kit_clock.Frozen) -> None:
    """What the caller is not told the audit trail is: one event per refused key, with its reason (security.md 93)."""
    server = organization.server
    expired, revoked, foreign = organization.key(), organization.key(), organization.key(networks=("2001:db8::/32",))
    colleague = organization.user()
    orphan, in_browser = organization.key(colleague), organization.key()
    organization.revoke(revoked)
    _change_expiry(organization, expired, 1)
    clock.advance(timedelta(days=2))
    for key in (expired, revoked, foreign):
        present(server, f"ApiKey {key.secret}")
    present(server, f"ApiKey {in_browser.secret}", Origin="https://evil.example")

    reasons = {row.target_id: row.reason for row in audit(organization, "api_key.refused", organization_id=organization.id)}

    assert reasons == {
        expired.id: "expired",
        revoked.id: "revoked",
        foreign.id: "address outside the key's networks",
        in_browser.id: "sent by a web page",
    }
    _disable(organization, colleague.id)
    present(server, f"ApiKey {orphan.secret}")
    (row,) = audit(organization, "api_key.refused", target_id=orphan.id)
    assert row.reason in ("revoked", "user disabled")
    assert row.actor_name == colleague.email
    assert row.address == "127.0.0.1"
    assert row.outcome == "refused"
    assert row.request_id


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Authorization": "ApiKey {unknown}"}, "unknown key"),
        ({"Authorization": "ApiKey sk-lp_junk"}, "malformed"),
        ({"Authorization": "Bearer {unknown}"}, "not in the Authorization header as ApiKey"),
        ({"X-API-Key": "{unknown}"}, "not in the Authorization header as ApiKey"),
        ({"Authorization": "ApiKey {unknown}, ApiKey {unknown}"}, "two credentials at once"),
    ],
)
def test_the_audit_tells_of_credentials_that_belong_to_nobody(organization: Organization, headers: dict[str, str], reason: str) -> None:
    """A refused credential leaves one event also where nobody is known (property 6), and nothing of the key beyond its prefix."""
    unknown = credentials.new_api_key()
    agent = f"test-agent/{unknown[6:12]}"
    sent = {name: value.format(unknown=unknown) for name, value in headers.items()}

    organization.server.http.get(LIST, headers={**sent, "User-Agent": agent})

    rows = [row for row in audit(organization, "api_key.refused", reason=reason) if row.organization_id is None]
    assert rows
    assert all(unknown not in str(vars(row)) for row in rows)


def test_an_unknown_key_is_named_by_its_display_prefix(organization: Organization) -> None:
    """An administrator can tell which of several leaked keys is being tried."""
    unknown = credentials.new_api_key()

    present(organization.server, f"ApiKey {unknown}")

    (row,) = audit(organization, "api_key.refused", target_name=f"{unknown[:10]}...")
    assert row.reason == "unknown key"


@pytest.mark.parametrize("junk", ["", "x", "sk-lp_", "{key}x", "{changed}", "sk-lp_" + "é" * 49, "A" * 5000])
def test_junk_costs_no_question_to_the_database(organization: Organization, junk: str) -> None:
    """Malformed and mistyped keys are refused without a database read (security.md 93)."""
    key = organization.key().secret
    changed = key[:20] + ("A" if key[20] != "A" else "B") + key[21:]
    presented = junk.format(key=key, changed=changed).encode()

    with statements(organization.server) as queries:
        status, _ = get(organization.server, b"Authorization: ApiKey " + presented)

    assert status == 401
    assert not [statement for statement in queries if "api_keys" in statement or "users" in statement]


def test_junk_asks_not_even_for_the_generation(serve: object, kind: str) -> None:
    """On PostgreSQL the generation lies in the database, and junk does not ask for it either (security.md 93)."""
    server = serve()  # type: ignore[operator]
    if kind == "sqlite":
        assert server.services.generation.current_nowait() is not None
        return

    assert present(server, "ApiKey sk-lp_junk").status_code == 401

    assert server.services.generation._connection is None


def test_a_remembered_key_costs_no_question_to_the_database(organization: Organization) -> None:
    """A key that was verified under the present generation is not looked up again."""
    key = organization.key()
    assert organization.get("/agent/all", key).status_code == 200

    with statements(organization.server) as queries:
        assert organization.get("/agent/all", key).status_code == 200

    assert not [statement for statement in queries if "FROM api_keys" in statement]
    assert [statement for statement in queries if "agents" in statement]


def test_a_key_stops_working_when_it_expires(organization: Organization, clock: kit_clock.Frozen) -> None:
    """A key that was used a moment ago is refused from its expiry on, to the second."""
    key = organization.key(expires=kit_clock.now() + timedelta(hours=1))
    clock.advance(timedelta(minutes=59, seconds=59))
    assert organization.get("/agent/all", key).status_code == 200

    clock.advance(timedelta(seconds=1))

    assert organization.get("/agent/all", key).status_code == 401


def test_a_sooner_expiry_counts_for_the_next_request(organization: Organization, clock: kit_clock.Frozen) -> None:
    """What was remembered of a key does not outlive a change of its expiry."""
    key = organization.key()
    assert organization.get("/agent/all", key).status_code == 200

    _change_expiry(organization, key, 1)
    clock.advance(timedelta(days=1))

    assert organization.get("/agent/all", key).status_code == 401


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_later_expiry_brings_an_expired_key_back(organization: Organization, clock: kit_clock.Frozen) -> None:
    """An administrator can extend a key that has run out (contract/auth.md 1)."""
    key = organization.key(expires=kit_clock.now() + timedelta(days=1))
    clock.advance(timedelta(days=2))
    assert organization.get("/agent/all", key).status_code == 401

    _change_expiry(organization, key, 30)

    assert organization.get("/agent/all", key).status_code == 200


def test_a_deleted_key_is_refused_by_the_next_request(organization: Organization) -> None:
    """Deleting a live key's entry revokes it."""
    key = organization.key()
    assert organization.get("/agent/all", key).status_code == 200

    async def work(session: AsyncSession) -> None:
        await api_keys.delete(session, await api_keys.get(session, organization.id, key.id), by=organization.admin.actor)

    organization.write(work)

    assert organization.get("/agent/all", key).status_code == 401


@pytest.mark.parametrize("path", ["//api/v1/agent/all", "/api//v1/agent/all", "///api///v1//agent/all", "/api%2Fv1/agent/all"])
def test_no_spelling_of_a_path_goes_around_the_gate(organization: Organization, path: str) -> None:
    """Authentication decides by the path that the router sees."""
    server = organization.server

    assert get(server, path=path)[0] == 401
    assert get(server, b"Authorization: ApiKey " + organization.key().secret.encode(), path=path)[0] == 200


def test_without_a_credential_the_answer_tells_how_to_get_one(organization: Organization) -> None:
    """The first request of somebody new ends in the name of the page to go to."""
    response = organization.server.http.get(LIST)

    assert response.status_code == 401
    assert "Users, Manage API keys, New API key" in response.json()["detail"]
