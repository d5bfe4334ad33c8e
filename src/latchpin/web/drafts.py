"""Forms that were sent after their browser session had ended: the entries are shown again after signing in.

Nothing is submitted automatically, and no secret is kept: the person reviews the entries and sends the form again.

Only the latest form of a user is kept, sealed, and bound to its page and to a token that only the browser has: somebody with the cookie
of an ended session can neither read the draft nor show another text to its owner.
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
# A form's one-time id is valid only for the page that it was made for.
_ONE_TIME = frozenset({"idempotency_key"})
_SECRET_NAME = re.compile("password|secret|token")
# What looks like a key or secret of ours, a private key (PEM; JWK, where the factors of RSA reveal as much as `d`) or a JWT: people
# paste them into texts.
_PASTED = re.compile(
    rf"{secret_forms.API_KEY.prefix}[0-9A-Za-z]+|{secret_forms.PREFIX}[0-9A-Za-z]{{20,}}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END|\Z)"
    r'|("(?:d|p|q|dp|dq|qi|k)"\s*:\s*)"[^"]*"|\beyJ[\w-]+\.[\w.-]*',
    re.DOTALL,
)
_REDACTED = "[not kept]"


@dataclass(frozen=True, slots=True)
class SavedDraft:
    """A stored draft: the address that shows it again, and the cookie that this requires."""

    address: str
    cookie: Cookie


def keeps_draft(*in_address: str) -> dict[str, Any]:
    """Declare that a form may become a draft, and that GET of the same path shows it: `@post("/agents/new", opt=drafts.keeps_draft())`.

    `in_address` are the fields that the page's address needs.
    """
    return {_OPTION: in_address}


async def save(request: AnyRequest) -> SavedDraft | None:
    """Keep the entries of a form whose session has ended; None where there is nothing to keep, or the user is unknown."""
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
    except (Malformed, HTTPException):  # a form that is unreadable, too large or too slow is dropped: it needs no error before signing in
        return None
    path, saved_entries = request.scope["path"], without_secrets(form_entries)
    async with server.database.transaction() as session:
        draft_token = await put(session, user_id, path, saved_entries, server.secrets)
    if draft_token is None:
        return None
    query = {name: form_entries[name] for name in in_address if name in form_entries}
    return SavedDraft(f"{path}?{urlencode({**query, _MARK: '1'})}", _cookie(server.settings, draft_token))


async def find(session: Session, request: AnyRequest, user_id: int) -> Entries | None:
    """Return the entries kept for this person, page and browser; None where there are none or the address does not ask for them."""
    server = services.of(request)
    token = request.cookies.get(_name(server.settings))
    if request.method != "GET" or not token or _MARK not in request.query_params:
        return None
    return await read(session, user_id, request.scope["path"], token, server.secrets)


async def put(session: Session, user_id: int, path: str, form_entries: Entries, secrets: Secrets) -> str | None:
    """Keep a form's entries, which must hold no secret; returns the token for the browser's cookie, None where they are too long."""
    plain = msgspec.json.encode(form_entries)
    if len(plain) > MOST_BYTES:
        return None
    token = credentials.new_token()
    sealed = sealing.seal(_key(secrets), plain, _about(user_id, path))
    await form_drafts.put(session, user_id, digest=credentials.token_digest(token), sealed=sealed, expires_at=clock.now() + LIFETIME)
    return token


async def read(session: Session, user_id: int, path: str, token: str, secrets: Secrets) -> Entries | None:
    """Return the entries kept for this user, page and browser, or None."""
    sealed = await form_drafts.find(session, user_id, credentials.token_digest(token))
    if sealed is None:
        return None
    try:
        return msgspec.json.decode(sealing.unseal(_key(secrets), sealed, _about(user_id, path)), type=dict[str, str])
    except sealing.DecryptionError:  # it belongs to another page, or the secrets were replaced
        return None


def fill(form: Form, saved_entries: Entries) -> Form:
    """Return a page's form with its values replaced by the kept entries; fields for secrets do not change."""
    secret_fields = {name: value for name, value in form.values.items() if _SECRET_NAME.search(name)}
    return Form({**secret_fields, **saved_entries}, form.errors, from_draft=True)


def has_draft(address: str) -> bool:
    """Whether the address to go to after signing in asks for a draft."""
    return f"{_MARK}=1" in urlsplit(address).query.split("&")


def without_secrets(form_entries: Entries) -> Entries:
    """Return the entries that may be kept: without fields for secrets, and without keys or tokens pasted into other fields."""
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
