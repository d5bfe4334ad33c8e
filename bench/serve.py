"""Serves the application that is measured, with the server options of `latchpin serve`."""

from __future__ import annotations

import os

from latchpin import settings
from latchpin.cli import serve

if __name__ == "__main__":
    chosen = settings.load()
    serve.run(chosen, serve.bind(chosen.host, chosen.port), target=os.environ["BENCH_TARGET"])
