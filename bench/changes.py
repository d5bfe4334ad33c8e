"""Rights of others that are taken away while a server is measured: API keys and access tokens, revoked at another server process.

They are revoked over HTTP at a second process of the same deployment, so that what the change itself costs is not in the figure. With
every fifth the load's server is asked before (it has to say yes, and remembers it) and after the revocation was answered: another yes
is a late acceptance, of which there may be none.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench.http import Request, connect

PER_SECOND = 20
_TRY_EVERY = 5  # odd, so that keys and tokens, which alternate, are both tried
_SIDE_BY_SIDE = 4


class ChangeError(Exception):
    """A change was refused, or a credential before it; the text says which."""


@dataclass(slots=True)
class Plan:
    """Whose rights are narrowed: a file of credentials (JSON lines of `write`), from a position on, that the address `url` accepts."""

    url: str
    file: str
    position: int = 0


@dataclass(slots=True)
class Done:
    """How many changes were made, after how many the credential was tried, and how often it was accepted all the same."""

    changes: int = 0
    tried: int = 0
    late: int = 0


def write(file: Path, others: Iterator[tuple[str, Request]]) -> None:
    """Write down credentials, each with the request that revokes it."""
    with file.open("w") as out:
        for credential, request in others:
            line = {"credential": credential, "url": request.url, "headers": dict(request.headers), "form": request.form}
            out.write(json.dumps(line) + "\n")


def read(plan: Plan) -> list[dict[str, Any]]:
    """Return the credentials that are left of a plan."""
    return [json.loads(line) for line in Path(plan.file).read_text().splitlines()[plan.position :]]


async def make(plan: Plan, given: list[dict[str, Any]], seconds: float) -> Done:
    """Make changes to those that were read, evenly over so many seconds; raises ChangeError."""
    if len(given) < seconds * PER_SECOND:
        message = "there are too few others whose rights could be narrowed"
        raise ChangeError(message)
    done, numbers, began = Done(), count(), time.perf_counter()

    async def work() -> None:
        load, other = await connect(plan.url), await connect(given[0]["url"])
        for number in numbers:
            await asyncio.sleep(began + number / PER_SECOND - time.perf_counter())
            if time.perf_counter() >= began + seconds or number >= len(given):
                break
            one = dict(given[number])
            asked = Request(plan.url).encode(Authorization=one.pop("credential")) if number % _TRY_EVERY == 0 else None
            if asked is not None:
                _require(await load.ask(asked), "a credential of others, before it was revoked")
            _require(await other.ask(_revocation(one)), "a revocation")
            done.changes += 1
            if asked is not None:
                status, _ = await load.ask(asked)
                done.tried += 1
                done.late += 200 <= status < 300
        load.close()
        other.close()

    await asyncio.gather(*(work() for _ in range(_SIDE_BY_SIDE)))
    return done


def _revocation(one: dict[str, Any]) -> bytes:
    return Request(one["url"], one["headers"], one["form"]).encode()


def _require(answer: tuple[int, bytes], what: str) -> None:
    status, body = answer
    if not 200 <= status < 300:
        message = f"{what} was refused: {status} {body[:150]!r}"
        raise ChangeError(message)
