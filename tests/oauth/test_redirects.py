"""Which addresses an app may register, and which one matches: by rule, by property, and at the authorization endpoint."""

from __future__ import annotations

import itertools
import re
import string
from urllib.parse import quote

import httpx
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from latchpin.oauth import redirects
from tests.support.apps import Apps
from tests.support.people import Organization

AUTHORIZE = "/api/oauth/authorize"
REGISTERED = "https://partner.example/oauth/callback"
LOCAL = ["http://127.0.0.1/callback", "http://127.0.0.1:8400/callback", "http://[::1]/callback", "http://[::1]:1/callback?a=b"]
VARIANTS = [
    REGISTERED + "/extra",
    REGISTERED + "/",
    REGISTERED[:-1],
    REGISTERED + "?added=1",
    REGISTERED + "?",
    REGISTERED + "#fragment",
    REGISTERED + "#",
    REGISTERED + "/../callback",
    REGISTERED + "/.",
    REGISTERED + "%2F",
    REGISTERED + "\0",
    REGISTERED + " ",
    " " + REGISTERED,
    REGISTERED + "\n",
    "HTTPS://partner.example/oauth/callback",
    "https://PARTNER.example/oauth/callback",
    "https://partner.example/oauth/Callback",
    "https://partner.example/OAUTH/callback",
    "https://partner.example:443/oauth/callback",
    "https://partner.example:8443/oauth/callback",
    "https://partner.example./oauth/callback",
    "https://partner.example//oauth/callback",
    "https://partner.example/oauth//callback",
    "https://partner.example/x/../oauth/callback",
    "https://partner.example/oauth/./callback",
    "https://partner.example/oauth%2Fcallback",
    "https://partner.example/oauth/c%61llback",
    "https://partner.example/oauth/callback;x",
    "https://partner.example\\oauth\\callback",
    "https://user@partner.example/oauth/callback",
    "https://user:password@partner.example/oauth/callback",
    "https://partner.example@evil.example/oauth/callback",
    "https://partner.example.evil.example/oauth/callback",
    "https://evil.example/oauth/callback",
    "https://evilpartner.example/oauth/callback",
    "https://www.partner.example/oauth/callback",
    "https://pаrtner.example/oauth/callback",  # noqa: RUF001  the third letter is Cyrillic
    "http://partner.example/oauth/callback",
    "//partner.example/oauth/callback",
    "/oauth/callback",
    "javascript:alert(1)//https://partner.example/oauth/callback",
    "",
]
_PORT = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?(?=[/?]|\Z)")
urls = st.from_regex(r"https?://[a-z0-9.-]{1,12}(:[0-9]{1,4})?(/[A-Za-z0-9._~-]{0,6}){0,3}(\?[a-z]{1,3}=[a-z0-9]{0,3})?", fullmatch=True)
local_urls = st.from_regex(
    r"http://(127\.0\.0\.1|\[::1\]|localhost)(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~-]{0,6}){0,3}(\?[a-z]=[a-z])?", fullmatch=True
)
ports = st.integers(1, 65535)


@pytest.mark.parametrize("sent", VARIANTS)
def test_every_variant_of_a_registered_address_is_another_address(sent: str) -> None:
    """Extra path, case, trailing slash, added query, userinfo, dots, encoded (security.md 3)."""
    assert not redirects.matches(sent, REGISTERED, any_port=True)
    assert not redirects.matches(sent, REGISTERED, any_port=False)


@given(st.one_of(urls, local_urls))
def test_the_very_bytes_always_match(uri: str) -> None:
    """Whatever was registered."""
    assert redirects.matches(uri, uri, any_port=False)


@given(urls, st.data())
def test_one_changed_byte_never_matches(uri: str, data: st.DataObject) -> None:
    """Put in, taken out or replaced, anywhere, but for ports of the loopback address (security.md 3)."""
    at = data.draw(st.integers(0, len(uri)))
    put = data.draw(st.sampled_from(["", *string.printable, "%2e", "..", "é", "\0"]))
    sent = uri[:at] + put + uri[at + data.draw(st.integers(0, 1)) :]
    assume(sent != uri and not (_PORT.match(uri) and _PORT.match(sent)))

    assert not redirects.matches(sent, uri, any_port=True)


