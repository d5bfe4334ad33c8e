"""How many requests a key may make, and how guessing is slowed."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from latchpin.identity import credentials
from latchpin.kit import clock as kit_clock
from latchpin.kit.rate_limit import InProcess, InRedis
from tests.conftest import missing
from tests.support import databases
from tests.support.people import Key, Organization
from tests.support.plain_http import PLAIN
from tests.support.ports import free_port
from tests.support.server import Server, served
from tests.support.wire import LIST, limits, present, until

REDIS = os.environ.get("LATCHPIN_TEST_REDIS", "redis://127.0.0.1:6379/11")
Serve = Callable[..., Server]


def _parallel(server: Server, keys: list[Key], times: int) -> list[httpx.Response]:
    """Send `times` requests with each key at once."""

    async def send() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False, verify=PLAIN) as client:
            work: list[Coroutine[Any, Any, httpx.Response]] = [client.get(LIST, headers=key.header) for _ in range(times) for key in keys]
            return list(await asyncio.gather(*work))

    return asyncio.run(send())


def _statuses(responses: list[httpx.Response]) -> dict[int, int]:
    return dict(Counter(response.status_code for response in responses))


def test_exactly_so_many_requests_pass_in_a_window(serve: Serve, clock: kit_clock.Frozen) -> None:
    """Under parallel load the limit holds to the request (security.md 100)."""
    organization = Organization(serve(rate_limit=25, rate_limit_queue=0))
    key = organization.key()

    assert _statuses(_parallel(organization.server, [key], 60)) == {200: 25, 429: 35}

    clock.advance(timedelta(seconds=60))
    assert _statuses(_parallel(organization.server, [key], 60)) == {200: 25, 429: 35}


def test_a_request_too_many_is_told_when_to_come_back(serve: Serve, clock: kit_clock.Frozen) -> None:
    """429 carries Retry-After and the rate limit headers, and is a problem document (security.md 100)."""
    organization = Organization(serve(rate_limit=2, rate_limit_queue=0))
    key = organization.key()
    first = organization.get("/agent/all", key)
    clock.advance(timedelta(seconds=20))
    organization.get("/agent/all", key)

    refused = organization.get("/agent/all", key)

    assert limits(first) == {
        "x-ratelimit-limit": "2",
        "x-ratelimit-window-seconds": "60",
        "ratelimit-policy": '"default";q=2;w=60',
        "ratelimit": '"default";r=1;t=60',
    }
    assert refused.status_code == 429
    assert limits(refused) == {
        "x-ratelimit-limit": "2",
        "x-ratelimit-window-seconds": "60",
        "ratelimit-policy": '"default";q=2;w=60',
        "ratelimit": '"default";r=0;t=40',
        "retry-after": "40",
    }
    assert refused.json()["errorCode"] == "throttled"
    clock.advance(timedelta(seconds=40))
    assert organization.get("/agent/all", key).status_code == 200


def test_every_answer_tells_the_limit(organization: Organization) -> None:
    """The contract's two headers stand on refusals as well (contract/README.md)."""
    key = organization.key()
    responses = [
        organization.get("/agent/all", key),
        organization.get("/agent/999999", key),
        organization.get("/agent/all", key, pageIndex=0),
        organization.get("/nothing", key),
        organization.server.http.get(LIST),
        present(organization.server, "ApiKey junk"),
    ]

    for response in responses:
        assert response.headers.get_list("x-ratelimit-limit") == ["1000000"], response
        assert response.headers.get_list("x-ratelimit-window-seconds") == ["60"], response


def test_keys_have_separate_budgets(serve: Serve, clock: kit_clock.Frozen) -> None:
    """What one key uses up no other key misses, not even one of the same user."""
    organization = Organization(serve(rate_limit=5, rate_limit_queue=0))
    keys = [organization.key() for _ in range(3)]

    assert _statuses(_parallel(organization.server, keys, 8)) == {200: 15, 429: 9}


