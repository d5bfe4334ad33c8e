"""The session cookie, and the signed-in person from whom a request comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from latchpin import services
from latchpin.audit import Actor, Origin
from latchpin.errors import Denied, Missing
from latchpin.identity import organizations, sessions
from latchpin.identity.activity import actor
from latchpin.identity.principal import Principal
from latchpin.identity.sessions import SignedInUser
from latchpin.kit import clock, context, cookie_names
from latchpin.services import AnyRequest, Services
from latchpin.settings import Settings
from latchpin.storage import Session
from latchpin.web import cookies, drafts, toasts
from latchpin.web.drafts import SavedDraft
from latchpin.web.entries import Entries
from latchpin.web.views.common import Shell, Theme, Viewer

PAGE_CONTEXT = "latchpin_page_context"
_THEMES: dict[str, Theme] = {"auto": "auto", "light": "light", "dark": "dark"}
_DEVICE_SECONDS = 400 * 86_400


class SignInRequired(Exception):
    """Nobody is signed in. `ended` says that a session has ended, and `draft` is where the form's entries are shown again."""

    def __init__(self, *, ended: bool, draft: SavedDraft | None = None) -> None:
        super().__init__()
        self.ended = ended
        self.draft = draft


class PasswordChangeRequired(Exception):
    """The person must choose a password before using anything else."""


@dataclass(slots=True)
class PageContext:
    """A request by a signed-in person. `renewed` is a new token of the session, which the response must set as the cookie.

    `draft` has the entries that they sent in the page's form after an earlier session had ended. `entries` is the form that was sent, on
    routes that need a recent password (latchpin.web.reauth).
    """

    request: AnyRequest
    services: Services
    signed_in: SignedInUser
    organization: str
    renewed: str | None = None
    draft: Entries | None = None
    entries: Entries = field(default_factory=dict)

    @property
    def principal(self) -> Principal:
        """The person, with what they may do."""
        return self.signed_in.principal

    @property
    def actor(self) -> Actor:
        """The person as the audit trail names them."""
        return actor(self.principal, origin_of(self.request))

    @property
    def is_administrator(self) -> bool:
        """Whether the person administers the organization."""
        return self.principal.is_administrator

    def shell(self, section: str) -> Shell:
        """The frame of a page in a section of the navigation."""
        principal = self.principal
        viewer = Viewer(principal.user_id, principal.full_name, principal.email, self.organization, principal.is_administrator)
        return _shell(self.request, section, viewer)


SignedIn: TypeAlias = NamedDependency[SkipValidation[PageContext]]


def shell_outside(request: AnyRequest) -> Shell:
    """The frame of a page for which nobody needs to be signed in."""
    return _shell(request, "", None)


def _shell(request: AnyRequest, section: str, viewer: Viewer | None) -> Shell:
    theme = _THEMES.get(request.cookies.get("theme", ""), "auto")
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["path"] + (f"?{query}" if query else "")
    return Shell(
        viewer, section, theme, clock.now(), path, toasts.read(request.cookies.get(toasts.cookie_name(services.of(request).settings)))
    )


def origin_of(request: AnyRequest) -> Origin:
    """Where the request came from, for the audit trail."""
    request_context = context.of(request.scope)
    return Origin(request_context.address, request_context.user_agent, request_context.request_id)


async def require_user(request: AnyRequest) -> PageContext:
    """Return the page context of a signed-in person; raises SignInRequired, PasswordChangeRequired, Unavailable."""
    ctx = await require_user_with_any_password(request)
    if ctx.signed_in.must_change_password:
        raise PasswordChangeRequired
    return ctx


async def require_user_with_any_password(request: AnyRequest) -> PageContext:
    """Return the page context of a signed-in person whose password may still be the temporary one."""
    server = services.of(request)
    token = request.cookies.get(sessions.cookie_name(server.settings))
    if not token:
        raise SignInRequired(ended=False)
    async with server.database.read() as session:
        signed_in = await sessions.find(session, token, server.settings)
        ctx = None if signed_in is None else await _page_context(session, request, server, signed_in)
    if ctx is None:
        raise SignInRequired(ended=True, draft=await drafts.save(request))
    if ctx.signed_in.needs_renewal:
        async with server.database.transaction() as session:
            await sessions.touch(session, ctx.signed_in.session_id)
    context.of(request.scope).limiter_key = f"session:{ctx.signed_in.session_id}"
    request.scope[PAGE_CONTEXT] = ctx  # type: ignore[literal-required]
    return ctx


async def _page_context(session: Session, request: AnyRequest, server: Services, signed_in: SignedInUser) -> PageContext:
    organization = await organizations.get(session, signed_in.principal.organization_id)
    draft_entries = await drafts.find(session, request, signed_in.principal.user_id)
    return PageContext(request, server, signed_in, organization.name, draft=draft_entries)


async def revalidate_session(request: AnyRequest) -> None:
    """Look the session up again after a wait: the person may have been disabled, demoted or signed out meanwhile.

    Updates the request's page context. Raises SignInRequired, PasswordChangeRequired, Denied; does nothing without a page context.
    """
    ctx: PageContext | None = request.scope.get(PAGE_CONTEXT)  # type: ignore[assignment]
    if ctx is None:
        return
    previous, settings = ctx.signed_in, ctx.services.settings
    async with ctx.services.database.read() as session:
        signed_in = await sessions.find(session, request.cookies.get(sessions.cookie_name(settings), ""), settings)
    if signed_in is None:
        raise SignInRequired(ended=True, draft=await drafts.save(request))
    if signed_in.must_change_password and not previous.must_change_password:
        raise PasswordChangeRequired
    if signed_in.principal.group is not previous.principal.group:
        raise Denied("Your group was changed while this was sent, so nothing was done. Open the page again.")
    ctx.signed_in = signed_in


async def require_administrator(request: AnyRequest) -> PageContext:
    """Return the page context of an administrator; to everybody else the page does not exist (Missing)."""
    ctx = await require_user(request)
    if not ctx.is_administrator:
        raise Missing("page")
    return ctx


def cookie(settings: Settings, token: str) -> Cookie:
    """The session cookie. It has no age of its own: the server decides when a session ends."""
    return Cookie(key=sessions.cookie_name(settings), value=token, path="/", httponly=True, samesite="lax", secure=settings.is_https)


def no_cookie(settings: Settings) -> Cookie:
    """The cookie that deletes the session cookie."""
    return cookies.lasting(settings, sessions.cookie_name(settings), "", 0)


def device_name(settings: Settings) -> str:
    """The name of the cookie that shows that this browser has signed in to an account before."""
    return cookie_names.of(settings, "device")


def device_cookie(settings: Settings, text: str) -> Cookie:
    """The device cookie; it grants no access, it only exempts its owner from the limits caused by others who guess passwords."""
    return cookies.lasting(settings, device_name(settings), text, _DEVICE_SECONDS)
