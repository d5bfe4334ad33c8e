"""The audit log's page, filtered by credential and address: what one key or app did, and what came from one place."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record, scan
from latchpin.web.pages import audit as audit_pages
from tests.support.apps import Apps
from tests.support.people import Organization
from tests.web.browser import Browser


def shown(browser: Browser, **filters: str) -> list[str]:
    """Open the log and return the id of each record that is listed, with its row's text."""
    browser.server.flush()
    page = browser.open(f"/audit?{urlencode(filters)}")
    assert page.status_code == 200
    return re.findall(r'<tr role="row">(.*?)</tr>', page.text.partition("<tbody")[2], re.DOTALL)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_key_leads_to_what_it_did(organization: Organization, administrator: Browser) -> None:
    """The key's menu has Activity; only what was done with this very key is there, another one of the same name is not."""
    key, twin = organization.key(description="Nightly export"), organization.key(description="Nightly export")
    agent, left = organization.agent("Prices"), organization.agent("Stock")
    organization.post(f"/agent/{agent}/archive", key)
    organization.post(f"/agent/{left}/archive", twin)
    menu = administrator.open(f"/organization/users/{organization.admin.id}/api-keys").text

    assert f'href="/audit?through=api_key:{key.id}"' in menu
    rows = shown(administrator, through=f"api_key:{key.id}")
    assert any("Prices" in row for row in rows)
    assert not any("Stock" in row for row in rows)
    assert "API key Nightly export" in administrator.open(f"/audit?through=api_key:{key.id}").text


def test_an_app_leads_to_what_it_did_for_each_of_its_users(organization: Organization, administrator: Browser) -> None:
    """Both its own requests and those with its users' tokens; another app of the same name has its own."""
    apps = Apps(organization)
    app, twin = apps.register(), apps.register()
    mine, theirs = organization.agent("Prices"), organization.agent("Stock")
    for used, agent in ((app, mine), (twin, theirs)):
        scope = "agents:read agents:write offline_access"
        assert organization.server.http.post(f"/api/v1/agent/{agent}/archive", headers=apps.tokens(used, scope=scope).header).is_success

    assert f'href="/audit?through=app:{app.pk}"' in administrator.open(f"/organization/apps/{app.pk}").text
    rows = shown(administrator, through=f"app:{app.pk}")
    assert any("Prices" in row for row in rows)
    assert not any("Stock" in row for row in rows)
    assert all("Partner" in row for row in rows)


def test_records_are_found_by_where_they_came_from(organization: Organization, administrator: Browser) -> None:
    """An address, or how it begins; the letters that a database takes for any letter stand for themselves."""

    async def work(session: AsyncSession) -> None:
        for address in ("203.0.113.9", "203.0.113.10", "2001:db8::7"):
            by = Actor("Grace", organization.admin.id, organization.id, "session", 1, "browser session", Origin(address))
            record(session, events.UserChanged(target_id=1, target_name=f"from {address}"), by)

    organization.write(work)

    assert len(shown(administrator, address="203.0.113.")) == 2
    assert [("203.0.113.10" in row) for row in shown(administrator, address="203.0.113.10")] == [True]
    assert len(shown(administrator, address="2001:db8::")) == 1
    assert "Address: <strong>2001:db8::</strong>" in administrator.open("/audit?address=2001:db8::").text
    assert shown(administrator, address="203.0.113.%") == shown(administrator, address="203_0") == []


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_records_are_found_by_kind_and_name_of_the_credential(organization: Organization, administrator: Browser) -> None:
    """Browser sessions and keys apart; a part of a key's name is enough."""
    key = organization.key(description="Grafana dashboard")
    organization.get("/agent/all", key)

    assert all("API key" in row for row in shown(administrator, credential="api_key"))
    assert all("Browser session" in row for row in shown(administrator, credential="session"))
    assert len(shown(administrator, name="grafana", credential="api_key")) == 1
    assert shown(administrator, name="grafana", credential="session") == []


@pytest.mark.parametrize("filters", [{"through": "api_key:0"}, {"through": "api_key:x"}, {"through": "app:"}, {"through": "nothing:1"}])
def test_a_credential_that_cannot_be_shows_nothing(administrator: Browser, filters: dict[str, str]) -> None:
    """It must not look as if all records were this credential's."""
    assert shown(administrator)
    assert shown(administrator, **filters) == []


def test_a_key_is_no_session(organization: Organization, administrator: Browser) -> None:
    """Two filters that exclude each other show nothing."""
    key = organization.key()
    organization.get("/agent/all", key)

    assert shown(administrator, through=f"api_key:{key.id}", credential="api_key")
    assert shown(administrator, through=f"api_key:{key.id}", credential="session") == []


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_filters_show_nothing_of_another_organization(administrator: Browser, other: Organization) -> None:
    """Neither its keys nor its apps nor what came from its places."""
    apps, key = Apps(other), other.key(description="Secret project")
    app = apps.register(name="Secret project")
    other.get("/agent/all", key)
    apps.get("/agent/all", apps.tokens(app))

    for filters in ({"through": f"api_key:{key.id}"}, {"through": f"app:{app.pk}"}, {"name": "Secret project"}, {"address": "127.0.0.1"}):
        assert not any("Secret project" in row for row in shown(administrator, **filters))


def test_a_page_that_found_little_says_how_far_it_has_looked_and_leads_on(
    organization: Organization, administrator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes it for the answer that there is nothing."""
    monkeypatch.setattr(scan, "DEPTH", 3)
    organization.get("/agent/all", organization.key(description="Seldom used"))
    organization.server.flush()
    for number in range(6):
        organization.space(f"Space {number}")

    address, found, looked = "/audit?name=seldom", "", 0
    while "Seldom used" not in found and looked < 20:
        page = administrator.open(address).text
        found = page.partition("<tbody")[2]
        looked += "Looked through 3" in page
        following = re.search(r'href="(/audit\?[^"]*cursor=[^"]*)"', page)
        address = unescape(following[1]) if following else address

    assert looked >= 2
    assert "Seldom used" in found


def test_whoever_is_chosen_stands_in_the_menu_of_people(
    organization: Organization, administrator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one who is not among the first by name."""
    monkeypatch.setattr(audit_pages, "_MOST_PEOPLE", 1)
    person = organization.user("Zoe Last")

    assert f'<option value="{person.id}" selected>Zoe Last</option>' in administrator.open(f"/audit?actor={person.id}").text
    assert "Who: <strong>Zoe Last</strong>" in administrator.open(f"/audit?actor={person.id}").text
    assert "Zoe Last" not in administrator.open("/audit?outcome=failed").text
