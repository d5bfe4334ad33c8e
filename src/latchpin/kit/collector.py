"""The garbage collector, paused while modules are imported: they leave nothing to collect, and looking all the same costs a sixth.

What they have made stays for good, so that later collections pass over it, above all the last one when the process ends.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the collector for the block, and have it pass over everything that is there at its end."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
