"""A key and the rights of its user at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import users, verified
from latchpin.identity.api_key_verifier import ApiKeyVerifier
from latchpin.identity.roles import Group, Role
from latchpin.identity.scopes import Access
from latchpin.identity.verified import RejectedCredential, Verified
from latchpin.kit import clock as kit_clock
from latchpin.storage.models.space import SpaceScope
from tests.support.people import Key, Organization, Person
from tests.support.server import Server
from tests.support.wire import statements

pytestmark = pytest.mark.both_databases("the one statement of authentication runs without a transaction, which differs")


def _group(organization: Organization, person: Person, group: Group) -> None:
    async def work(session: AsyncSession) -> None:
        user = await users.get(session, organization.id, person.id)
        await users.change(session, user, by=organization.admin.actor, group=group)

    organization.write(work)


def _disable(organization: Organization, person: Person) -> None:
    async def work(session: AsyncSession) -> None:
        await users.disable(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)

    organization.write(work)


def _enable(organization: Organization, person: Person) -> None:
    async def work(session: AsyncSession) -> None:
        await users.enable(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)

    organization.write(work)


def _names(organization: Organization, key: Key) -> list[str]:
    response = organization.get("/agent/all", key)
    assert response.status_code == 200
    return [agent["name"] for agent in response.json()]


@pytest.mark.parametrize(
    ("access", "path", "needed"),
    [
        (Access.BILLING_ONLY, "/agent/all", "agents:read"),
        (Access.BILLING_ONLY, "/spaces", "spaces:read"),
        (Access.RUNS_ONLY, "/spaces", "spaces:read"),
    ],
)
def test_a_missing_scope_is_told(organization: Organization, access: Access, path: str, needed: str) -> None:
    """403 with the error code, the scope that is needed, and the challenge of RFC 6750 (security.md 97)."""
    response = organization.get(path, organization.key(access=access))

    assert response.status_code == 403
    assert response.json()["errorCode"] == "insufficient_scope"
    assert response.json()["scope"] == needed
    assert needed in response.json()["detail"]
    metadata = f"{organization.server.url}/.well-known/oauth-protected-resource"
    challenge = f'Bearer realm="latchpin", error="insufficient_scope", scope="{needed}", resource_metadata="{metadata}"'
    assert response.headers["www-authenticate"] == challenge


def test_each_access_opens_what_its_name_says(organization: Organization) -> None:
    """Full, read-only, runs-only and billing-only keys see agents, Spaces and changes as they should (security.md 97)."""
    agent = organization.agent("Book prices", organization.space())
    keys = {access: organization.key(access=access) for access in Access}

    def may(access: Access) -> tuple[bool, bool, bool]:
        responses = (
            organization.get("/agent/all", keys[access]),
            organization.get("/spaces", keys[access]),
            organization.post(f"/agent/{agent}/version/1/restore", keys[access], {"content": "again"}),
        )
        return tuple(response.is_success for response in responses)  # type: ignore[return-value]

    assert may(Access.FULL) == (True, True, True)
    assert may(Access.READ_ONLY) == (True, True, False)
    assert may(Access.RUNS_ONLY) == (True, False, True)
    assert may(Access.BILLING_ONLY) == (False, False, False)


def test_a_scope_gives_no_right_that_its_user_has_not(organization: Organization) -> None:
    """A full-access key of a viewer changes nothing (property 3)."""
    space, viewer = organization.space(), organization.user()
    agent = organization.agent("Book prices", space)
    organization.member(space, viewer, Role.VIEWER)
    key = organization.key(viewer)

    response = organization.post(f"/agent/{agent}/version/1/restore", key, {"content": "again"})

    assert response.status_code == 403
    assert response.json()["errorCode"] == "denied"
    assert organization.get(f"/agent/{agent}", key).status_code == 200


def test_a_key_loses_what_its_users_group_gave_at_once(organization: Organization) -> None:
    """An administrator who becomes a user no longer sees every Space, with a key that is remembered as well (security.md 98)."""
    organization.agent("Hidden", organization.space())
    person = organization.user("Linus Leaving", Group.ADMINISTRATOR)
    key = organization.key(person)
    assert _names(organization, key) == ["Hidden"]

    _group(organization, person, Group.USER)
    assert _names(organization, key) == []

    _group(organization, person, Group.ADMINISTRATOR)
    assert _names(organization, key) == ["Hidden"]


def test_a_key_loses_a_space_with_its_user_at_once(organization: Organization) -> None:
    """Whoever leaves a Space takes the key's view of it along (security.md 98)."""
    space, person = organization.space(), organization.user()
    agent = organization.agent("Book prices", space)
    organization.member(space, person, Role.VIEWER)
    key = organization.key(person)
    assert _names(organization, key) == ["Book prices"]

    organization.member(space, person, None)

    assert _names(organization, key) == []
    assert organization.get(f"/agent/{agent}", key).status_code == 404


def test_a_key_loses_a_role_with_its_user_at_once(organization: Organization) -> None:
    """An editor who becomes a viewer edits no more (security.md 98)."""
    space, person = organization.space(), organization.user()
    agent = organization.agent("Book prices", space)
    organization.member(space, person, Role.EDITOR)
    key = organization.key(person)
    assert organization.post(f"/agent/{agent}/version/1/restore", key, {"content": "once"}).is_success

    organization.member(space, person, Role.VIEWER)

    assert organization.post(f"/agent/{agent}/version/1/restore", key, {"content": "twice"}).status_code == 403


