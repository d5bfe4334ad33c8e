"""The answers that a person gives on the authorization pages: which account, the password, and whether an app may act for them."""

from __future__ import annotations

from urllib.parse import quote

from litestar import Response, post
from litestar.types import ExceptionHandlersMap

from latchpin import services
from latchpin.errors import Invalid, LatchpinError, Malformed, Throttled
from latchpin.identity import sessions
from latchpin.kit import clock
from latchpin.oauth import authorize, consents, device_consent, par, pending
from latchpin.oauth.authorize import Outcome, Prompt, ShowPrompt
from latchpin.oauth.clients import Client
from latchpin.oauth.par import PushedAuthorizationRequest
from latchpin.oauth.pending import OpenedAuthorization
from latchpin.storage import Session
from latchpin.web import forms, page_context, par_cookie, reauth
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages import authorize_responses, errors
from latchpin.web.views.common import Form

_UNCLEAR = "This form cannot be read. Go back to the app and begin again."


@post("/oauth/account", status_code=200)
async def choose_account(ctx: SignedIn) -> Response[str]:
    """Continue as the signed-in person, or sign out and in as somebody else, with the same request."""
    entries = await forms.read(ctx.request)
    token, server = entries.get("request", ""), services.of(ctx.request)
    if entries.get("choice") == "other":
        return await _another_account(ctx, token)
    async with ctx.services.database.transaction() as session:
        authorization = await pending.find(session, token, ctx.signed_in.session_id)
        client = await authorize.client_of(session, authorization)
        pending_authorization = pending.without_account(authorization.pending)
        outcome = await authorize.proceed(session, server, client, pending_authorization, ctx.signed_in, opened=(authorization, token))
    return await authorize_responses.respond(ctx, client, outcome)


async def _another_account(ctx: PageContext, token: str) -> Response[str]:
    browser = par_cookie.secret(ctx.request)
    async with ctx.services.database.transaction() as session:
        authorization = await pending.find(session, token, ctx.signed_in.session_id)
        client = await authorize.client_of(session, authorization)
        await pending.use_up(session, authorization)
        address = authorization.pending.address
        is_kept = not address or len(address) > par.LEAST_KEPT
        if not address:
            address = await par.move(session, bytes.fromhex(authorization.pending.pushed), client, browser)
        elif is_kept:  # percent-encoded again it would be longer than proxies accept
            encoded = address.partition("?")[2].encode()
            address = await par.resume(session, client, PushedAuthorizationRequest(encoded, clock.now()), browser)
        await sessions.end(session, ctx.principal.user_id, ctx.signed_in.session_id, by=ctx.actor, signed_out=True)
    response = authorize_responses.away(ctx.request, f"/login?next={quote(address)}")
    response.set_cookie(page_context.no_cookie(ctx.services.settings))
    if is_kept:
        response.set_cookie(par_cookie.cookie(ctx.services.settings, browser))
    return response


@post("/oauth/confirm", status_code=200)
async def confirm(ctx: SignedIn) -> Response[str]:
    """Verify the password that an app requires again, within the limits of signing in."""
    entries = await forms.read(ctx.request)
    token, server = entries.get("request", ""), services.of(ctx.request)
    async with ctx.services.database.read() as session:
        authorization = await pending.find(session, token, ctx.signed_in.session_id)
        client = await authorize.client_of(session, authorization)
    refusal = await reauth.reauthenticate(ctx, entries.get("password", ""))
    if refusal is not None:
        form = Form({}, {"password": refusal.detail})
        status = 429 if isinstance(refusal, Throttled) else 422
        return await authorize_responses.respond(ctx, client, ShowPrompt(Prompt.REAUTH, authorization.pending, token), form, status=status)
    async with ctx.services.database.transaction() as session:
        authorization = await pending.find(session, token, ctx.signed_in.session_id)
        pending_authorization = pending.without_reauth(authorization.pending)
        outcome = await authorize.proceed(session, server, client, pending_authorization, ctx.signed_in, opened=(authorization, token))
    return await authorize_responses.respond(ctx, client, outcome)


@post("/oauth/consent", status_code=200)
async def decide(ctx: SignedIn) -> Response[str]:
    """Handle the person's decision about an app or a device, only once (security.md 16, 17)."""
    entries = await forms.read(ctx.request)
    token, decision = entries.get("request", ""), entries.get("decision", "")
    if decision == "deny":
        return await _deny(ctx, token)
    if decision != "authorize":
        raise Malformed(_UNCLEAR)
    return await _authorize(ctx, token, entries)


async def _authorize(ctx: PageContext, token: str, entries: Entries) -> Response[str]:
    form: Form | None = None
    async with ctx.services.database.transaction() as session:
        authorization = await pending.find(session, token, ctx.signed_in.session_id)
        client = await authorize.client_of(session, authorization)
        try:
            outcome = await _agree(ctx, session, authorization, client, entries)
        except Invalid as error:
            form, outcome = forms.refused(entries, error), ShowPrompt(Prompt.CONSENT, authorization.pending, token)
        if outcome is None:
            pending_authorization = await authorize.record_shown(session, authorization, client)
            form, outcome = Form(entries), ShowPrompt(Prompt.CONSENT, pending_authorization, token, has_changed=True)
    return await authorize_responses.respond(ctx, client, outcome, form, status=422 if form else 200)


async def _agree(
    ctx: PageContext, session: Session, authorization: OpenedAuthorization, client: Client, entries: Entries
) -> Outcome | None:
    """Carry out Authorize; None where the page showed another version of the app. Raises Invalid for a wrong choice of a Space."""
    if not authorize.is_shown(authorization, client):
        return None
    agree = authorize.agree if authorization.pending.device_id is None else device_consent.agree
    space_binding = await consents.read_space(session, ctx.principal, entries.get("space", ""))
    return await agree(
        session, services.of(ctx.request), authorization, client, ctx.signed_in, space_binding, stay=entries.get("stay") == "yes"
    )


async def _deny(ctx: PageContext, token: str) -> Response[str]:
    async with ctx.services.database.transaction() as session:
        authorization = await pending.find(session, token, ctx.signed_in.session_id)
        client = await authorize.client_of(session, authorization)
        refuse = authorize.refuse if authorization.pending.device_id is None else device_consent.refuse
        outcome = await refuse(session, authorization, client, by=ctx.actor)
    return await authorize_responses.respond(ctx, client, outcome)


HANDLERS = (choose_account, confirm, decide)
EXCEPTION_HANDLERS: ExceptionHandlersMap = {**errors.HANDLERS, LatchpinError: authorize_responses.on_refusal}
