"""The steps of an authorization request: another account, the password, an administrator's approval, consent, a code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict
from latchpin.identity import grants
from latchpin.identity.grants import NewGrant
from latchpin.identity.principal import Principal
from latchpin.identity.scopes import OFFLINE
from latchpin.identity.sessions import SignedInUser
from latchpin.kit import clock
from latchpin.oauth import authorization_request as requests
from latchpin.oauth import clients, codes, consents, par, pending, resources, scope
from latchpin.oauth.authorization_request import AuthorizationRequest, ResponseTarget
from latchpin.oauth.authorization_server import AuthorizationServer
from latchpin.oauth.clients import Client
from latchpin.oauth.codes import CodeBinding
from latchpin.oauth.consents import ClientApproval, SpaceBinding
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.par import PushedAuthorizationRequest
from latchpin.oauth.pending import OpenedAuthorization, PendingAuthorization
from latchpin.storage.models import BrowserSession, OAuthClient, OAuthGrant, User
from latchpin.storage.models.oauth_client import ClientStatus
from latchpin.storage.models.user import UserStatus

_EXPIRED = "This app or your sign-in ended meanwhile, so nothing was done. Go back to the app and begin again."
_CHANGED = "The app has changed since this page was shown, so nothing was done. Go back to the app and begin again."
_NOT_DUE = "This step is not due. Go back to the app and begin again."


class Prompt(StrEnum):
    """The next question to the user."""

    ACCOUNT = "account"
    REAUTH = "reauth"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class RedirectToClient:
    """Send the browser to the app."""

    location: str


@dataclass(frozen=True, slots=True)
class ErrorRedirect:
    """Send an error to the app. `is_automatic` is False where the user should confirm the redirect to an unverified address."""

    target: ResponseTarget | AuthorizationRequest
    error: OAuthError
    is_automatic: bool


@dataclass(frozen=True, slots=True)
class ClientBlocked:
    """The organization blocks the app, or has not approved it yet."""

    approval: ClientApproval


@dataclass(frozen=True, slots=True)
class ShowPrompt:
    """Ask the user; `token` identifies the pending request. `has_changed`: the app has changed since the page was last shown."""

    prompt: Prompt
    pending: PendingAuthorization
    token: str
    has_changed: bool = False


@dataclass(frozen=True, slots=True)
class PriorConsent:
    """An earlier consent that covers this request: for which Space, and with which scopes."""

    binding: SpaceBinding
    scopes: str


Outcome = RedirectToClient | ErrorRedirect | ClientBlocked | ShowPrompt


async def begin(
    session: AsyncSession,
    server: AuthorizationServer,
    to: ResponseTarget,
    encoded: bytes,
    who: SignedInUser,
    pushed_request: PushedAuthorizationRequest | None = None,
) -> Outcome:
    """Start the request of a signed-in user; `pushed_request` is set where the app pushed it (RFC 9126).

    Its changes must be committed.

    A user who signed in or gave the password since the pushed request first came here is not asked for it again. Raises Conflict
    where another page of the same browser has already answered it.
    """
    consent = await consents.find(session, who.principal.user_id, to.client)
    trusted = consent is not None or to.client.is_trusted_by(who.principal.organization_id)
    reauthenticated = pushed_request is not None and who.reauthenticated_at > pushed_request.received_at
    pushed_digest = pushed_request.digest.hex() if pushed_request is not None and pushed_request.digest is not None else ""
    try:
        if pushed_request is None:
            requests.require_pushed(server, to.client)
        request = requests.read(encoded, to)
        await resources.validate(session, request.resource, who.principal.organization_id, server.settings)
    except OAuthError as error:
        await _use_up(session, pushed_digest)
        return ErrorRedirect(to, error, trusted)
    pending_authorization = PendingAuthorization(
        request=request,
        address=requests.after_signing_in(encoded) if pushed_request is None else "",
        account_due=not reauthenticated and requests.SELECT_ACCOUNT in request.prompt,
        reauth_due=not reauthenticated and (requests.LOGIN in request.prompt or _is_too_old(request, who)),
        pushed=pushed_digest,
    )
    return await proceed(session, server, to.client, pending_authorization, who, trusted=trusted)


def _is_too_old(request: AuthorizationRequest, who: SignedInUser) -> bool:
    """Whether the last sign-in is older than `max_age` allows; 0 requires a new one, like `prompt=login` (Core section 3.1.2.1)."""
    return request.max_age is not None and (
        request.max_age == 0 or clock.now() - who.reauthenticated_at > timedelta(seconds=request.max_age)
    )


async def proceed(
    session: AsyncSession,
    server: AuthorizationServer,
    client: Client,
    pending_authorization: PendingAuthorization,
    who: SignedInUser,
    *,
    trusted: bool = True,
    opened: tuple[OpenedAuthorization, str] | None = None,
) -> Outcome:
    """Go on to the next step. `opened` is the request where it is already pending, with its token."""
    request = pending_authorization.request
    if request is None:
        raise Conflict(_NOT_DUE)  # a device's request, which has its own page
    await lock_session(session, who)
    due = await _due(session, client, pending_authorization, request, who)
    if requests.NONE in request.prompt and not isinstance(due, PriorConsent):
        return ErrorRedirect(request, _not_silently(due), trusted)
    if isinstance(due, ClientApproval):
        if due is ClientApproval.PENDING:
            await consents.ask_for_approval(session, who.principal, client)
        return ClientBlocked(due)
    if isinstance(due, PriorConsent):
        if opened is not None:
            await pending.use_up(session, opened[0])
        await _use_up(session, pending_authorization.pushed)
        return RedirectToClient(await _code(session, server, client, request, who, due.binding, scopes=due.scopes))
    pending_authorization = replace(pending_authorization, client_version=client.version)
    if opened is None:
        return ShowPrompt(due, pending_authorization, await pending.save(session, who.session_id, client.pk, pending_authorization))
    await pending.amend(session, opened[0], pending_authorization)
    return ShowPrompt(due, pending_authorization, opened[1])


async def _due(
    session: AsyncSession, client: Client, pending_authorization: PendingAuthorization, request: AuthorizationRequest, who: SignedInUser
) -> Prompt | ClientApproval | PriorConsent:
    """Return the next question, the reason for a refusal, or an earlier consent."""
    if pending_authorization.account_due:
        return Prompt.ACCOUNT
    if pending_authorization.reauth_due:
        return Prompt.REAUTH
    approval = await consents.approval_of(session, who.principal, client)
    if approval is not ClientApproval.OPEN:
        return approval
    return await _prior_consent(session, client, request, who.principal) or Prompt.CONSENT


def _not_silently(due: Prompt | ClientApproval) -> OAuthError:
    """Return the error where `prompt=none` cannot be satisfied (OpenID Connect Core section 3.1.2.6)."""
    if due is Prompt.REAUTH:
        return OAuthError("login_required", "the user has to sign in again")
    if due is Prompt.CONSENT:
        return OAuthError("consent_required", "the user has not agreed to this")
    return OAuthError("interaction_required", "an administrator has to approve the app first")


async def _prior_consent(session: AsyncSession, client: Client, request: AuthorizationRequest, principal: Principal) -> PriorConsent | None:
    """Return a consent that covers the request; None where the user must be asked."""
    if client.is_first_party:
        return PriorConsent(SpaceBinding(), request.scopes)
    if requests.CONSENT in request.prompt or consents.needs_consent_each_time(client, request.redirect_uri):
        return None
    consent = await consents.find(session, principal.user_id, client)
    if consent is None or not await consents.covers(session, consent, principal, scopes=request.scopes, resource=request.resource):
        return None
    stay = consent.stay_connected and scope.may_stay(request.scopes, client.grant_types)
    return PriorConsent(SpaceBinding(consent.reach, consent.space_id), scope.staying(request.scopes) if stay else request.scopes)


async def agree(
    session: AsyncSession,
    server: AuthorizationServer,
    opened: OpenedAuthorization,
    client: Client,
    who: SignedInUser,
    binding: SpaceBinding,
    *,
    stay: bool,
) -> Outcome:
    """Handle Authorize: use the request up, store the consent, create a grant and a code for it.

    With `stay` the user allows an app that can refresh to do so without its request. Raises Conflict where the page showed another
    version of the app (`record_shown`).
    """
    require_shown(opened, client)
    request, pending_authorization = opened.pending.request, opened.pending
    if request is None or pending_authorization.account_due or pending_authorization.reauth_due:
        raise Conflict(_NOT_DUE)
    if blocked := await check_approval(session, client, who):
        return blocked
    await pending.use_up(session, opened)
    await _use_up(session, pending_authorization.pushed)
    scopes = await consents.remember_choice(
        session, who.principal.user_id, client, binding, scopes=request.scopes, resource=request.resource, stay=stay
    )
    return RedirectToClient(await _code(session, server, client, request, who, binding, scopes=scopes))


async def refuse(session: AsyncSession, opened: OpenedAuthorization, client: Client, *, by: Actor) -> Outcome:
    """Handle Deny: use the request up, and send the error to the app."""
    request = opened.pending.request
    if request is None:
        raise Conflict(_NOT_DUE)
    await pending.use_up(session, opened)
    await _use_up(session, opened.pending.pushed)
    record(session, events.ConsentRefused(target_id=client.pk, target_name=client.name), by)
    return ErrorRedirect(request, OAuthError("access_denied", "the user said no"), is_automatic=True)


async def _use_up(session: AsyncSession, pushed_digest: str) -> None:
    """Use up a pushed request that is answered now; raises Conflict where it was answered already."""
    if pushed_digest:
        await par.use_up(session, bytes.fromhex(pushed_digest))


async def _code(
    session: AsyncSession,
    server: AuthorizationServer,
    client: Client,
    request: AuthorizationRequest,
    who: SignedInUser,
    binding: SpaceBinding,
    *,
    scopes: str,
) -> str:
    new_grant = await grant(session, server, client, who, binding, scopes=scopes, resource=request.resource)
    code = await codes.issue(session, new_grant, CodeBinding(request.redirect_uri, request.code_challenge, request.nonce, request.dpop_jkt))
    return requests.success(request, code, server.issuer)


async def lock_session(session: AsyncSession, who: SignedInUser) -> None:
    """Block disabling the user, setting the password and revoking a consent until the commit (PostgreSQL).

    They end all grants that they see, and cannot see an uncommitted one. Call it before a transaction that makes a grant reads or locks
    anything of the user. Raises Conflict where user or session ended meanwhile.
    """
    status = await session.scalar(select(User.status).where(User.id == who.principal.user_id).with_for_update(read=True))
    browser = await session.get(BrowserSession, who.session_id, populate_existing=True)
    if status is not UserStatus.ACTIVE or browser is None or browser.ended_at is not None:
        raise Conflict(_EXPIRED)


async def check_approval(session: AsyncSession, client: Client, who: SignedInUser) -> ClientBlocked | None:
    """Start making a grant: call `lock_session`, and return why the user's organization does not allow the app, None where it does."""
    await lock_session(session, who)
    approval = await consents.approval_of(session, who.principal, client)
    return None if approval is ClientApproval.OPEN else ClientBlocked(approval)


