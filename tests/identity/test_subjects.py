"""What a change concerns is looked up again, and nothing else is: one test for each kind of subject."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import sessions, signing_keys, spaces, users
from latchpin.identity.authentication import RequestCredential, authenticate
from latchpin.identity.roles import CredentialKind, Group, Role
from latchpin.identity.verified import Verified
from latchpin.oauth import resource_admin, revocation
from latchpin.storage import subjects
from latchpin.storage.models.space import SpaceScope
from tests.support.office import BY, Granted, Issued, Office, office
from tests.support.server import Server

pytestmark = pytest.mark.both_databases("what changed is told by a shared file on SQLite and by a table on PostgreSQL")


@pytest.fixture
async def own(server: Server) -> AsyncIterator[Office]:
    """A second way to the database, as another process has."""
    async with office(server) as opened:
        await opened.change(lambda session: sessions.end_all(session, opened.admin_id))  # the very first change lets all be forgotten
        yield opened


@pytest.fixture
async def http(server: Server) -> AsyncIterator[AsyncClient]:
    """An app's own HTTP client."""
    async with AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


def _known(server: Server, credential: Issued) -> bool:
    """Whether the server's process would accept the credential without asking its database."""

    async def ask() -> Verified | None:
        services = server.services
        generation = await services.generation.current()
        verifier = services.tokens if isinstance(credential, Granted) else services.keys
        found: Verified | None = verifier.cached(credential.secret.encode(), generation)
        return found

    return server.run(ask()) is not None


def _use(server: Server, *credentials: Issued) -> None:
    for each in credentials:
        scheme = "Bearer" if isinstance(each, Granted) else "ApiKey"
        response = server.http.get("/api/v1/agent/all", headers={"Authorization": f"{scheme} {each.secret}"})
        assert response.status_code == 200, response.text
    assert all(_known(server, each) for each in credentials)


async def _renamed(own: Office, key: Issued) -> None:
    async def work(session: AsyncSession) -> None:
        user = await users.get(session, own.organization_id, key.user_id)
        await users.change(session, user, full_name="Another Name", by=BY)

    await own.change(work)


_KEY_CHANGES: dict[str, Callable[[Office, Issued], Awaitable[object]]] = {
    "revoked": Office.revoke,
    "expires sooner": Office.expire,
    "deleted": Office.delete,
    "user disabled": Office.disable,
    "user demoted": Office.demote,
    "user renamed": _renamed,
}


@pytest.mark.parametrize("change", _KEY_CHANGES.values(), ids=_KEY_CHANGES)
async def test_a_change_of_a_key_or_its_user_lets_that_key_be_asked_for_again_and_no_other(
    server: Server, own: Office, change: Callable[[Office, Issued], Awaitable[object]]
) -> None:
    """The keys of other users are known still."""
    (concerned,), (other,) = await own.keys(await own.user(Group.ADMINISTRATOR), 1), await own.keys(await own.user(), 1)
    _use(server, concerned, other)

    await change(own, concerned)

    assert (_known(server, concerned), _known(server, other)) == (False, True)


async def _one_token_revoked(own: Office, granted: Granted, server: Server) -> None:
    async def read() -> Any:
        return await server.services.tokens.read(granted.secret.encode(), await server.services.generation.current())

    claims, active = server.run(read())
    await own.change(lambda session: revocation.of_access_token(session, active, jti=claims["jti"], expires=claims["exp"], by=BY))


_TOKEN_CHANGES: dict[str, Callable[[Office, Granted], Awaitable[object]]] = {
    "grant ended": Office.end,
    "app revoked": Office.revoke_client,
    "signed out": Office.sign_out,
    "password changed": Office.change_password,
    "user disabled": Office.disable,
}


@pytest.mark.parametrize("change", _TOKEN_CHANGES.values(), ids=_TOKEN_CHANGES)
async def test_a_change_of_what_a_grant_depends_on_lets_its_tokens_be_asked_for_again_and_no_others(
    server: Server, own: Office, http: AsyncClient, change: Callable[[Office, Granted], Awaitable[object]]
) -> None:
    """The tokens of another user at another app are known still, and so is a key."""
    concerned = await own.granted(http, await own.app(), await own.user(), "openid agents:read")
    other = await own.granted(http, await own.app(), await own.user(), "openid agents:read")
    (key,) = await own.keys(await own.user(), 1)
    _use(server, concerned, other, key)

    await change(own, concerned)

    assert (_known(server, concerned), _known(server, other), _known(server, key)) == (False, True, True)


async def test_another_role_in_a_space_concerns_its_user_alone(server: Server, own: Office, http: AsyncClient) -> None:
    """The rest of the organization is known still."""
    space_id, app = await own.space(), await own.app()
    concerned, other = [await own.granted(http, app, await own.user()) for _ in range(2)]
    _use(server, concerned, other)

    await own.member(space_id, concerned, Role.VIEWER)

    assert (_known(server, concerned), _known(server, other)) == (False, True)


