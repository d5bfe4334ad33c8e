"""A code is traded for tokens once, by who it was made for."""

from __future__ import annotations

from tests.support.apps import Apps
from tests.support.people import Organization


def test_an_app_calls_the_api_with_what_its_code_was_traded_for(organization: Organization) -> None:
    """The promised way: code, token, `Authorization: Bearer`."""
    apps = Apps(organization)
    organization.agent("Book prices")

    tokens = apps.tokens(apps.register())

    response = apps.get("/agent/all", tokens)
    assert response.status_code == 200, response.text
    assert [each["name"] for each in response.json()] == ["Book prices"]


def test_a_refresh_token_is_traded_for_new_tokens(organization: Organization) -> None:
    """The standard flow: each refresh gives another refresh token."""
    apps = Apps(organization)
    app = apps.register()
    first = apps.tokens(app)

    again = apps.refresh(app, first.refresh)

    assert again.status_code == 200, again.text
    assert again.json()["refresh_token"] != first.refresh
