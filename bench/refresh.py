"""Chains of refreshes: each connection trades its family's token, then the token that it got, and so on. A process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from bench import load
from bench.load import Measured


@dataclass(slots=True)
class Chains:
    """Families of one client at one token endpoint. `families` holds the latest refresh token of each, before and after a measurement."""

    url: str
    form: Mapping[str, str]
    families: list[str]

    def measure(self, seconds: float) -> Measured:
        """Refresh all families side by side for so long; raises CalledProcessError where an answer was not 2xx."""
        given = json.dumps({**asdict(self), "seconds": seconds})
        done = subprocess.run([sys.executable, "-m", "bench.refresh"], input=given, capture_output=True, text=True, check=True)
        output = json.loads(done.stdout)
        self.families = output["families"]
        return Measured(**output["measured"])


async def _chain(chains: Chains, index: int, until: float, latencies: list[float]) -> None:
    parts = urlsplit(chains.url)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    while (began := time.perf_counter()) < until:
        form = {**chains.form, "grant_type": "refresh_token", "refresh_token": chains.families[index]}
        body = await load.ask(reader, writer, load.encode(chains.url, headers, form))
        latencies.append(time.perf_counter() - began)
        chains.families[index] = json.loads(body)["refresh_token"]
    writer.close()


async def _run(chains: Chains, seconds: float) -> Measured:
    latencies: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_chain(chains, index, began + seconds, latencies) for index in range(len(chains.families))))
    return load.measured(latencies, time.perf_counter() - began)


if __name__ == "__main__":
    arguments = json.load(sys.stdin)
    duration = arguments.pop("seconds")
    refresh_chains = Chains(**arguments)
    result = asyncio.run(_run(refresh_chains, duration))
    json.dump({"families": refresh_chains.families, "measured": asdict(result)}, sys.stdout)
