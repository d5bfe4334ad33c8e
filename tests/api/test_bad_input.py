"""Requests that no sound client sends: each gets a precise refusal, and the server goes on."""

from __future__ import annotations

import json
import socket
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import _parsers
from litestar._asgi.routing_trie import traversal
from litestar._kwargs import extractors

from latchpin.asgi import request_context
from latchpin.serving.server_process import HTTP1
from tests.support.people import Key, Organization
from tests.support.server import Server
from tests.support.wire import LIST, get, raw

_BYTES = st.binary(max_size=60).filter(lambda value: not {0, 10, 13} & set(value))


def _is_well(organization: Organization, key: Key) -> bool:
    return organization.get("/agent/all", key).status_code == 200


@pytest.mark.parametrize("name", [b"X-Filler", b"Authorization", b"Cookie", b"User-Agent"])
def test_a_header_of_a_megabyte_is_refused(organization: Organization, name: bytes) -> None:
    """The server reads so much of the headers and no more, and answers 431."""
    key = organization.key()

    response = raw(organization.server, b"GET /api/v1/agent/all HTTP/1.1\r\nHost: test\r\n" + name + b": " + b"a" * 1_000_000 + b"\r\n\r\n")

    assert response.startswith(b"HTTP/1.1 431 ")
    assert _is_well(organization, key)


def test_a_key_of_thirty_thousand_characters_is_refused(organization: Organization) -> None:
    """A header that fits is cut before it is looked at."""
    key = organization.key()

    status, body = get(organization.server, b"Authorization: ApiKey " + key.secret.encode() * 500)

    assert status == 401
    assert len(body) < 2000


@pytest.mark.parametrize("value", [b"ApiKey \x00", b"ApiKey sk-lp_\x00abc", b"\x00", b"ApiKey a\x0bb", b"ApiKey \x7f"])
def test_control_bytes_in_a_header_are_refused(organization: Organization, value: bytes) -> None:
    """NUL and its kind are refused by the server before anything looks at them."""
    status, _ = get(organization.server, b"Authorization: " + value)

    assert status == 400


@pytest.mark.parametrize(
    "value", [b"ApiKey", b"ApiKey ", b"ApiKey    ", b"", b" ", b"ApiKey\tx", "ApiKey schlüssel".encode(), b"ApiKey \xff\xfe"]
)
def test_an_empty_or_foreign_key_is_refused(organization: Organization, value: bytes) -> None:
    """Nothing, blanks, and characters beyond ASCII are not a key."""
    status, body = get(organization.server, b"Authorization: " + value)

    assert status == 401
    assert json.loads(body)["errorCode"] == "unauthenticated"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_BYTES, scheme=st.sampled_from([b"", b"ApiKey ", b"ApiKey sk-lp_", b"Bearer ", b"apikey,"]))
def test_arbitrary_bytes_are_no_credential(organization: Organization, value: bytes, scheme: bytes) -> None:
    """Whatever stands in Authorization, the answer is a 400 or 401 and never a failure."""
    status, _ = get(organization.server, b"Authorization: " + scheme + value)

    assert status in (400, 401)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_BYTES, name=st.sampled_from([b"Cookie", b"Origin", b"User-Agent", b"X-Request-Id", b"X-Forwarded-For", b"Sec-Fetch-Site"]))
def test_arbitrary_bytes_in_other_headers_break_nothing(organization: Organization, value: bytes, name: bytes) -> None:
    """The headers that authentication reads may hold anything."""
    status, _ = get(organization.server, name + b": " + value)

    assert status in (400, 401)


def _restore(organization: Organization, key: Key, framing: bytes, body: bytes) -> tuple[int, bytes]:
    """Send a restore as it is, and no byte more than the server will read: what it left unread would reset the connection."""
    path = f"/api/v1/agent/{organization.agent()}/version/1/restore".encode()
    lines = [b"POST %s HTTP/1.1" % path, b"Host: test", b"Connection: close", b"Content-Type: application/json", framing]
    head = b"\r\n".join([*lines, b"Authorization: ApiKey " + key.secret.encode()]) + b"\r\n\r\n"
    response_head, _, content = raw(organization.server, head + body).partition(b"\r\n\r\n")
    return int(response_head.split(b" ", 2)[1]), content


def test_a_body_of_ten_megabytes_is_refused(organization: Organization) -> None:
    """More than LATCHPIN_MAX_BODY_BYTES is 413, a problem document, before any of it is read."""
    key = organization.key()

    status, body = _restore(organization, key, b"Content-Length: 10000000", b"")

    assert status == 413
    assert b'"errorCode":"request_too_large"' in body
    assert _is_well(organization, key)


