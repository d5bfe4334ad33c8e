"""Readers of setting values: text in, checked value out, ValueError with a sentence for a person otherwise."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._\-]{0,251}[A-Za-z0-9.])?")
_AUTHORITY = re.compile(r"[A-Za-z0-9.\-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")
DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_LABEL = 100
Parser = Callable[[str], object]


def text(raw: str) -> str:
    """Read a text that may not be empty."""
    if not raw.strip():
        message = "may not be empty"
        raise ValueError(message)
    return raw.strip()


def text_or_nothing(raw: str) -> str:
    """Read a text that may be empty."""
    return raw.strip()


def content(raw: str) -> str:
    """Read the text of the named file, without the line break at its end."""
    file = path(raw)
    try:
        file_text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        message = f"{file} cannot be read ({error.strerror})"
        raise ValueError(message) from None
    except UnicodeDecodeError:
        message = f"{file} is not text in UTF-8"
        raise ValueError(message) from None
    if not file_text:
        message = f"{file} is empty"
        raise ValueError(message)
    return file_text


def label(raw: str) -> str:
    """Read a text that may be empty, of up to 100 printable ASCII characters without parentheses, fit for a header's comment."""
    clean = raw.strip()
    if len(clean) > _MOST_LABEL or not clean.isascii() or not clean.isprintable() or set(clean) & set("()\\"):
        message = f"must be at most {_MOST_LABEL} plain characters without parentheses"
        raise ValueError(message)
    return clean


def path(raw: str) -> Path:
    """Read a file or directory name; `~` is the home directory."""
    try:
        return Path(text(raw)).expanduser()
    except RuntimeError:
        message = f"{raw!r} names the home directory of nobody"
        raise ValueError(message) from None


def host(raw: str) -> str:
    """Read a host name, or an address with or without the brackets that URLs put around IPv6."""
    name = text(raw)
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return str(ipaddress.ip_address(bare)) if ":" in bare and "%" not in bare else _host_name(bare)
    except ValueError:
        message = f"{raw!r} is not a host name or an address such as localhost, 127.0.0.1 or ::1"
        raise ValueError(message) from None


def _host_name(name: str) -> str:
    if not _HOST.fullmatch(name):
        raise ValueError
    return name.lower()


def boolean(raw: str) -> bool:
    """Read yes or no in the usual spellings."""
    word = raw.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    message = f"{raw!r} is neither yes nor no"
    raise ValueError(message)


def integer(least: int, most: int) -> Callable[[str], int]:
    """Make a reader of whole numbers from `least` to `most`."""

    def read(raw: str) -> int:
        try:
            number = int(raw.strip())
        except ValueError:
            message = f"{raw!r} is not a whole number"
            raise ValueError(message) from None
        if not least <= number <= most:
            message = f"{number} is outside {least} to {most}"
            raise ValueError(message)
        return number

    return read


def choice(*words: str) -> Callable[[str], str]:
    """Make a reader of one word out of a list."""

    def read(raw: str) -> str:
        word = raw.strip().lower()
        if word not in words:
            message = f"{raw!r} is not one of {', '.join(words)}"
            raise ValueError(message)
        return word

    return read


def one_of(*words: str) -> Callable[[str], str]:
    """Make a reader of one word out of a list, whatever its case."""
    read = choice(*(word.lower() for word in words))
    return lambda raw: next(word for word in words if word.lower() == read(raw))


def origin(raw: str) -> str:
    """Read scheme://host[:port] without path, query or user, and return it in the form of an origin in browsers (RFC 6454 section 6.1).

    Scheme and host in lower case, the scheme's own port and a closing slash left out.
    """
    address = raw.strip().rstrip("/")
    parts = _split(address)
    sound = parts.scheme in DEFAULT_PORTS and parts.hostname and not (parts.path or parts.query or parts.fragment)
    if not sound or not _AUTHORITY.fullmatch(parts.netloc) or not _has_sound_port(address):
        message = f"{raw!r} is not an address like https://latchpin.example without a path"
        raise ValueError(message)
    return f"{parts.scheme}://{authority(parts)}"


