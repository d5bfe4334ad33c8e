"""Tokens that are bound to a key of the client, at the authorization server (RFC 9449 sections 5 to 10; security.md 87, 88)."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jwt
import pytest
from sqlalchemy import func, select

from latchpin.identity.dpop import ALGORITHMS
from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.oauth.client_admin import DEVICE, EXCHANGE
from latchpin.oauth.grants import token_exchange
from latchpin.storage.models import OAuthGrant
from tests.support.apps import OFFLINE, TOKEN, App, Apps, Code
from tests.support.authorizing import PAR, Go, came
from tests.support.devices import approve, begin, device
from tests.support.nodes import node
from tests.support.people import Organization
from tests.support.proofs import Prover, of_each_algorithm
from tests.support.server import Server
from tests.support.signers import Signer
from tests.support.tokens import claims, reasons, resource

Serve = Callable[..., Server]
LIST = "/api/v1/agent/all"
USERINFO = "/api/oauth/userinfo"
PROVERS = of_each_algorithm()


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of an organization."""
    return Apps(organization)


def ask(server: Server, prover: Prover | None, **form: str) -> httpx.Response:
    """Ask the token endpoint, with a proof where there is a prover."""
    return server.http.post(TOKEN, data=form) if prover is None else prover.send(server.http, "POST", TOKEN, data=form)


def redeem(apps: Apps, app: App, code: Code, prover: Prover | None, **more: str) -> httpx.Response:
    """Trade a code, with a proof where there is a prover."""
    form = {"grant_type": "authorization_code", "code": code.code, "code_verifier": code.verifier, **app.proof, **more}
    return ask(apps.server, prover, **form)


def refresh(apps: Apps, app: App, token: str, prover: Prover | None, **more: str) -> httpx.Response:
    """Trade a refresh token, with a proof where there is a prover."""
    return ask(apps.server, prover, grant_type="refresh_token", refresh_token=token, **app.proof, **more)


def sound(response: httpx.Response, prover: Prover) -> dict[str, Any]:
    """Return an answer whose access token is bound to a key, and opens the API with its proof and not without."""
    assert response.status_code == 200, response.text
    tokens: dict[str, Any] = response.json()
    assert tokens["token_type"] == "DPoP"
    assert claims(tokens["access_token"])["cnf"] == {"jkt": prover.jkt}
    return tokens


def said(response: httpx.Response) -> str:
    """Return the error of a refusal, which nobody stores."""
    assert response.status_code == 400, response.text
    assert response.headers["cache-control"] == "no-store"
    assert set(response.json()) == {"error", "error_description"}
    return str(response.json()["error"])


# ---- every grant (section 5) ----


@pytest.mark.parametrize("alg", sorted(PROVERS))
def test_a_code_is_traded_for_bound_tokens(apps: Apps, alg: str) -> None:
    """From the code on, with a key of each algorithm; the token opens the API with a proof."""
    app, prover = apps.register(), PROVERS[alg]

    tokens = sound(redeem(apps, app, apps.code(app), prover), prover)

    assert prover.send(apps.server.http, "GET", LIST, tokens["access_token"]).status_code == 200
    assert apps.server.http.get(LIST, headers={"Authorization": f"Bearer {tokens['access_token']}"}).status_code == 401


def test_a_refreshed_token_is_bound(apps: Apps) -> None:
    """To the same key, again and again."""
    app, prover = apps.register(), Prover()
    first = sound(redeem(apps, app, apps.code(app), prover), prover)

    second = sound(refresh(apps, app, first["refresh_token"], prover), prover)
    third = sound(refresh(apps, app, second["refresh_token"], prover, scope="agents:read"), prover)

    assert prover.send(apps.server.http, "GET", LIST, third["access_token"]).status_code == 200


def test_a_service_gets_bound_tokens(apps: Apps) -> None:
    """Each of any key that it proves: nothing is kept of them."""
    app, one, other = apps.service(), Prover(), Prover()

    for prover in (one, other):
        tokens = sound(ask(apps.server, prover, grant_type="client_credentials", **app.proof), prover)
        assert prover.send(apps.server.http, "GET", LIST, tokens["access_token"]).status_code == 200


