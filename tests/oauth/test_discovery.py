"""What clients find out by themselves, with nothing but the issuer's address."""

from __future__ import annotations

from typing import Any

import pytest

from latchpin import settings
from latchpin.identity import scopes
from tests.support.server import Server
from tests.support.wire import LIST

OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
RESOURCE = "/.well-known/oauth-protected-resource"
AS_FORMS = [OAUTH, f"{OAUTH}/", f"{OAUTH}/api/v1", OPENID, f"{OPENID}/", f"{OPENID}/api/v1"]
RS_FORMS = [RESOURCE, f"{RESOURCE}/api/v1", "/api/oauth/resource-metadata"]
PUBLIC = {"RSA": {"kty", "n", "e", "kid", "alg", "use"}, "EC": {"kty", "crv", "x", "y", "kid", "alg", "use"}}


def document(server: Server, path: str, **headers: str) -> dict[str, Any]:
    """Return a metadata document; headers with `_` for `-`."""
    answer = server.http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("path", AS_FORMS)
def test_every_form_of_the_address_gives_one_issuer(server: Server, path: str) -> None:
    """Root and path-inserted, OAuth and OpenID: the issuer is the public address, byte for byte (security.md 83)."""
    assert document(server, path)["issuer"] == server.settings.public_url


def test_a_path_that_is_no_issuer_or_resource_of_ours_has_no_document(server: Server) -> None:
    """Who asks there looks for another issuer, and goes on looking; scripts learn it, too (RFC 8414 and 9728, section 3.3)."""
    elsewhere = ["/mcp", "/api", "/api/oauth", "/api/v1/agent", "/api/v1x", "/tenant/1", "/%2e%2e", "/API/V1"]

    for path in [*(form + rest for form in (OAUTH, OPENID, RESOURCE) for rest in elsewhere), "/api/oauth" + OPENID]:
        answer = server.http.get(path)
        assert answer.status_code == 404, path
        assert "issuer" not in answer.json(), path
        assert answer.headers["access-control-allow-origin"] == "*", path


def test_clients_in_browsers_may_ask_wherever_they_go(server: Server) -> None:
    """With the headers that they send: each address of the documents, the documents themselves, and the API (Fetch, CORS preflight)."""
    told = document(server, OPENID)
    pages = {"authorization_endpoint", "end_session_endpoint"}  # a browser goes there itself
    endpoints = [value.removeprefix(server.url) for name, value in told.items() if name.endswith("_endpoint") and name not in pages]
    assert len(endpoints) == 7
    wanted = ["mcp-protocol-version", "authorization", "content-type", "dpop", "accept"]
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": ", ".join(wanted)}

    for path in [*AS_FORMS, *RS_FORMS, *endpoints, "/api/oauth/certs", "/api/oauth/register/app_1", LIST, "/api/v1/runs/1"]:
        answer = server.http.options(path, headers=asked)
        assert answer.status_code == 204, path
        assert answer.headers["access-control-allow-origin"] == "*", path
        assert set(wanted) <= set(answer.headers["access-control-allow-headers"].split(", ")), path
        assert "access-control-allow-credentials" not in answer.headers, path
    authorize = server.http.options(told["authorization_endpoint"], headers=asked)
    assert "access-control-allow-origin" not in authorize.headers  # security.md 15


@pytest.mark.parametrize("path", [*AS_FORMS, *RS_FORMS])
def test_no_header_of_a_request_changes_who_we_are(server: Server, path: str) -> None:
    """Neither Host nor what proxies add: whoever could would send an app's tokens elsewhere (security.md 82)."""
    told = document(server, path)

    evil = document(
        server,
        path,
        Host="evil.example",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Proto="https",
        X_Forwarded_Prefix="/evil",
        Forwarded="host=evil.example;proto=https",
    )

    assert evil == told
    assert "evil" not in str(evil)


def test_the_issuer_has_no_trailing_slash() -> None:
    """A public address that was typed with one gives the same issuer as one without (security.md 82)."""
    for typed in ("https://latchpin.example", "https://latchpin.example/"):
        assert settings.load({"LATCHPIN_PUBLIC_URL": typed}).public_url == "https://latchpin.example"


