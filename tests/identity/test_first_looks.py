"""What a credential costs that a process has not seen: few statements, of plain columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import event

from latchpin.identity import active_grant
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.roles import Role
from latchpin.identity.verified import Verified
from latchpin.storage.models import User
from tests.support.office import Office, office
from tests.support.server import Server

pytestmark = pytest.mark.both_databases("statements are sent in another way to each")


@contextmanager
def _statements(server: Server) -> Iterator[list[str]]:
    """Collect the statements that the server's process sends to its database, and fail where one loads an entity."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        sent.append(statement)

    def load(*_state: object) -> None:
        pytest.fail("an entity was loaded")

    engine = server.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(User, "load", load)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(User, "load", load)


async def test_a_key_that_was_never_seen_costs_one_statement(server: Server) -> None:
    """And its refusal as well."""
    async with office(server) as own:
        good, revoked = await own.keys(await own.user(), 2)
        await own.revoke(revoked)

        async def look(secret: str) -> object:
            return await server.services.keys.look_up(secret.encode(), await server.services.generation.current())

        with _statements(server) as sent:
            assert isinstance(server.run(look(good.secret)), Verified)
            assert not isinstance(server.run(look(revoked.secret)), Verified)

    assert len([each for each in sent if each.startswith("SELECT")]) == 2


async def _told_twice(own: Office, server: Server, sid: str) -> tuple[Any, Any]:
    """Return where a grant stands as authentication reads it, by plain columns, and as the token endpoint does, by entities."""
    async with own.database.read() as session:
        by_sid = await active_grant.by_sid(session, sid, server.settings)
        assert isinstance(by_sid, ActiveGrant)
        return by_sid, await active_grant.by_id(session, by_sid.grant_id, server.settings)


async def test_plain_columns_and_entities_say_the_same_of_a_grant(server: Server) -> None:
    """For a user with Spaces, with and without offline access; a grant that was never seen costs three statements."""
    async with office(server) as own, AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http:
        app, space_id = await own.app(), await own.space()
        for scope in ("openid agents:read", "openid agents:read offline_access"):
            granted = await own.granted(http, app, await own.user(), scope)
            await own.member(space_id, granted, Role.EDITOR)

            async def read(token: str) -> Any:
                return await server.services.tokens.read(token.encode(), await server.services.generation.current())

            with _statements(server) as sent:
                _, active = server.run(read(granted.secret))
            plain, entities = await _told_twice(own, server, active.sid)

            assert plain == entities == active
            assert [each.role for each in plain.membership.spaces] == [Role.EDITOR]
            assert len([each for each in sent if each.startswith(("SELECT", "(SELECT"))]) <= 3
