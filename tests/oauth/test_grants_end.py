"""What ends a family of tokens besides its own misuse: everything that takes the ground from under it (security.md 39)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import users
from latchpin.identity.roles import Role
from latchpin.oauth import approvals, client_admin, connected
from latchpin.storage.models import User
from latchpin.storage.models.oauth_grant import Reach
from tests.support import changes
from tests.support.apps import App, Apps, Tokens
from tests.support.people import PASSWORD, Organization, Person
from tests.support.tokens import reasons, with_client

pytestmark = pytest.mark.both_databases("families end by updates with subqueries")

OnUser = Callable[[AsyncSession, User, App, Person], Awaitable[object]]
ON_USER: dict[str, OnUser] = {
    "user disabled": lambda session, user, _app, admin: users.disable(session, user, by=admin.actor),
    "password reset": lambda session, user, _app, admin: changes.reset_password(session, user, by=admin.actor),
    "password changed": lambda session, user, _app, admin: changes.set_password(
        session, user, current=PASSWORD, new=PASSWORD + " two", by=admin.actor
    ),
    "ended by an administrator": lambda session, user, app, admin: connected.withdraw(session, user, app.pk, by=admin.actor),
}


def is_dead(apps: Apps, app: App, tokens: Tokens) -> bool:
    """Whether neither the access token nor the refresh token counts any more."""
    refused = apps.refresh(app, tokens.refresh)
    return apps.get("/spaces", tokens).status_code == 401 and refused.json()["error"] in ("invalid_grant", "invalid_client")


@pytest.mark.parametrize("reason", ON_USER)
def test_a_change_of_the_user_ends_the_family(organization: Organization, reason: str) -> None:
    """For good, of this user only, and the trail says why (security.md 39)."""
    apps, user = Apps(organization), organization.user()
    app = apps.register()
    tokens, others = apps.tokens(app, user), apps.tokens(app)
    assert apps.get("/spaces", tokens).status_code == 200

    changes.on(organization, user, lambda session, row: ON_USER[reason](session, row, app, organization.admin))

    assert is_dead(apps, app, tokens)
    assert apps.get("/spaces", others).status_code == 200
    assert reasons(organization, "grant.ended") == [reason]


def test_a_user_who_is_enabled_again_does_not_revive_it(organization: Organization) -> None:
    """The app asks anew (security.md 39)."""
    apps, user = Apps(organization), organization.user()
    app = apps.register()
    tokens = apps.tokens(app, user)
    changes.disable(organization, user)

    changes.on(organization, user, lambda session, row: users.enable(session, row, by=organization.admin.actor))

    assert is_dead(apps, app, tokens)
    assert apps.get("/spaces", apps.tokens(app, user)).status_code == 200


def test_a_user_who_leaves_the_organization_takes_it_along(organization: Organization) -> None:
    """Deleted with all that was theirs (security.md 39)."""
    apps, user = Apps(organization), organization.user()
    app = apps.register()
    tokens = apps.tokens(app, user)
    assert apps.get("/spaces", tokens).status_code == 200

    changes.delete(organization, user, organization.admin)

    assert is_dead(apps, app, tokens)


def test_a_revoked_app_ends_all_of_its_families(organization: Organization) -> None:
    """And begins no other (security.md 39)."""
    apps, user = Apps(organization), organization.user()
    app = apps.register()
    code = apps.code(app)
    families = [apps.tokens(app), apps.tokens(app, user)]

    with_client(organization, app, lambda session, client, by: client_admin.revoke(session, client, by=by))

    assert all(is_dead(apps, app, tokens) for tokens in families)
    assert apps.redeem(app, code).status_code == 401
    assert reasons(organization, "grant.ended") == ["app revoked", "app revoked"]


def test_a_blocked_app_ends_its_families_in_this_organization(organization: Organization, other: Organization) -> None:
    """Its users elsewhere notice nothing (security.md 39)."""
    apps, home = Apps(organization), Apps(other)
    app = home.register()
    tokens, elsewhere = apps.tokens(app), home.tokens(app)
    assert apps.get("/spaces", tokens).status_code == 200

    organization.write(lambda session: approvals.block(session, organization.id, app.pk, by=organization.admin.actor))

    assert is_dead(apps, app, tokens)
    assert home.get("/spaces", elsewhere).status_code == 200


def test_leaving_its_space_ends_a_grant_for_good(organization: Organization) -> None:
    """Who comes back into the Space is asked anew (security.md 39)."""
    apps, user, space = Apps(organization), organization.user(), organization.space("Retail")
    organization.member(space, user, Role.VIEWER)
    app = apps.register()
    tokens = apps.tokens(app, user, reach=Reach.SPACE, space_id=space)
    assert apps.get("/spaces", tokens).status_code == 200

    organization.member(space, user, None)
    organization.member(space, user, Role.VIEWER)

    assert is_dead(apps, app, tokens)