def test_a_device_gets_bound_tokens(organization: Organization) -> None:
    """With the proof of the request that gets them; those before need none."""
    app, prover = device(organization), Prover()
    device_authorization = begin(organization, app)
    form = {"grant_type": DEVICE, "device_code": device_authorization["device_code"], **app.proof}
    assert said(ask(organization.server, prover, **form)) == "authorization_pending"
    approve(organization, device_authorization["user_code"])

    tokens = sound(ask(organization.server, prover, **form), prover)

    apps = Apps(organization)
    assert said(refresh(apps, app, tokens["refresh_token"], Prover())) == "invalid_grant"
    sound(refresh(apps, app, tokens["refresh_token"], prover), prover)


def test_a_key_is_exchanged_for_a_bound_token(organization: Organization) -> None:
    """So that what a server hands to a browser is worth nothing elsewhere."""
    key, prover = organization.key(), Prover()
    form = {"grant_type": EXCHANGE, "subject_token": key.secret, "subject_token_type": token_exchange.API_KEY}

    tokens = sound(ask(organization.server, prover, **form), prover)
    without = ask(organization.server, None, **form).json()

    assert prover.send(organization.server.http, "GET", LIST, tokens["access_token"]).status_code == 200
    assert (without["token_type"], "cnf" in claims(without["access_token"])) == ("Bearer", False)


def test_without_a_proof_everything_is_as_it_was(apps: Apps) -> None:
    """Bearer tokens for those who do not ask."""
    app = apps.register()

    tokens = redeem(apps, app, apps.code(app), None).json()
    again = refresh(apps, app, tokens["refresh_token"], None).json()

    assert (tokens["token_type"], again["token_type"]) == ("Bearer", "Bearer")
    assert "cnf" not in claims(again["access_token"])


# ---- what the proof must be (security.md 87) ----


def test_a_bad_proof_is_refused_and_nothing_is_used_up(apps: Apps) -> None:
    """400 `invalid_dpop_proof` for each; the code still counts after all of them."""
    app, prover, http = apps.register(), Prover(), apps.server.http
    code, url = apps.code(app), apps.server.url + TOKEN
    form = {"grant_type": "authorization_code", "code": code.code, "code_verifier": code.verifier, **app.proof}
    prover.nonce = http.post(TOKEN, data=form, headers={"DPoP": prover.proof("POST", url)}).headers["dpop-nonce"]
    now = int(kit_clock.timestamp())
    bad = [
        prover.proof("GET", url),
        prover.proof("POST", apps.server.url + "/api/oauth/revoke"),
        prover.proof("POST", "https://evil.example/api/oauth/token"),
        prover.proof("POST", url, iat=now - 120),
        prover.proof("POST", url, iat=now + 120),
        prover.proof("POST", url, jti=None),
        prover.proof("POST", url, header={"typ": "jwt"}),
        prover.proof("POST", url, header={"jwk": Prover().jwk}),
        jwt.encode({"htm": "POST", "htu": url, "iat": now, "jti": "x"}, "s" * 32, headers={"typ": "dpop+jwt", "jwk": prover.jwk}),
        "",
        "x",
    ]

    for proof in bad:
        assert said(http.post(TOKEN, data=form, headers={"DPoP": proof})) == "invalid_dpop_proof"
    twice = [("DPoP", prover.proof("POST", url)), ("DPoP", prover.proof("POST", url))]
    assert said(http.post(TOKEN, data=form, headers=twice)) == "invalid_dpop_proof"
    sound(redeem(apps, app, code, prover), prover)


def test_a_used_proof_is_refused(apps: Apps) -> None:
    """At the token endpoint as well, and one that was used at the API too: it would be for another address."""
    app, prover, url = apps.service(), Prover(), apps.server.url + TOKEN
    form = {"grant_type": "client_credentials", **app.proof}
    ask(apps.server, prover, **form)
    proof = prover.proof("POST", url)

    first = apps.server.http.post(TOKEN, data=form, headers={"DPoP": proof})
    second = apps.server.http.post(TOKEN, data=form, headers={"DPoP": proof})

    assert first.status_code == 200
    assert said(second) == "invalid_dpop_proof"


