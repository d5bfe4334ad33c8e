"""How addresses are read, and which are public."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchpin.kit import addresses

INSIDE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104  never bound
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "192.88.99.1",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2001::1",
    "2001:0:808:808::1",
    "2001:db8::1",
    "3fff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_that_lead_inside_are_not_public(address: str) -> None:
    """Loopback, private, link-local, metadata, multicast, reserved, shared, NAT64, 6to4, Teredo and mapped ones (security.md 71)."""
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:82b::200e"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    """What people publish documents at."""
    assert addresses.is_public(address)


@given(st.ip_addresses(v=4))
def test_no_writing_of_an_ipv4_address_as_ipv6_is_public(address: ipaddress.IPv4Address) -> None:
    """Whether the address inside is public or not: nobody publishes a document there (security.md 71)."""
    number = int(address)
    writings = [(0xFFFF << 32) | number, number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80), (0x20010000 << 96) | number]

    assert not any(addresses.is_public(str(ipaddress.IPv6Address(each))) for each in writings)


def test_what_is_no_address_is_not_public() -> None:
    """A name is resolved before."""
    assert not addresses.is_public("localhost")
    assert not addresses.is_home("localhost")


def test_home_is_loopback_and_private_but_never_where_clouds_keep_their_metadata() -> None:
    """The setting for development and tests opens no more than that."""
    assert all(addresses.is_home(each) for each in ("127.0.0.1", "::1", "10.1.2.3", "172.17.0.2", "192.168.0.9", "fd12::1"))
    assert not any(addresses.is_home(each) for each in ("169.254.169.254", "fe80::1", "0.0.0.0", "8.8.8.8", "100.64.0.1"))  # noqa: S104


FORWARDED = {
    "203.0.113.7": "203.0.113.7",
    "203.0.113.7:51234": "203.0.113.7",
    "2001:db8::7": "2001:db8::7",
    "[2001:db8::7]": "2001:db8::7",
    "[2001:db8::7]:443": "2001:db8::7",
    "[::ffff:203.0.113.7]:443": "203.0.113.7",
    "203.0.113.7:": None,
    "203.0.113.7:65536": None,
    "203.0.113.7:x": None,
    "[203.0.113.7]:80": None,
    "[fe80::1%eth0]:80": None,
    "[2001:db8::7": None,
    "[2001:db8::7]x": None,
    "[]": None,
    "unknown": None,
    "": None,
}


def test_a_forwarded_address_may_have_brackets_and_a_port() -> None:
    """As proxies of cloud providers write it; text that is no address is none."""
    for text, expected in FORWARDED.items():
        address = addresses.read_forwarded(text)
        assert (None if address is None else str(address)) == expected, text


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_is_read_with_its_port(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    """The port changes nothing."""
    text = f"[{address}]" if address.version == 6 else str(address)

    assert addresses.read_forwarded(f"{text}:{port}") == addresses.read(str(address))
