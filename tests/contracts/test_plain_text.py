"""One rule for all text (kit/plain_text.py) at every surface where people type some, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.apps import Apps
from tests.support.people import PASSWORD, Organization, definition
from tests.support.signed_in import fields, problem
from tests.web.browser import Browser

pytestmark = pytest.mark.both_databases("PostgreSQL and SQLite take different characters in texts")

HIDDEN = ("a\u200bb", "a\ufeffb", "a\u00adb", "a\u200eb", "a\u2060b", "a\u3164b")
BLANK = ("\u3164", "\u2800", "\u2060", "\u200b \u00ad")
# As it is kept, and ways to type it that must find it.
FOUND = {"Åsa Öberg": ("åsa", "ÅSA ÖBERG", "A\u030asa", "öB"), "Иван Петров": ("ИВАН", "петров")}


@pytest.fixture
def administrator(organization: Organization) -> Iterator[Browser]:
    """An administrator's browser, signed in."""
    browser = Browser(organization.server)
    browser.sign_in(organization.admin)
    yield browser
    browser.http.close()


def places(browser: Browser) -> dict[str, tuple[str, str, dict[str, Any], str]]:
    """Return every route that makes something with a name: method, address, a sound body, and the member that is text."""
    me = browser.http.get("/api/v1/admin/users").json()["users"][0]["id"]
    app = {"name": "App", "redirectUris": ["https://app.example/cb"], "grantTypes": ["authorization_code"]}
    return {
        "user": ("POST", "/api/v1/admin/users", {"fullName": "Grace", "email": "grace@example.org"}, "fullName"),
        "e-mail": ("POST", "/api/v1/admin/users", {"fullName": "Grace", "email": "grace@example.org"}, "email"),
        "Space": ("POST", "/api/v1/admin/spaces", {"name": "Retail"}, "name"),
        "Space's description": ("POST", "/api/v1/admin/spaces", {"name": "Retail", "description": "Shops"}, "description"),
        "app": ("POST", "/api/v1/admin/apps", app, "name"),
        "resource": ("POST", "/api/v1/admin/resources", {"name": "Data", "identifier": "https://data.example"}, "name"),
        "key": ("POST", f"/api/v1/admin/users/{me}/keys", {"description": "Nightly"}, "description"),
    }


