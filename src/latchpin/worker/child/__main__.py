"""Entry of a child process: `python -I -m latchpin.worker.child WORKER_PROCESS_ID`, started by a worker only.

Standard input and output are the pipe. Everything is loaded before the specification comes, so that a waiting child can start at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import warnings

from latchpin.kit.collector import no_collection
from latchpin.worker.child import limits, outbound

_CPU_MARGIN = 60  # seconds beyond the longest time of a run


def main() -> None:
    """Load, wait for the specification, crawl."""
    limits.bind_to_parent(int(sys.argv[1]))
    source, target = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # accidental prints must not mix with messages
    os.close(nothing)
    warnings.simplefilter("ignore")

    with no_collection():
        from latchpin.worker import messages, specification  # noqa: PLC0415  loaded when the pipe is safe
        from latchpin.worker.child.channel import Channel  # noqa: PLC0415  as above
        from latchpin.worker.child.crawl import crawl  # noqa: PLC0415  as above
        from latchpin.worker.child.crawl_settings import load_components  # noqa: PLC0415  as above

        load_components()
    channel = Channel(source, target)
    os.write(target, messages.READY)
    spec = specification.decode(channel.read_line())
    limits.apply(memory_mb=spec.limits.memory_mb, cpu_seconds=spec.definition.limits.max_run_seconds + _CPU_MARGIN)
    outbound.guard(spec.networks)
    asyncio.run(crawl(spec, channel))


if __name__ == "__main__":
    main()