def test_two_nodes_share_the_list_of_used_proofs(serve: Serve) -> None:
    """What the token endpoint of one has taken no other takes, and the nonce of one counts at the other."""
    apps = Apps(Organization(serve()))
    app, prover = apps.service(), Prover()
    form = {"grant_type": "client_credentials", **app.proof}
    ask(apps.server, prover, **form)
    proof = prover.proof("POST", apps.server.url + TOKEN)

    with node(apps.server) as other:
        assert other.post(TOKEN, data=form, headers={"DPoP": proof}).status_code == 200
        assert said(apps.server.http.post(TOKEN, data=form, headers={"DPoP": proof})) == "invalid_dpop_proof"


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_proof_without_our_nonce_uses_nothing_up(organization: Organization) -> None:
    """400 `use_dpop_nonce` with a nonce (section 8): neither the code nor the client's assertion is spent by that."""
    apps, prover = Apps(organization), Prover()
    app, signer = apps.register(), Signer(organization)
    code, url = apps.code(app), apps.server.url + TOKEN
    form = {"grant_type": "authorization_code", "code": code.code, "code_verifier": code.verifier, **app.proof}
    assertion = signer.assertion()

    def signed() -> httpx.Response:
        body = {"grant_type": "client_credentials", "client_assertion": assertion, "client_assertion_type": _ASSERTION}
        return apps.server.http.post(TOKEN, data=body, headers={"DPoP": prover.proof("POST", url)})

    refused, unsigned = apps.server.http.post(TOKEN, data=form, headers={"DPoP": prover.proof("POST", url)}), signed()
    prover.nonce = refused.headers["dpop-nonce"]

    assert (said(refused), said(unsigned)) == ("use_dpop_nonce", "use_dpop_nonce")
    assert refused.headers["access-control-expose-headers"] == "DPoP-Nonce"
    sound(redeem(apps, app, code, prover), prover)
    sound(signed(), prover)


def test_the_next_nonce_comes_with_an_answer(apps: Apps, clock: Frozen) -> None:
    """Once the old one is about to end (section 8.2)."""
    app, prover = apps.service(), Prover()
    form = {"grant_type": "client_credentials", **app.proof}
    ask(apps.server, prover, **form)
    first = prover.nonce
    fresh = ask(apps.server, prover, **form)
    clock.advance(timedelta(minutes=5))

    later = ask(apps.server, prover, **form)

    assert "dpop-nonce" not in fresh.headers
    assert later.status_code == 200
    assert later.headers["dpop-nonce"] == prover.nonce != first


def test_nonces_can_be_off(serve: Serve) -> None:
    """Then the first request is let in."""
    apps = Apps(Organization(serve(dpop_nonce="off")))
    app, prover = apps.service(), Prover()

    sound(ask(apps.server, prover, grant_type="client_credentials", **app.proof), prover)

    assert prover.nonce is None


def test_the_trail_tells_why_a_proof_was_refused(organization: Organization) -> None:
    """With the client, once it has proved itself."""
    apps, prover = Apps(organization), Prover()
    app, url = apps.service(), organization.server.url + TOKEN
    form = {"grant_type": "client_credentials", **app.proof}
    ask(apps.server, prover, **form)
    used = prover.proof("POST", url)

    for proof in (used, used, "x", prover.proof("GET", url)):
        organization.server.http.post(TOKEN, data=form, headers={"DPoP": proof})
    organization.server.http.post(TOKEN, data={**form, "client_secret": "lps_wrong"}, headers={"DPoP": "x"})

    assert sorted(map(str, reasons(organization, "client.refused"))) == [
        "DPoP proof for another request",
        "DPoP proof that cannot be read",
        "DPoP proof used twice",
        "wrong client secret or assertion",
    ]


# ---- refresh tokens (security.md 88) ----


def test_another_key_cannot_refresh(apps: Apps) -> None:
    """`invalid_grant`; neither is the token spent nor the family ended, however often a thief tries (security.md 88)."""
    app, prover, thief = apps.register(), Prover(), Prover()
    first = sound(redeem(apps, app, apps.code(app), prover), prover)

    assert [said(refresh(apps, app, first["refresh_token"], thief)) for _ in range(3)] == ["invalid_grant"] * 3

    second = sound(refresh(apps, app, first["refresh_token"], prover), prover)
    assert prover.send(apps.server.http, "GET", LIST, second["access_token"]).status_code == 200


