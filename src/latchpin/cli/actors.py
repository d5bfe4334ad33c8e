"""For whom a command acts: the user and the organization that the operator names."""

from __future__ import annotations

from latchpin.cli.deployment import fail
from latchpin.identity import organizations, users
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.kit import plain_text
from latchpin.storage import Session
from latchpin.storage.models import Organization, User


async def find_user(session: Session, email: str) -> User:
    """Return the user with this e-mail, or end the command and say how to find one."""
    user = await users.by_email(session, email)
    if user is None:
        fail(f"There is no user with the e-mail {email}. `latchpin user list` shows them.")
    return user


def principal(user: User) -> Principal:
    """Return the user as a command acts for them: with their own rights, through the credential `command line`."""
    credential = Credential(CredentialKind.COMMAND_LINE, None, "latchpin")
    return Principal(user.id, user.organization_id, user.full_name, user.email, Group(user.user_group), credential)


async def find_organization(session: Session, name: str | None) -> Organization:
    """Return the organization of this name in any case, or the only one; ends the command where that is no single one."""
    all_organizations = await organizations.list_all(session)
    if not all_organizations:
        fail("There is no organization yet. Make the first one and its administrator: latchpin init")
    matching = (
        all_organizations
        if name is None
        else [each for each in all_organizations if plain_text.fold(each.name) == plain_text.fold(plain_text.normalize(name))]
    )
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(each.name for each in all_organizations)
    return fail(f"Name one organization with --organization: {names}." if not matching or name is None else f"Several are called {name}.")