def test_a_key_may_have_a_limit_of_its_own(serve: Serve, clock: kit_clock.Frozen) -> None:
    """The limit of a key counts before the deployment's, and is what its answers tell."""
    organization = Organization(serve(rate_limit=5, rate_limit_queue=0))
    narrow, wide = organization.key(rate_limit=2), organization.key(rate_limit=9)

    assert _statuses(_parallel(organization.server, [narrow], 12)) == {200: 2, 429: 10}
    assert _statuses(_parallel(organization.server, [wide], 12)) == {200: 9, 429: 3}
    assert organization.get("/agent/all", wide).headers["x-ratelimit-limit"] == "9"


@contextmanager
def _sending(server: Server, key: Key, times: int) -> Iterator[list[Future[httpx.Response]]]:
    """Send requests from threads; the block decides when to look."""
    with ThreadPoolExecutor(times) as pool, server.client() as client:
        yield [pool.submit(client.get, LIST, headers=key.header) for _ in range(times)]


def test_so_many_requests_wait_for_the_next_window_and_the_rest_is_refused(serve: Serve, clock: kit_clock.Frozen) -> None:
    """Beyond the limit a queue of so many places waits for the window; who finds none gets 429 at once."""
    organization = Organization(serve(rate_limit=3, rate_limit_queue=2, rate_limit_queue_seconds=60, drain_seconds=90))
    key = organization.key()

    with _sending(organization.server, key, 9) as sent:
        until(lambda: sum(request.done() for request in sent) == 7)
        assert _statuses([request.result() for request in sent if request.done()]) == {200: 3, 429: 4}
        clock.advance(timedelta(seconds=60))
        assert _statuses([request.result() for request in sent]) == {200: 5, 429: 4}

    assert organization.get("/agent/all", key).headers["ratelimit"].startswith('"default";r=0')


def test_nobody_waits_longer_than_the_longest_wait(serve: Serve, clock: kit_clock.Frozen) -> None:
    """Where the window ends in more than five seconds, the answer is 429 at once: most clients give up on a silent server soon."""
    organization = Organization(serve(rate_limit=1))
    key = organization.key()
    organization.get("/agent/all", key)

    clock.advance(timedelta(seconds=54))
    assert organization.get("/agent/all", key).status_code == 429

    clock.advance(timedelta(seconds=1))
    with _sending(organization.server, key, 1) as (waiting,):
        until(lambda: organization.server.application.asgi._app._limiter._queue._waiting)  # type: ignore[attr-defined]
        clock.advance(timedelta(seconds=5))
        assert waiting.result().status_code == 200


def test_a_wall_clock_that_is_set_back_lengthens_no_window(serve: Serve, clock: kit_clock.Frozen) -> None:
    """A window lasts as long as it lasts, and Retry-After says no more than is left of it."""
    organization = Organization(serve(rate_limit=1, rate_limit_queue=0))
    key = organization.key()
    organization.get("/agent/all", key)
    clock.advance(timedelta(seconds=10))
    clock.set_wall(timedelta(hours=-32))

    refused = organization.get("/agent/all", key)

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "50")
    clock.advance(timedelta(seconds=50))
    assert organization.get("/agent/all", key).status_code == 200


def test_a_key_that_was_revoked_while_it_waited_is_refused(serve: Serve, clock: kit_clock.Frozen) -> None:
    """Who waits in the queue is not let through yet (property 1)."""
    organization = Organization(serve(rate_limit=1, rate_limit_queue=1, rate_limit_queue_seconds=60, drain_seconds=90))
    key = organization.key()
    organization.get("/agent/all", key)

    with _sending(organization.server, key, 1) as (waiting,):
        queue = organization.server.application.asgi._app._limiter._queue  # type: ignore[attr-defined]
        until(lambda: queue._waiting)
        organization.revoke(key)
        clock.advance(timedelta(seconds=60))

        assert waiting.result().status_code == 401


