"""Agents and Spaces in the Control Center: what people see of them, and what they may change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from latchpin import settings
from latchpin.identity.roles import Group, Role
from latchpin.storage.models.space import SpaceScope
from latchpin.web import toasts
from latchpin.web.views.common import Toast
from tests.support.apps import Apps, Tokens
from tests.support.people import Organization, definition
from tests.support.server import Server
from tests.support.versions import many_versions
from tests.web.browser import Browser
from tests.web.conftest import Browse


def _make(browser: Browser, name: str, space: str = "personal") -> str:
    response = browser.send("/agents/new", definition=definition(name), space=space, comment="First")
    assert response.status_code == 303
    return response.headers["location"]


def _space(administrator: Browser, name: str, scope: str = "Private") -> str:
    response = administrator.send("/spaces/new", name=name, description="", scope=scope)
    assert response.status_code == 303
    return response.headers["location"].split("?")[0]


def test_an_agent_is_made_changed_and_restored(user: Browser) -> None:
    """Each saving is a version, and restoring the first makes a third."""
    address = _make(user, "Book prices")

    user.send(f"{address}/edit", definition=definition("Book prices and stock"), comment="Stock too")
    user.send(f"{address}/versions/1/restore", comment="Back")
    page = user.open(f"{address}?tab=versions").text

    assert "Version 3" in page
    assert "<h1>Book prices " in user.open(address).text


def test_a_refused_definition_names_its_lines_and_is_kept(user: Browser) -> None:
    """The editor comes back with each problem's line and the text as it was typed."""
    typed = "version: 1\nname: <b>x</b>\nstart_url: nonsense\n"

    response = user.send("/agents/new", definition=typed, space="personal")

    assert response.status_code == 422
    assert 'data-line="3"' in response.text
    assert "name: &lt;b&gt;x&lt;/b&gt;" in response.text


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_archived_agent_leaves_the_list_and_comes_back(user: Browser) -> None:
    """Archiving hides; the filter still finds it; unarchiving brings it back."""
    address = _make(user, "Short-lived")

    user.send(f"{address}/archive")
    hidden, archived = user.open("/agents").text, user.open("/agents?status=archived").text
    user.send(f"{address}/unarchive")

    assert "Actions for Short-lived" not in hidden
    assert "Actions for Short-lived" in archived
    assert "Actions for Short-lived" in user.open("/agents").text


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_page_lists_the_latest_hundred_versions_and_says_so(organization: Organization, user: Browser) -> None:
    """An agent with a long history has a page all the same, and one too long takes no further version."""
    address = _make(user, "Busy")
    many_versions(organization, int(address.rsplit("/", 1)[1]), 1000)

    page = user.open(f"{address}?tab=versions").text
    saved = user.send(f"{address}/edit", definition=definition("Renamed"), comment="")
    restored = user.send(f"{address}/versions/1/restore", comment="")

    assert page.count("<strong>Version ") == 100
    assert "<strong>Version 901<" in page
    assert "The latest 100 versions are listed" in page
    for response in (saved, restored):
        assert response.status_code == 422
        assert "Create a new agent" in response.text


def test_the_pages_name_nobody_of_another_organization(serve: Callable[..., Server], browse: Browse) -> None:
    """A global Space shows its agents abroad, and not the people behind them."""
    server = serve()  # of its own: a global Space is in everybody's lists
    home, abroad = Organization(server), Organization(server)
    keeper = home.user("Katherine Keeper", Group.ADMINISTRATOR)
    space = home.space("World", SpaceScope.GLOBAL)
    agent = home.agent("World", space, keeper)
    guest = browse(server)
    guest.sign_in(abroad.admin)

    for path in (f"/agents/{agent}", f"/agents/{agent}?tab=versions", f"/agents/{agent}/versions/1", "/agents", f"/spaces/{space}", "/"):
        page = guest.open(path)
        assert page.status_code == 200
        assert keeper.full_name not in page.text
        assert keeper.email not in page.text
        assert home.admin.email not in page.text


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_private_space_is_not_there_for_others(organization: Organization, administrator: Browser, user: Browser) -> None:
    """Neither the Space nor its agents can be found by somebody who is no member."""
    space = _space(administrator, "Secret plans")
    agent = _make(administrator, "Hidden agent", space.rsplit("/", 1)[1])

    assert user.open(space).status_code == 404
    assert user.open(agent).status_code == 404
    assert user.open(f"{agent}/edit").status_code == 404
    assert "Secret plans" not in user.open("/spaces").text


def test_a_viewer_sees_an_agent_and_cannot_change_it(administrator: Browser, user: Browser) -> None:
    """In a public Space everybody may look; changing is refused with a page, and the buttons are not there."""
    agent = _make(administrator, "Public agent", _space(administrator, "Open house", "Public").rsplit("/", 1)[1])

    page = user.open(agent)

    assert page.status_code == 200
    assert "Edit definition" not in page.text
    assert user.open(f"{agent}/edit").status_code == 403
    assert user.send(f"{agent}/edit", definition=definition("Mine now")).status_code == 403
    assert user.send(f"{agent}/archive").status_code == 403


def test_a_member_gets_and_loses_a_role(organization: Organization, administrator: Browser, browse: Browse) -> None:
    """Added as an editor the person can change agents; removed, the Space is gone for them."""
    person = organization.user()
    theirs = browse(organization.server)
    theirs.sign_in(person)
    space = _space(administrator, "Team room")
    agent = _make(administrator, "Team agent", space.rsplit("/", 1)[1])

    administrator.send(f"{space}/members/new", user=str(person.id), role="editor")
    changed = theirs.send(f"{agent}/edit", definition=definition("Changed by the team"))
    administrator.send(f"{space}/members/{person.id}/remove")

    assert changed.status_code == 303
    assert theirs.open(space).status_code == 404


