"""A real PgBouncer in transaction mode before the tests' PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.conftest import missing
from tests.support.ports import free_port

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
SERVER_CONNECTIONS = 3


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """Yield the address of a database behind a PgBouncer that has three connections for everybody."""
    if not Path(PROGRAM).exists():
        missing("tests behind PgBouncer", "install the package pgbouncer")
    target, port = urlsplit(url), free_port()
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "pgbouncer.ini"
        file.write_text(
            "[databases]\n"
            f"* = host={target.hostname} port={target.port or 5432} user={target.username or 'postgres'}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\nmax_client_conn = 200\n"
        )
        Path(place).chmod(0o755)
        file.chmod(0o644)
        as_other = ["-u", "postgres"] if os.geteuid() == 0 else []  # it refuses to run as root
        process = subprocess.Popen([PROGRAM, "-q", *as_other, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _wait(port, process)
            yield f"postgresql+asyncpg://{target.username or 'postgres'}@127.0.0.1:{port}{target.path}"
        finally:
            process.terminate()
            process.communicate(timeout=10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    process.kill()
    message = f"pgbouncer did not start: {process.communicate()[1].decode()}"
    raise RuntimeError(message)
