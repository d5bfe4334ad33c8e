"""Signing in and out, the first password, first-run setup, and the choice of theme."""

from __future__ import annotations

from urllib.parse import quote

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath

from latchpin import services
from latchpin.audit.actor import anonymous
from latchpin.errors import Invalid, LatchpinError, Missing, Throttled
from latchpin.identity import organizations, passwords, sessions, sign_in, users
from latchpin.identity.sign_in import Attempt, Outcome
from latchpin.services import AnyRequest
from latchpin.web import control_center, drafts, forms, login_context, page_context, reauth, render
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.views.common import Form, Toast
from latchpin.web.views.sign_in import ChangePassword, Setup, SignIn

_THEME_SECONDS = 365 * 86_400
_SET_BEFORE = "You chose your password in another tab before. That one counts."


@get("/login")
async def show_sign_in(request: AnyRequest) -> Response[str]:
    """Show the sign-in page; somebody who is signed in already is redirected to the requested page."""
    next_path = render.local_path(request.query_params.get("next") or "/")
    try:
        await page_context.require_user_with_any_password(request)
    except page_context.SignInRequired:
        async with services.of(request).database.read() as session:
            empty = await users.count(session) == 0
        return await _sign_in_page(request, None, next_path, ended=request.query_params.get("ended") == "1", empty=empty)
    return render.redirect(request, next_path)


@post("/login", status_code=200)
async def do_sign_in(request: AnyRequest) -> Response[str]:
    """Check e-mail and password. Unknown user, disabled user and wrong password get the same response (security.md 106)."""
    server = services.of(request)
    entries = await forms.read(request)
    next_path = render.local_path(entries.get("next", "/"))
    device = request.cookies.get(page_context.device_name(server.settings))
    previous = request.cookies.get(sessions.cookie_name(server.settings))
    attempt = Attempt(
        entries.get("email", "").strip()[:254], entries.get("password", ""), page_context.origin_of(request), device, previous
    )
    outcome = await _attempt(server, attempt)
    if outcome.session is None or outcome.user is None:
        return await _refused(request, entries, next_path, outcome.refusal)
    cookies = [
        page_context.cookie(server.settings, outcome.session.token),
        page_context.device_cookie(server.settings, sign_in.device_cookie(server.secrets, outcome.user)),
    ]
    if outcome.user.must_change_password:
        return render.redirect(request, f"/password?next={quote(next_path)}", cookies=cookies)
    redirect = control_center.begin(request, next_path)
    return render.redirect(request, redirect.location, cookies=[*cookies, redirect.cookie])


async def _attempt(server: services.Services, attempt: Attempt) -> Outcome:
    async with server.database.read() as session:
        lookup = await sign_in.look_up(session, attempt, server.secrets)
    try:
        with sign_in.reserve_slot(lookup):
            password_check = await sign_in.check(lookup, attempt.password)  # no connection is held while this waits for its turn
            async with server.database.transaction() as session:
                return await sign_in.attempt(session, attempt, server.settings, server.secrets, checked=password_check)
    except Throttled as refusal:
        return Outcome(refusal=refusal)


async def _refused(request: AnyRequest, entries: Entries, next_path: str, refusal: LatchpinError | None) -> Response[str]:
    status, headers = 422, {}
    if isinstance(refusal, Throttled):
        status, headers = 429, {"Retry-After": str(refusal.retry_after)}
    form = Form({"email": entries.get("email", "")}, {"": refusal.detail if refusal else "Signing in was refused."})
    return await _sign_in_page(request, form, next_path, status=status, headers=headers)