def test_a_key_of_a_public_space_sees_and_does_not_touch(organization: Organization) -> None:
    """Everybody of the organization sees a Public Space's agents, and only that (property 3)."""
    agent = organization.agent("Book prices", organization.space("Open", SpaceScope.PUBLIC))
    key = organization.key(organization.user())

    assert organization.get(f"/agent/{agent}", key).status_code == 200
    assert organization.post(f"/agent/{agent}/archive", key).status_code == 403


def test_disabling_a_user_ends_all_keys_and_enabling_brings_none_back(organization: Organization) -> None:
    """Keys that died with their user stay dead (security.md 98)."""
    person = organization.user()
    keys = [organization.key(person) for _ in range(3)]
    assert {organization.get("/agent/all", key).status_code for key in keys} == {200}

    _disable(organization, person)
    assert {organization.get("/agent/all", key).status_code for key in keys} == {401}

    _enable(organization, person)
    assert {organization.get("/agent/all", key).status_code for key in keys} == {401}
    assert organization.get("/agent/all", organization.key(person)).status_code == 200


def test_a_deleted_user_takes_all_keys_along(organization: Organization) -> None:
    """No key outlives the user it acts for."""
    person = organization.user()
    key = organization.key(person)
    assert organization.get("/agent/all", key).status_code == 200

    async def work(session: AsyncSession) -> None:
        new_owner = await users.get(session, organization.id, organization.admin.id)
        await users.delete(session, await users.get(session, organization.id, person.id), new_owner=new_owner, by=organization.admin.actor)

    organization.write(work)

    assert organization.get("/agent/all", key).status_code == 401


def test_a_key_sees_nothing_of_another_organization(organization: Organization, other: Organization) -> None:
    """An administrator's full-access key ends at the organization's border (property 4)."""
    theirs = other.agent("Secret prices", other.space("Theirs"))
    space = other.space("Also theirs")
    key = organization.key()

    assert _names(organization, key) == []
    missing = organization.get("/agent/999999", key).json()
    refusal = organization.get(f"/agent/{theirs}", key).json()
    assert refusal["status"] == missing["status"] == 404
    assert refusal["detail"].replace(str(theirs), "N") == missing["detail"].replace("999999", "N")
    assert organization.get(f"/spaces/{space}", key).status_code == 404


def _look_up(server: Server, keys: ApiKeyVerifier, key: Key, generation: int = 1) -> Verified | RejectedCredential:
    return server.run(keys.look_up(key.secret.encode(), generation))


def test_what_was_verified_counts_for_one_generation(organization: Organization) -> None:
    """A raised generation makes every process ask again."""
    server, key = organization.server, organization.key()
    keys = ApiKeyVerifier(server.database, server.services.secrets)

    verified_key = _look_up(server, keys, key, 7)

    assert keys.cached(key.secret.encode(), 7) is verified_key
    assert keys.cached(key.secret.encode(), 8) is None
    assert keys.cached(key.secret.encode(), 6) is None


def test_what_was_verified_counts_for_seconds_at_most(organization: Organization, clock: kit_clock.Frozen) -> None:
    """Even if a generation were never raised, a key would be looked up again within seconds."""
    server, key = organization.server, organization.key()
    keys = ApiKeyVerifier(server.database, server.services.secrets)
    _look_up(server, keys, key)

    clock.advance(timedelta(seconds=verified.CACHE_SECONDS + 0.1))

    assert keys.cached(key.secret.encode(), 1) is None


def test_a_refused_key_is_not_remembered(organization: Organization) -> None:
    """Junk and dead keys take no place in memory."""
    server, key = organization.server, organization.key()
    keys = ApiKeyVerifier(server.database, server.services.secrets)
    organization.revoke(key)

    assert isinstance(_look_up(server, keys, key), RejectedCredential)
    assert not keys.cache.verified


def test_the_memory_of_keys_is_bounded(organization: Organization) -> None:
    """However many keys there are, a process remembers so many and forgets the oldest."""
    server, api_keys = organization.server, [organization.key() for _ in range(5)]
    keys = ApiKeyVerifier(server.database, server.services.secrets, capacity=3)

    for key in api_keys:
        assert isinstance(_look_up(server, keys, key), Verified)

    assert len(keys.cache.verified) == 3
    assert keys.cached(api_keys[0].secret.encode(), 1) is None
    assert keys.cached(api_keys[4].secret.encode(), 1) is not None


def test_memory_holds_no_key(organization: Organization) -> None:
    """A dump of the process's memory of keys shows digests (security.md 101)."""
    server, key = organization.server, organization.key()
    keys = ApiKeyVerifier(server.database, server.services.secrets)
    verified_key = _look_up(server, keys, key)

    assert key.secret not in repr(verified_key)
    assert all(key.secret.encode() not in digest and len(digest) == 32 for digest in keys.cache.verified)


def test_a_second_deployment_forgets_nothing_for_the_first(serve: Callable[..., Server], organization: Organization) -> None:
    """Two deployments in one process share no memory of keys."""
    key = organization.key()
    assert organization.get("/agent/all", key).status_code == 200

    assert Organization(serve()).get("/agent/all", key).status_code == 401


def test_requests_that_come_together_ask_the_database_once(organization: Organization) -> None:
    """When what is remembered runs out, a busy key does not send every waiting request to the database."""
    key, server = organization.key(), organization.server
    keys = server.services.keys

    async def together() -> list[object]:
        return list(await asyncio.gather(*(keys.look_up(key.secret.encode(), 1) for _ in range(20))))

    with statements(server) as queries:
        results = server.run(together())

    assert len({id(each) for each in results}) == 1
    assert len([each for each in queries if "FROM api_keys" in each]) == 1
