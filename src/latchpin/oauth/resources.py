"""Resource indicators (RFC 8707): which resources a token can be for, and the check of requested ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity.active_grant import own_audiences
from latchpin.oauth.errors import invalid_target
from latchpin.oauth.params import MOST_RESOURCES
from latchpin.settings import Settings
from latchpin.storage.models import OAuthGrant, OAuthResource

LONGEST = 500  # characters of a resource, registered or requested


async def validate(session: AsyncSession, resources: Sequence[str], organization_id: int, settings: Settings) -> str:
    """Return the requested resources, space-separated; raises OAuthError `invalid_target` (RFC 8707 section 2).

    Known are our own API and what the organization's administrators registered; a path below a registered origin counts as it.
    """
    if len(resources) > MOST_RESOURCES:
        raise invalid_target("too many resources")
    require_form(resources)
    own = own_audiences(settings)
    unknown = [each for each in resources if each not in own]
    if unknown:
        rows = await session.scalars(select(OAuthResource.identifier).where(OAuthResource.organization_id == organization_id))
        registered = set(rows.all())
        for each in unknown:
            if each not in registered and each.rstrip("/") not in registered:
                raise invalid_target("the resource is not known here; an administrator registers it under API resources")
    return " ".join(resources)


def require_form(resources: Iterable[str]) -> None:
    """Raise OAuthError `invalid_target` unless every resource is an absolute address without a fragment, and not too long."""
    for each in resources:
        if len(each) > LONGEST:
            raise invalid_target(f"a resource may have {LONGEST} characters at most")
        parts = urlsplit(each) if each.isascii() and each.isprintable() and " " not in each else urlsplit("")
        if not parts.scheme or not parts.netloc or "#" in each:
            raise invalid_target("a resource must be an absolute address without a fragment")


async def of_grant(session: AsyncSession, resources: Sequence[str], grant: OAuthGrant, settings: Settings) -> tuple[str, ...]:
    """Return the resources for one token of a grant, as `narrow_to_grant` does.

    Raises OAuthError also where one has been deleted meanwhile.
    """
    token_resources = narrow_to_grant(resources, grant.resource, own_audiences(settings))
    await validate(session, token_resources or grant.resource.split(), grant.organization_id, settings)
    return token_resources


def narrow_to_grant(resources: Sequence[str], granted: str, own: frozenset[str]) -> tuple[str, ...]:
    """Return the resources for one token out of those of a grant, all of them where none is requested; raises OAuthError."""
    grant_resources = granted.split()
    require_form(resources)
    for each in resources:
        if each not in grant_resources and not (not grant_resources and each in own):
            raise invalid_target("the resource is not among those of the grant")
    return tuple(resources)
