"""What notes whether a writing transaction is open while something slow runs: hashing, drawing a page, fetching from elsewhere.

It listens to SQLAlchemy, and stands around functions of other people's libraries: argon2, Jinja, httpcore. Nothing of ours is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import argon2
import httpcore
import jinja2
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

SLOW: tuple[tuple[type[Any], str, str], ...] = (
    (argon2.PasswordHasher, "hash", "hashing"),
    (argon2.PasswordHasher, "verify", "hashing"),
    (jinja2.Template, "render", "drawing"),
    (httpcore.AsyncConnectionPool, "handle_async_request", "fetching"),
)


class Watch:
    """What was seen: every slow thing that ran in `ran`, and those during a writing transaction in `held` as well."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.held: list[str] = []
        self._writers: set[int] = set()

    def begin(self, session: Session, transaction: SessionTransaction) -> None:
        """Hear of a transaction; only writing ones keep others waiting, and they do so before their first statement.

        What an application writes by itself now and then is not what a request does: a page may be drawn meanwhile.
        """
        task = asyncio.current_task()
        if task is not None and task.get_name() == "background":
            return
        if session.bind is not None and session.bind.get_execution_options().get("latchpin_writes"):
            self._writers.add(id(transaction))

    def end(self, _session: Session, transaction: SessionTransaction) -> None:
        """Hear of its end."""
        self._writers.discard(id(transaction))

    def around(self, original: Callable[..., Any], kind: str) -> Callable[..., Any]:
        """Return what notes that it runs, and runs."""

        def watched(*args: Any, **more: Any) -> Any:
            self.ran.append(kind)
            if self._writers:
                self.held.append(kind)
            return original(*args, **more)

        return watched


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch the process for the length of the block. Batches that the server writes by itself must wait: see `Server.without_batches`."""
    watch = Watch()
    events = {"after_transaction_create": watch.begin, "after_transaction_end": watch.end}
    with pytest.MonkeyPatch.context() as patch:
        for kind, method, name in SLOW:
            patch.setattr(kind, method, watch.around(getattr(kind, method), name))
        for name, hear in events.items():
            event.listen(Session, name, hear)
        try:
            yield watch
        finally:
            for name, hear in events.items():
                event.remove(Session, name, hear)
