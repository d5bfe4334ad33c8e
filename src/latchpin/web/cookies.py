"""The cookies that our pages set besides the session's: out of reach of scripts and of other sites' requests."""

from __future__ import annotations

from litestar.datastructures import Cookie

from latchpin.settings import Settings


def lasting(settings: Settings, name: str, text: str, seconds: int) -> Cookie:
    """Make a cookie that lives so many seconds; 0 takes it away. A name that begins with `__Host-` needs https, as the settings tell."""
    return Cookie(key=name, value=text, path="/", httponly=True, samesite="lax", secure=settings.is_https, max_age=seconds)