def test_guessing_is_slowed_by_address_and_sound_keys_are_not(serve: Serve, clock: kit_clock.Frozen) -> None:
    """After so many refused keys in a minute an address gets 429, while a sound key from it still works (security.md 100)."""
    organization = Organization(serve(bad_key_limit=10))
    server, key = organization.server, organization.key()

    responses = [present(server, f"ApiKey {credentials.new_api_key()}") for _ in range(15)]

    assert [response.status_code for response in responses] == [401] * 10 + [429] * 5
    assert responses[-1].headers["retry-after"] == "60"
    assert organization.get("/agent/all", key).status_code == 200
    assert organization.get("/agent/all", organization.key()).status_code == 200
    clock.advance(timedelta(seconds=60))
    assert present(server, "ApiKey junk").status_code == 401


@pytest.mark.parametrize("header", ["Bearer sk-lp_x", "Basic eDp5", "ApiKey a, ApiKey sk-lp_b"])
def test_misplaced_credentials_count_as_guesses(serve: Serve, clock: kit_clock.Frozen, header: str) -> None:
    """Another form of presenting a key is no way around the throttle."""
    server = serve(bad_key_limit=3)

    assert [present(server, header).status_code for _ in range(5)][3:] == [429, 429]


def test_guesses_from_other_addresses_are_counted_apart(serve: Serve, clock: kit_clock.Frozen) -> None:
    """An attacker behind one address slows nobody behind another."""
    server = serve(bad_key_limit=3, trusted_proxies=(ipaddress.ip_network("127.0.0.1/32"),))

    def guess(address: str) -> int:
        return present(server, "ApiKey junk", X_Forwarded_For=address).status_code

    assert [guess("198.51.100.1") for _ in range(4)] == [401, 401, 401, 429]
    assert guess("198.51.100.2") == 401


def test_guesses_from_one_ipv6_network_are_counted_together(serve: Serve, clock: kit_clock.Frozen) -> None:
    """One client subnet has 2**64 addresses to guess from, which count as one."""
    server = serve(bad_key_limit=3, trusted_proxies=(ipaddress.ip_network("127.0.0.1/32"),))

    def guess(address: str) -> int:
        return present(server, "ApiKey junk", X_Forwarded_For=address).status_code

    assert [guess(f"2001:db8:1:2::{number:x}") for number in range(1, 6)] == [401, 401, 401, 429, 429]
    assert guess("2001:db8:1:3::1") == 401


def test_the_memory_of_windows_is_bounded_and_keeps_the_full_ones(clock: kit_clock.Frozen) -> None:
    """A flood of addresses makes the counter forget windows of one hit, not a key that has used up its budget."""
    counter = InProcess()
    for _ in range(50):
        counter.hit_now("key:1", 60)
    for number in range(150_000):
        counter.hit_now(f"refused:{number}", 60)

    assert len(counter._windows) <= 100_000
    assert counter.hit_now("key:1", 60).count == 51


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty Redis database of the tests' own."""
    client = redis.Redis.from_url(REDIS)
    try:
        client.flushdb()
    except redis.RedisError:
        missing("rate limits in Redis", f"Redis does not answer at {REDIS}; start one there, or set LATCHPIN_TEST_REDIS")
    yield REDIS
    client.flushdb()
    client.close()


def test_a_client_that_hangs_up_frees_its_place_in_the_queue(serve: Serve, clock: kit_clock.Frozen) -> None:
    """Otherwise a client with a short patience would shut itself out until the window ends."""
    organization = Organization(serve(rate_limit=1, rate_limit_queue=1, rate_limit_queue_seconds=60, drain_seconds=90))
    key = organization.key()
    assert organization.get("/agent/all", key).status_code == 200
    queue = organization.server.application.asgi._app._limiter._queue  # type: ignore[attr-defined]

    impatient = socket.create_connection(("127.0.0.1", organization.server.settings.port))
    impatient.sendall(f"GET {LIST} HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey {key.secret}\r\n\r\n".encode())
    until(lambda: queue._waiting)
    impatient.close()

    until(lambda: not queue._waiting)