@given(st.one_of(st.text(max_size=40), urls, local_urls), st.one_of(urls, local_urls), st.booleans())
@example("http://127.0.0.1:/callback", "http://127.0.0.1/callback", True)
@example("http://127.0.0.1:80@evil.example/callback", "http://127.0.0.1/callback", True)
@example("http://user@127.0.0.1:80/callback", "http://127.0.0.1/callback", True)
@example("http://LOCALHOST:80/callback", "http://localhost/callback", True)
@example("http://127.0.0.1:99999/callback", "http://127.0.0.1/callback", True)
@example("http://127.0.0.1:٣/callback", "http://127.0.0.1/callback", True)
@example("https://127.0.0.1:1/callback", "https://127.0.0.1:2/callback", True)
@example("http://127.0.0.2:1/callback", "http://127.0.0.2/callback", True)
@example("http://localhost:1/callback", "http://127.0.0.1/callback", True)
def test_what_matches_differs_in_a_loopback_port_at_most(sent: str, registered: str, any_port: bool) -> None:
    """Compared with a second, plainer reading of the rule (security.md 3, 4)."""
    if redirects.matches(sent, registered, any_port=any_port) and sent != registered:
        one, other = _PORT.match(sent), _PORT.match(registered)
        assert one is not None
        assert other is not None
        assert one.group(1) == other.group(1)
        assert sent[one.end() :] == registered[other.end() :]
        assert any_port or one.group(1) != "localhost"


@given(st.sampled_from(LOCAL), ports, st.booleans())
def test_any_port_of_a_loopback_address_matches(registered: str, port: int, any_port: bool) -> None:
    """Whether one was registered or another (security.md 4)."""
    host = registered.removeprefix("http://").partition("/")[0]
    bare = "[::1]" if host.startswith("[") else "127.0.0.1"
    rest = registered.removeprefix(f"http://{host}")

    assert redirects.matches(f"http://{bare}:{port}{rest}", registered, any_port=any_port)
    assert redirects.matches(f"http://{bare}{rest}", registered, any_port=any_port)


@given(local_urls, ports)
def test_the_path_of_a_loopback_address_must_match_all_the_same(registered: str, port: int) -> None:
    """Only the port is free (security.md 4)."""
    bare = registered.partition("?")[0]
    with_port = _PORT.sub(lambda match: f"http://{match.group(1)}:{port}", bare)

    for added in ("/x", "%20", "?y", "/..", "/"):
        assert not redirects.matches(with_port + added, bare, any_port=True)


@given(ports)
def test_localhost_has_any_port_for_those_who_may(port: int) -> None:
    """Native apps and those known by a document; for a web app it is a name like any other (security.md 5)."""
    sent, registered = f"http://localhost:{port}/callback", "http://localhost/callback"

    assert redirects.matches(sent, registered, any_port=True)
    assert not redirects.matches(sent, registered, any_port=False)
    assert not redirects.matches(sent, "http://127.0.0.1/callback", any_port=True)


@pytest.mark.parametrize(
    "uri",
    [
        "http://partner.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.2/callback",
        "http://10.0.0.1/callback",
        "http://[::2]/callback",
        "https://partner.example/callback#fragment",
        "https://partner.example/callback#",
        "https://*.partner.example/callback",
        "https://partner.example/*",
        "https://user@partner.example/callback",
        "https:///callback",
        "https:partner.example/callback",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "blob:https://partner.example/x",
        "ftp://partner.example/callback",
        "ws://partner.example/callback",
        "myapp:/callback",
        "/callback",
        "callback",
        "",
        "https://partner.example/call back",
        "https://partner.example/call\nback",
        "https://partner.example/callbäck",
        "https://partner.example/" + "a" * 2000,
    ],
)
def test_what_may_not_be_registered(uri: str) -> None:
    """By no kind of app (security.md 6)."""
    assert redirects.problem(uri, "web", public=False) is not None
    assert redirects.problem(uri, "native", public=False) is not None
    if not uri.startswith("myapp:"):
        assert redirects.problem(uri, "native", public=True) is not None