def test_a_body_that_grows_beyond_the_limit_is_refused(organization: Organization) -> None:
    """A chunked body without a length is counted as it comes."""
    key = organization.key()
    chunk = b"2710\r\n" + b" " * 10_000 + b"\r\n"

    status, _ = _restore(organization, key, b"Transfer-Encoding: chunked", chunk * 101)

    assert status == 413
    assert _is_well(organization, key)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"content":' * 20_000 + b"1" + b"}" * 20_000,
        b"[" * 400_000,
        b"{",
        b"\x00",
        b"\xff\xfe",
        b"NaN",
        b'{"content": NaN}',
        b'{"content": 1e999999}',
        b'{"content": "\\ud800"}',
        b'{"content": "nul\\u0000"}',
        b"[]",
        b'"text"',
        b"5",
    ],
    ids=[
        "deep list",
        "deep object",
        "unclosed",
        "brace",
        "nul",
        "not utf-8",
        "nan",
        "nan inside",
        "huge number",
        "half",
        "nul inside",
        "list",
        "text",
        "5",
    ],
)
def test_a_body_that_is_no_sound_object_is_refused(organization: Organization, body: bytes) -> None:
    """Deep, broken and wrong JSON is a 400 or 422 that says what is wanted, and changes nothing."""
    key, agent = organization.key(), organization.agent()

    response = organization.server.http.post(
        f"/api/v1/agent/{agent}/version/1/restore", headers={**key.header, "Content-Type": "application/json"}, content=body
    )

    assert response.status_code in (400, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert organization.get(f"/agent/{agent}", key).json()["version"] == 1


@pytest.mark.parametrize(
    ("path", "cookies", "status"),
    [
        (f"/setup/{'x' * (request_context.LONGEST_PATH - 7)}", 1, 404),
        (f"/setup/{'x' * request_context.LONGEST_PATH}", 1, 414),
        (f"/login?next={'x' * (request_context.LONGEST_QUERY - 5)}", 1, 200),
        (f"/login?next={'x' * request_context.LONGEST_QUERY}", 1, 414),
        ("/login", request_context.LONGEST_COOKIES - 2, 200),
        ("/login", request_context.LONGEST_COOKIES, 431),
    ],
)
def test_what_the_router_and_parsers_remember_is_short(organization: Organization, path: str, cookies: int, status: int) -> None:
    """The framework remembers a thousand paths, queries and cookie headers each, of 64 KB where nobody says otherwise."""
    answered, body = get(organization.server, b"Cookie: a=" + b"x" * cookies, path=path)

    assert answered == status, body[:300]
    assert status < 414 or b"application/problem+json" in body or b'"errorCode"' in body


def test_the_caches_of_the_framework_are_bounded(server: Server) -> None:
    """They are the framework's own: a release of it without their bounds is noticed here."""
    caches = [server.application.litestar.asgi_router.handle_routing, _parsers.parse_query_string, _parsers.parse_cookie_string]
    caches += [traversal.parse_path_params, extractors.create_query_default_dict]

    assert {cache.cache_info().maxsize for cache in caches} == {1024}


def test_a_thousand_parameters_are_answered(organization: Organization) -> None:
    """A query of a thousand parameters is ignored or refused, and the server goes on."""
    key = organization.key()
    for filler in ("x", "%20", "key"):
        query = "&".join(f"p{number}={filler}" for number in range(1000))
        assert organization.server.http.get(f"{LIST}?{query}", headers=key.header).status_code in (200, 400)
        assert organization.server.http.get(f"{LIST}?{query}").status_code in (400, 401)

    assert _is_well(organization, key)


@pytest.mark.parametrize(
    "query", ["%", "%zz", "%00", "a=%ff%fe", "=&=&=", "a;b;c", "sortColumn=%00", "name=%00", "pageIndex=%D9%A1&recordsPerPage=1"]
)
def test_odd_queries_break_nothing(organization: Organization, query: str) -> None:
    """Broken escapes, NUL and foreign digits are answered, on either database."""
    key = organization.key()

    status, body = get(organization.server, b"Authorization: ApiKey " + key.secret.encode(), path=f"{LIST}?{query}")

    assert status in (200, 400), body


@pytest.mark.parametrize(
    "path", ["/%00", "/agent/%00", "/agent/0", "/agent/-1", "/agent/2147483648", "/agent/9" + "9" * 400, "/agent/1e3", "/agent/%D9%A1"]
)
def test_ids_that_cannot_be_are_refused(organization: Organization, path: str) -> None:
    """Zero, negative, beyond 32 bits and not a number at all: a plain 400 or 404."""
    status, body = get(organization.server, b"Authorization: ApiKey " + organization.key().secret.encode(), path=f"/api/v1{path}")

    assert status in (400, 404), body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "FOO"])
def test_a_method_that_is_not_offered_is_refused(organization: Organization, method: str) -> None:
    """Without a credential it is 401 like everything else; with one it says what is offered."""
    key = organization.key()

    assert organization.server.http.request(method, LIST).status_code == 401
    with_key = organization.server.http.request(method, LIST, headers=key.header)
    assert with_key.status_code in (204, 400, 405)


@pytest.mark.parametrize("path", ["/login", "/api/v1/agent/1/version/1/restore"])
def test_a_body_that_comes_too_slowly_is_given_up(organization: Organization, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Who sends a body byte by byte holds its connection for so long and no longer, signed in or not."""
    monkeypatch.setattr(request_context, "BODY_SECONDS", 0.3)
    key = organization.key()
    own = "" if path.startswith("/api") else "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n"
    bearing = f"Authorization: ApiKey {key.secret}\r\n" if path.startswith("/api") else ""

    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 1000\r\n{own}{bearing}\r\n"

    response = raw(organization.server, head.encode() + b"email=", seconds=5)

    assert response.startswith(b"HTTP/1.1 408 "), response
    assert _is_well(organization, key)


@pytest.mark.slow
def test_a_client_that_sends_its_headers_slowly_is_let_go(server: Server, kind: str) -> None:
    """Who holds a connection open without asking anything loses it after so many seconds, and holds up nobody meanwhile."""
    if kind == "postgresql":
        pytest.skip("asks no database")
    patience = HTTP1.header_read_timeout / 1000 + 30

    with closing(socket.create_connection(("127.0.0.1", server.settings.port), timeout=patience)) as connection:
        connection.sendall(b"GET /api/v1/agent/all HTTP/1.1\r\nHost: te")
        response = connection.recv(65536)  # raises where the server goes on waiting

    assert not response.startswith(b"HTTP/1.1 2")
