"""Users: made, changed, disabled; what dies stays dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Conflict, Invalid, Missing
from latchpin.identity import passwords, users
from latchpin.identity.roles import Group
from latchpin.identity.users import NewUser
from latchpin.storage.models import User
from tests.support import changes
from tests.support.changes import create, demote, disable, on, open_sessions, row, sign_in
from tests.support.people import PASSWORD, Organization
from tests.support.wire import audit

pytestmark = pytest.mark.both_databases("an address that is taken is told by each database's conflicts")

# ---- making ----


def test_a_new_user_gets_a_temporary_password_that_must_be_changed(organization: Organization) -> None:
    """It exists in the clear only in the answer, has about 80 random bits, and is kept as Argon2id."""
    created_user = create(organization)

    assert len(created_user.password) == 19
    assert created_user.user.must_change_password
    assert created_user.user.password_hash.startswith("$argon2id$")
    assert created_user.password not in created_user.user.password_hash
    assert created_user.password not in repr(created_user)
    assert organization.server.run(passwords.matches(created_user.password, created_user.user.password_hash))


def test_making_a_user_is_one_audit_event_without_the_password(organization: Organization) -> None:
    """Who, whom, and with which group."""
    created_user = create(organization, group=Group.ADMINISTRATOR)

    [event] = audit(organization, "user.created", target_id=created_user.user.id)
    assert event.actor_name == organization.admin.email
    assert "Administrator" in str(event.changes)
    assert created_user.password not in str(event.changes)


@pytest.mark.parametrize("change", [str.upper, str.title, lambda text: f"  {text} "])
def test_an_address_is_taken_in_any_case(organization: Organization, other: Organization, change: Callable[[str], str]) -> None:
    """Across organizations as well: it is what people sign in with."""
    create(organization)

    with pytest.raises(Invalid) as caught:
        create(other, email=change(f"grace.{organization.number}@example.com"))

    assert [problem.field for problem in caught.value.problems] == ["email"]


def test_two_who_make_the_same_user_at_once_make_one(organization: Organization) -> None:
    """The other is told that the address is taken; there is no server error."""
    actor = organization.admin.actor

    async def make() -> users.CreatedUser:
        password = await passwords.temporary()
        new = NewUser(full_name="Twin", email=f"twin.{organization.number}@x.example", password=password)
        async with organization.server.database.transaction() as session:
            return await users.create(session, organization.id, new, by=actor)

    async def both() -> Any:
        return await asyncio.gather(make(), make(), return_exceptions=True)

    assert sorted(type(result).__name__ for result in organization.server.run(both())) == ["CreatedUser", "Invalid"]


def test_a_refused_user_leaves_nothing(organization: Organization) -> None:
    """All faults are told at once, and nothing is half done."""
    with pytest.raises(Invalid) as caught:
        create(organization, full_name="", email="nobody", password="password")

    assert [problem.field for problem in caught.value.problems] == ["full_name", "email", "password"]
    assert audit(organization, "user.created", organization_id=organization.id, target_name="nobody") == []


def test_a_user_of_another_organization_does_not_exist(organization: Organization, other: Organization) -> None:
    """By any function that takes an id."""
    with pytest.raises(Missing):
        on(organization, other.admin, lambda session, user: users.disable(session, user, by=organization.admin.actor))


@pytest.mark.parametrize("email", ["a\0b@example.com", "", "nobody@example.com"])
def test_an_address_that_nobody_has_finds_nobody(organization: Organization, email: str) -> None:
    """Whatever was typed, on both databases."""

    async def work(session: AsyncSession) -> User | None:
        return await users.by_email(session, email)

    assert organization.write(work) is None


# ---- disabling ----


def test_disabling_kills_keys_and_sessions_and_enabling_revives_neither(organization: Organization) -> None:
    """The next request is refused; a new key has to be made."""
    person = organization.user()
    key = organization.key(person)
    sign_in(organization, person)
    assert organization.get("/agent/all", key).status_code == 200

    assert disable(organization, person) == 1
    assert organization.get("/agent/all", key).status_code == 401
    assert open_sessions(organization, person) == 0

    on(organization, person, lambda session, user: users.enable(session, user, by=organization.admin.actor))
    assert organization.get("/agent/all", key).status_code == 401
    assert open_sessions(organization, person) == 0
    assert organization.get("/agent/all", organization.key(person)).status_code == 200


def test_disabling_records_each_key_that_died_and_the_user(organization: Organization) -> None:
    """Each key's owner can be told afterwards why it stopped."""
    person = organization.user()
    keys = [organization.key(person) for _ in range(3)]

    disable(organization, person)

    revoked = [event for key in keys for event in audit(organization, "api_key.revoked", target_id=key.id)]
    assert [event.reason for event in revoked] == ["user disabled"] * 3
    assert len(audit(organization, "user.disabled", target_id=person.id)) == 1


