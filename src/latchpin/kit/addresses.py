"""IP addresses: how proxies write them, and which are on the public Internet. Pure.

IPv6 forms that may lead to an IPv4 address in one's own network are not public: IPv4-mapped, IPv4-compatible, NAT64, 6to4, Teredo.
"""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all allocated addresses (RFC 3513); NAT64 and IPv4-mapped addresses are outside of it
_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in (
        "100.64.0.0/10",  # between a provider and its customers (RFC 6598)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "2001::/23",  # protocol assignments, Teredo among them (RFC 2928, RFC 4380)
        "2002::/16",  # 6to4 (RFC 3056)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})(?=:))(?::([0-9]{1,5}))?")
_HIGHEST_PORT = 65535
_HOME = tuple(
    ipaddress.ip_network(each) for each in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)


def read(text: str | None) -> Address | None:
    """Return an address, or None; an IPv4 address that came over an IPv6 socket (::ffff:192.0.2.1) is returned as IPv4.

    Returns None for one with a zone (fe80::1%eth0): the zone may be any text of any length, and means nothing to another host.
    """
    address = _read(text or "")
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def read_forwarded(text: str) -> Address | None:
    """Return an address as proxies write one in X-Forwarded-For, or None: alone, in brackets, or with the client's port behind it."""
    match = _WITH_PORT.fullmatch(text)
    if match is None:
        return read(text)
    bracketed, plain, port = match.groups()
    if int(port or 0) > _HIGHEST_PORT:
        return None
    address = read(bracketed or plain)
    return address if bracketed is None or ":" in bracketed else None


def is_public(text: str) -> bool:
    """Whether an address in its usual notation is on the public Internet; False for text that is no address."""
    address = _read(text)
    if address is None or any(address in network for network in _NEVER):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def is_home(text: str) -> bool:
    """Whether an address is loopback or private; False for link-local ones, where clouds serve their metadata."""
    address = _read(text)
    return address is not None and any(address in network for network in _HOME)


def _read(text: str) -> Address | None:
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
