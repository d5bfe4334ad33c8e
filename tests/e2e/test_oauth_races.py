"""Requests that meet in four server processes: the database decides who was first, and nobody gets what another took back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

import pytest
from httpx import AsyncClient, Limits, Response

from latchpin.audit import Origin
from latchpin.identity import grants, sessions, users
from latchpin.identity.grants import NewGrant
from latchpin.oauth import client_admin, codes, pkce
from tests.support.apps import CALLBACK, OFFLINE, TOKEN
from tests.support.databases import Templates
from tests.support.office import Granted, Office, office
from tests.support.plain_http import PLAIN
from tests.support.processes import Serving, serving

AT_ONCE = 50
ROUNDS = 20
pytestmark = [pytest.mark.slow, pytest.mark.both_databases("who comes first is decided by each database")]


@pytest.fixture(scope="module")
def served(kind: str, templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """`latchpin serve --workers 4` on a fresh database; each test makes an organization of its own."""
    place = tmp_path_factory.mktemp(f"races-{kind}")
    with templates.fresh(kind, place) as url, serving(place, url, workers=4, token_limit=1_000_000) as running:
        yield running
    assert '"error"' not in running.output.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Partner:
    """An app with a user, that asks on a new connection each time, so that its requests spread over the processes."""

    own: Office
    http: AsyncClient
    app: tuple[int, str]
    user_id: int

    async def granted(self) -> Granted:
        """Return tokens of a fresh grant."""
        return await self.own.granted(self.http, self.app, self.user_id)

    async def code(self) -> tuple[str, str]:
        """Return a code that waits to be redeemed, with its verifier."""
        verifier, own = token_urlsafe(48), self.own
        async with own.database.transaction() as session:
            user = await users.get(session, own.organization_id, self.user_id)
            browser = await sessions.open_(session, user, own.settings, Origin())
            client = await client_admin.get(session, own.organization_id, self.app[0])
            new = NewGrant(
                client=client,
                organization_id=own.organization_id,
                scopes=OFFLINE,
                user_id=user.id,
                browser_session_id=browser.session_id,
                offline=True,
            )
            grant = await grants.create(session, new, own.settings)
            return await codes.issue(session, grant, codes.CodeBinding(CALLBACK, pkce.challenge_of(verifier))), verifier

    async def redeem(self, code: tuple[str, str]) -> Response:
        """Trade a code."""
        form = {"grant_type": "authorization_code", "code": code[0], "code_verifier": code[1], "client_id": self.app[1]}
        return await self.http.post(TOKEN, data=form)

    async def refresh(self, token: str) -> Response:
        """Trade a refresh token."""
        return await self.http.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": token, "client_id": self.app[1]})

    async def revoke(self, token: str) -> Response:
        """Give a token back."""
        return await self.http.post("/api/oauth/revoke", data={"token": token, "client_id": self.app[1]})

    async def opens(self, access: str) -> int:
        """Return the status of an API call with an access token."""
        return (await self.http.get("/api/v1/spaces", headers={"Authorization": f"Bearer {access}"})).status_code


@asynccontextmanager
async def partner(server: Serving) -> AsyncIterator[Partner]:
    """Make an app with a user in the served deployment."""
    limits = Limits(max_connections=200, max_keepalive_connections=0)
    async with (
        office(server) as own,
        AsyncClient(base_url=server.url, timeout=60, trust_env=False, verify=PLAIN, limits=limits) as http,
    ):
        yield Partner(own, http, await own.app(), await own.user())


async def together(*requests: Coroutine[Any, Any, Response]) -> list[Response]:
    """Ask at once."""
    return list(await asyncio.gather(*requests))


def processes(responses: list[Response]) -> int:
    """Return how many server processes answered; each begins its request ids in its own way."""
    return len({response.headers["X-Request-Id"][:10] for response in responses})


async def test_fifty_parallel_refreshes_give_one_new_pair(served: Serving) -> None:
    """All get the very same answer, nothing fails, and the family lives on (security.md 33)."""
    async with partner(served) as app:
        first = await app.granted()

        responses = await together(*(app.refresh(first.refresh or "") for _ in range(AT_ONCE)))

        assert {each.status_code for each in responses} == {200}, [each.text for each in responses if each.status_code != 200]
        assert len({each.text for each in responses}) == 1
        assert processes(responses) > 1
        assert await app.opens(responses[0].json()["access_token"]) == 200
        again = await app.refresh(responses[0].json()["refresh_token"])
        assert again.status_code == 200


async def test_what_a_refresh_gave_while_its_family_was_revoked_does_not_work(served: Serving) -> None:
    """Whoever comes first: once the revocation is answered, nothing that was obtained opens anything (security.md 34)."""
    async with partner(served) as app:
        won = 0
        for turn in range(ROUNDS):
            first = await app.granted()
            token = first.refresh or ""
            before = [app.refresh(token) for _ in range(turn % 3)]
            after = [app.refresh(token) for _ in range(2)]

            *others, revoked = await together(*before, *after, app.revoke(token))

            assert revoked.status_code == 200
            assert {each.status_code for each in others} <= {200, 400}, [each.text for each in others]
            won += any(each.status_code == 200 for each in others)
            obtained = [each.json() for each in others if each.status_code == 200]
            for access in {first.secret, *(each["access_token"] for each in obtained)}:
                assert await app.opens(access) == 401
            for refresh in {token, *(each["refresh_token"] for each in obtained)}:
                assert (await app.refresh(refresh)).json()["error"] == "invalid_grant"
        assert won > 0  # or there was no race


async def test_of_two_who_redeem_a_code_one_gets_tokens(served: Serving) -> None:
    """And since code and verifier are known to two, what it got is taken back (security.md 23, 26)."""
    async with partner(served) as app:
        for _ in range(ROUNDS):
            code = await app.code()

            responses = await together(*(app.redeem(code) for _ in range(4)))

            assert sorted(each.status_code for each in responses) == [200, 400, 400, 400], [each.text for each in responses]
            assert {each.json()["error"] for each in responses if each.status_code == 400} == {"invalid_grant"}
            [winner] = [each.json() for each in responses if each.status_code == 200]
            assert await app.opens(winner["access_token"]) == 401


async def test_of_those_who_come_with_a_request_uri_one_gets_on(served: Serving) -> None:
    """Whichever process they come to (security.md 89)."""
    async with partner(served) as app:
        challenge = {"code_challenge": pkce.challenge_of(token_urlsafe(48)), "code_challenge_method": pkce.METHOD}
        form = {"client_id": app.app[1], "redirect_uri": CALLBACK, "response_type": "code", **challenge}
        met = 0
        for _ in range(ROUNDS):
            query = {"client_id": app.app[1], "request_uri": (await app.http.post("/api/oauth/par", data=form)).json()["request_uri"]}

            responses = await together(*(app.http.get("/api/oauth/authorize", params=query) for _ in range(8)))

            assert sorted(each.status_code for each in responses) == [303, *[400] * 7], [each.text for each in responses]
            assert {each.json()["error"] for each in responses if each.status_code == 400} == {"invalid_request_uri"}
            met = max(met, processes(responses))
        assert met > 1


async def test_replay_and_use_of_the_successor_meet_without_a_deadlock(served: Serving) -> None:
    """Old and new token at once: the family lives or ends as the order wants it, and nobody waits for ever (security.md 30)."""
    async with partner(served) as app:
        for _ in range(ROUNDS):
            first = await app.granted()
            second = (await app.refresh(first.refresh or "")).json()["refresh_token"]

            responses = await together(*(app.refresh(token) for token in (first.refresh or "", second) * 3))

            assert {each.status_code for each in responses} <= {200, 400}, [each.text for each in responses]


async def test_revoking_an_app_meets_its_refreshes_without_a_deadlock(served: Serving) -> None:
    """Everything that was obtained is dead once the app is revoked (security.md 34, 39)."""
    async with partner(served) as app:
        families = [await app.granted() for _ in range(8)]

        _, responses = await asyncio.gather(
            app.own.revoke_client(families[0]), together(*(app.refresh(each.refresh or "") for each in families))
        )

        assert {each.status_code for each in responses} <= {200, 400, 401}, [each.text for each in responses]
        for each in responses:
            if each.status_code == 200:
                assert await app.opens(each.json()["access_token"]) == 401
