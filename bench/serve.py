"""Serves the application that is measured, with the server options of `latchpin serve`."""

from __future__ import annotations

import os

from latchpin import settings
from latchpin.cli import serve

if __name__ == "__main__":
    serve.run(settings.load(), target=os.environ["BENCH_TARGET"])