def test_servers_that_share_redis_share_the_budget(kind: str, templates: databases.Templates, tmp_path: Path, redis_url: str) -> None:
    """With LATCHPIN_REDIS_URL the limit is exact across processes (security.md 100)."""
    chosen = {"rate_limit": 30, "rate_limit_queue": 0, "redis_url": redis_url}
    with (
        templates.fresh(kind, tmp_path) as url,
        served(url, tmp_path, **chosen) as one,
        served(url, tmp_path, **chosen, port=free_port()) as other,
    ):
        key = Organization(one).key()
        with ThreadPoolExecutor(2) as pool:
            halves = list(pool.map(lambda server: _parallel(server, [key], 40), (one, other)))

    responses = [response for half in halves for response in half]
    assert _statuses(responses) == {200: 30, 429: 50}
    assert all(1 <= int(response.headers["retry-after"]) <= 60 for response in responses if response.status_code == 429)


def test_deployments_that_share_redis_keep_their_budgets_apart(kind: str, serve: Serve, tmp_path: Path, redis_url: str) -> None:
    """Key 1 of one deployment does not use up the budget of key 1 of another; their secrets tell them apart."""
    chosen = {"rate_limit": 1, "rate_limit_queue": 0, "redis_url": redis_url}
    (tmp_path / "others").mkdir()
    with (
        closing(databases.Templates(tmp_path / "others")) as others,
        others.fresh(kind, tmp_path / "elsewhere") as url,
        served(url, tmp_path / "elsewhere", **chosen) as elsewhere,
    ):
        one, other = Organization(serve(**chosen)), Organization(elsewhere)
        first, second = one.key(), other.key()
        assert first.id == second.id

        assert one.get("/agent/all", first).status_code == 200
        assert other.get("/agent/all", second).status_code == 200
        assert other.get("/agent/all", second).status_code == 429


def test_who_waits_at_redis_passes_in_the_next_window(kind: str, templates: databases.Templates, tmp_path: Path, redis_url: str) -> None:
    """The queue works on Redis as in process, and asks it seldom while it waits."""
    chosen = {"rate_limit": 2, "rate_limit_queue": 4, "rate_limit_window_seconds": 1, "redis_url": redis_url}
    with templates.fresh(kind, tmp_path) as url, served(url, tmp_path, **chosen) as server:
        key = Organization(server).key()
        before = _commands(redis_url)

        assert _statuses(_parallel(server, [key], 6)) == {200: 6}

        assert _commands(redis_url) - before < 300


def _commands(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("stats")["total_commands_processed"])


def test_without_redis_each_process_counts_for_itself(serve: Serve, clock: kit_clock.Frozen) -> None:
    """A limiter that cannot be reached neither closes the API nor stops limiting (documented in api/rate_limit.py)."""
    organization = Organization(serve(rate_limit=4, rate_limit_queue=0, redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    key = organization.key()

    assert _statuses([organization.get("/agent/all", key) for _ in range(6)]) == {200: 4, 429: 2}
    assert organization.server.log.getvalue().count("rate_limit.redis_away") == 1


def _connections(listening: socket.socket) -> int:
    """Take the connections that wait, and return how many did."""
    taken = 0
    with suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            taken += 1
    return taken


def test_a_redis_that_hangs_holds_up_few_requests(serve: Serve, clock: kit_clock.Frozen) -> None:
    """A Redis that takes connections and answers nothing costs one request its patience, not every request."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        organization = Organization(serve(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        key = organization.key()
        organization.get("/agent/all", key)
        silent.setblocking(False)
        _connections(silent)

        assert _statuses([organization.get("/agent/all", key) for _ in range(10)]) == {200: 10}

        assert _connections(silent) == 0


def test_redis_counts_again_when_it_is_back(redis_url: str) -> None:
    """Counting in process ends by itself once Redis answers."""
    counter = InRedis(redis_url, "test")
    counter._away, counter._ask_again = True, kit_clock.monotonic() + 0.05

    async def until_it_counts() -> None:
        while counter._away:
            await counter.hit("key:1", 60)
            await asyncio.sleep(0)
        await counter.close()

    asyncio.run(asyncio.wait_for(until_it_counts(), 10))

    with redis.Redis.from_url(redis_url) as client:
        assert len(client.keys()) == 1
