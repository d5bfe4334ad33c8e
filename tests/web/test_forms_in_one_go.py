"""Forms tell all that is wrong with them at once, and ask for the password again only where nothing is."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from latchpin.kit.clock import Frozen
from tests.support.apps import Apps
from tests.support.people import PASSWORD, Organization, Person
from tests.web.browser import Browser

_IDEMPOTENCY_KEY = "f" * 24
_KEY = "sk-lp_" + "A" * 49


@pytest.fixture
def person(organization: Organization) -> Person:
    """Whom the forms are about."""
    return organization.user("Grace Hopper")


def _mistaken(organization: Organization, person: Person) -> dict[str, tuple[dict[str, str], set[str]]]:
    """Forms by their addresses: entries in which several things are wrong, and the fields that are to be marked."""
    user = f"/organization/users/{person.id}"
    key, space = organization.key(person), organization.space("Retail")
    app = Apps(organization).register(name="Price dashboard")
    return {
        "/organization/users/new": (
            {"full_name": " ", "email": "grace", "group": "Owner", "password": "x"},
            {"full_name", "email", "group", "password"},
        ),
        f"{user}/edit": ({"full_name": "", "email": organization.admin.email, "group": ""}, {"full_name", "email", "group"}),
        f"{user}/api-keys/new": (
            {
                "idempotency_key": _IDEMPOTENCY_KEY,
                "expires_in": "custom",
                "expires_on": "tomorrow",
                "description": _KEY,
                "networks": "everywhere",
                "rate_limit": "ten",
            },
            {"expires_on", "description", "access", "networks", "rate_limit"},
        ),
        f"{user}/api-keys/{key.id}/expiry": ({"expires_on": "2001-01-01"}, {"expires_on"}),
        f"{user}/api-keys/{key.id}/revoke": ({"reason": _KEY}, {"reason"}),
        "/organization/policy": ({"default_days": "ten", "max_days": "0"}, {"default_days", "max_days"}),
        "/organization/apps/new": (
            {
                "kind": "confidential",
                "idempotency_key": _IDEMPOTENCY_KEY,
                "name": "",
                "redirect_uris": "nowhere",
                "client_uri": "ftp://x",
                "jwks_uri": "",
            },
            {"name", "redirect_uris", "client_uri"},
        ),
        f"/organization/apps/{app.pk}/edit": ({"name": "", "redirect_uris": ""}, {"name", "redirect_uris"}),
        "/organization/resources/new": ({"name": "", "identifier": "ftp://x"}, {"name", "identifier"}),
        "/spaces/new": ({"name": "", "description": _KEY, "scope": "secret"}, {"name", "description", "scope"}),
        f"/spaces/{space}/edit": ({"name": "", "scope": ""}, {"name", "scope"}),
        f"/spaces/{space}/members/new": ({"user": "", "role": "owner"}, {"user", "role"}),
        "/agents/new": ({"space": "nowhere", "definition": "version: 2\n", "comment": _KEY}, {"space", "definition", "comment"}),
        "/account/password": ({"current_password": "", "new_password": "x"}, {"current_password", "new_password"}),
    }


def _marked(page: str) -> set[str]:
    marked_fields = set(re.findall(r'<p class="field-error" id="([\w-]+)-error"', page))
    return marked_fields | ({"definition"} if "data-invalid" in page else set())


def test_forms_tell_all_their_mistakes_at_once(organization: Organization, administrator: Browser, person: Person, clock: Frozen) -> None:
    """Also long after the password was given: nobody types it for a form that is then refused."""
    mistaken = _mistaken(organization, person)
    clock.advance(timedelta(minutes=11))
    for path, (form, fields) in mistaken.items():
        response = administrator.send(path, **form)

        assert response.status_code == 422, path
        assert _marked(response.text) == fields, path
        problems = len(fields) if path != "/agents/new" else 2  # those of the definition have a list of their own
        heading = "There's a problem" if problems == 1 else f"There are {problems} problems"
        assert heading in html.unescape(response.text), path


def test_a_sound_form_asks_for_the_password_and_changes_nothing_before(
    organization: Organization, administrator: Browser, person: Person, clock: Frozen
) -> None:
    """What was checked is undone while the password is asked for, and done with it."""
    address = f"/organization/users/{person.id}"
    sound = {
        "/organization/users/new": {
            "full_name": "New Person",
            "email": f"new.{organization.number}@example.com",
            "group": "User",
            "password": "violet anchor nine",
        },
        f"{address}/api-keys/new": {"idempotency_key": _IDEMPOTENCY_KEY, "expires_in": "30", "access": "full", "description": "Made once"},
        "/organization/apps/new": {
            "kind": "confidential",
            "idempotency_key": _IDEMPOTENCY_KEY,
            "name": "Price dashboard",
            "redirect_uris": "https://app.example.com/callback",
        },
        f"{address}/disable": {"from": "profile"},
    }
    lists = ("/organization/users", f"{address}/api-keys", "/organization/apps", "/audit")
    for path, form in sound.items():
        clock.advance(timedelta(minutes=11))
        before = [_rows(administrator.open(each).text) for each in lists]

        prompt = administrator.send(path, **form)
        unchanged = [_rows(administrator.open(each).text) for each in lists]
        done = administrator.send(path, **form, confirm_password=PASSWORD)

        assert prompt.status_code == 403, path
        assert "Confirm your identity" in prompt.text, path
        assert unchanged == before, path
        assert done.status_code in (200, 303), path
        assert [_rows(administrator.open(each).text) for each in lists] != before, path


def _rows(page: str) -> list[str]:
    return re.findall(r'<tr role="row">.*?</tr>', page, re.DOTALL)


def test_what_the_state_forbids_is_told_before_the_password_is_asked_for(
    organization: Organization, administrator: Browser, clock: Frozen
) -> None:
    """The last administrator can be neither disabled nor deleted, with or without a password."""
    clock.advance(timedelta(minutes=11))
    for change in ("disable", "delete"):
        response = administrator.send(f"/organization/users/{organization.admin.id}/{change}")

        assert response.status_code == 422, change
        assert "Confirm your identity" not in response.text, change
