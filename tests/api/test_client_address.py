"""Where a request came from: trusted proxies, forged headers, and keys that are bound to networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest

from latchpin import settings
from latchpin.asgi.request_context import RequestContextMiddleware
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.identity.verified import Verified
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.wire import audit, present

PROXIES = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "10.0.0.0/8", "2001:db8:ffff::/48"))


@pytest.fixture
def behind_proxy(shared: Callable[..., Server]) -> Organization:
    """An organization on a deployment that trusts the proxy the tests connect from."""
    return Organization(shared(trusted_proxies=PROXIES))


def _verified(*networks: str) -> Verified:
    principal = Principal(1, 1, "Grace", "grace@example.com", Group.USER, Credential(CredentialKind.API_KEY, 1))
    return Verified(principal, 0, 0.0, 0.0, tuple(ipaddress.ip_network(network) for network in networks), None)


@pytest.mark.parametrize(
    ("networks", "address", "admitted"),
    [
        (("203.0.113.0/24",), "203.0.113.7", True),
        (("203.0.113.0/24",), "203.0.114.7", False),
        (("203.0.113.7/32", "198.51.100.0/24"), "198.51.100.255", True),
        (("2001:db8::/32",), "2001:db8:1::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("203.0.113.0/24",), "::ffff:203.0.113.7", True),
        (("203.0.113.0/24",), "::ffff:203.0.114.7", False),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("::/0",), "203.0.113.7", False),
        (("203.0.113.0/24",), None, False),
        (("0.0.0.0/0", "::/0"), None, False),
        (("0.0.0.0/0",), "unix:", False),
        (("0.0.0.0/0",), "", False),
        ((), None, True),
    ],
)
def test_a_key_bound_to_networks_is_used_only_from_there(networks: tuple[str, ...], address: str | None, admitted: bool) -> None:
    """IPv4, IPv6 and mapped addresses are told apart rightly, and an unknown address is outside (security.md 104)."""
    assert _verified(*networks).admits(address) is admitted


def test_a_key_is_refused_from_outside_its_networks(organization: Organization) -> None:
    """Over HTTP: the key works from its network and from no other."""
    assert organization.get("/agent/all", organization.key(networks=("127.0.0.0/8",))).status_code == 200
    assert organization.get("/agent/all", organization.key(networks=("203.0.113.0/24",))).status_code == 401


def test_a_key_that_is_remembered_is_still_bound_to_its_networks(behind_proxy: Organization) -> None:
    """The address is looked at with every request, not only when the key is looked up."""
    key = behind_proxy.key(networks=("203.0.113.0/24",))

    def ask(address: str) -> int:
        return present(behind_proxy.server, f"ApiKey {key.secret}", X_Forwarded_For=address).status_code

    assert [ask(address) for address in ("203.0.113.9", "198.51.100.9", "203.0.113.9")] == [200, 401, 200]


FORWARDED = {
    "203.0.113.9": 200,
    "198.51.100.1, 203.0.113.9": 200,
    "203.0.113.9, 10.1.2.3": 200,
    "203.0.113.9, 10.1.2.3, 10.9.9.9": 200,
    "::ffff:203.0.113.9": 200,
    "203.0.113.9, ::ffff:10.1.2.3": 200,
    "203.0.113.9, 2001:db8:ffff::5": 200,
    "203.0.113.9, 198.51.100.1": 401,
    "203.0.113.9, unknown": 401,
    "203.0.113.9:51234": 200,
    "198.51.100.1:80, 203.0.113.9:443, 10.1.2.3:8080": 200,
    "[::ffff:203.0.113.9]:443": 200,
    "203.0.113.9, [2001:db8:ffff::5]:443": 200,
    "203.0.113.9:65536": 401,
    "203.0.113.9:port": 401,
    "[203.0.113.9]:443": 401,
    "203.0.113.9,": 401,
    "10.1.2.3": 401,
    "": 401,
    "x" * 3000: 401,
}


def test_the_nearest_address_that_is_no_proxy_counts(behind_proxy: Organization, subtests: pytest.Subtests) -> None:
    """What a client writes further left is not believed, and an address that cannot be read fails closed (security.md 104)."""
    key = behind_proxy.key(networks=("203.0.113.0/24",))

    for forwarded, status in FORWARDED.items():
        with subtests.test(forwarded=forwarded[:60]):
            assert present(behind_proxy.server, f"ApiKey {key.secret}", X_Forwarded_For=forwarded).status_code == status


def test_a_proxy_that_names_no_client_leaves_the_address_unknown(behind_proxy: Organization) -> None:
    """A proxy that forgets the header does not lend its own address to everybody (security.md 104)."""
    key = behind_proxy.key(networks=("127.0.0.0/8", "10.0.0.0/8"))

    assert behind_proxy.get("/agent/all", key).status_code == 401
    assert behind_proxy.get("/agent/all", behind_proxy.key()).status_code == 200


def test_a_forwarded_address_is_not_believed_from_anybody_else(organization: Organization) -> None:
    """Without trusted proxies the header is a client's claim and counts for nothing (security.md 104)."""
    key = organization.key(networks=("203.0.113.0/24",))

    assert present(organization.server, f"ApiKey {key.secret}", X_Forwarded_For="203.0.113.9").status_code == 401
    (row,) = audit(organization, "api_key.refused", target_id=key.id)
    assert row.address == "127.0.0.1"


@pytest.mark.parametrize("peer", ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.5", "2001:db8:ffff::1"])
def test_a_proxy_is_known_by_any_spelling_of_its_address(tmp_path: Path, peer: str) -> None:
    """A proxy that connects over an IPv6 socket is the same proxy (security.md 104)."""

    async def nothing(*_: object) -> None:
        pass

    envelope = RequestContextMiddleware(nothing, settings.load({}, data_dir=tmp_path, trusted_proxies=PROXIES))

    assert envelope._client(peer, b"203.0.113.9") == "203.0.113.9"
    assert envelope._client("198.51.100.1", b"203.0.113.9") == "198.51.100.1"
