"""Where a person types the code that a device shows (RFC 8628 section 3.3). An address with the code only fills the field in."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin import services
from latchpin.kit import client_subnet, clock, context
from latchpin.oauth import device_codes, device_consent
from latchpin.web import consent_view, forms, render
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages import authorize_responses
from latchpin.web.views.common import Form
from latchpin.web.views.oauth import DeviceCodeEntry, DeviceDone

TRIES = 10
_WINDOW_SECONDS = 600
_WRONG = "Code not found or expired. Compare it with the one that the device shows; a code expires after ten minutes."


@get(device_consent.ENTRY)
async def show_entry(ctx: SignedIn) -> Response[str]:
    """Show the field; `user_code` in the address fills it in, and nothing is sent before a person sends it (security.md 90)."""
    return _code_page(ctx, Form({"user_code": forms.query(ctx.request, "user_code", most=20)}))


@post(device_consent.ENTRY, status_code=200)
async def enter(ctx: SignedIn) -> Response[str]:
    """Look the code up, and ask for consent to the device. Codes are short, so tries are limited by person and by address."""
    entries = await forms.read(ctx.request)
    user_code = entries.get("user_code", "")[:40]
    if wait := await _wait(ctx):
        detail = f"Too many tries. Wait {wait} seconds."
        return _code_page(ctx, Form({"user_code": user_code}, {"user_code": detail}), status=429, headers={"Retry-After": str(wait)})
    async with ctx.services.database.transaction() as session:
        row = await device_codes.find_pending(session, user_code, ctx.services.secrets)
        result = await device_consent.begin(session, services.of(ctx.request), row, ctx.signed_in) if row is not None else None
    if result is None:
        return _code_page(ctx, Form({"user_code": user_code}, {"user_code": _WRONG}), status=422)
    return await authorize_responses.respond(ctx, *result)


@get(device_consent.ALLOWED)
async def show_allowed(ctx: SignedIn) -> Response[str]:
    """Say that the device was authorized."""
    return render.page(ctx.request, "oauth/device_done.html", DeviceDone(ctx.shell(""), allowed=True), headers=consent_view.PRIVATE)


@get(device_consent.DENIED)
async def show_denied(ctx: SignedIn) -> Response[str]:
    """Say that the device was denied."""
    return render.page(ctx.request, "oauth/device_done.html", DeviceDone(ctx.shell(""), allowed=False), headers=consent_view.PRIVATE)


async def _wait(ctx: PageContext) -> int:
    """Count a try; returns how many seconds to wait, 0 where it is within the limit."""
    counter = services.of(ctx.request).counter
    address = context.of(ctx.request.scope).address
    for limiter_key in (f"user:{ctx.principal.user_id}", f"address:{client_subnet.of(address)}"):
        window = await counter.hit(f"device-code:{limiter_key}", _WINDOW_SECONDS)
        if window.count > TRIES * (1 if limiter_key.startswith("user") else 5):
            return window.seconds_left(clock.monotonic())
    return 0


def _code_page(ctx: PageContext, form: Form, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[str]:
    view = DeviceCodeEntry(ctx.shell(""), form)
    return render.page(ctx.request, "oauth/device.html", view, status=status, headers={**consent_view.PRIVATE, **(headers or {})})


HANDLERS = (show_entry, enter, show_allowed, show_denied)
