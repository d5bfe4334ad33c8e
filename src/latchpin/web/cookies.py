"""The cookies of our pages besides the session's: neither scripts nor requests from other sites can use them."""

from __future__ import annotations

from litestar.datastructures import Cookie

from latchpin.settings import Settings


def lasting(settings: Settings, name: str, text: str, seconds: int) -> Cookie:
    """Return a cookie that lives for `seconds`; 0 deletes it. A name that begins with `__Host-` needs https, according to the settings."""
    return Cookie(key=name, value=text, path="/", httponly=True, samesite="lax", secure=settings.is_https, max_age=seconds)
