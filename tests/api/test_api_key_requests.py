"""A request with an API key, over HTTP."""

from __future__ import annotations

from tests.support.people import Organization


def test_a_key_opens_the_list_of_agents(organization: Organization) -> None:
    """The promise: `Authorization: ApiKey <key>` prints a list (promise 1)."""
    organization.agent("Book prices", organization.space())
    key = organization.key()

    response = organization.get("/agent/all", key)

    assert response.status_code == 200
    assert [agent["name"] for agent in response.json()] == ["Book prices"]


def test_a_revoked_key_is_refused_by_the_next_request(organization: Organization) -> None:
    """Revocation is immediate (promise 5)."""
    key = organization.key()
    assert organization.get("/agent/all", key).status_code == 200

    organization.revoke(key)

    assert organization.get("/agent/all", key).status_code == 401
