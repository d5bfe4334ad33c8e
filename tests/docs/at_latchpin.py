"""`latchpin` with a reader before it: answers the questions of `init`, approves `login` in a browser, and ends `serve` once it answers.

Any other command takes the place of this process; so what only a reader needs is imported where one reads.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

LATCHPIN = str(Path(sys.executable).with_name("latchpin"))
_CODE = re.compile(r"^\s+([A-Z]{4}-[A-Z]{4})$")


def init() -> int:
    """Answer the three questions."""
    return subprocess.run([LATCHPIN, "init"], input="Acme\nAda Byron\nada@example.com\n", text=True, check=False).returncode


def login(*args: str) -> int:
    """Enter the code that is shown, and agree."""
    from tests.docs.reader import Reader  # noqa: PLC0415  as above

    process = subprocess.Popen([LATCHPIN, "login", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(line)
        if match := _CODE.match(line.rstrip()):
            with Reader.from_environment() as reader:
                reader.enter_code(match[1])
    return process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def serve(*args: str) -> int:
    """Wait until the server is ready, then stop it."""
    import httpx  # noqa: PLC0415  as above

    from tests.support.plain_http import PLAIN  # noqa: PLC0415  as above

    port = _free_port()
    with subprocess.Popen([LATCHPIN, "serve", *args], env={**os.environ, "LATCHPIN_PORT": str(port)}) as process:
        until = time.monotonic() + 90
        while process.poll() is None and time.monotonic() < until:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False, verify=PLAIN).status_code == httpx.codes.OK:
                    process.terminate()
                    return process.wait()
            except httpx.TransportError:
                time.sleep(0.1)
        process.kill()
        return process.wait() or 1


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "init" and not rest:
        sys.exit(init())
    if command in ("login", "serve"):
        sys.exit({"login": login, "serve": serve}[command](*rest))
    os.execv(LATCHPIN, [LATCHPIN, command, *rest])  # noqa: S606  no shell is wanted