def test_disabling_twice_is_one_change(organization: Organization) -> None:
    """The second finds nothing to do."""
    person = organization.user()
    disable(organization, person)

    assert disable(organization, person) == 0
    assert len(audit(organization, "user.disabled", target_id=person.id)) == 1


def test_a_disabled_user_gets_no_key(organization: Organization) -> None:
    """Enable first."""
    person = organization.user()
    disable(organization, person)

    with pytest.raises(Conflict, match="disabled"):
        organization.key(person)


# ---- changing ----


def test_a_demoted_administrator_sees_no_more_than_a_user_with_the_same_key(organization: Organization) -> None:
    """At once, although the key was remembered."""
    person = organization.user("Second Admin", Group.ADMINISTRATOR)
    space, key = organization.space(), organization.key(person)
    assert organization.get(f"/spaces/{space}", key).status_code == 200

    demote(organization, person)

    assert organization.get(f"/spaces/{space}", key).status_code == 404


def test_a_change_of_nothing_records_nothing(organization: Organization) -> None:
    """Saving a form unchanged is no event."""
    person = organization.user()
    on(organization, person, lambda session, user: users.change(session, user, full_name=person.full_name, by=organization.admin.actor))

    assert audit(organization, "user.changed", target_id=person.id) == []


def test_a_change_records_old_and_new(organization: Organization) -> None:
    """Name and address are told with what they were."""
    person = organization.user()
    email = f"new.{person.id}@example.com"
    on(organization, person, lambda session, user: users.change(session, user, email=email, by=organization.admin.actor))

    [event] = audit(organization, "user.changed", target_id=person.id)
    assert person.email in str(event.changes)
    assert email in str(event.changes)


def test_a_password_change_asks_for_the_current_one_and_ends_other_sessions(organization: Organization) -> None:
    """The session in which it was changed goes on."""
    person = organization.user()
    here, _elsewhere = sign_in(organization, person), sign_in(organization, person)

    def change(current: str, new: str) -> None:
        on(
            organization,
            person,
            lambda session, user: changes.set_password(
                session, user, current=current, new=new, by=person.actor, keep_session=here.session_id
            ),
        )

    with pytest.raises(Invalid) as caught:
        change("not this", "a wholly different sentence")
    assert [problem.field for problem in caught.value.problems] == ["current_password"]
    with pytest.raises(Invalid):
        change(PASSWORD, PASSWORD)
    assert open_sessions(organization, person) == 2

    change(PASSWORD, "a wholly different sentence")

    assert open_sessions(organization, person) == 1


def test_a_reset_gives_a_temporary_password_and_ends_all_sessions(organization: Organization) -> None:
    """An administrator never chooses a user's password."""
    person = organization.user()
    sign_in(organization, person)

    password = on(organization, person, lambda session, user: changes.reset_password(session, user, by=organization.admin.actor))

    user = row(organization, person)
    assert user is not None
    assert user.must_change_password
    assert organization.server.run(passwords.matches(password, user.password_hash))
    assert open_sessions(organization, person) == 0
    [event] = audit(organization, "user.password_reset", target_id=person.id)
    assert password not in str((event.changes, event.reason, event.target_name))
