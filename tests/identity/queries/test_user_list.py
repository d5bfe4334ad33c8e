"""The list of users: found, sorted and counted as an administrator expects, in pages that leave nobody out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid, Malformed
from latchpin.identity import users
from latchpin.identity.queries import user_list
from latchpin.identity.queries.user_list import UserSummary
from latchpin.identity.roles import Group
from latchpin.kit import clock as kit_clock
from latchpin.kit.pages import CountedPage
from tests.support.people import Organization

pytestmark = pytest.mark.both_databases("search, sort order and paging are each database's own")

DAY = timedelta(days=1)


def page(organization: Organization, **choice: Any) -> CountedPage[UserSummary]:
    """Read one page."""

    async def work(session: AsyncSession) -> CountedPage[UserSummary]:
        return await user_list.page(session, organization.id, **choice)

    return organization.write(work)


def names(organization: Organization, **choice: Any) -> list[str]:
    """Read the names of one page."""
    return [row.user.full_name for row in page(organization, **choice).items]


@pytest.fixture
def people(organization: Organization) -> Organization:
    """An organization of Ada Admin, bob Baker, Carol Clark and Dora 100%."""
    for name in ("Carol Clark", "bob Baker", "Dora 100%"):
        organization.user(name)
    return organization


def test_users_are_listed_by_name_whatever_the_case(people: Organization) -> None:
    """The small b comes between A and C."""
    assert names(people) == ["Ada Admin", "bob Baker", "Carol Clark", "Dora 100%"]
    assert names(people, descending=True) == ["Dora 100%", "Carol Clark", "bob Baker", "Ada Admin"]


@pytest.mark.parametrize("sort", ["full_name", "email", "group", "status", "last_sign_in", "created", "keys"])
def test_every_column_sorts_both_ways_and_loses_nobody(people: Organization, sort: str) -> None:
    """Users without a value come last."""
    for descending in (False, True):
        assert sorted(names(people, sort=sort, descending=descending)) == sorted(names(people))


def test_an_unknown_column_is_refused_with_the_known_ones(people: Organization) -> None:
    """Among them no column that a page does not show, such as the password's hash."""
    for sort in ("password_hash", "id; DROP TABLE users", ""):
        with pytest.raises(Invalid, match="full_name, email"):
            page(people, sort=sort)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("BAKER", ["bob Baker"]),
        ("carol", ["Carol Clark"]),
        (" clark ", ["Carol Clark"]),
        ("100%", ["Dora 100%"]),
        ("%", ["Dora 100%"]),
        ("_", []),
    ],
)
def test_a_search_looks_into_names_and_addresses_and_takes_signs_as_they_are(people: Organization, search: str, found: list[str]) -> None:
    """No wildcards by accident."""
    assert names(people, search=search) == found
    assert page(people, search=search).total == len(found)


def test_a_search_with_a_nul_is_no_server_error(people: Organization) -> None:
    """PostgreSQL cannot compare with it: refused there, and nobody found on SQLite."""
    try:
        assert names(people, search="a\0b") == []
    except Malformed as refused:
        assert "NUL" in refused.detail  # noqa: PT017  either is right


def test_pages_leave_nobody_out_and_show_nobody_twice(people: Organization) -> None:
    """Also where the sorted column is equal for all."""
    all_names = [name for number in range(1, 5) for name in names(people, number=number, size=1, sort="status")]

    assert sorted(all_names) == sorted(names(people))
    assert page(people, number=5, size=1).items == ()


@pytest.mark.parametrize(("number", "size"), [(0, 50), (-1, 50), (1, 0), (1, -1), (1, 1_000_000), (10**15, 200), (2, 10**15)])
def test_odd_page_numbers_and_sizes_give_a_page(people: Organization, number: int, size: int) -> None:
    """At most 200 users, never an error."""
    assert len(page(people, number=number, size=size).items) <= 200


def test_live_keys_and_those_that_expire_soon_are_counted(organization: Organization, clock: kit_clock.Frozen) -> None:
    """Revoked and expired ones are not live; within 30 days is soon."""
    now: datetime = kit_clock.now()
    for days in (1, 29, 31, 300):
        organization.key(expires=now + days * DAY)
    organization.revoke(organization.key(expires=now + 10 * DAY))
    assert _counts(organization) == (4, 2)

    clock.advance(2 * DAY)

    assert _counts(organization) == (3, 2)


def _counts(organization: Organization) -> tuple[int, int]:
    row = page(organization).items[0]
    return row.active_keys, row.keys_expiring


def test_users_sort_by_their_number_of_live_keys(people: Organization) -> None:
    """Those without any count as none, not as unknown."""
    person = people.user("Many Keys")
    for _ in range(2):
        people.key(person)
    people.key()

    assert names(people, sort="keys", descending=True)[:2] == ["Many Keys", "Ada Admin"]


def test_other_organizations_users_are_not_there(organization: Organization, other: Organization) -> None:
    """Neither in the list nor in its length."""
    other.user("Eve Elsewhere", Group.ADMINISTRATOR)

    assert names(organization) == ["Ada Admin"]
    assert page(organization).total == 1
    assert names(organization, search="eve") == []


def test_the_number_of_users_of_the_deployment_counts_all(organization: Organization, other: Organization) -> None:
    """What the first-run page goes by."""

    async def work(session: AsyncSession) -> int:
        return await users.count(session)

    assert organization.write(work) >= 2
