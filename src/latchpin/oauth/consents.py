"""Users' consents, so that the same question is not asked twice; and whether their organization allows an app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid
from latchpin.identity import access
from latchpin.identity.principal import Principal
from latchpin.identity.scopes import ordered
from latchpin.kit import clock
from latchpin.oauth import redirects, scope
from latchpin.oauth.clients import Client
from latchpin.storage.models import OAuthApproval, OAuthConsent, Organization
from latchpin.storage.models.oauth_grant import Reach
from latchpin.storage.upsert import insert

_ELSEWHERE = "Choose one of the Spaces offered."


class ClientApproval(StrEnum):
    """An organization's decision about an app."""

    OPEN = "open"
    PENDING = "waits"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class SpaceBinding:
    """The Spaces for which a grant is valid."""

    reach: Reach = Reach.ALL
    space_id: int | None = None

    @property
    def word(self) -> str:
        """The place as the form's choice: `all`, `personal`, or a Space's id."""
        return str(self.space_id) if self.reach is Reach.SPACE else self.reach.value


async def find(session: AsyncSession, user_id: int, client: Client) -> OAuthConsent | None:
    """Return what a user agreed to for a client as it is now, or None: a consent to another version of the client is not valid."""
    query = select(OAuthConsent).where(
        OAuthConsent.user_id == user_id, OAuthConsent.oauth_client_id == client.pk, OAuthConsent.client_version == client.version
    )
    return await session.scalar(query.execution_options(populate_existing=True))


async def covers(session: AsyncSession, consent: OAuthConsent, principal: Principal, *, scopes: str, resource: Sequence[str]) -> bool:
    """Whether a consent covers all that is requested, in a Space that the user may still enter."""
    if not set(scopes.split()) <= set(consent.scopes.split()) or not _same_resources(consent.resource.split(), resource):
        return False
    if consent.reach is not Reach.SPACE:
        return True
    return consent.space_id is not None and await access.role_in(session, principal, consent.space_id) is not None


def _same_resources(agreed: Sequence[str], requested: Sequence[str]) -> bool:
    return set(requested) <= set(agreed) if requested else not agreed


def needs_consent_each_time(client: Client, redirect_uri: str) -> bool:
    """Whether an earlier consent must not be reused: any program on the computer could pretend to be the app.

    OAuth 2.1 section 7.3.1: a public client on a loopback address or a scheme of its own cannot be distinguished from another.
    """
    return client.is_public and redirects.is_local(redirect_uri)


async def remember(
    session: AsyncSession, user_id: int, client: Client, binding: SpaceBinding, *, scopes: str, resource: Sequence[str], stay: bool
) -> None:
    """Store a user's new consent; it includes the earlier one for the same Spaces and resource.

    `stay` is the user's wish that the client stays connected without asking for it.
    """
    at, words, resources = clock.now(), set(scopes.split()), " ".join(resource)
    previous = await find(session, user_id, client)
    if previous is not None and (previous.reach, previous.space_id, previous.resource) == (binding.reach, binding.space_id, resources):
        words |= set(previous.scopes.split())
    values = {
        "client_version": client.version,
        "scopes": ordered(words),
        "reach": binding.reach,
        "space_id": binding.space_id,
        "resource": resources,
        "stay_connected": stay,
        "updated_at": at,
    }
    await session.execute(
        insert(session, OAuthConsent)
        .values(user_id=user_id, oauth_client_id=client.pk, created_at=at, **values)
        .on_conflict_do_update(index_elements=["user_id", "oauth_client_id"], set_=values)
    )


async def remember_choice(
    session: AsyncSession, user_id: int, client: Client, binding: SpaceBinding, *, scopes: str, resource: Sequence[str], stay: bool
) -> str:
    """Store a user's new consent, and return its scopes: with `stay` offline access is among them where the client can have it."""
    stay = stay and scope.may_stay(scopes, client.grant_types)
    scopes = scope.staying(scopes) if stay else scopes
    await remember(session, user_id, client, binding, scopes=scopes, resource=resource, stay=stay)
    return scopes


async def read_space(session: AsyncSession, principal: Principal, word: str) -> SpaceBinding:
    """Read the choice of a Space; raises Invalid for none, and for a Space that the user may not enter."""
    if word in (Reach.ALL.value, Reach.PERSONAL.value):
        return SpaceBinding(Reach(word))
    if not (word.isascii() and word.isdigit()) or len(word) > 10:  # noqa: PLR2004  no id is longer
        raise Invalid(_ELSEWHERE, field="space")
    space_id = int(word)
    if space_id >= 2**31 or await access.role_in(session, principal, space_id) is None:
        raise Invalid(_ELSEWHERE, field="space")
    return SpaceBinding(Reach.SPACE, space_id)


async def approval_of(session: AsyncSession, principal: Principal, client: Client) -> ClientApproval:
    """Return whether the user's organization allows an app, by its policy and its administrators' decision about this version of it."""
    if client.is_first_party or client.organization_id == principal.organization_id:
        return ClientApproval.OPEN
    approval = await session.get(OAuthApproval, (principal.organization_id, client.pk))
    if approval is not None and approval.approved is False:
        return ClientApproval.BLOCKED
    if approval is not None and approval.approved and approval.client_version == client.version:
        return ClientApproval.OPEN
    organization = await session.get_one(Organization, principal.organization_id)
    return ClientApproval.PENDING if organization.app_approval else ClientApproval.OPEN


async def ask_for_approval(session: AsyncSession, principal: Principal, client: Client) -> None:
    """Record that a user requests an app that an administrator must approve first; a decision made in the meantime stays."""
    values = {
        "organization_id": principal.organization_id,
        "oauth_client_id": client.pk,
        "approved": None,
        "asked_by_name": principal.full_name[:200],
        "updated_at": clock.now(),
    }
    await session.execute(insert(session, OAuthApproval).values(values).on_conflict_do_nothing())
