"""Making keys: what is accepted, what is stored, and what is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Conflict, Invalid, Missing
from latchpin.identity import api_keys, policy, users
from latchpin.identity.api_keys import AlreadyIssued, KeyParameters
from latchpin.kit import clock as kit_clock
from latchpin.settings import Settings
from latchpin.storage import secrets
from latchpin.storage.models import ApiKey, User
from tests.support import databases
from tests.support.people import Key, Organization, Person
from tests.support.server import Server, served
from tests.support.wire import audit, stored

DAY = timedelta(days=1)


def _create(organization: Organization, new: KeyParameters, person: Person | None = None) -> Key:
    async def work(session: AsyncSession) -> Key:
        server = organization.server
        user = await users.get(session, organization.id, (person or organization.admin).id)
        rules = await policy.get(session, organization.id, server.settings)
        issued_key = await api_keys.create(session, user, new, policy=rules, secrets=server.services.secrets, by=organization.admin.actor)
        return Key(issued_key.key.id, issued_key.secret, issued_key.key.prefix)

    return organization.write(work)


def _refused_fields(organization: Organization, new: KeyParameters) -> set[str]:
    before = _count(organization)
    with pytest.raises(Invalid) as refused:
        _create(organization, new)
    assert _count(organization) == before
    return {problem.field for problem in refused.value.problems}


def _count(organization: Organization) -> int:
    async def work(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).where(ApiKey.organization_id == organization.id)) or 0

    return organization.write(work)


def test_a_key_lives_one_year_when_nobody_says_otherwise(organization: Organization, clock: kit_clock.Frozen) -> None:
    """The default is one year from today (security.md 96)."""
    assert stored(organization, organization.key()).expires_at == kit_clock.now() + 365 * DAY


def test_a_key_may_live_as_long_as_the_policy_allows(organization: Organization, clock: kit_clock.Frozen) -> None:
    """The last allowed day counts to its end; the next one is refused (security.md 96)."""
    latest = kit_clock.now() + 731 * DAY

    assert stored(organization, _create(organization, KeyParameters(expires_at=latest))).expires_at == latest
    assert _refused_fields(organization, KeyParameters(expires_at=latest + timedelta(seconds=1))) == {"expires"}


@pytest.mark.parametrize("past", [timedelta(0), timedelta(seconds=1), DAY, 10_000 * DAY])
def test_an_expiry_in_the_past_is_refused(organization: Organization, clock: kit_clock.Frozen, past: timedelta) -> None:
    """Nobody makes a key that is dead already, this very moment included."""
    assert _refused_fields(organization, KeyParameters(expires_at=kit_clock.now() - past)) == {"expires"}


def test_an_expiry_cannot_be_changed_beyond_the_maximum(organization: Organization, clock: kit_clock.Frozen) -> None:
    """The maximum counts for changes as for new keys, and a refused change changes nothing (security.md 96)."""
    key = organization.key()
    before = stored(organization, key).expires_at

    async def work(session: AsyncSession) -> None:
        rules = await policy.get(session, organization.id, organization.server.settings)
        api_key = await api_keys.get(session, organization.id, key.id)
        await api_keys.change_expiry(session, api_key, kit_clock.now() + 800 * DAY, policy=rules, by=organization.admin.actor)

    with pytest.raises(Invalid):
        organization.write(work)

    assert stored(organization, key).expires_at == before


def test_a_revoked_key_cannot_be_brought_back(organization: Organization) -> None:
    """Another expiry does not revive a revoked key."""
    key = organization.key()
    organization.revoke(key)

    async def work(session: AsyncSession) -> None:
        rules = await policy.get(session, organization.id, organization.server.settings)
        api_key = await api_keys.get(session, organization.id, key.id)
        await api_keys.change_expiry(session, api_key, kit_clock.now() + DAY, policy=rules, by=organization.admin.actor)

    with pytest.raises(Conflict):
        organization.write(work)


@pytest.mark.parametrize(
    "description",
    ["x" * 501, "x" * 10_000, "two\nlines", "a\x00b", "bell\x07", "back\u202ewards", "line\u2028break", "half\ud800"],
)
def test_an_unsound_description_is_refused(organization: Organization, description: str) -> None:
    """Endless texts and control characters are refused whole, with the field named."""
    assert _refused_fields(organization, KeyParameters(description=description)) == {"description"}


@pytest.mark.parametrize("description", ["<script>alert(1)</script>", "Ünïcode 🔑", "'; DROP TABLE api_keys; --", "x" * 500])
def test_any_other_description_is_kept_as_it_is(organization: Organization, description: str) -> None:
    """Markup is text like any other: kept to the letter, and escaped where it is shown."""
    key = _create(organization, KeyParameters(description=description))

    assert stored(organization, key).description == description
    (row,) = audit(organization, "api_key.created", target_id=key.id)
    assert row.target_name is not None
    assert row.target_name.startswith(description[:480])


def test_a_blank_description_counts_as_none(organization: Organization) -> None:
    """Blanks alone describe nothing."""
    assert stored(organization, _create(organization, KeyParameters(description="   "))).description is None


@pytest.mark.parametrize(
    "network", ["10.0.0.0/33", "10.0.0.1/8", "300.1.1.1", "example.com", "", "::/129", "10.0.0.0/8; x", "\x00", "1" * 5000]
)
def test_what_is_not_a_network_is_refused(organization: Organization, network: str) -> None:
    """CIDR nonsense is refused with the field named, and is not quoted at length."""
    assert _refused_fields(organization, KeyParameters(networks=(network,))) == {"networks"}


def test_networks_are_kept_in_canonical_form(organization: Organization) -> None:
    """A single address is a network of one, spellings of one network are one."""
    key = _create(organization, KeyParameters(networks=(" 203.0.113.7 ", "2001:DB8:0::/32", "2001:db8::/32")))

    assert stored(organization, key).networks == "203.0.113.7/32 2001:db8::/32"


def test_more_networks_than_fit_are_refused(organization: Organization) -> None:
    """Fifty is the most, and fifty of the longest are still too many for the column."""
    few = tuple(f"203.0.113.{number}/32" for number in range(50))
    long = tuple(f"2001:db8:1111:2222:3333:4444:5555:{number:x}/128" for number in range(0x1000, 0x1032))

    assert stored(organization, _create(organization, KeyParameters(networks=few))).networks.count(" ") == 49
    assert _refused_fields(organization, KeyParameters(networks=(*few, "203.0.113.50/32"))) == {"networks"}
    assert _refused_fields(organization, KeyParameters(networks=long)) == {"networks"}


@pytest.mark.parametrize("rate_limit", [0, -1, 1_000_001, 2**63])
def test_an_impossible_rate_limit_is_refused(organization: Organization, rate_limit: int) -> None:
    """A limit of nothing, or beyond a million, is a mistake."""
    assert _refused_fields(organization, KeyParameters(rate_limit=rate_limit)) == {"rate_limit"}


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_every_problem_is_told_at_once(organization: Organization, clock: kit_clock.Frozen) -> None:
    """Who has several things to correct hears of all of them."""
    new = KeyParameters(description="a\nb", networks=("x",), rate_limit=0, expires_at=kit_clock.now() - DAY)

    assert _refused_fields(organization, new) == {"description", "networks", "rate_limit", "expires"}


def test_a_form_that_is_sent_twice_makes_one_key(organization: Organization) -> None:
    """A double click, or the browser's reload, neither makes a second key nor shows the first again."""
    _create(organization, KeyParameters(idempotency_key="form-1-" + str(organization.id)))

    with pytest.raises(AlreadyIssued):
        _create(organization, KeyParameters(idempotency_key="form-1-" + str(organization.id)))

    assert _count(organization) == 1
    assert len(audit(organization, "api_key.created", organization_id=organization.id)) == 1


