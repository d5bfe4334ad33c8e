"""Whatever is sent to what parses for us (headers, queries, forms, JSON, YAML, chunks) is read or refused, and the server never fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support import databases
from tests.support.people import Organization, definition
from tests.support.server import Server, served
from tests.support.signed_in import SignedIn
from tests.support.wire import LIST, get, raw

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
FORMS = (
    "/login",
    "/oauth/consent",
    "/oauth/account",
    "/device",
    "/session/token",
    "/setup/abc",
    "/spaces/new",
    "/organization/users/new",
    "/organization/apps/new",
    "/organization/resources/new",
    "/organization/users/{user}/api-keys/new",
    "/organization/policy",
    "/agents/new",
    "/theme",
    "/api/oauth/authorize",
    "/api/oauth/logout",
    "/api/oauth/token",
    "/api/oauth/par",
    "/api/oauth/device_authorization",
    "/api/oauth/introspect",
    "/api/oauth/revoke",
)
QUERIES = ("/login", "/agents", "/audit", "/spaces", "/organization/users", "/device", "/api/oauth/authorize", "/api/oauth/logout", LIST)
BODIES: dict[str, dict[str, object]] = {
    "/api/oauth/register": {"redirect_uris": ["https://app.example/back"], "client_name": "App"},
    "/api/v1/admin/spaces": {"name": "Retail", "scope": "Private"},
    "/api/v1/admin/users": {"fullName": "Eve", "email": "eve@example.com", "group": "User"},
    "/api/v1/admin/agents": {"definition": definition()},
    "/api/v1/agent/{agent}/version/1/restore": {"content": "again"},
    "/api/v1/agent/{agent}/start": {"inputParameters": "{}"},
}
HEADERS = (
    "Authorization", "Cookie", "Accept", "Accept-Language", "Content-Type", "DPoP", "Origin", "Referer", "Range",
    "Sec-Fetch-Site", "User-Agent", "X-Forwarded-For", "X-Request-Id", "If-None-Match", "Access-Control-Request-Headers", "Latchpin-Dialog",
)  # fmt: skip
COOKIES = ("latchpin", "latchpin_flow", "latchpin_toast", "latchpin_device", "latchpin_draft", "latchpin_par", "theme")
NAMES = ("client_id", "redirect_uri", "state", "request_uri", "scope", "resource", "grant_type", "code", "token", "email", "password",
         "next", "name", "full_name", "group", "definition", "idempotency_key", "prompt", "max_age", "expires", "id_token_hint",
         "user_code", "page", "query", "sort", "client_secret", "client_assertion", "draft")  # fmt: skip

_text = st.text(max_size=12) | st.sampled_from(
    ["\x00", "\ud800", "\r\n", "9" * 30, "-1", "a@b.example", "https://a.example/[", "urn:x", "//"]
)
_odd = st.sampled_from([b"%", b"%00", b"%ff", b"%ED%A0%80", b"\r\n", b"\x00", b"\xff", b";", b"=&=", b"+", b"a=b=c", b"%0d%0aX: y"])
_encoded = st.lists(
    st.tuples(st.sampled_from(NAMES) | _text, _text).map(lambda pair: urlencode([pair], errors="surrogatepass").encode())
    | _odd
    | st.binary(max_size=8),
    max_size=5,
).map(b"&".join)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_line = st.binary(max_size=40).filter(lambda value: not {0, 10, 13} & set(value))
_chunk = st.sampled_from(
    [b"3\r\nabc\r\n", b"0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"3;x=y\r\nabc\r\n", b"ffffffffffffffffffff\r\n", b"3\r\nab"]
)


def fuzzed(**given_: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run the same examples each time, so that no change fails for what it did not bring about."""

    def wrap(test: Callable[..., None]) -> Callable[..., None]:
        chosen = settings(
            max_examples=15,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        wrapped: Callable[..., None] = chosen(given(**given_)(test))
        return wrapped

    return wrap


class Target:
    """A deployment with one of everything, and an administrator who is signed in."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.organization = Organization(server)
        self.key = self.organization.key().header
        self.ids = {"agent": self.organization.agent(), "user": self.organization.admin.id}
        self._session = SignedIn(server, self.organization.admin)

    @property
    def session(self) -> dict[str, str]:
        """The headers of a session that is not over: what is sent may end it."""
        if self._session.request("GET", "/account").status_code != 200:
            self._session = SignedIn(self.server, self.organization.admin)
        return self._session.headers

    def send(self, path: str, body: bytes, kind: str) -> httpx.Response:
        """Send a body as the administrator, in a session that is not over."""
        bearing = self.key if "/api/v1/agent/" in path else self.session
        address = path.format(**self.ids)
        return self.server.http.post(address, content=body, headers={**bearing, "Content-Type": kind, "Accept": "text/html"})

    def is_sound(self, response: httpx.Response | int) -> bool:
        """Whether an answer is no failure, and none was logged."""
        status = response if isinstance(response, int) else response.status_code
        return status < 500 and self.server.failure() == ""


@pytest.fixture(scope="module")
def server(kind: str, templates: databases.Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A deployment of this module's own: what is made up here includes global Spaces, which everybody would see."""
    data_dir = tmp_path_factory.mktemp(f"parsed-{kind}")
    with (
        templates.fresh(kind, data_dir) as url,
        served(url, data_dir, trusted_proxies=(ip_network("127.0.0.0/8"),), log_level="error") as running,
    ):
        yield running


@pytest.fixture(scope="module")
def target(server: Server) -> Target:
    """What is tried."""
    return Target(server)


@pytest.mark.parametrize("path", FORMS)
def test_any_form_is_read_or_refused(target: Target, path: str) -> None:
    """Pairs of any text, broken escapes and raw bytes, at every page and endpoint that takes a form."""

    @fuzzed(body=_encoded, kind=st.sampled_from([FORM, FORM + "; charset=utf-8", "text/plain", "", FORM.upper()]))
    def sends(body: bytes, kind: str) -> None:
        assert target.is_sound(target.send(path, body, kind))

    sends()


@pytest.mark.parametrize("path", QUERIES)
def test_any_query_is_read_or_refused(target: Target, path: str) -> None:
    """The same in an address, as far as a request line can hold it."""

    @fuzzed(query=_encoded)
    def asks(query: bytes) -> None:
        line = bytes(each for each in query if each > 32 and each != 127)
        head = b"\r\n".join(f"{name}: {value}".encode() for name, value in target.session.items())
        response = raw(target.server, b"GET %s?%s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s\r\n\r\n" % (path.encode(), line, head))
        assert target.is_sound(int(response.split(b" ", 2)[1]))

    asks()


@pytest.mark.parametrize("path", BODIES)
def test_any_json_is_read_or_refused(target: Target, path: str) -> None:
    """A sound body with one value of any kind in it, JSON of any shape, and no JSON at all."""
    sound = BODIES[path]
    spoiled = st.tuples(st.sampled_from(sorted(sound)) | _text, _json).map(lambda pair: json.dumps({**sound, pair[0]: pair[1]}).encode())

    @fuzzed(body=spoiled | _json.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30))
    def sends(body: bytes) -> None:
        assert target.is_sound(target.send(path, body, JSON))

    sends()


