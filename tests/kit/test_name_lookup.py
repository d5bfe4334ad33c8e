"""Names that strangers choose: those that do not resolve hold nothing that others need."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from latchpin.errors import Throttled
from latchpin.kit import name_lookup
from latchpin.kit.fetching import Fetcher, FetchError, Limits
from latchpin.kit.rate_limit import InProcess


class Silence:
    """Name servers that do not answer for names below silent.example until they are let."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self._original = socket.getaddrinfo

    def __call__(self, host: Any, *args: Any, **more: Any) -> Any:
        """Stand in the place of the system's resolver."""
        if not str(host).endswith(".silent.example"):
            return self._original(host, *args, **more)
        self.may_answer.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silence]:
    """A network in which some names are never answered."""
    resolver = Silence()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.may_answer.set()
    _all_are_back()


def _all_are_back() -> None:
    for thread in threading.enumerate():
        if thread.name == "name-lookup":
            thread.join()


async def test_names_that_do_not_resolve_hold_none_of_the_loops_threads(silence: Silence) -> None:
    """The database connects again by its name meanwhile; a slot is held until its thread is back, and who finds none is refused at once."""
    fetcher = Fetcher(InProcess(), limits=Limits(at_once=100, per_client=100))
    urls = [f"https://{number}.silent.example/app.json" for number in range(40)]

    fetches = hanging = {asyncio.create_task(fetcher.get(url, client_address=None)) for url in urls}
    while len(hanging) > name_lookup.MOST:
        _, hanging = await asyncio.wait(hanging, return_when=asyncio.FIRST_COMPLETED)
    lookup = asyncio.ensure_future(asyncio.get_running_loop().getaddrinfo("localhost", 80))
    await asyncio.wait({lookup}, timeout=30)
    is_free = lookup.done()
    for task in hanging:
        task.cancel()
    await asyncio.gather(*fetches, return_exceptions=True)
    (refusal,) = await asyncio.gather(fetcher.get("https://localhost/app.json", client_address=None), return_exceptions=True)
    silence.may_answer.set()

    assert is_free
    assert len(hanging) == name_lookup.MOST
    assert all(isinstance(task.exception(), Throttled) for task in fetches - hanging)
    assert isinstance(refusal, Throttled)
    assert "too many names" in refusal.detail
    await asyncio.to_thread(_all_are_back)
    with pytest.raises(FetchError, match="no public address"):
        await fetcher.get("https://localhost/app.json", client_address=None)
