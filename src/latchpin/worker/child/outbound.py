"""Where a child process may connect to: public addresses, and what the administrator allows.

The check is of the address that is really connected to, in the operating system's own form: an audit hook, which nothing in the process
can remove, sees every connection before it is made. So it does not matter how an address was written, which name resolved to it, what
that name resolved to before, or who sent a redirect. The resolver refuses as well, so that a log says which name is refused and why.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Sequence
from typing import Any

from latchpin.kit import addresses
from latchpin.settings_values import Endpoints, endpoints

_allowed: list[Endpoints] = []
_FORBIDDEN_EVENTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"})
_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_HOW_TO = "An administrator can allow its network (LATCHPIN_AGENT_NETWORKS)."
_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})


class Forbidden(OSError):
    """A connection that agents may not make."""


def guard(networks: Sequence[str]) -> None:
    """Refuse all but public addresses and `networks` for the rest of the process, whether they were looked up by name or not."""
    for each in networks:
        _allowed.extend(endpoints(each))
    sys.addaudithook(_hook)
    socket.getaddrinfo = _resolver(socket.getaddrinfo)


def allows(address: str, port: int) -> bool:
    """Whether a connection may be made to an address in the operating system's form."""
    if addresses.is_public(address):
        return True
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any(
        each.port in (None, port) and candidate.version == each.network.version and candidate in each.network
        for each in _allowed
        for candidate in ((ip, mapped) if mapped else (ip,))
    )


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CONNECTS and arguments[1] is not None:  # without an address it goes to the peer of the connection, which was checked
        _check(arguments[0], arguments[1])
    elif event in _FORBIDDEN_EVENTS:
        message = "a run starts no other program"
        raise Forbidden(message)


def _check(connection: socket.socket, address: Any) -> None:  # noqa: ANN401  what the caller gave, of any form
    if connection.family not in _FAMILIES or not isinstance(address, tuple):
        message = "only the Internet can be reached"
        raise Forbidden(message)
    host, port = str(address[0]), int(address[1])
    if not allows(host, port):
        raise Forbidden(refusal(host, port))


def refusal(host: str, port: int) -> str:
    """Return a message that an address may not be reached, and who can change that."""
    display_host = f"[{host}]" if ":" in host else host
    return f"{display_host}:{port} is not a public address, so agents may not reach it. {_HOW_TO}"


def _resolver(original: Any) -> Any:  # noqa: ANN401  getaddrinfo, whose signature is kept
    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:  # noqa: ANN401  as above
        infos = original(host, port, *args, **kwargs)
        number = 0
        with contextlib.suppress(TypeError, ValueError):
            number = int(port)
        allowed_infos = [each for each in infos if each[0] not in _FAMILIES or allows(each[4][0], number or each[4][1])]
        if infos and not allowed_infos:
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
            message = f"{name} leads to an address that is not public, so agents may not reach it. {_HOW_TO}"
            raise Forbidden(message)
        return allowed_infos

    return getaddrinfo