async def test_a_single_revoked_token_concerns_its_grant_alone(server: Server, own: Office, http: AsyncClient) -> None:
    """RFC 7009 for an access token."""
    concerned, other = [await own.granted(http, await own.app(), await own.user()) for _ in range(2)]
    _use(server, concerned, other)

    await _one_token_revoked(own, concerned, server)

    assert (_known(server, concerned), _known(server, other)) == (False, True)


async def _space_changed(session: AsyncSession, own: Office) -> None:
    await spaces.create(session, own.organization_id, spaces.SpaceFields(name="Fresh"), by=BY)


async def _resource_made(session: AsyncSession, own: Office) -> None:
    fields = resource_admin.ResourceFields(name="Orders", identifier="https://orders.example/api", may_call_api=True)
    await resource_admin.create(session, own.organization_id, fields, secrets=own.secrets, settings=own.settings, by=BY)


@pytest.mark.parametrize("change", [_space_changed, _resource_made])
async def test_a_change_of_spaces_or_resources_concerns_its_organization_alone(
    server: Server, own: Office, http: AsyncClient, change: Callable[[AsyncSession, Office], Awaitable[None]]
) -> None:
    """Another organization's credentials are known still."""
    concerned = await own.granted(http, await own.app(), await own.user())
    async with office(server) as elsewhere:
        (other,) = await elsewhere.keys(await elsewhere.user(), 1)
        _use(server, concerned, other)

        await own.change(lambda session: change(session, own))

        assert (_known(server, concerned), _known(server, other)) == (False, True)


async def test_a_space_that_is_open_to_every_organization_concerns_everybody(server: Server, own: Office) -> None:
    """Everybody's grants say what they may enter."""
    async with office(server) as elsewhere:
        (other,) = await elsewhere.keys(await elsewhere.user(), 1)
        _use(server, other)

        fields = spaces.SpaceFields(name="World", scope=SpaceScope.GLOBAL)
        await own.change(lambda session: spaces.create(session, own.organization_id, fields, by=BY))

        assert not _known(server, other)
    server.close_global_spaces()


async def test_other_signing_keys_concern_all_tokens_and_no_key(server: Server, own: Office, http: AsyncClient) -> None:
    """A token is verified again by the keys of now."""
    token = await own.granted(http, await own.app(), await own.user())
    (key,) = await own.keys(await own.user(), 1)
    _use(server, token, key)

    await own.change(lambda session: signing_keys.rotate(session, own.secrets, own.settings, by=BY))

    assert (_known(server, token), _known(server, key)) == (False, True)
    _use(server, token)


async def test_a_thousand_revocations_cost_a_thousand_other_keys_next_to_no_look_up(
    server: Server, own: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Each of the others is used fifty times meanwhile; only those are asked for again that share a slot by chance."""
    people = [await own.user() for _ in range(10)]
    others = [key for person in people for key in await own.keys(person, 100)]
    doomed = [key for person in [await own.user() for _ in range(10)] for key in await own.keys(person, 100)]
    verifier, loads = server.services.keys, 0
    load = verifier._load

    async def counted(key: bytes, generation: int) -> object:
        nonlocal loads
        loads += 1
        return await load(key, generation)

    monkeypatch.setattr(verifier, "_load", counted)

    async def use(keys: list[Issued]) -> set[bool]:
        found = set()
        for key in keys:
            credential = RequestCredential(CredentialKind.API_KEY, key.secret.encode())
            found.add(isinstance(await authenticate(server.services, credential, None), Verified))
        return found

    assert server.run(use(others)) == {True}
    assert loads == len(others)
    loads = 0
    for turn, key in enumerate(doomed):
        assert server.run(use([key])) == {True}
        await own.revoke(key)
        assert server.run(use([key])) == {False}
        first = turn * 50 % len(others)
        assert server.run(use(others[first : first + 50])) == {True}
    looked_up = loads - 2 * len(doomed)

    with capsys.disabled():
        sys.stdout.write(f"\n{kind}: {looked_up} look-ups of {50 * len(doomed)} uses while {len(doomed)} other keys were revoked\n")
    assert looked_up < 2500  # about 60 for shared slots of keys; a thousand more where one is that of their organization


def test_slots_stay_where_they_are_and_the_first_is_that_of_everything() -> None:
    """Processes of two versions share a file and a table, so a slot is part of the format."""
    assert subjects.EVERYTHING.slot == 0
    assert [each.slot for each in (subjects.user(7), subjects.key(7), subjects.SIGNING_KEYS)] == [6506, 14258, 1912]
    assert all(0 < subjects.user(number).slot < subjects.SLOTS for number in range(2000))
