"""Client subnets: whose addresses count as one."""

from __future__ import annotations

import pytest

from latchpin.kit import client_subnet


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:DB8:1:2::1", "2001:db8:1:2:0:0:0:2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("192.0.2.1", "::FFFF:c000:201"),
    ],
)
def test_addresses_of_one_subnet_count_as_one(one: str, other: str) -> None:
    """The /64 of an IPv6 address, and an IPv4 address in either spelling."""
    assert client_subnet.of(one) == client_subnet.of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:3::1"), ("192.0.2.1", "192.0.2.2"), ("::ffff:192.0.2.1", "::ffff:192.0.2.2"), (None, "192.0.2.1")],
)
def test_addresses_of_two_subnets_count_apart(one: str | None, other: str) -> None:
    """Neighbours do not slow each other."""
    assert client_subnet.of(one) != client_subnet.of(other)


@pytest.mark.parametrize("text", ["unix:", "1:2", ":::", "a" * 1000 + ":"])
def test_what_is_no_address_is_a_subnet_of_its_own(text: str) -> None:
    """It raises nothing."""
    assert client_subnet.of(text) == text