def test_no_proof_cannot_refresh(apps: Apps) -> None:
    """`invalid_dpop_proof`, so that its developer learns what is missing; nothing is spent (security.md 88)."""
    app, prover = apps.register(), Prover()
    first = sound(redeem(apps, app, apps.code(app), prover), prover)

    assert said(refresh(apps, app, first["refresh_token"], None)) == "invalid_dpop_proof"
    sound(refresh(apps, app, first["refresh_token"], prover), prover)


def test_a_spent_token_of_another_key_ends_nothing(apps: Apps) -> None:
    """A thief with an old token must not be able to sign its owner out; the owner's own replay ends the family as ever."""
    app, prover = apps.register(), Prover()
    first = sound(redeem(apps, app, apps.code(app), prover), prover)
    second = sound(refresh(apps, app, first["refresh_token"], prover), prover)
    third = sound(refresh(apps, app, second["refresh_token"], prover), prover)

    assert said(refresh(apps, app, first["refresh_token"], Prover())) == "invalid_grant"
    assert said(refresh(apps, app, first["refresh_token"], None)) == "invalid_dpop_proof"
    fourth = sound(refresh(apps, app, third["refresh_token"], prover), prover)

    assert said(refresh(apps, app, first["refresh_token"], prover)) == "invalid_grant"
    assert said(refresh(apps, app, fourth["refresh_token"], prover)) == "invalid_grant"


def test_the_window_is_for_the_same_key(apps: Apps) -> None:
    """The same request gets the same answer, with a fresh proof of the same key; another key gets nothing (security.md 31)."""
    app, prover = apps.register(), Prover()
    first = sound(redeem(apps, app, apps.code(app), prover), prover)

    bodies = [refresh(apps, app, first["refresh_token"], prover).json() for _ in range(2)]

    assert bodies[0] == bodies[1]
    assert said(refresh(apps, app, first["refresh_token"], Prover())) == "invalid_grant"
    assert said(refresh(apps, app, first["refresh_token"], None)) == "invalid_dpop_proof"
    sound(refresh(apps, app, bodies[0]["refresh_token"], prover), prover)


def test_the_window_of_a_confidential_client_is_for_the_same_key(apps: Apps) -> None:
    """It may change keys, but an answer that is bound to one is not given for another (security.md 31)."""
    app, one, other = apps.register(confidential=True), Prover(), Prover()
    first = sound(redeem(apps, app, apps.code(app), one), one)

    second = sound(refresh(apps, app, first["refresh_token"], one), one)

    assert said(refresh(apps, app, first["refresh_token"], other)) == "invalid_grant"
    assert said(refresh(apps, app, first["refresh_token"], None)) == "invalid_grant"
    sound(refresh(apps, app, second["refresh_token"], other), other)


def test_a_confidential_client_may_change_its_key(apps: Apps) -> None:
    """Its refresh tokens are bound to its own credential (section 5)."""
    app, one, other = apps.register(confidential=True), Prover(), Prover()
    tokens = sound(redeem(apps, app, apps.code(app), one), one)

    tokens = sound(refresh(apps, app, tokens["refresh_token"], other), other)
    plain = refresh(apps, app, tokens["refresh_token"], None).json()

    assert plain["token_type"] == "Bearer"


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_app_that_begins_to_prove_its_key_is_bound_from_then_on(apps: Apps) -> None:
    """The refresh token that comes with a proof is bound (section 5), though the first one was not."""
    app, prover = apps.register(), Prover()
    first = redeem(apps, app, apps.code(app), None).json()

    second = sound(refresh(apps, app, first["refresh_token"], prover), prover)

    assert said(refresh(apps, app, second["refresh_token"], None)) == "invalid_dpop_proof"
    assert said(refresh(apps, app, second["refresh_token"], Prover())) == "invalid_grant"
    sound(refresh(apps, app, second["refresh_token"], prover), prover)


