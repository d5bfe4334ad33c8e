"""Limits on requests, and on rows that unauthenticated requests create: for one app, one client subnet, and in all.

A caller that names another app each time, or registers ten, still comes from one subnet; a caller with many subnets still meets the
limit of all together. Without Redis, each process counts for itself.
"""

from __future__ import annotations

from latchpin.errors import Throttled
from latchpin.kit import client_subnet, clock, rate_limit
from latchpin.oauth.authorization_server import AuthorizationServer

APPS_PER_SUBNET = 3  # a client subnet may ask as often as so many apps
SUBNETS = 20  # all of them together may leave as many rows as so many subnets
MINUTE, HOUR = 60, 3600


async def count_request(server: AuthorizationServer, endpoint: str, claimed_client: str, address: str | None, *, most: int) -> None:
    """Count a request against the app that it names, and against its client subnet; raises Throttled beyond `most` a minute of one app.

    The client_id is not verified: a false one uses up another app's limit, but only for the caller's own subnet.
    """
    subnet = client_subnet.of(address)
    detail = "too many requests of this client; wait {left} seconds"
    await rate_limit.require(server.counter, f"{endpoint}:{claimed_client}|{subnet}", seconds=MINUTE, most=most, detail=detail)
    detail = "too many requests from this network; wait {left} seconds"
    await rate_limit.require(server.counter, f"{endpoint}@{subnet}", seconds=MINUTE, most=most * APPS_PER_SUBNET, detail=detail)


async def require_room(server: AuthorizationServer, rows: str, address: str | None, *, most: int | None = None) -> None:
    """Count a row that an unauthenticated request is about to create; raises Throttled beyond `most` an hour of one client subnet.

    `rows` names the kind; the default of `most` is the setting's.
    """
    wait = await room_in(server, rows, address, most=most)
    if wait:
        raise Throttled(f"too many of these were begun within an hour; wait {wait} seconds", retry_after=wait)


async def room_in(server: AuthorizationServer, rows: str, address: str | None, *, most: int | None = None) -> int:
    """Count a row as `require_room` does; returns the seconds until there is room, 0 where there is."""
    most = server.settings.pending_limit if most is None else most
    for key, limit in ((f"{rows}@{client_subnet.of(address)}", most), (rows, most * SUBNETS)):
        window = await server.counter.hit(f"rows:{key}", HOUR)
        if window.count > limit:
            return window.seconds_left(clock.monotonic())
    return 0
