"""Behind a real nginx, as the how-to configures it, and with the sizes of buffers that it has by itself."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import spaces, users
from latchpin.identity.membership import MOST_BYTES
from latchpin.identity.roles import Role
from tests.support import nginx
from tests.support.apps import Apps
from tests.support.authorizing import HTML, Journey, came
from tests.support.databases import Templates
from tests.support.people import PASSWORD, Organization, Person
from tests.support.server import served
from tests.support.tokens import claims
from tests.web.browser import value_of

SPACES = 85
PLAIN = "s" * 1500
AWKWARD = "%2F&=+ \u00fc?" * 215  # 1,505 characters, most of which an address must escape


@pytest.fixture(scope="module", params=[nginx.documented, nginx.with_own_buffers])
def block(request: pytest.FixtureRequest) -> str:
    """What nginx is configured with."""
    text: str = request.param()
    return text


@pytest.fixture(scope="module")
def organization(block: str, templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    """An organization on a deployment that everybody reaches through nginx alone."""
    data_dir = tmp_path_factory.mktemp("behind-nginx")
    trusted = (ipaddress.ip_network("127.0.0.1/32"),)
    with (
        nginx.proxied(block) as proxy,
        templates.fresh("sqlite", data_dir) as url,
        served(url, data_dir, port=proxy.upstream, public_url=proxy.url, trusted_proxies=trusted) as server,
    ):
        yield Organization(server)


def _member_of_many(organization: Organization) -> Person:
    person = organization.user()

    async def work(session: AsyncSession) -> None:
        user = await users.get(session, organization.id, person.id)
        for number in range(SPACES):
            fields = spaces.SpaceFields(name=f"Prices of the retailers in region {number:02d}, collected every day for the whole year")
            space = await spaces.create(session, organization.id, fields, by=organization.admin.actor)
            await spaces.set_member(session, space, user, Role.VIEWER, by=organization.admin.actor)

    organization.write(work)
    return person


def _comes_back(organization: Organization, state: str) -> str:
    """Return the state that an app gets back, after its user followed every redirect, gave the password and agreed."""
    apps = Apps(organization)
    journey, person = Journey(apps, apps.register()), organization.user()
    with closing(journey.browser.http):

        def follow(response: httpx.Response) -> httpx.Response:
            while response.is_redirect:
                response = journey.browser.open(response.headers["location"], headers=HTML)
            assert response.status_code == 200, f"{response.status_code} at {response.url}"
            return response

        page = follow(journey.ask(state=state))
        form = {"email": person.email, "password": PASSWORD, "next": value_of(page.text, "next")}
        consent = follow(journey.browser.send("/login", **form))
        return came(journey.agree(consent))["state"]


def test_a_long_state_comes_back_through_signing_in_and_consent(organization: Organization) -> None:
    """From the app's link over the password to the app's address: no step is refused for its size."""
    assert _comes_back(organization, PLAIN) == PLAIN


def test_a_long_state_of_signs_that_addresses_escape_comes_back_too(organization: Organization, block: str) -> None:
    """Three times as long, it comes back in one address that only the documented buffers hold."""
    if block == nginx.documented():
        assert _comes_back(organization, AWKWARD) == AWKWARD
    else:
        assert _comes_back(organization, AWKWARD[:700]) == AWKWARD[:700]


def test_a_member_of_many_spaces_gets_a_token_that_a_proxy_takes(organization: Organization) -> None:
    """The list is left out beyond 4 KB, and the token says where it is; nginx takes it, and a proof of DPoP's size beside it."""
    apps = Apps(organization)
    tokens = apps.tokens(apps.register(), _member_of_many(organization))

    token_claims = claims(tokens.access)
    assert token_claims["spaces_omitted"] == SPACES
    assert "spaces" not in token_claims
    response = organization.server.http.get(token_claims["spaces_uri"], headers=tokens.header)
    assert (response.status_code, len(response.json())) == (200, SPACES)


def test_the_longest_list_that_a_token_holds_passes(organization: Organization) -> None:
    """A token whose list is just within the 4 KB."""
    apps, person = Apps(organization), organization.user()
    for number in range(64):
        organization.member(organization.space(f"Prices of region {number:03d} {organization.number}"), person, Role.VIEWER)
    tokens = apps.tokens(apps.register(), person)

    assert MOST_BYTES * 0.8 < len(json.dumps(claims(tokens.access)["spaces"], separators=(",", ":"))) <= MOST_BYTES
    assert len(tokens.access) < 7_000
    assert apps.get("/spaces", tokens).status_code == 200
