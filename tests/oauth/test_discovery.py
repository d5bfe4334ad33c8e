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
    response = server.http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert response.status_code == 200, response.text
    metadata: dict[str, Any] = response.json()
    return metadata


@pytest.mark.parametrize("path", AS_FORMS)
def test_every_form_of_the_address_gives_one_issuer(server: Server, path: str) -> None:
    """Root and path-inserted, OAuth and OpenID: the issuer is the public address, byte for byte (security.md 83)."""
    assert document(server, path)["issuer"] == server.settings.public_url


def test_a_path_that_is_no_issuer_or_resource_of_ours_has_no_document(server: Server) -> None:
    """Who asks there looks for another issuer, and goes on looking; scripts learn it, too (RFC 8414 and 9728, section 3.3)."""
    elsewhere = ["/mcp", "/api", "/api/oauth", "/api/v1/agent", "/api/v1x", "/tenant/1", "/%2e%2e", "/API/V1"]

    for path in [*(form + rest for form in (OAUTH, OPENID, RESOURCE) for rest in elsewhere), "/api/oauth" + OPENID]:
        response = server.http.get(path)
        assert response.status_code == 404, path
        assert "issuer" not in response.json(), path
        assert response.headers["access-control-allow-origin"] == "*", path


def test_clients_in_browsers_may_ask_wherever_they_go(server: Server) -> None:
    """With the headers that they send: each address of the documents, the documents themselves, and the API (Fetch, CORS preflight)."""
    metadata = document(server, OPENID)
    pages = {"authorization_endpoint", "end_session_endpoint"}  # a browser goes there itself
    endpoints = [value.removeprefix(server.url) for name, value in metadata.items() if name.endswith("_endpoint") and name not in pages]
    assert len(endpoints) == 7
    header_names = ["mcp-protocol-version", "authorization", "content-type", "dpop", "accept"]
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": ", ".join(header_names),
    }

    for path in [*AS_FORMS, *RS_FORMS, *endpoints, "/api/oauth/certs", "/api/oauth/register/app_1", LIST, "/api/v1/runs/1"]:
        response = server.http.options(path, headers=headers)
        assert response.status_code == 204, path
        assert response.headers["access-control-allow-origin"] == "*", path
        assert set(header_names) <= set(response.headers["access-control-allow-headers"].split(", ")), path
        assert "access-control-allow-credentials" not in response.headers, path
    authorize = server.http.options(metadata["authorization_endpoint"], headers=headers)
    assert "access-control-allow-origin" not in authorize.headers  # security.md 15


@pytest.mark.parametrize("path", [*AS_FORMS, *RS_FORMS])
def test_no_header_of_a_request_changes_who_we_are(server: Server, path: str) -> None:
    """Neither Host nor what proxies add: whoever could would send an app's tokens elsewhere (security.md 82)."""
    metadata = document(server, path)

    evil = document(
        server,
        path,
        Host="evil.example",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Proto="https",
        X_Forwarded_Prefix="/evil",
        Forwarded="host=evil.example;proto=https",
    )

    assert evil == metadata
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
    metadata = document(server, OPENID)
    asked_by_get = {"authorization_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"}
    endpoints = {name: value for name, value in metadata.items() if name.endswith("_endpoint") or name == "jwks_uri"}

    for name, address in endpoints.items():
        assert address.startswith(server.url + "/"), name
        response = server.http.get(address) if name in asked_by_get else server.http.post(address)
        assert response.status_code not in (404, 405), (name, response.status_code)
        assert response.status_code < 500, (name, response.status_code)


def test_every_advertised_grant_is_known_and_no_other(server: Server) -> None:
    """What the list leaves out is refused in the same words as nonsense (security.md 12, 81)."""
    grant_types = document(server, OAUTH)["grant_types_supported"]

    def error(grant_type: str) -> str:
        form = {"grant_type": grant_type, "client_id": "nobody", "client_secret": "x" * 40}
        code: str = server.http.post("/api/oauth/token", data=form).json()["error"]
        return code

    assert {"authorization_code", "refresh_token", "client_credentials"} <= set(grant_types)
    assert all(error(each) != "unsupported_grant_type" for each in grant_types)
    for each in ("password", "implicit", "nonsense", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        assert each not in grant_types
        assert error(each) == "unsupported_grant_type"
    assert document(server, OAUTH)["response_types_supported"] == ["code"]


@pytest.mark.parametrize("path", [*AS_FORMS, *RS_FORMS, "/api/oauth/certs"])
def test_metadata_and_keys_can_be_read_by_scripts_and_kept_for_a_while(server: Server, path: str) -> None:
    """They are public, for at most ten minutes (security.md 15, 85)."""
    response = server.http.get(path, headers={"Origin": "https://partner.example"})

    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["cache-control"] in ("public, max-age=300", "public, max-age=600")


@pytest.mark.parametrize("path", RS_FORMS)
def test_the_resource_names_its_issuer_and_its_own_scopes(server: Server, path: str) -> None:
    """Root and path form alike; `offline_access` belongs to the authorization server and is not listed (security.md 54)."""
    metadata = document(server, path)

    assert metadata["authorization_servers"] == [server.settings.public_url]
    assert metadata["scopes_supported"] == scopes.serialize(scopes.ALL).split()
    assert "offline_access" not in metadata["scopes_supported"]
    assert metadata["bearer_methods_supported"] == ["header"]


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