@pytest.mark.parametrize("path", [OAUTH, OPENID])
def test_pkce_is_advertised_in_both_documents(server: Server, path: str) -> None:
    """S256 and nothing else; clients that look for it refuse to go on without (security.md 84)."""
    assert document(server, path)["code_challenge_methods_supported"] == ["S256"]


def test_both_documents_say_the_same(server: Server) -> None:
    """The OpenID document adds to the other and contradicts it nowhere (security.md 83)."""
    plain, openid = document(server, OAUTH), document(server, OPENID)

    assert {name: openid[name] for name in plain} == plain
    assert openid["id_token_signing_alg_values_supported"] == ["RS256"]
    assert openid["subject_types_supported"] == ["public"]


def test_what_is_advertised_answers(server: Server) -> None:
    """No endpoint of the document is missing, or takes another method than its specification says (security.md 81)."""
    told = document(server, OPENID)
    asked_by_get = {"authorization_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"}
    endpoints = {name: value for name, value in told.items() if name.endswith("_endpoint") or name == "jwks_uri"}

    for name, address in endpoints.items():
        assert address.startswith(server.url + "/"), name
        answer = server.http.get(address) if name in asked_by_get else server.http.post(address)
        assert answer.status_code not in (404, 405), (name, answer.status_code)
        assert answer.status_code < 500, (name, answer.status_code)


def test_every_advertised_grant_is_known_and_no_other(server: Server) -> None:
    """What the list leaves out is refused in the same words as nonsense (security.md 12, 81)."""
    told = document(server, OAUTH)["grant_types_supported"]

    def error(grant_type: str) -> str:
        form = {"grant_type": grant_type, "client_id": "nobody", "client_secret": "x" * 40}
        found: str = server.http.post("/api/oauth/token", data=form).json()["error"]
        return found

    assert {"authorization_code", "refresh_token", "client_credentials"} <= set(told)
    assert all(error(each) != "unsupported_grant_type" for each in told)
    for each in ("password", "implicit", "nonsense", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        assert each not in told
        assert error(each) == "unsupported_grant_type"
    assert document(server, OAUTH)["response_types_supported"] == ["code"]


@pytest.mark.parametrize("path", [*AS_FORMS, *RS_FORMS, "/api/oauth/certs"])
def test_metadata_and_keys_can_be_read_by_scripts_and_kept_for_a_while(server: Server, path: str) -> None:
    """They are public, for at most ten minutes (security.md 15, 85)."""
    answer = server.http.get(path, headers={"Origin": "https://partner.example"})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] in ("public, max-age=300", "public, max-age=600")


@pytest.mark.parametrize("path", RS_FORMS)
def test_the_resource_names_its_issuer_and_its_own_scopes(server: Server, path: str) -> None:
    """Root and path form alike; `offline_access` belongs to the authorization server and is not listed (security.md 54)."""
    told = document(server, path)

    assert told["authorization_servers"] == [server.settings.public_url]
    assert told["scopes_supported"] == scopes.serialize(scopes.ALL).split()
    assert "offline_access" not in told["scopes_supported"]
    assert told["bearer_methods_supported"] == ["header"]


def test_the_resource_is_the_one_that_the_address_was_made_from(server: Server) -> None:
    """Clients compare it with where they asked (RFC 9728 section 3.3, security.md 54)."""
    url = server.settings.public_url

    assert document(server, RESOURCE)["resource"] == url
    assert document(server, f"{RESOURCE}/api/v1")["resource"] == f"{url}/api/v1"


def test_a_refused_call_leads_to_the_keys(server: Server) -> None:
    """From the 401 to the resource's document, its issuer's document and the keys, each by what the one before said (security.md 54)."""
    challenge = server.http.get(LIST).headers["www-authenticate"]
    address = challenge.partition('resource_metadata="')[2].partition('"')[0]
    issuer = document(server, address)["authorization_servers"][0]

    keys = document(server, document(server, issuer + OAUTH)["jwks_uri"])["keys"]

    assert keys


def test_the_published_keys_have_public_members_only(server: Server) -> None:
    """Each with `kid`, `alg` and `use`, and nothing of the private half (security.md 85)."""
    keys = document(server, "/api/oauth/certs")["keys"]

    assert keys
    for key in keys:
        assert set(key) == PUBLIC[key["kty"]]
        assert key["use"] == "sig"
