"""Users in the Control Center: made, changed, disabled, deleted, and given a new password."""

from __future__ import annotations

import pytest

from latchpin.identity.roles import Group
from tests.support.people import PASSWORD, Organization
from tests.web.browser import Browser, value_of
from tests.web.conftest import Browse

USERS = "/organization/users"


def test_a_new_user_signs_in_with_the_temporary_password(organization: Organization, administrator: Browser, browse: Browse) -> None:
    """The password that the form offers opens the account once, and leads to choosing another."""
    password = administrator.field(f"{USERS}/new", "password")
    email = f"new.{organization.number}@example.com"

    response = administrator.send(f"{USERS}/new", full_name="New Person", email=email, group="User", password=password)
    began = browse(organization.server).send("/login", email=email, password=password)

    assert response.headers["location"] == USERS
    assert began.headers["location"].startswith("/password")
    assert "New Person" in administrator.open(USERS).text


@pytest.mark.parametrize(
    ("field", "entries"),
    [
        ("email", {"email": "not an address"}),
        ("full_name", {"full_name": "   "}),
        ("group", {"group": "Owner"}),
        ("password", {"password": "password"}),
    ],
)
def test_a_refused_user_is_marked_and_kept(organization: Organization, administrator: Browser, field: str, entries: dict[str, str]) -> None:
    """The form comes back with the field marked and the rest as it was typed; nobody is made."""
    typed = {
        "full_name": "Kept Name",
        "email": f"kept.{organization.number}@example.com",
        "group": "User",
        "password": "violet anchor nine",
        **entries,
    }

    response = administrator.send(f"{USERS}/new", **typed)

    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text
    assert value_of(response.text, "email") == typed["email"]
    assert "Kept Name" not in administrator.open(USERS).text


def test_an_address_that_another_organization_uses_is_refused(
    organization: Organization, administrator: Browser, other: Organization
) -> None:
    """An e-mail address is one person's in the whole deployment, whatever its case."""
    taken = other.admin.email.upper()

    response = administrator.send(f"{USERS}/new", full_name="X", email=taken, group="User", password="violet anchor nine")

    assert response.status_code == 422
    assert 'id="email-error"' in response.text


def test_disabling_ends_sessions_and_keys_and_enabling_does_not_revive_keys(
    organization: Organization, administrator: Browser, browse: Browse
) -> None:
    """A disabled user is out at once, everywhere; enabled again, the revoked key stays dead."""
    person = organization.user()
    key = organization.key(person)
    theirs = browse(organization.server)
    theirs.sign_in(person)

    administrator.send(f"{USERS}/{person.id}/disable")
    out = theirs.open("/")
    administrator.send(f"{USERS}/{person.id}/enable")
    used = organization.server.http.get("/api/v1/agent/all", headers=key.header)

    assert out.status_code == 303
    assert used.status_code == 401
    assert theirs.sign_in(person).status_code == 303
    assert theirs.open("/").status_code == 200


@pytest.mark.parametrize("change", ["disable", "delete", "demote"])
def test_the_last_administrator_stays(organization: Organization, administrator: Browser, change: str) -> None:
    """The page says why and nothing changes."""
    me = organization.admin
    form = {"full_name": me.full_name, "email": me.email, "group": "User"} if change == "demote" else {}
    path = f"{USERS}/{me.id}/edit" if change == "demote" else f"{USERS}/{me.id}/{change}"

    response = administrator.send(path, **form)

    assert response.status_code == 422
    assert "administrator" in response.text
    assert administrator.open(USERS).status_code == 200


def test_a_reset_password_is_shown_once_and_ends_sessions(organization: Organization, administrator: Browser, browse: Browse) -> None:
    """The new password opens the account; the old one and the old sessions do not; no later page shows it."""
    person = organization.user()
    theirs = browse(organization.server)
    theirs.sign_in(person)

    page = administrator.send(f"{USERS}/{person.id}/reset-password")
    password = page.text.split('id="the-key"')[1].split(">")[1].split("<")[0]

    assert page.headers["cache-control"] == "no-store"
    assert theirs.open("/").status_code == 303
    assert theirs.sign_in(person, PASSWORD).status_code == 422
    assert theirs.sign_in(person, password).headers["location"].startswith("/password")
    assert password not in administrator.open(f"{USERS}/{person.id}").text


def test_a_second_administrator_can_be_made_and_sees_administration(
    organization: Organization, administrator: Browser, browse: Browse
) -> None:
    """A promoted user finds the pages that did not exist for them before."""
    person = organization.user()
    theirs = browse(organization.server)
    theirs.sign_in(person)
    before = theirs.open(USERS).status_code

    administrator.send(f"{USERS}/{person.id}/edit", full_name=person.full_name, email=person.email, group=Group.ADMINISTRATOR.value)

    assert before == 404
    assert theirs.open(USERS).status_code == 200


def test_searching_and_sorting_are_in_the_address(organization: Organization, administrator: Browser) -> None:
    """A search finds by name and e-mail, and says so when nothing matches."""
    organization.user("Zelda Zimmer")

    search_page = administrator.open(f"{USERS}?q=zelda").text
    none = administrator.open(f"{USERS}?q=nobody-like-this").text

    assert "Zelda Zimmer" in search_page
    assert organization.admin.email not in search_page.split('id="results"')[1]
    assert "No users match" in none


def test_a_persons_name_opens_their_page(organization: Organization, administrator: Browser) -> None:
    """It says what acts for them, where they belong and what they did; from there the questions lead back to it."""
    person = organization.user("Grace Hopper")
    organization.key(person, description="Nightly export")
    space = organization.space("Retail prices")
    administrator.send(f"/spaces/{space}/members/new", user=str(person.id), role="editor")
    here = f"{USERS}/{person.id}"

    list_page, page = administrator.open(USERS).text, administrator.open(here).text
    confirm_page = administrator.open(f"{here}/disable?from=profile").text
    disabled = administrator.send(f"{here}/disable", **{"from": value_of(confirm_page, "from")})

    assert f'href="{here}"' in list_page
    for text in (
        "Nightly export",
        "Retail prices",
        "Editor",
        person.email,
        f"{here}/edit",
        f"{here}/api-keys",
        f"/audit?actor={person.id}",
    ):
        assert text in page, text
    assert disabled.headers["location"] == here
    assert administrator.send(f"{here}/enable", **{"from": ""}).headers["location"] == USERS