def test_a_form_sent_twice_at_the_same_moment_makes_one_key(organization: Organization) -> None:
    """Two requests that race leave one key and one plain refusal."""
    server, idempotency_key = organization.server, f"race-{organization.id}"

    async def one() -> str:
        try:
            async with server.database.transaction() as session:
                user = await users.get(session, organization.id, organization.admin.id)
                rules = await policy.get(session, organization.id, server.settings)
                new = KeyParameters(idempotency_key=idempotency_key)
                await api_keys.create(session, user, new, policy=rules, secrets=server.services.secrets, by=organization.admin.actor)
        except AlreadyIssued:
            return "refused"
        return "made"

    async def both() -> list[str]:
        return sorted(await asyncio.gather(*(one() for _ in range(5))))

    assert server.run(both()) == ["made"] + ["refused"] * 4
    assert _count(organization) == 1


def test_an_endless_idempotency_key_is_refused(organization: Organization) -> None:
    """The hidden field of the form is checked like the visible ones."""
    assert _refused_fields(organization, KeyParameters(idempotency_key="x" * 65)) == {"idempotency_key"}


def test_a_disabled_user_gets_no_key(organization: Organization) -> None:
    """First the user is enabled, then a key is made."""
    person = organization.user()

    async def disable(session: AsyncSession) -> None:
        await users.disable(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)

    organization.write(disable)

    with pytest.raises(Conflict, match="disabled"):
        _create(organization, KeyParameters(), person)


