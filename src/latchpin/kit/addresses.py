"""Which addresses of the Internet Protocol are somebody's on the public Internet. Pure.

What leads into one's own network in some other writing is not public either: IPv4-mapped and IPv4-compatible IPv6, NAT64, 6to4, Teredo.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that is handed out (RFC 3513); NAT64 and IPv4-mapped addresses are outside of it
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
_HOME = tuple(
    ipaddress.ip_network(each) for each in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)


def is_public(text: str) -> bool:
    """Whether an address in its usual writing is one on the public Internet; text that is no address is not."""
    address = _read(text)
    if address is None or any(address in network for network in _NEVER):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def is_home(text: str) -> bool:
    """Whether an address is a loopback or private one; link-local ones, where clouds keep their metadata, are not."""
    address = _read(text)
    return address is not None and any(address in network for network in _HOME)


def _read(text: str) -> Address | None:
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
