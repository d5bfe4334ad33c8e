"""API keys in the Control Center: issued once, shown once, revoked at once, and only by administrators with a recent password."""

from __future__ import annotations

from datetime import timedelta

import pytest

from latchpin.kit.clock import Frozen
from latchpin.web.pages import api_keys
from tests.support.people import PASSWORD, Organization, Person
from tests.web.browser import Browser, key_in, value_of


@pytest.fixture
def person(organization: Organization) -> Person:
    """The user whom keys are made for."""
    return organization.user()


def _keys(person: Person) -> str:
    return f"/organization/users/{person.id}/api-keys"


def _entries(administrator: Browser, person: Person, **changes: str) -> dict[str, str]:
    idempotency_key = administrator.field(f"{_keys(person)}/new", "idempotency_key")
    return {"idempotency_key": idempotency_key, "expires_in": "365", "access": "read-only", "description": "Nightly export", **changes}


def test_a_key_is_shown_once_and_works(organization: Organization, administrator: Browser, person: Person) -> None:
    """The answer to the form holds the key, is not stored by browsers, and no later page holds it."""
    page = administrator.send(f"{_keys(person)}/new", **_entries(administrator, person))
    key = key_in(page.text)
    used = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"ApiKey {key}"})
    later = administrator.open(_keys(person))

    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert used.status_code == 200
    assert "Nightly export" in later.text
    assert key not in later.text


def test_sending_the_form_again_makes_no_second_key(administrator: Browser, person: Person) -> None:
    """The same form sent twice leads to the list, which holds one key."""
    form = _entries(administrator, person)
    administrator.send(f"{_keys(person)}/new", **form)

    again = administrator.send(f"{_keys(person)}/new", **form)

    assert again.status_code == 303
    assert again.headers["location"] == _keys(person)
    assert administrator.open(_keys(person)).text.count("Actions for Nightly export") == 1


def test_a_revoked_key_is_refused_by_the_next_request(organization: Organization, administrator: Browser, person: Person) -> None:
    """Once the page has answered, the key opens nothing."""
    key = organization.key(person)

    confirmation = administrator.open(f"{_keys(person)}/{key.id}/revoke")
    administrator.send(f"{_keys(person)}/{key.id}/revoke", reason="The laptop was lost")
    used = organization.server.http.get("/api/v1/agent/all", headers=key.header)

    assert "refused from the moment you confirm" in confirmation.text
    assert used.status_code == 401


@pytest.mark.parametrize(
    ("field", "entries"),
    [
        ("expires_on", {"expires_in": "custom", "expires_on": "2001-01-01"}),
        ("expires_on", {"expires_in": "custom", "expires_on": "9999-12-31"}),
        ("expires_on", {"expires_in": "custom", "expires_on": "tomorrow"}),
        ("networks", {"networks": "300.1.2.3/99"}),
        ("description", {"description": "x" * 10_000}),
        ("description", {"description": "two\nlines\x00"}),
        ("access", {"access": "everything"}),
        ("rate_limit", {"rate_limit": "-1"}),
    ],
)
def test_a_refused_entry_is_marked_and_kept(administrator: Browser, person: Person, field: str, entries: dict[str, str]) -> None:
    """A refused form comes back with 422, the field marked, what was typed, and no key is made."""
    response = administrator.send(f"{_keys(person)}/new", **_entries(administrator, person, **entries))

    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text
    assert key_in(response.text) == ""
    if field != "description":
        assert value_of(response.text, "description") == "Nightly export"
    assert "No active API keys" in administrator.open(_keys(person)).text


def test_what_somebody_typed_is_never_markup(administrator: Browser, person: Person) -> None:
    """HTML in a description is shown as it was typed, on every page that shows it."""
    typed = "<img src=x onerror=alert(1)>"
    page = administrator.send(f"{_keys(person)}/new", **_entries(administrator, person, description=typed))

    for text in (page.text, administrator.open(_keys(person)).text, administrator.open("/audit").text):
        assert typed not in text
        assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_an_old_proof_asks_for_the_password_and_then_goes_on(administrator: Browser, person: Person, clock: Frozen) -> None:
    """Eleven minutes after the password the form is interrupted; with the password it is carried out as it was typed."""
    form = _entries(administrator, person)
    clock.advance(timedelta(minutes=11))

    prompt = administrator.send(f"{_keys(person)}/new", **form)
    wrong = administrator.send(f"{_keys(person)}/new", **form, confirm_password="not the password")
    resent_form = {name: value_of(prompt.text, name) for name in form}
    response = administrator.send(f"{_keys(person)}/new", **resent_form, confirm_password=PASSWORD)

    assert prompt.status_code == wrong.status_code == 403
    assert "Confirm your identity" in prompt.text
    assert "This is not your password" in wrong.text
    assert key_in(response.text)
    assert administrator.open(_keys(person)).text.count("Actions for Nightly export") == 1


def test_the_keys_of_another_organization_are_not_there(administrator: Browser, other: Organization) -> None:
    """An administrator of one organization finds neither users nor keys of another, and changes nothing."""
    stranger = other.user()
    key = other.key(stranger)

    responses = [
        administrator.open(f"/organization/users/{stranger.id}"),
        administrator.open(_keys(stranger)),
        administrator.open(f"{_keys(stranger)}/{key.id}/revoke"),
        administrator.send(f"{_keys(stranger)}/{key.id}/revoke"),
        administrator.send(f"/organization/users/{stranger.id}/disable"),
    ]

    assert {response.status_code for response in responses} == {404}
    assert other.server.http.get("/api/v1/agent/all", headers=key.header).status_code == 200


def test_a_key_is_only_found_under_its_own_user(organization: Organization, administrator: Browser, person: Person) -> None:
    """An address that joins a user with somebody else's key leads nowhere."""
    key = organization.key(organization.user("Somebody Else"))

    response = administrator.send(f"{_keys(person)}/{key.id}/revoke")

    assert response.status_code == 404
    assert organization.server.http.get("/api/v1/agent/all", headers=key.header).status_code == 200


def test_changing_the_expiry_keeps_the_key(organization: Organization, administrator: Browser, person: Person) -> None:
    """A new expiry is shown in the list; the key goes on working; a date in the past is refused."""
    key = organization.key(person)
    fresh = administrator.field(f"{_keys(person)}/{key.id}/expiry", "expires_on")

    past = administrator.send(f"{_keys(person)}/{key.id}/expiry", expires_on="2001-01-01")
    changed = administrator.send(f"{_keys(person)}/{key.id}/expiry", expires_on=fresh)

    assert past.status_code == 422
    assert changed.status_code == 303
    assert organization.server.http.get("/api/v1/agent/all", headers=key.header).status_code == 200


def test_many_keys_stand_on_pages_the_active_ones_first(
    organization: Organization, administrator: Browser, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is on one page."""
    monkeypatch.setattr(api_keys, "_SIZE", 2)
    revoked = organization.key(person, description="Job 1")
    organization.revoke(revoked)
    for number in (2, 3):
        organization.key(person, description=f"Job {number}")

    first, second = (administrator.open(f"{_keys(person)}?page={number}").text for number in (1, 2))

    assert [f"Job {number}" in first for number in (1, 2, 3)] == [False, True, True]
    assert [f"Job {number}" in second for number in (1, 2, 3)] == [True, False, False]
    assert "of 3 keys" in first
    assert "No active API keys" not in second
