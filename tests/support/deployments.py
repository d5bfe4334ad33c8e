"""The deployments that tests of one process are served by: shared ones, which stay, and a test's own."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.databases import Templates
from tests.support.server import Server, served


class Deployments:
    """Serves deployments, each with a database of its own."""

    def __init__(self, templates: Templates, place: Path) -> None:
        self._templates, self._place = templates, place
        self._numbers = itertools.count(1)
        self._shared: dict[tuple[str, str], Server] = {}
        self._open = ExitStack()

    def shared(self, kind: str, **overrides: Any) -> Server:
        """Return the deployment that tests share who ask for the same settings; its log is empty, and it takes over."""
        key = kind, repr(sorted(overrides.items()))
        if key not in self._shared:
            self._shared[key] = self._open.enter_context(self.own(kind, **overrides))
        deployment = self._shared[key]
        deployment.clear_log()
        deployment.take_over()
        deployment.close_global_spaces()
        return deployment

    @contextmanager
    def own(self, kind: str, **overrides: Any) -> Iterator[Server]:
        """Serve a deployment that nothing was done to, for the length of the block."""
        data_dir = self._place / f"{kind}-{next(self._numbers)}"
        with self._templates.fresh(kind, data_dir) as url, served(url, data_dir, **overrides) as running:
            yield running
        shutil.rmtree(data_dir, ignore_errors=True)

    def close(self) -> None:
        """Stop serving the shared ones."""
        self._open.close()