@pytest.mark.parametrize("proves", [False, True], ids=["without a proof", "with a key of its own"])
def test_a_thief_who_binds_a_family_is_found_out(apps: Apps, clock: Frozen, *, proves: bool) -> None:
    """The app presents what the thief has spent: that the family is bound by now must not hide the replay (security.md 30)."""
    app, thief = apps.register(), Prover()
    first = redeem(apps, app, apps.code(app), None).json()
    stolen = sound(refresh(apps, app, first["refresh_token"], thief), thief)
    clock.advance(timedelta(seconds=11))

    assert said(refresh(apps, app, first["refresh_token"], Prover() if proves else None)) == "invalid_grant"
    assert said(refresh(apps, app, stolen["refresh_token"], thief)) == "invalid_grant"


def test_parallel_refreshes_with_proofs_give_one_new_pair(apps: Apps) -> None:
    """Each with a proof of its own, of one key (security.md 33)."""
    app, prover = apps.register(), Prover()
    first = sound(redeem(apps, app, apps.code(app), prover), prover)

    with ThreadPoolExecutor(10) as pool:
        responses = list(pool.map(lambda _: refresh(apps, app, first["refresh_token"], prover), range(20)))

    assert {each.status_code for each in responses} == {200}
    assert len({each.text for each in responses}) == 1
    sound(refresh(apps, app, responses[0].json()["refresh_token"], prover), prover)


def test_the_trail_tells_who_refreshed_with_another_key(organization: Organization) -> None:
    """It is somebody who has a copy of the token."""
    apps, prover = Apps(organization), Prover()
    app = apps.register()
    first = sound(redeem(apps, app, apps.code(app), prover), prover)

    refresh(apps, app, first["refresh_token"], Prover())
    refresh(apps, app, first["refresh_token"], None)

    assert sorted(map(str, reasons(organization, "client.refused"))) == ["DPoP proof of another key", "no DPoP proof"]
    assert reasons(organization, "grant.replayed") == []


# ---- clients that must (section 5.2) ----


def test_a_client_that_must_is_refused_without_a_proof(organization: Organization) -> None:
    """As its registration says: every grant, and nothing is used up."""
    apps, prover = Apps(organization), Prover()
    app, service = apps.register(dpop_bound=True), apps.register(**_SERVICE, confidential=True, dpop_bound=True)
    code = apps.code(app)

    assert said(redeem(apps, app, code, None)) == "invalid_dpop_proof"
    assert said(ask(apps.server, None, grant_type="client_credentials", **service.proof)) == "invalid_dpop_proof"

    tokens = sound(redeem(apps, app, code, prover), prover)
    assert said(refresh(apps, app, tokens["refresh_token"], None)) == "invalid_dpop_proof"
    sound(ask(apps.server, prover, grant_type="client_credentials", **service.proof), prover)
    assert set(reasons(organization, "client.refused")) == {"no DPoP proof"}


# ---- codes that are bound (section 10) ----


def test_a_bound_code_needs_its_key(apps: Apps) -> None:
    """Another key or none is refused and uses nothing up, so that whoever stole the code cannot spoil it."""
    app, prover = apps.register(), Prover()
    code = apps.code(app, dpop_jkt=prover.jkt)

    assert [said(redeem(apps, app, code, Prover())) for _ in range(4)] == ["invalid_grant"] * 4
    assert said(redeem(apps, app, code, None)) == "invalid_dpop_proof"
    tokens = sound(redeem(apps, app, code, prover), prover)

    assert said(redeem(apps, app, code, Prover())) == "invalid_grant"
    sound(refresh(apps, app, tokens["refresh_token"], prover), prover)
    assert said(redeem(apps, app, code, prover)) == "invalid_grant"  # the second use ends what the first one got (security.md 23)
    assert said(refresh(apps, app, tokens["refresh_token"], prover)) == "invalid_grant"


