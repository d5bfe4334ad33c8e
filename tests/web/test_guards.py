"""What protects the pages: who may open them, who may send their forms, and the headers they carry."""

from __future__ import annotations

import pytest

from latchpin.audit import events
from latchpin.web import audit_messages
from tests.support.people import Organization
from tests.web.browser import Browser

ADMINISTRATION = (
    "/organization/users",
    "/organization/users/new",
    "/organization/users/1",
    "/organization/users/1/edit",
    "/organization/users/1/api-keys",
    "/organization/users/1/api-keys/new",
    "/organization/users/1/access",
    "/organization/users/1/apps/1/withdraw",
    "/organization/apps",
    "/organization/apps/new",
    "/organization/apps/1",
    "/organization/apps/1/edit",
    "/organization/apps/1/rotate",
    "/organization/apps/1/revoke",
    "/organization/apps/1/approve",
    "/organization/apps/1/block",
    "/organization/resources",
    "/organization/resources/new",
    "/organization/resources/1",
    "/organization/policy",
    "/audit",
    "/audit/1",
    "/spaces/new",
)
PAGES = ("/", "/agents", "/agents/new", "/spaces", "/account", *ADMINISTRATION)


@pytest.mark.parametrize("path", ADMINISTRATION)
def test_administration_is_not_there_for_an_ordinary_user(user: Browser, path: str) -> None:
    """The page does not exist for an ordinary user, whether it is opened or sent to."""
    opened = user.open(path)
    sent = user.send(path)

    assert opened.status_code == 404
    assert sent.status_code in (404, 405)
    assert "Page not found" in opened.text


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_menu_shows_an_ordinary_user_no_administration(user: Browser) -> None:
    """No link of the menu leads where an ordinary user may not go."""
    page = user.open("/").text

    assert "/organization/" not in page
    assert "/audit" not in page


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=["nothing", "cross-site", "same-site", "none", "other-origin", "null-origin"],
)
def test_a_form_of_another_site_changes_nothing(organization: Organization, administrator: Browser, headers: dict[str, str]) -> None:
    """A change that our own pages did not ask for is refused, with a page that says so."""
    person = organization.user()

    response = administrator.send(f"/organization/users/{person.id}/disable", headers=headers)

    assert response.status_code == 403
    assert "nothing was changed" in response.text
    assert "Disabled" not in administrator.open(f"/organization/users/{person.id}").text


def test_our_own_origin_is_enough_where_browsers_send_no_fetch_headers(administrator: Browser) -> None:
    """On plain HTTP off loopback browsers send only Origin; our own is accepted."""
    response = administrator.send("/logout", headers={"Origin": administrator.server.url})

    assert response.status_code == 303


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/agents/99999999999", "/login"])
def test_every_page_carries_the_security_headers(administrator: Browser, path: str) -> None:
    """A page loads nothing from elsewhere, is framed by nobody, and is kept by nobody."""
    headers = administrator.open(path).headers

    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_static_files_are_kept_for_a_year_under_a_name_of_their_content(administrator: Browser) -> None:
    """The stylesheet's address changes with its content, so browsers may keep it; an old name is not there."""
    page = administrator.open("/").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]

    response = administrator.open(address)

    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert administrator.open("/static/app.000000000000.css").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/organization/users?sort=password_hash&order=sideways&page=-1",
        "/organization/users?page=999999999999",
        "/organization/users?q=%1b%C2%85",
        "/organization/apps?sort=secret&status=odd&page=-1",
        "/organization/apps/new?kind=odd",
        "/agents?space=999999999999&status=odd&sort=odd",
        "/spaces?page=1000000",
        "/audit?actor=x&since=never&until=2026-13-45&target=%25",
        "/audit?since=0001-01-01&until=9999-12-31",
        "/audit?cursor=YzE6OTk5OTk5OTk5OTk5OTk5OTk5",
        "/login?next=/%E6%97%A5",
        "/account?tab=%F0%9F%94%91",
    ],
)
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_nonsense_in_an_address_shows_a_page_all_the_same(administrator: Browser, path: str) -> None:
    """A filter, sort or page that makes no sense falls back; it never fails."""
    assert administrator.open(path, follow_redirects=True).status_code == 200


def test_a_cursor_of_somebody_else_is_refused_plainly(administrator: Browser) -> None:
    """A cursor that we did not give out is a bad request, with a page of ours."""
    response = administrator.open("/audit?cursor=nonsense")

    assert response.status_code == 400
    assert "<h1>" in response.text


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"email": "x"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % number for number in range(2000))),
        ("application/x-www-form-urlencoded", b"\xff\xfe=1"),
    ],
    ids=["json", "multipart", "2000-fields", "not-utf-8"],
)
def test_a_form_that_cannot_be_read_is_refused(administrator: Browser, content_type: str, body: bytes) -> None:
    """What no page of ours sends is a bad request and changes nothing."""
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": content_type}

    response = administrator.http.post("/organization/users/new", content=body, headers=headers)

    assert response.status_code == 400


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_fields_that_a_form_does_not_have_are_ignored(organization: Organization, administrator: Browser) -> None:
    """An organization, a status or a password cannot be slipped in beside a name."""
    person = organization.user()
    form = {"full_name": "New Name", "email": person.email, "group": "User"}

    administrator.send(f"/organization/users/{person.id}/edit", **form, organization_id="1", status="disabled", password="x")
    page = administrator.open(f"/organization/users/{person.id}").text

    assert "New Name" in page
    assert "Disabled" not in page


def test_every_audit_event_has_words() -> None:
    """No event of the trail is shown by its bare name."""
    actions = {event.action for event in events.ALL}

    assert actions <= {name for name, each in audit_messages.MESSAGES.items() if isinstance(each, audit_messages.Message)}