def send(browser: Browser, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
    """Send a change as our own pages do."""
    return browser.http.request(method, path, json=body, headers={"Sec-Fetch-Site": "same-origin"})


def test_what_nobody_sees_is_refused_in_every_name(administrator: Browser) -> None:
    """Each refusal names the field; nothing is made."""
    for place, (method, path, body, member) in places(administrator).items():
        at = "@example.org" if member == "email" else ""
        for text in HIDDEN:
            response = send(administrator, method, path, body | {member: text + at})
            assert "invisible character" in fields(response, 422)[member], (place, ascii(text))
        if member == "description":
            continue  # may be left out
        for text in BLANK:
            response = send(administrator, method, path, body | {member: text + at})
            assert member in fields(response, 422), (place, ascii(text))


def test_an_app_without_a_name_to_be_seen_is_called_after_its_host(organization: Organization) -> None:
    """No consent page has an empty heading, and no app hides a sign in its name (RFC 7591 section 2)."""
    app = {"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none"}
    for text in BLANK:
        response = organization.server.http.post("/api/oauth/register", json=app | {"client_name": text})
        assert response.json()["client_name"] == "App at app.example", ascii(text)
    for text in HIDDEN:
        refused = organization.server.http.post("/api/oauth/register", json=app | {"client_name": text})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata"), ascii(text)


def test_an_address_that_differs_in_what_nobody_sees_makes_no_second_user(organization: Organization, administrator: Browser) -> None:
    """Around it such signs are dropped, within it they are refused."""
    email = organization.user("Eve").email
    for twin in (f"\ufeff{email}", f"{email}\u200b", email.upper()):
        response = send(administrator, "POST", "/api/v1/admin/users", {"fullName": "Eve", "email": twin})
        assert fields(response, 422) == {"email": "Another user has this e-mail address."}, ascii(twin)


def test_people_with_any_address_sign_in(organization: Organization, administrator: Browser) -> None:
    """Their own letters, composed or in parts, an internationalized domain in either writing; no browser's check stands in the way."""
    user = {"email": f"jürgen.groß{organization.number}@münchen.example", "fullName": "Jürgen Groß"}
    password = send(administrator, "POST", "/api/v1/admin/users", user).json()["temporaryPassword"]
    page = organization.server.http.get("/login").text
    field = re.search(r"<input[^>]*name=\"email\"[^>]*>", page)
    assert field is not None
    assert 'type="text"' in field[0]
    assert 'inputmode="email"' in field[0]
    for typed in (
        user["email"],
        f" JU\u0308RGEN.GROß{organization.number}@xn--mnchen-3ya.example\u200b",
    ):
        with organization.server.client() as http:
            entries = {"email": typed, "password": f"{password}\n"}
            response = http.post("/login", data=entries, headers={"Sec-Fetch-Site": "same-origin"})
            assert (response.status_code, response.headers["location"]) == (303, "/password?next=/"), ascii(typed)


def test_a_password_is_set_on_one_keyboard_and_typed_on_another(organization: Organization) -> None:
    """Composed where it is set, in parts where it is typed, and asked for again."""
    person = organization.user(temporary=True)
    browser = Browser(organization.server)
    browser.sign_in(person)
    browser.send("/password", current_password=PASSWORD, new_password="Sch\u00f6ne \u00c5sa sieben", next="/")

    again = Browser(organization.server)
    assert again.sign_in(person, "Scho\u0308ne A\u030asa sieben").status_code == 303
    assert again.open("/agents").status_code == 200
    for each in (browser, again):
        each.http.close()


def test_every_list_is_searched_in_any_case_and_with_accents_as_they_are(organization: Organization, administrator: Browser) -> None:
    """SQLite and PostgreSQL find the same, whatever the keyboard made of the letters."""
    key, apps = organization.key(), Apps(organization)
    for name in FOUND:
        organization.agent(name)
        organization.space(f"{name} Space")
        organization.user(name)
        apps.register(name=name)
    organization.server.flush()
    for name, terms in FOUND.items():
        for term in terms:
            for path in ("/agents?q=", "/spaces?q=", "/organization/users?q=", "/organization/apps?q="):
                results = administrator.open(path + quote(term)).text.partition("<tbody")[2]
                assert name in results, (path, ascii(term))
                assert not any(other in results for other in FOUND if other != name), (path, ascii(term))
            audited = administrator.open(f"/api/v1/admin/audit?action=space.&search={quote(term)}").json()["events"]
            assert len(audited) == 1, ascii(term)
            for response in (organization.get("/agent/search", key, query=term), organization.get("/agent/all", key, name=term)):
                assert [agent["name"] for agent in response.json()] == [name], ascii(term)
            assert organization.get("/spaces/search", key, name=term).json()["name"] == f"{name} Space", ascii(term)
    assert organization.get("/spaces/search", key, name="åsa öberg SPACE").json()["name"] == "Åsa Öberg Space"
    assert organization.get("/agent/search", key, query="asa oberg").json() == []
    problem(organization.get("/spaces/search", key, name="asa oberg"), 404, "space-not-found")


def test_a_definition_is_the_same_however_its_lines_end_and_its_letters_are_made(organization: Organization) -> None:
    """CRLF, a byte order mark, or a name in parts add no version; a selector counts letter by letter, and a comment counts."""
    key = organization.key()
    agent = organization.agent("Åsa's prices")
    text = definition("Åsa's prices")

    def version(changed: str) -> int:
        path, body = f"/api/v1/admin/agents/{agent}/definition", {"definition": changed}
        response = organization.server.http.put(path, headers=key.header, json=body)
        assert response.status_code == 200, response.text
        return int(response.json()["version"])

    for same in (text.replace("\n", "\r\n"), "\ufeff" + text, text.replace("\n", "\r"), text.replace("Å", "A\u030a")):
        assert version(same) == 1, ascii(same)
    assert organization.get(f"/agent/{agent}", key).json()["name"] == "Åsa's prices"
    assert version(text + "# why\r\n") == 2
    selector = text.replace("selector: h3", "selector: .pre\u00e7o")
    assert version(selector) == 3
    assert version(selector.replace("\u00e7", "c\u0327")) == 4


def test_an_invisible_sign_in_an_agents_name_is_a_problem_of_its_line(organization: Organization) -> None:
    """With line and field, like every other."""
    response = organization.server.http.post(
        "/api/v1/admin/agents", headers=organization.key().header, json={"definition": definition("Book\u200bprices")}
    )

    assert "must not hold an invisible character (U+200B)" in fields(response, 422)["name"]