async def grant(
    session: AsyncSession,
    server: AuthorizationServer,
    client: Client,
    who: SignedInUser,
    binding: SpaceBinding,
    *,
    scopes: str,
    resource: Sequence[str],
) -> OAuthGrant:
    """Create the grant of a locked user who agreed; it is active from the first token on. Raises Conflict where app or session ended."""
    row = await session.scalar(select(OAuthClient).where(OAuthClient.id == client.pk, OAuthClient.status == ClientStatus.ACTIVE))
    browser = await session.get(BrowserSession, who.session_id, populate_existing=True)
    if row is None or browser is None or browser.ended_at is not None:
        raise Conflict(_EXPIRED)
    new = NewGrant(
        client=row,
        organization_id=who.principal.organization_id,
        scopes=scopes,
        user_id=who.principal.user_id,
        browser_session_id=browser.id,
        offline=OFFLINE in scopes.split(),
        reach=binding.reach,
        space_id=binding.space_id,
        resource=" ".join(resource),
        auth_time=browser.reauthenticated_at,
    )
    return await grants.create(session, new, server.settings)


async def record_shown(session: AsyncSession, opened: OpenedAuthorization, client: Client) -> PendingAuthorization:
    """Record that the user is shown the app as it is now, so that the answer is for this version; returns the request."""
    pending_authorization = replace(opened.pending, client_version=client.version)
    await pending.amend(session, opened, pending_authorization)
    return pending_authorization


def is_shown(opened: OpenedAuthorization, client: Client) -> bool:
    """Whether the submitted page showed this version of the app."""
    return opened.pending.client_version == client.version


def require_shown(opened: OpenedAuthorization, client: Client) -> None:
    """Raise Conflict unless the submitted page showed this version of the app."""
    if not is_shown(opened, client):
        raise Conflict(_CHANGED)


async def client_of(session: AsyncSession, opened: OpenedAuthorization) -> Client:
    """Return the client of a pending request; raises Conflict where it was revoked, or no longer has that redirect URI."""
    row = await session.get(OAuthClient, opened.client_pk, populate_existing=True)
    if row is None or row.status is not ClientStatus.ACTIVE:
        raise Conflict(_EXPIRED)
    client, request = clients.from_row(row, []), opened.pending.request
    if request is not None and not requests.redirect_uri_allowed(client, request.redirect_uri):
        raise Conflict(_EXPIRED)
    return client
