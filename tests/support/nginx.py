"""A real nginx as the how-to configures it, on a free port of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import missing
from tests.support.plain_http import PLAIN
from tests.support.ports import free_port

PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"
HOW_TO = Path(__file__).parents[2] / "docs" / "howto" / "behind-a-proxy.md"
_BUFFERS = re.compile(r"^\s*(?:proxy_\w*buffer\w*|large_client_header_buffers) .*;\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running nginx: where it listens, and the port at which it expects Latchpin."""

    url: str
    upstream: int


def documented() -> str:
    """Return the server block of the how-to."""
    match = re.search(r"```nginx\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1]


def with_own_buffers() -> str:
    """Return the same with nginx's own sizes of buffers, as people have it who copied less."""
    block, count = _BUFFERS.subn("", documented())
    assert count > 1
    return block


@contextmanager
def proxied(block: str) -> Iterator[Proxy]:
    """Run nginx with a server block, whose addresses become free ports of this machine, without TLS."""
    if not Path(PROGRAM).exists():
        missing("tests behind nginx", "install the package nginx-light")
    listens, upstream = free_port(), free_port()
    block = re.sub(r"listen 443 ssl;", f"listen 127.0.0.1:{listens};", block)
    block = re.sub(r"^\s*ssl_\w+ .*;\n", "", block, flags=re.MULTILINE)
    block = block.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{upstream}")
    with tempfile.TemporaryDirectory() as place:
        paths = "".join(f"{kind}_temp_path {place}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        file = Path(place) / "nginx.conf"
        file.write_text(
            f"daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; {paths}\n{block}}}\n"
        )
        process = subprocess.Popen([PROGRAM, "-p", place, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            url = f"http://127.0.0.1:{listens}"
            _wait(url, process)
            yield Proxy(url, upstream)
        finally:
            process.terminate()
            process.communicate(timeout=10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(url, trust_env=False, verify=PLAIN)
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    process.kill()
    message = f"nginx did not start: {process.communicate()[1].decode()}"
    raise RuntimeError(message)