@pytest.mark.parametrize("way", ["page", "api"])
def test_any_yaml_is_read_or_refused(target: Target, way: str) -> None:
    """Trees of any shape, and names and values with every escape that YAML has, in a form and in JSON."""
    escape = st.builds("\\u{:04X}".format, st.integers(0, 0xFFFF)) | st.builds("\\U{:08X}".format, st.integers(0, 0xFFFFFFFF))
    half = st.builds("\\u{:04X}".format, st.integers(0xD800, 0xDFFF))
    quoted = st.lists(escape | half | st.sampled_from(["a", "\\0", "\\e", "\\n"]), min_size=1, max_size=3).map(
        lambda parts: f'"{"".join(parts)}"'
    )
    places = st.sampled_from(
        ["Book prices", "Prices of books.", "category\n", "fiction", "article.book", "title", "h3", "start_url", "name"]
    )
    slipped = st.tuples(places, quoted).map(lambda pair: definition().replace(pair[0], pair[1]))
    added = quoted.map(lambda name: f"{definition()}request: {{headers: {{{name}: a}}}}\n")
    tree = _json.filter(lambda value: "\ud800" not in repr(value)).map(lambda value: yaml.safe_dump(value, allow_unicode=True))

    @fuzzed(text=slipped | added | quoted | tree | st.text(max_size=40))
    def sends(text: str) -> None:
        if way == "page":
            sent = urlencode({"definition": text, "idempotency_key": "a" * 20}, errors="surrogatepass").encode()
            response = target.send("/agents/new", sent, FORM)
        else:
            response = target.send("/api/v1/admin/agents", json.dumps({"definition": text}).encode(), JSON)
        assert target.is_sound(response)

    sends()


@pytest.mark.parametrize("name", HEADERS)
def test_any_header_is_read_or_refused(target: Target, name: str) -> None:
    """Each header that anything of ours reads, at the API, at a page and at an endpoint."""
    start = st.sampled_from(
        [b"", b"Basic ", b"Bearer ", b"DPoP ", b"ApiKey sk-lp_", b"eyJhbGciOiJFUzI1NiJ9.e30.", b"bytes=", b"W/", b"text/html;q="]
    )

    @fuzzed(
        value=st.tuples(start, _line).map(b"".join),
        path=st.sampled_from([LIST, "/login", "/api/oauth/userinfo", "/api/oauth/authorize", "/"]),
    )
    def asks(value: bytes, path: str) -> None:
        status, _ = get(target.server, name.encode() + b": " + value, path=path)
        assert target.is_sound(status)

    asks()


@pytest.mark.parametrize("name", COOKIES)
def test_any_cookie_is_read_or_refused(target: Target, name: str) -> None:
    """Each cookie that we set, holding anything, and names that are none."""

    @fuzzed(value=_line, path=st.sampled_from(["/", "/login", "/agents?kept=1", "/session/callback?code=a&state=b", "/api/v1/agent/all"]))
    def asks(value: bytes, path: str) -> None:
        status, _ = get(target.server, b"Cookie: " + name.encode() + b"=" + value, path=path)
        assert target.is_sound(status)

    asks()


@pytest.mark.parametrize("path", ["/login", "/api/oauth/token", "/api/oauth/register", "/api/v1/agent/{agent}/version/1/restore"])
def test_any_chunks_are_read_or_refused(target: Target, path: str) -> None:
    """Chunks that are sound, unsound, too long or unfinished, with an end and without one."""
    head = [f"POST {path.format(**target.ids)} HTTP/1.1", "Host: test", "Connection: close", "Transfer-Encoding: chunked"]
    head += [f"Content-Type: {JSON if 'restore' in path or 'register' in path else FORM}", "Sec-Fetch-Site: same-origin"]
    head += [f"{name}: {value}" for name, value in target.key.items() if "/v1/" in path]

    @fuzzed(chunks=st.lists(_chunk | st.binary(max_size=6), max_size=3).map(b"".join))
    def sends(chunks: bytes) -> None:
        response = raw(target.server, "\r\n".join(head).encode() + b"\r\n\r\n" + chunks + b"\r\n!\r\n")
        assert target.is_sound(int(response.split(b" ", 2)[1]))

    sends()