def test_a_scheme_without_a_dot_is_for_public_native_apps_and_never_a_systems_own() -> None:
    """What Cursor and its like register; not what opens browsers, mail, shares or a system's settings (security.md 6)."""
    own = ["cursor://anysphere.cursor-mcp/oauth/callback", "vscode://vendor.extension/callback", "vscode-insiders://vendor.extension/x"]
    others = ["ms-msdt:/id", "search-ms:query=x", "chrome-extension://abc/x", "mailto:a@b.example", "smb://h/s", "intent://x/y", "tel:1"]

    for uri in own:
        assert redirects.problem(uri, "native", public=True) is None, uri
        assert redirects.problem(uri, "native", public=False) is not None, uri
        assert redirects.problem(uri, "web", public=True) is not None, uri
        assert redirects.is_local(uri), uri
        assert redirects.host_of(uri) == f"{uri.partition(':')[0]}:", uri  # what looks like a host there is none
    for uri in [*others, *(each.upper() for each in others), "cursor:", "cursor:/", "cursor://"]:
        assert redirects.problem(uri, "native", public=True) is not None, uri


@given(st.one_of(st.text(max_size=60), urls, local_urls, st.from_regex(r"[a-zA-Z.+-]{1,12}:/{0,3}[a-z.]{0,9}[^a-z]?", fullmatch=True)))
def test_what_may_be_registered_is_https_local_or_an_apps_own(uri: str) -> None:
    """Whatever is tried (security.md 6)."""
    for kind_of_app, public in itertools.product(("web", "native"), (True, False)):
        if redirects.problem(uri, kind_of_app, public=public) is None:
            form = r"[A-Za-z][A-Za-z0-9+.-]*:" if public else r"[A-Za-z][A-Za-z0-9+-]*\.[A-Za-z0-9+.-]*:"
            own_scheme = kind_of_app == "native" and re.match(form, uri)
            assert uri.startswith("https://") or re.match(r"(?i)https://", uri) or _PORT.match(uri.lower()) or own_scheme
            assert not set(uri) & set('#*<> "\\')


@pytest.mark.parametrize("sent", VARIANTS[:-1])
def test_the_authorization_endpoint_sends_nobody_to_a_variant(organization: Organization, sent: str) -> None:
    """It answers for itself, with 400 (security.md 3, 7)."""
    response = authorize(Apps(organization), sent)

    assert response.status_code == 400
    assert "location" not in response.headers


def test_the_authorization_endpoint_takes_the_registered_address(organization: Organization) -> None:
    """Else the test above would prove nothing."""
    assert authorize(Apps(organization), REGISTERED).status_code == 303


def test_the_authorization_endpoint_takes_any_port_of_a_local_program(organization: Organization) -> None:
    """But no other path (security.md 4, 5)."""
    apps = Apps(organization)
    registered = ("http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback")
    sound = (
        "http://127.0.0.1:50123/callback",
        "http://[::1]:50123/callback",
        "http://localhost:50123/callback",
        "http://localhost/callback",
    )

    for sent in sound:
        assert authorize(apps, sent, *registered).status_code == 303
        assert authorize(apps, sent + "/more", *registered).status_code == 400


def authorize(apps: Apps, sent: str, *registered: str) -> httpx.Response:
    """Begin an authorization of a fresh app; who is let on is sent to sign in."""
    app = apps.register(redirect_uris=registered or (REGISTERED,), application_type="native" if registered else "web")
    query = f"response_type=code&client_id={app.client_id}&code_challenge={'c' * 43}&code_challenge_method=S256&redirect_uri={quote(sent)}"
    return apps.server.http.get(f"{AUTHORIZE}?{query}")