def test_a_person_takes_the_key_of_the_request_to_the_code(apps: Apps, go: Go) -> None:
    """`dpop_jkt` of the authorization request counts for its code."""
    prover = Prover()
    journey = go()
    code = came(journey.agree(journey.ask(dpop_jkt=prover.jkt)))["code"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": journey.verifier, **journey.app.proof}

    assert said(ask(apps.server, Prover(), **form)) == "invalid_grant"
    assert said(ask(apps.server, None, **form)) == "invalid_dpop_proof"
    sound(ask(apps.server, prover, **form), prover)


@pytest.mark.parametrize("named", [False, True])
def test_a_proof_that_is_sent_ahead_binds_the_code(apps: Apps, go: Go, named: bool) -> None:
    """With or without `dpop_jkt` beside it (section 10.1)."""
    prover = Prover()
    journey = go()
    form = dict(parse_qsl(journey.query()))
    form |= {"dpop_jkt": prover.jkt} if named else {}
    response = prover.send(apps.server.http, "POST", PAR, data=form)
    assert response.status_code == 201, response.text

    code = came(journey.agree(journey.go_on(response.json()["request_uri"])))["code"]
    traded = {"grant_type": "authorization_code", "code": code, "code_verifier": journey.verifier, **journey.app.proof}

    assert said(ask(apps.server, None, **traded)) == "invalid_dpop_proof"
    assert said(ask(apps.server, Prover(), **traded)) == "invalid_grant"
    sound(ask(apps.server, prover, **traded), prover)


def test_a_bad_proof_that_is_sent_ahead_is_refused(apps: Apps, go: Go) -> None:
    """One for another address, one of another key than `dpop_jkt` names, one without a nonce, one that was used."""
    prover, journey = Prover(), go()
    form = dict(parse_qsl(journey.query()))
    url = apps.server.url + PAR
    other = prover.send(apps.server.http, "POST", PAR, data=form | {"dpop_jkt": Prover().jkt})
    used = prover.proof("POST", url)

    assert said(other) == "invalid_dpop_proof"
    assert said(_push(apps, form, prover.proof("POST", apps.server.url + TOKEN))) == "invalid_dpop_proof"
    assert said(_push(apps, form, prover.proof("POST", url, nonce=None))) == "use_dpop_nonce"
    assert _push(apps, form, used).status_code == 201
    assert said(_push(apps, form, used)) == "invalid_dpop_proof"


# ---- introspection, userinfo, metadata ----


def test_introspection_tells_the_key(organization: Organization) -> None:
    """`cnf` and the token's type, to its client and to the server of its resource (section 6.2)."""
    apps, prover, server = Apps(organization), Prover(), resource(organization)
    app = apps.register(confidential=True)
    tokens = sound(redeem(apps, app, apps.code(app, resource=server.identifier), prover), prover)
    plain = refresh(apps, app, tokens["refresh_token"], None).json()

    def introspect(token: str, **who: Any) -> dict[str, Any]:
        form = {"token": token, **who.pop("form", {})}
        introspection: dict[str, Any] = organization.server.http.post("/api/oauth/introspect", data=form, **who).json()
        return {name: introspection.get(name) for name in ("active", "token_type", "cnf")}

    bound = {"active": True, "token_type": "DPoP", "cnf": {"jkt": prover.jkt}}
    assert introspect(tokens["access_token"], form=app.proof) == bound
    assert introspect(tokens["access_token"], auth=server.proof) == bound
    assert introspect(plain["access_token"], auth=server.proof) == {"active": True, "token_type": "Bearer", "cnf": None}


def test_userinfo_asks_for_the_proof(organization: Organization) -> None:
    """As the API does: a bound token only under its scheme, a proof for each request (section 7)."""
    apps, prover, http = Apps(organization), Prover(), organization.server.http
    app, url = apps.register(), organization.server.url + USERINFO
    tokens = sound(redeem(apps, app, apps.code(app, scope=f"{OFFLINE} openid"), prover), prover)
    token = tokens["access_token"]
    used = prover.proof("GET", url, token)

    def get(proof: str | None, scheme: str = "DPoP") -> tuple[int, str]:
        headers = {"Authorization": f"{scheme} {token}"} | ({} if proof is None else {"DPoP": proof})
        response = http.get(USERINFO, headers=headers)
        challenge = response.headers.get("www-authenticate", "DPoP ")
        assert challenge.startswith("DPoP "), challenge
        return response.status_code, response.json().get("error", "")

    assert get(used) == (200, "")
    assert get(used) == (401, "invalid_dpop_proof")
    assert get(None) == (401, "invalid_dpop_proof")
    assert get(prover.proof("POST", url, token)) == (401, "invalid_dpop_proof")
    assert get(Prover().proof("GET", url, token)) == (401, "invalid_dpop_proof")
    assert get(prover.proof("GET", url, token, nonce=None)) == (401, "use_dpop_nonce")
    assert get(None, "Bearer") == (401, "invalid_token")
    assert get(prover.proof("GET", url, token), "dpop") == (200, "")
    assert prover.send(http, "POST", USERINFO, token).json() == {"sub": str(organization.admin.id)}


def test_userinfo_gives_the_nonce_and_takes_no_unbound_token_for_a_bound_one(organization: Organization) -> None:
    """401 `use_dpop_nonce` brings one; 401 `invalid_token` for a bearer token under DPoP; without a token both schemes are offered."""
    apps, prover, http = Apps(organization), Prover(), organization.server.http
    app, url = apps.register(), organization.server.url + USERINFO
    plain = redeem(apps, app, apps.code(app, scope="openid"), None).json()["access_token"]
    bound = sound(redeem(apps, app, apps.code(app, scope="openid"), prover), prover)["access_token"]

    without_nonce = http.get(USERINFO, headers={"Authorization": f"DPoP {bound}", "DPoP": prover.proof("GET", url, bound, nonce=None)})
    refused = http.get(USERINFO, headers={"Authorization": f"DPoP {plain}", "DPoP": prover.proof("GET", url, plain)})
    nobody = http.get(USERINFO)

    assert without_nonce.headers["dpop-nonce"] == prover.nonce
    assert "DPoP-Nonce" in without_nonce.headers["access-control-expose-headers"]
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert nobody.headers["www-authenticate"].endswith(f', DPoP realm="latchpin", algs="{" ".join(ALGORITHMS)}"')


def test_the_metadata_tells_the_algorithms(server: Server) -> None:
    """Of the authorization server (section 5.1) and of the resource (RFC 9728 section 2); what is listed works."""
    documents = [
        server.http.get(f"/.well-known/{name}").json()
        for name in ("oauth-authorization-server", "openid-configuration", "oauth-protected-resource")
    ]

    for document in documents:
        assert document["dpop_signing_alg_values_supported"] == list(ALGORITHMS)
    assert documents[2]["dpop_bound_access_tokens_required"] is False
    assert set(ALGORITHMS) == set(PROVERS)


def test_a_web_page_may_send_a_proof(server: Server) -> None:
    """The preflight lets the header in."""
    for path in (TOKEN, USERINFO, PAR):
        preflight = server.http.options(path, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})
        assert "dpop" in preflight.headers["access-control-allow-headers"]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_grant_is_bound_only_for_public_clients(organization: Organization) -> None:
    """What is stored is the thumbprint, which is no secret."""
    apps, prover = Apps(organization), Prover()
    public, confidential = apps.register(), apps.register(confidential=True)
    for app in (public, confidential):
        sound(redeem(apps, app, apps.code(app), prover), prover)

    async def bound(app: App) -> int:
        async with organization.server.database.read() as session:
            query = select(func.count()).where(OAuthGrant.oauth_client_id == app.pk, OAuthGrant.dpop_jkt == prover.jkt)
            return int(await session.scalar(query) or 0)

    assert [organization.server.run(bound(app)) for app in (public, confidential)] == [1, 0]


def test_the_python_of_the_page_works(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client in docs/howto/bind-tokens.md and what it does there, as they stand but for the issuer's address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    page = (Path(__file__).parents[2] / "docs" / "howto" / "bind-tokens.md").read_text(encoding="utf-8")
    client, use = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    app = apps.register()
    code = apps.code(app)
    names: dict[str, Any] = {"client_id": app.client_id, "code": code.code, "verifier": code.verifier}

    exec(client + use.replace("https://latchpin.example", apps.server.url), names)  # noqa: S102  our own documentation

    assert names["agents"] == []
    assert names["tokens"]["token_type"] == "DPoP"
    assert names["client"].send("GET", LIST, names["tokens"]["access_token"]).status_code == 200


_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SERVICE: dict[str, Any] = {
    "name": "Nightly export",
    "grant_types": ("client_credentials",),
    "redirect_uris": (),
    "scopes": ("agents:read",),
}


def _push(apps: Apps, form: dict[str, str], proof: str) -> httpx.Response:
    return apps.server.http.post(PAR, data=form, headers={"DPoP": proof})
