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
from latchpin.web import forms, par_cookie, reauth, session
from latchpin.web.forms import Entries
from latchpin.web.pages import authorize_responses, errors
from latchpin.web.session import PageContext, SignedIn
from latchpin.web.views.common import Form

_UNCLEAR = "This form cannot be read. Go back to the app and begin again."


@post("/oauth/account", status_code=200)
async def choose_account(visit: SignedIn) -> Response[str]:
    """Go on as who is signed in, or sign out and in as somebody else, with the same request."""
    entries = await forms.read(visit.request)
    token, server = entries.get("request", ""), services.of(visit.request)
    if entries.get("choice") == "other":
        return await _another_account(visit, token)
    async with visit.site.database.transaction() as opened:
        found = await pending.find(opened, token, visit.signed_in.session_id)
        client = await authorize.client_of(opened, found)
        waiting = authorize.without_account(found.pending)
        outcome = await authorize.proceed(opened, server, client, waiting, visit.signed_in, opened=(found, token))
    return await authorize_responses.go_on(visit, client, outcome)


async def _another_account(visit: PageContext, token: str) -> Response[str]:
    browser = par_cookie.secret(visit.request)
    async with visit.site.database.transaction() as opened:
        found = await pending.find(opened, token, visit.signed_in.session_id)
        client = await authorize.client_of(opened, found)
        await pending.use_up(opened, found)
        address = found.pending.address
        is_kept = not address or len(address) > par.LEAST_KEPT
        if not address:
            address = await par.move(opened, bytes.fromhex(found.pending.pushed), client, browser)
        elif is_kept:  # quoted once more it would be longer than proxies take
            encoded = address.partition("?")[2].encode()
            address = await par.resume(opened, client, PushedAuthorizationRequest(encoded, clock.now()), browser)
        await sessions.end(opened, visit.principal.user_id, visit.signed_in.session_id, by=visit.actor, signed_out=True)
    back = authorize_responses.away(visit.request, f"/login?next={quote(address)}")
    back.set_cookie(session.no_cookie(visit.site.settings))
    if is_kept:
        back.set_cookie(par_cookie.cookie(visit.site.settings, browser))
    return back


@post("/oauth/confirm", status_code=200)
async def confirm(visit: SignedIn) -> Response[str]:
    """Take the password that an app wants to be given again, under the limits of signing in."""
    entries = await forms.read(visit.request)
    token, server = entries.get("request", ""), services.of(visit.request)
    async with visit.site.database.read() as opened:
        found = await pending.find(opened, token, visit.signed_in.session_id)
        client = await authorize.client_of(opened, found)
    refusal = await reauth.reauthenticate(visit, entries.get("password", ""))
    if refusal is not None:
        form = Form({}, {"password": refusal.detail})
        status = 429 if isinstance(refusal, Throttled) else 422
        return await authorize_responses.go_on(visit, client, ShowPrompt(Prompt.REAUTH, found.pending, token), form, status=status)
    async with visit.site.database.transaction() as opened:
        found = await pending.find(opened, token, visit.signed_in.session_id)
        waiting = authorize.without_reauth(found.pending)
        outcome = await authorize.proceed(opened, server, client, waiting, visit.signed_in, opened=(found, token))
    return await authorize_responses.go_on(visit, client, outcome)


@post("/oauth/consent", status_code=200)
async def decide(visit: SignedIn) -> Response[str]:
    """Take the person's decision about an app or a device; once (security.md 16, 17)."""
    entries = await forms.read(visit.request)
    token, decision = entries.get("request", ""), entries.get("decision", "")
    if decision == "deny":
        return await _deny(visit, token)
    if decision != "authorize":
        raise Malformed(_UNCLEAR)
    return await _authorize(visit, token, entries)


async def _authorize(visit: PageContext, token: str, entries: Entries) -> Response[str]:
    form: Form | None = None
    async with visit.site.database.transaction() as opened:
        found = await pending.find(opened, token, visit.signed_in.session_id)
        client = await authorize.client_of(opened, found)
        try:
            outcome = await _agree(visit, opened, found, client, entries)
        except Invalid as error:
            form, outcome = forms.refused(entries, error), ShowPrompt(Prompt.CONSENT, found.pending, token)
        if outcome is None:
            waiting = await authorize.record_shown(opened, found, client)
            form, outcome = Form(entries), ShowPrompt(Prompt.CONSENT, waiting, token, has_changed=True)
    return await authorize_responses.go_on(visit, client, outcome, form, status=422 if form else 200)


async def _agree(visit: PageContext, opened: Session, found: OpenedAuthorization, client: Client, entries: Entries) -> Outcome | None:
    """Do what Authorize says; None where the page showed another version of the app. Raises Invalid for the choice of a Space."""
    if not authorize.is_shown(found, client):
        return None
    agree = authorize.agree if found.pending.device_id is None else device_consent.agree
    place = await consents.chosen(opened, visit.principal, entries.get("space", ""))
    return await agree(opened, services.of(visit.request), found, client, visit.signed_in, place, stay=entries.get("stay") == "yes")


async def _deny(visit: PageContext, token: str) -> Response[str]:
    async with visit.site.database.transaction() as opened:
        found = await pending.find(opened, token, visit.signed_in.session_id)
        client = await authorize.client_of(opened, found)
        refuse = authorize.refuse if found.pending.device_id is None else device_consent.refuse
        outcome = await refuse(opened, found, client, by=visit.actor)
    return await authorize_responses.go_on(visit, client, outcome)


HANDLERS = (choose_account, confirm, decide)
EXCEPTION_HANDLERS: ExceptionHandlersMap = {**errors.HANDLERS, LatchpinError: authorize_responses.on_refusal}
