"""Client subnets: failed guesses are counted by subnet, since one home connection has 2**64 IPv6 addresses."""

from __future__ import annotations

import ipaddress


def of(address: str | None) -> str:
    """Return an IPv4 address as it is, and the /64 of an IPv6 address; an IPv4 address written as IPv6 is an IPv4 address.

    Text that is no address, such as the name of a socket, is returned unchanged; None is a client subnet of its own.
    """
    if address is None or ":" not in address:
        return address or "nowhere"
    try:
        ipv6_address = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if ipv6_address.ipv4_mapped is not None:
        return str(ipv6_address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ipv6_address), 64), strict=False))