def test_a_key_for_a_user_who_was_just_removed_is_told_as_that(organization: Organization) -> None:
    """Who was read before somebody else deleted them is missing; this is neither a failure nor a form sent twice."""
    server, person = organization.server, organization.user()

    async def remove(session: AsyncSession) -> None:
        user, new_owner = [await users.get(session, organization.id, who.id) for who in (person, organization.admin)]
        await users.delete(session, user, new_owner=new_owner, by=organization.admin.actor)

    async def late() -> None:
        async with server.database.read() as session:
            read_before = await users.get(session, organization.id, person.id)
        async with server.database.transaction() as session:
            await remove(session)
        async with server.database.transaction() as session:
            session.add(read_before)
            rules = await policy.get(session, organization.id, server.settings)
            by, deployment_secrets = organization.admin.actor, server.services.secrets
            await api_keys.create(
                session, read_before, KeyParameters(idempotency_key="late"), policy=rules, secrets=deployment_secrets, by=by
            )

    with pytest.raises(Missing):
        server.run(late())


def test_a_maker_who_was_just_removed_is_no_form_sent_twice(organization: Organization) -> None:
    """Only the form's own uniqueness counts as a form that was used."""
    person = organization.user()
    gone = dataclasses.replace(organization.admin.actor, user_id=2**31 - 1)

    async def work(session: AsyncSession) -> None:
        user = await users.get(session, organization.id, person.id)
        rules = await policy.get(session, organization.id, organization.server.settings)
        await api_keys.create(
            session, user, KeyParameters(idempotency_key="gone"), policy=rules, secrets=organization.server.services.secrets, by=gone
        )

    with pytest.raises(Conflict) as refused:
        organization.write(work)
    assert not isinstance(refused.value, AlreadyIssued)


def test_a_reason_that_holds_a_key_is_refused(organization: Organization) -> None:
    """The reason is kept in the clear; a key in it would be told to every administrator."""
    key = organization.key()

    async def work(session: AsyncSession) -> None:
        api_key = await api_keys.get(session, organization.id, key.id)
        await api_keys.revoke(session, api_key, by=organization.admin.actor, reason=f"leaked: {key.secret}")

    with pytest.raises(Invalid) as refused:
        organization.write(work)
    assert [problem.field for problem in refused.value.problems] == ["reason"]
    assert key.secret not in str(refused.value)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_no_key_slips_past_a_user_who_is_being_disabled(organization: Organization) -> None:
    """Disabling a user and making keys for the same user at one moment leaves no key that enabling would bring back."""
    server, person = organization.server, organization.user()

    async def make() -> None:
        try:
            async with server.database.transaction() as session:
                user = await users.get(session, organization.id, person.id)
                rules = await policy.get(session, organization.id, server.settings)
                await api_keys.create(
                    session, user, KeyParameters(), policy=rules, secrets=server.services.secrets, by=organization.admin.actor
                )
        except Conflict:
            pass

    async def disable() -> None:
        async with server.database.transaction() as session:
            await users.disable(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)

    async def race() -> None:
        await asyncio.gather(*(make() for _ in range(4)), disable(), *(make() for _ in range(4)))

    async def alive(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).where(ApiKey.user_id == person.id, ApiKey.revoked_at.is_(None))) or 0

    server.run(race())

    assert organization.write(alive) == 0


