"""Forms that were sent when their browser session had ended: what was typed is drawn again after signing in.

Nothing is sent by itself, and nothing secret is kept: the person looks at what they had typed, and sends it.

Only the latest form of a user is kept, sealed, and bound to its page and to a token that the browser alone holds: whoever once had the
cookie of an ended session can neither read it nor put text before its owner's eyes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException

from latchpin import secret_forms, services
from latchpin.errors import Malformed
from latchpin.identity import credentials, sessions
from latchpin.kit import clock, cookie_names, sealing
from latchpin.services import AnyRequest
from latchpin.settings import Settings
from latchpin.storage import Session, form_drafts
from latchpin.storage.secrets import Secrets
from latchpin.web import cookies, entries
from latchpin.web.entries import Entries
from latchpin.web.views.common import Form

LIFETIME = timedelta(minutes=30)
MOST_BYTES = 128 * 1024
_OPTION = "typed_text"
_MARK = "draft"
# One-time ids of a form belong to the page that they were drawn for.
_ONE_TIME = frozenset({"idempotency_key"})
_SECRET_NAME = re.compile("password|secret|token")
# What looks like a key or secret of ours, a private key (PEM; JWK, of which RSA's factors tell as much as `d`) or a JWT: people paste
# them into texts.
_PASTED = re.compile(
    rf"{secret_forms.API_KEY.prefix}[0-9A-Za-z]+|{secret_forms.PREFIX}[0-9A-Za-z]{{20,}}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END|\Z)"
    r'|("(?:d|p|q|dp|dq|qi|k)"\s*:\s*)"[^"]*"|\beyJ[\w-]+\.[\w.-]*',
    re.DOTALL,
)
_REDACTED = "[not kept]"


@dataclass(frozen=True, slots=True)
class SavedDraft:
    """What was kept: the address where it is drawn again, and the cookie without which it is not."""

    address: str
    cookie: Cookie


def keeps_draft(*in_address: str) -> dict[str, Any]:
    """Declare that a form carries typed text, and that GET of the same path draws it: `@post("/agents/new", opt=drafts.keeps_draft())`.

    `in_address` are fields that the page's address needs.
    """
    return {_OPTION: in_address}


async def save(request: AnyRequest) -> SavedDraft | None:
    """Keep what a form held whose session has ended; None where there is nothing to keep, or it is not known whose it was."""
    in_address = request.route_handler.opt.get(_OPTION)
    server = services.of(request)
    token = request.cookies.get(sessions.cookie_name(server.settings))
    if in_address is None or not token:
        return None
    async with server.database.read() as session:
        user_id = await sessions.owner_of(session, token)
    if user_id is None:
        return None
    try:
        form_entries = await entries.read(request)
    except (Malformed, HTTPException):  # what cannot be read, is too large or came too slowly is not worth an error before signing in
        return None
    path, saved_entries = request.scope["path"], without_secrets(form_entries)
    async with server.database.transaction() as session:
        draft_token = await put(session, user_id, path, saved_entries, server.secrets)
    if draft_token is None:
        return None
    query = {name: form_entries[name] for name in in_address if name in form_entries}
    return SavedDraft(f"{path}?{urlencode({**query, _MARK: '1'})}", _cookie(server.settings, draft_token))


async def find(session: Session, request: AnyRequest, user_id: int) -> Entries | None:
    """Return what was kept for this person, page and browser, where the address asks for it."""
    server = services.of(request)
    token = request.cookies.get(_name(server.settings))
    if request.method != "GET" or not token or _MARK not in request.query_params:
        return None
    return await read(session, user_id, request.scope["path"], token, server.secrets)


async def put(session: Session, user_id: int, path: str, form_entries: Entries, secrets: Secrets) -> str | None:
    """Keep a form's entries, which must hold no secret; returns the token for the browser's cookie, None where they are too many."""
    plain = msgspec.json.encode(form_entries)
    if len(plain) > MOST_BYTES:
        return None
    token = credentials.new_token()
    sealed = sealing.seal(_key(secrets), plain, _about(user_id, path))
    await form_drafts.put(session, user_id, digest=credentials.token_digest(token), sealed=sealed, expires_at=clock.now() + LIFETIME)
    return token


async def read(session: Session, user_id: int, path: str, token: str, secrets: Secrets) -> Entries | None:
    """Return what was kept for this user, page and browser, or None."""
    sealed = await form_drafts.find(session, user_id, credentials.token_digest(token))
    if sealed is None:
        return None
    try:
        return msgspec.json.decode(sealing.unseal(_key(secrets), sealed, _about(user_id, path)), type=dict[str, str])
    except sealing.DecryptionError:  # it is of another page, or the secrets were replaced
        return None


def fill(form: Form, saved_entries: Entries) -> Form:
    """Return a page's form with what was typed in the place of what it would show; a field for a secret stays as it is."""
    secret_fields = {name: value for name, value in form.values.items() if _SECRET_NAME.search(name)}
    return Form({**secret_fields, **saved_entries}, form.errors, from_draft=True)


def has_draft(address: str) -> bool:
    """Whether something was kept for the page at an address to go to after signing in."""
    return f"{_MARK}=1" in urlsplit(address).query.split("&")


def without_secrets(form_entries: Entries) -> Entries:
    """Return what may be kept of a form: no field for a secret, and no key or token that somebody pasted into another."""
    return {
        name: _PASTED.sub(rf"\1{_REDACTED}", text)
        for name, text in form_entries.items()
        if not _SECRET_NAME.search(name) and name not in _ONE_TIME
    }


def _key(secrets: Secrets) -> bytes:
    return secrets.derive("form-drafts")


def _about(user_id: int, path: str) -> str:
    return f"{user_id} {path}"


def _name(settings: Settings) -> str:
    return cookie_names.of(settings, "draft")


def _cookie(settings: Settings, token: str) -> Cookie:
    age = int(LIFETIME.total_seconds())
    return cookies.lasting(settings, _name(settings), token, age)