async def _sign_in_page(
    request: AnyRequest,
    form: Form | None,
    next_path: str,
    *,
    ended: bool = False,
    empty: bool = False,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    context = await login_context.of(request, next_path)
    shell, form = page_context.shell_outside(request), form or Form({"email": context.email})
    view = SignIn(shell, form, next_path, ended, empty, context.app, context.destination, drafts.has_draft(next_path))
    return render.page(request, "sign_in/sign_in.html", view, status=status, headers={**context.headers, **(headers or {})})


@post("/logout", status_code=200)
async def sign_out(ctx: SignedIn) -> Response[str]:
    """End the session of this browser."""
    async with ctx.services.database.transaction() as session:
        await sessions.end(session, ctx.principal.user_id, ctx.signed_in.session_id, by=ctx.actor, signed_out=True)
    return render.redirect(ctx.request, "/login", cookies=[page_context.no_cookie(ctx.services.settings)])


@get("/password")
async def show_password(ctx: SignedIn) -> Response[str]:
    """Ask for a new password; does nothing for somebody without a temporary one."""
    if not ctx.signed_in.must_change_password:
        return render.redirect(ctx.request, "/account")
    return await _password_page(ctx, Form({"next": render.local_path(ctx.request.query_params.get("next") or "/")}))


@post("/password", status_code=200)
async def choose_password(ctx: SignedIn) -> Response[str]:
    """Replace the temporary password with the person's own."""
    entries = await forms.read(ctx.request)
    next_path = render.local_path(entries.get("next", "/"))
    if not ctx.signed_in.must_change_password:
        return render.redirect(ctx.request, next_path, Toast("info", _SET_BEFORE))
    try:
        await reauth.change_password(ctx, entries)
    except Invalid as error:
        return await _password_page(ctx, forms.refused({"next": next_path}, error), status=422)
    redirect = control_center.begin(ctx.request, next_path)
    return render.redirect(ctx.request, redirect.location, render.done("Your password is set."), [redirect.cookie])


async def _password_page(ctx: PageContext, form: Form, *, status: int = 200) -> Response[str]:
    context = await login_context.of(ctx.request, form.value("next"))
    view = ChangePassword(ctx.shell(""), form, passwords.LEAST, ctx.principal.email, context.app, context.destination)
    return render.page(ctx.request, "sign_in/change_password.html", view, status=status, headers=context.headers)


@get("/setup/{token:str}")
async def show_setup(request: AnyRequest, token: FromPath[str]) -> Response[str]:
    """Show the first-run page to the holder of the one-time link."""
    _hide_link(request)
    async with services.of(request).database.read() as session:
        if not await organizations.is_setup_token(session, token):
            raise Missing("page")
    return _setup_page(request, token, Form())


@post("/setup/{token:str}", status_code=200)
async def set_up(request: AnyRequest, token: FromPath[str]) -> Response[str]:
    """Create the organization and its first administrator, and sign them in."""
    _hide_link(request)
    server = services.of(request)
    entries = await forms.read(request)
    origin = page_context.origin_of(request)
    async with server.database.read() as session:
        if not await organizations.is_setup_token(session, token):  # only the link's holder may cause a password hash
            raise Missing("page")
    password = await passwords.hashed(entries.get("password", ""))
    try:
        async with server.database.transaction() as session:
            if not await organizations.is_setup_token(session, token):
                raise Missing("page")
            created_user = await organizations.first_administrator(
                session,
                organization=entries.get("organization", ""),
                full_name=entries.get("full_name", ""),
                email=entries.get("email", ""),
                password=password,
                temporary=False,
                by=anonymous(origin, "first-run page"),
            )
            new_session = await sessions.open_(session, created_user.user, server.settings, origin)
    except Invalid as error:
        return _setup_page(request, token, forms.refused(entries, error), status=422)
    toast = render.done("Latchpin is set up. Make users next, then API keys for them.")
    redirect = control_center.begin(request, "/organization/users")
    return render.redirect(request, redirect.location, toast, [page_context.cookie(server.settings, new_session.token), redirect.cookie])


def _hide_link(request: AnyRequest) -> None:
    """Take the one-time token out of the path, which the access log is about to write."""
    request.scope["path"] = "/setup"


def _setup_page(request: AnyRequest, token: str, form: Form, *, status: int = 200) -> Response[str]:
    view = Setup(page_context.shell_outside(request), form, passwords.LEAST, f"/setup/{quote(token)}")
    return render.page(request, "sign_in/setup.html", view, status=status)


@post("/theme", status_code=200)
async def choose_theme(ctx: SignedIn) -> Response[str]:
    """Remember the theme in a cookie and go back to the page; script does the same without leaving it."""
    entries = await forms.read(ctx.request)
    theme = entries.get("theme", "auto")
    theme_cookie = Cookie(
        key="theme",
        value=theme if theme in ("light", "dark") else "auto",
        path="/",
        samesite="lax",
        secure=ctx.services.settings.is_https,
        max_age=_THEME_SECONDS,
    )
    return render.redirect(ctx.request, render.local_path(entries.get("next", "/")), cookies=[theme_cookie])