def test_another_organization_sees_nothing(administrator: Browser, other: Organization, browse: Browse) -> None:
    """An administrator elsewhere finds neither Spaces nor agents, not even public ones, and changes none."""
    space = _space(administrator, "Ours", "Public")
    agent = _make(administrator, "Our agent", space.rsplit("/", 1)[1])
    stranger = browse(other.server)
    stranger.sign_in(other.admin)

    opened = [stranger.open(path).status_code for path in (space, f"{space}/edit", f"{space}/members/new", agent)]
    sent = stranger.send(f"{space}/edit", name="Theirs", scope="Public")

    assert opened == [404, 404, 404, 404]
    assert sent.status_code == 404


def test_two_spaces_of_one_name_are_refused(administrator: Browser) -> None:
    """The form comes back with the name marked."""
    _space(administrator, "Twice")

    response = administrator.send("/spaces/new", name="Twice", description="", scope="Private")

    assert response.status_code == 422
    assert 'id="name-error"' in response.text


def test_an_agent_that_a_service_made_is_owned_by_an_app(organization: Organization, administrator: Browser) -> None:
    """The list and the page say so, and the version is by the app's name."""
    apps, space = Apps(organization), organization.space()
    tokens = Tokens(apps.own(apps.service("agents:read agents:write", {space: Role.EDITOR})).json())
    body = {"definition": definition(), "spaceId": space}

    agent = organization.server.http.post("/api/v1/admin/agents", headers=tokens.header, json=body).json()

    assert ">An app</td>" in administrator.open("/agents").text
    assert "<dd>An app</dd>" in administrator.open(f"/agents/{agent['id']}").text
    assert "Nightly export" in administrator.open(f"/agents/{agent['id']}?tab=versions").text


def test_archiving_can_be_undone_from_the_message(user: Browser) -> None:
    """The message after archiving holds a form that brings the agent back; a planted cookie offers nothing else."""
    address = _make(user, "Almost gone")
    user.send(f"{address}/archive")

    page = user.open("/agents").text
    planted = toasts.write(Toast("success", "Well done", undo="/logout"), settings.load({}))
    toast = toasts.read(planted.value)

    assert f'action="{address}/unarchive"' in page
    assert toast is not None
    assert toast.undo == ""


def test_an_agent_is_moved_to_another_space(organization: Organization, administrator: Browser, user: Browser, browse: Browse) -> None:
    """Offered are Spaces where the person is an editor, and their own personal one for their own agents; the audit log says where."""
    theirs = _make(user, "Book prices")
    editor = organization.user("Editor Person")
    retail, viewed = organization.space("Retail prices"), organization.space("Only viewed")
    organization.member(retail, editor, Role.EDITOR)
    organization.member(viewed, editor, Role.VIEWER)
    browser = browse(organization.server)
    browser.sign_in(editor)
    mine = _make(browser, "Toy prices")

    form = browser.open(f"{mine}/move").text
    refused = browser.send(f"{mine}/move", space=str(viewed))
    moved = browser.send(f"{mine}/move", space=str(retail))

    assert f'value="{retail}"' in form
    assert f'value="{viewed}"' not in form
    assert (refused.status_code, moved.headers["location"]) == (422, mine)
    assert "Toy prices" in administrator.open(f"/spaces/{retail}").text
    assert "moved agent <strong>Toy prices</strong> to <strong>Retail prices</strong>" in administrator.open("/audit").text
    assert 'value="personal"' not in administrator.open(f"{mine}/move").text  # it is not hers
    assert administrator.send(f"{mine}/move", space="personal").status_code == 422
    assert browser.send(f"{mine}/move", space="personal").status_code == 303
    assert administrator.open(f"{mine}/move").status_code == 404
    assert browser.send(f"{theirs}/move", space=str(retail)).status_code == 404


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_space_is_deleted_once_its_agents_have_another(organization: Organization, administrator: Browser, user: Browser) -> None:
    """The page asks where they go, archived ones too; what happened stays in the audit log."""
    old, new = organization.space("Old Space"), organization.space("New Space")
    agent, archived = organization.agent("Book prices", old), organization.agent("Toy prices", old)
    administrator.send(f"/agents/{archived}/archive")

    confirm_page = administrator.open(f"/spaces/{old}/delete").text
    refused = administrator.send(f"/spaces/{old}/delete")
    deleted = administrator.send(f"/spaces/{old}/delete", move_to=str(new))

    assert "Move its 2 agents to" in confirm_page
    assert refused.status_code == 422
    assert 'id="move_to-error"' in refused.text
    assert deleted.headers["location"] == "/spaces"
    assert administrator.open(f"/spaces/{old}").status_code == 404
    assert "Book prices" in administrator.open(f"/spaces/{new}").text
    assert "Toy prices" in administrator.open(f"/agents?space={new}&status=archived").text
    assert "deleted Space <strong>Old Space</strong>" in administrator.open("/audit").text
    assert agent
    assert user.open(f"/spaces/{new}/delete").status_code == 404


def test_a_space_of_another_organization_is_neither_deleted_nor_a_place_to_go(
    organization: Organization, administrator: Browser, other: Organization
) -> None:
    """Also where it is global, and can be seen."""
    theirs = other.space("Catalogue", SpaceScope.GLOBAL)
    mine = organization.space("Old Space")
    agent = organization.agent("Book prices", mine)

    assert administrator.open(f"/spaces/{theirs}/delete").status_code == 404
    assert administrator.send(f"/spaces/{mine}/delete", move_to=str(theirs)).status_code == 422
    assert administrator.send(f"/agents/{agent}/move", space=str(theirs)).status_code == 422
    assert administrator.open(f"/spaces/{mine}").status_code == 200