def test_a_user_holds_at_most_200_keys(organization: Organization) -> None:
    """The list of a user's keys stays one that people can read, also where keys are made at one moment."""
    server, person = organization.server, organization.user()

    async def fill(session: AsyncSession) -> None:
        user = await session.get(User, person.id)
        assert user is not None
        for number in range(197):
            session.add(
                ApiKey(
                    organization_id=organization.id,
                    user_id=user.id,
                    digest=f"{organization.id}-{number}".encode().ljust(32, b"-"),
                    pepper_version=1,
                    prefix="sk-lp_test",
                    scopes="agents:read",
                    created_at=kit_clock.now(),
                    created_by_name="test",
                    expires_at=kit_clock.now() + DAY,
                )
            )

    async def make() -> bool:
        try:
            async with server.database.transaction() as session:
                user = await users.get(session, organization.id, person.id)
                rules = await policy.get(session, organization.id, server.settings)
                await api_keys.create(
                    session, user, KeyParameters(), policy=rules, secrets=server.services.secrets, by=organization.admin.actor
                )
        except Conflict:
            return False
        return True

    async def race() -> list[bool]:
        return list(await asyncio.gather(*(make() for _ in range(8))))

    organization.write(fill)

    assert sum(server.run(race())) == 3
    with pytest.raises(Conflict, match="200 keys"):
        _create(organization, KeyParameters(), person)


def test_the_database_holds_a_digest_and_nothing_of_the_key(organization: Organization) -> None:
    """The full key is nowhere in the database, file and journal included; the first ten characters are (security.md 91, 92)."""
    key = organization.key(description="to be searched for")
    organization.get("/agent/all", key)
    organization.server.flush()

    content = _everything(organization.server)

    assert key.prefix.encode() in content
    assert key.secret.encode() not in content
    assert key.secret[10:-6].encode() not in content
    assert len(stored(organization, key).digest) == 32


def _everything(server: Server) -> bytes:
    """Return all that the database holds, as bytes."""
    if server.settings.is_sqlite:
        files = server.settings.data_dir.glob("latchpin.db*")
        return b"".join(path.read_bytes() for path in files)

    async def dump() -> bytes:
        async with server.database.read() as session:
            names = await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
            rows = [str((await session.execute(text(f'SELECT * FROM "{name}"'))).all()) for name in names.all()]  # noqa: S608
        return "".join(rows).encode()

    return server.run(dump())


def test_a_key_outlives_the_rotation_of_the_pepper(kind: str, templates: databases.Templates, tmp_path: Path) -> None:
    """With a second pepper in force an old key still works, a new one is made under it, and neither needs a change (security.md 92)."""
    with templates.fresh(kind, tmp_path) as url:
        with served(url, tmp_path) as server:
            organization = Organization(server)
            old, before = organization.key(), server.settings
            assert organization.get("/agent/all", old).status_code == 200

        _add_pepper(before)

        with served(url, tmp_path) as server:
            organization.server = server
            new = organization.key()
            assert [stored(organization, key).pepper_version for key in (old, new)] == [1, 2]
            for key in (old, new, old):
                assert organization.get("/agent/all", key).status_code == 200
            organization.revoke(old)
            assert organization.get("/agent/all", old).status_code == 401


def _add_pepper(chosen: Settings) -> None:
    path = chosen.secrets_file
    document: dict[str, Any] = json.loads(path.read_text())
    document["peppers"]["2"] = document["peppers"]["1"][::-1].replace("=", "A") + "="
    document["current_pepper"] = 2
    path.write_text(json.dumps(document))
    assert secrets.load(path).current_pepper == 2


def test_a_key_of_another_deployment_is_unknown(serve: Callable[..., Server], organization: Organization) -> None:
    """Each deployment has its own pepper."""
    elsewhere = Organization(serve())

    assert elsewhere.get("/agent/all", organization.key()).status_code == 401


def test_the_secrets_say_nothing_of_themselves(organization: Organization) -> None:
    """A key just made, and the deployment's secrets, do not show in a traceback or a debugger's print."""
    new = organization.server.services.secrets
    issued_key = api_keys.IssuedKey(ApiKey(prefix="sk-lp_test"), "sk-lp_secret")

    assert "sk-lp_secret" not in repr(issued_key)
    assert repr(new) == f"Secrets(current_pepper={new.current_pepper})"
