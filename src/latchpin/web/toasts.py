"""The short message that a page shows once after a redirect. It is in a cookie that lives for a minute; its text is always escaped."""

from __future__ import annotations

import base64
import binascii
import re

import msgspec
from litestar.datastructures import Cookie

from latchpin.kit import cookie_names
from latchpin.settings import Settings
from latchpin.web import cookies
from latchpin.web.views.common import Toast, Tone

_MOST = 300
# A cookie can be planted by others, so it can name only actions that are harmless.
_UNDOABLE = re.compile(r"/agents/[0-9]{1,10}/(?:un)?archive")


class _StoredToast(msgspec.Struct, array_like=True):
    tone: Tone
    text: str
    undo: str = ""


def cookie_name(settings: Settings) -> str:
    """Return the name of the cookie."""
    return cookie_names.of(settings, "toast")


def write(toast: Toast, settings: Settings) -> Cookie:
    """The cookie that carries a message to the next page."""
    raw = msgspec.json.encode(_StoredToast(toast.tone, toast.text[:_MOST], toast.undo))
    value = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return cookies.lasting(settings, cookie_name(settings), value, 60)


def take(settings: Settings) -> Cookie:
    """The cookie that deletes a message after it was shown."""
    return cookies.lasting(settings, cookie_name(settings), "", 0)


def read(value: str | None) -> Toast | None:
    """The message in a cookie, or None where it is missing or cannot be read."""
    if not value or len(value) > 4 * _MOST:
        return None
    try:
        stored_toast = msgspec.json.decode(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)), type=_StoredToast)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None
    undo = stored_toast.undo if _UNDOABLE.fullmatch(stored_toast.undo) else ""
    return Toast(stored_toast.tone, stored_toast.text[:_MOST], undo)
