"""While a writing transaction is open all other writers wait, so nothing slow runs in one: no hashing, no drawing, no fetching."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid
from latchpin.identity import organizations, passwords, users
from latchpin.identity.users import PasswordChange
from tests.support.people import PASSWORD, Organization, Person
from tests.support.server import Server
from tests.support.signed_in import SignedIn
from tests.support.slow_in_transactions import watching

NEXT = "a wholly different sentence"


def _sign_in(server: Server, person: Person, password: str) -> int:
    with server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        return client.post("/login", data={"email": person.email, "password": password, "next": "/"}).status_code


def test_no_password_is_hashed_while_others_wait_to_write(organization: Organization) -> None:
    """Made, reset, changed, proved and tried: by pages and by the API, rightly and wrongly."""
    server, person = organization.server, organization.user()
    admin, owner = SignedIn(server, organization.admin), SignedIn(server, person)
    form = {"full_name": "Eve", "email": f"eve.{organization.number}@example.com", "group": "User", "password": NEXT}
    body = {"fullName": "Ida", "email": f"ida.{organization.number}@example.com", "group": "User"}
    changed = {"current_password": PASSWORD, "new_password": NEXT}

    with server.without_batches(), watching() as watch:
        statuses = [
            admin.request("POST", "/organization/users/new", data=form).status_code,
            admin.request("POST", "/organization/users/new", data={**form, "password": "short"}).status_code,
            admin.post("/users", body).status_code,
            owner.request("POST", "/account/password", data={**changed, "current_password": "wrong"}).status_code,
            owner.request("POST", "/account/password", data=changed).status_code,
            _sign_in(server, person, NEXT),
            _sign_in(server, person, "wrong"),
            admin.request("POST", f"/organization/users/{person.id}/reset-password").status_code,
            admin.post(f"/users/{person.id}/reset-password").status_code,
        ]

    server.http.cookies.clear()  # changing the password renewed a session, and other tests come with keys
    assert statuses == [303, 422, 201, 422, 303, 303, 422, 200, 200]
    assert {"hashing", "drawing"} <= set(watch.ran)
    assert watch.held == []


def test_the_first_administrators_password_is_hashed_before(serve: Callable[..., Server]) -> None:
    """The first-run page, with a link that counts."""
    server = serve()

    async def offer() -> str | None:
        async with server.database.transaction() as session:
            return await organizations.offer_setup(session)

    form = {"organization": "Acme", "full_name": "Ada", "email": "ada@example.com", "password": PASSWORD}
    token = server.run(offer())
    with server.without_batches(), watching() as watch:
        response = server.http.post(f"/setup/{token}", data=form, headers={"Sec-Fetch-Site": "same-origin"})

    assert response.status_code == 303, response.text
    assert "hashing" in watch.ran
    assert watch.held == []


def test_what_is_hashed_in_a_transaction_is_noticed(organization: Organization) -> None:
    """The instrument of these tests would tell."""

    async def work(_session: AsyncSession) -> None:
        await passwords.hashed(PASSWORD)

    with organization.server.without_batches(), watching() as watch:
        organization.write(work)

    assert watch.held == ["hashing"]


def test_a_change_that_was_checked_against_another_hash_does_not_count(organization: Organization) -> None:
    """It was hashed before the transaction, and the password is another one by now."""
    person = organization.user()

    async def work(session: AsyncSession) -> list[str]:
        user = await users.get(session, organization.id, person.id)
        change = PasswordChange(PASSWORD, is_right=True, checked="an older hash", new=await passwords.hashed(NEXT))
        try:
            await users.change_password(session, user, change, by=person.actor)
        except Invalid as refusal:
            return [problem.field for problem in refusal.problems]
        return []

    assert organization.write(work) == ["current_password"]