def authority(parts: SplitResult) -> str:
    """Return host and port of an address in their one form (RFC 3986 section 6.2.3); raises ValueError if it has none."""
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{ipaddress.IPv6Address(host)}]"
    return host if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _has_sound_port(address: str) -> bool:
    """Whether the port is left out or a number up to 65535; never quotes the address, which may hold a password."""
    try:
        return urlsplit(address).port != 0
    except ValueError:
        return False


def networks(raw: str) -> tuple[Network, ...]:
    """Read comma-separated networks in CIDR form; a single address is a network of one."""
    parsed_networks = []
    for part in raw.split(","):
        if part.strip():
            try:
                parsed_networks.append(ipaddress.ip_network(part.strip()))
            except ValueError:
                message = f"{part.strip()!r} is not a network such as 10.0.0.0/8"
                raise ValueError(message) from None
    return tuple(parsed_networks)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """A network, and one of its ports or (None) all."""

    network: Network
    port: int | None = None

    def __str__(self) -> str:
        if self.port is None:
            return str(self.network)
        return f"[{self.network}]:{self.port}" if self.network.version == 6 else f"{self.network}:{self.port}"  # noqa: PLR2004  the version


_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:/\d+)?)\]|([0-9.]+(?:/\d+)?)):(\d{1,5})")


def endpoints(raw: str) -> tuple[Endpoints, ...]:
    """Read comma-separated networks in CIDR form, each with or without a port: 10.0.0.0/8, 127.0.0.1:9001, [::1]:9001."""
    parsed_endpoints = []
    for part in (each.strip() for each in raw.split(",")):
        if not part:
            continue
        match = _WITH_PORT.fullmatch(part)
        try:
            port = int(match[3]) if match else None
            network = ipaddress.ip_network((match[1] or match[2]) if match else part)
            if port is not None and not 0 < port < 65536:  # noqa: PLR2004  the range of ports
                raise ValueError  # noqa: TRY301  one message for every mistake
        except ValueError:
            message = f"{part!r} is not a network such as 10.0.0.0/8 or 127.0.0.1:9001"
            raise ValueError(message) from None
        parsed_endpoints.append(Endpoints(network, port))
    return tuple(parsed_endpoints)


def database_url(raw: str) -> str:
    """Read a database address and name the driver that is used with it."""
    address = raw.strip()
    for prefix in ("postgresql+asyncpg://", "postgresql://", "postgres://"):
        if address.startswith(prefix):
            if not _has_sound_port(address):
                message = (
                    "is no address like postgresql://user@host:5432/name; signs such as / and @ in a password are written as %2F and %40"
                )
                raise ValueError(message)
            _require_known_options(address)
            return "postgresql+asyncpg://" + address.removeprefix(prefix)
    for prefix in ("sqlite+aiosqlite:///", "sqlite:///"):
        if address.startswith(prefix):
            if address.removeprefix(prefix) in ("", ":memory:") or "?" in address:
                message = "must name a file, whose signs ?, # and % are written as %3F, %23 and %25; not a database in memory"
                raise ValueError(message)
            return "sqlite+aiosqlite:///" + address.removeprefix(prefix)
    message = "must start with postgresql:// or sqlite:///"
    raise ValueError(message)


def _require_known_options(address: str) -> None:
    for name, word in parse_qsl(urlsplit(address).query, keep_blank_values=True):
        if name not in ("host", "port", "sslmode") or (name == "sslmode" and word not in _TLS_MODES):
            message = f"understands host=, port= and sslmode={'|'.join(_TLS_MODES)} after the question mark, and nothing else"
            raise ValueError(message)


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file, whatever characters its name contains."""
    return "sqlite+aiosqlite:///" + quote(str(file))


def redis_url(raw: str) -> str:
    """Read a Redis address."""
    address = raw.strip()
    if not address.startswith(("redis://", "rediss://", "unix://")):
        message = "must start with redis://, rediss:// or unix://"
        raise ValueError(message)
    return address
