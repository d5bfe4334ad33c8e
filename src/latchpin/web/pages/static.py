"""Static files, kept by browsers for a year because their names change with their content; and the page of all components."""

from __future__ import annotations

from datetime import timedelta

from litestar import Response, get
from litestar.params import FromPath

from latchpin import services
from latchpin.errors import Missing
from latchpin.kit import clock
from latchpin.services import AnyRequest
from latchpin.web import page_context, render
from latchpin.web.views.api_keys import KeyRow
from latchpin.web.views.common import Form, Option, Part, Viewer
from latchpin.web.views.organization import Components, EventRow

_YEAR = "public, max-age=31536000, immutable"


@get("/static/{name:str}")
async def show_file(name: FromPath[str]) -> Response[bytes]:
    """Return one file by its hashed name."""
    asset = render.ASSETS.by_hashed_name.get(name)
    if asset is None:
        raise Missing("file")
    headers = {**render.HEADERS, "Cache-Control": _YEAR}
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@get("/_components")
async def show_components(request: AnyRequest) -> Response[str]:
    """Show every component in every state; only with LATCHPIN_DEVELOPMENT."""
    if not services.of(request).settings.development:
        raise Missing("page")
    now = clock.now()
    outside = page_context.shell_outside(request)
    viewer = Viewer(1, "Maya Lindqvist", "maya@northwind.example", "Northwind Data", administrator=True)
    shell = type(outside)(viewer, "", outside.theme, now, outside.path, None)
    options = tuple(Option(name.lower(), name, "One line on what it can do.") for name in ("Full access", "Read-only", "Runs-only"))
    key = KeyRow(
        id=1,
        description="Grafana dashboard",
        prefix="sk-lp_9xQz",
        access="Read-only",
        scopes=("agents:read", "runs:read"),
        networks=("203.0.113.0/24",),
        created_at=now - timedelta(days=43),
        created_by=viewer.name,
        expires_at=now + timedelta(days=12),
        last_used_at=now - timedelta(hours=11),
        last_used_address="203.0.113.24",
        state="expiring",
        revoked_at=None,
        revoked_by="",
        revoked_reason="",
    )
    sentence = (Part("created API key "), Part("Grafana dashboard", strong=True))
    event = EventRow(1, now, viewer.name, "browser session", "Browser session", sentence, "done", "", "203.0.113.24", "key")
    form = Form({"plain": viewer.name, "choice": "read-only", "card": "read-only", "day": now.date().isoformat()})
    refused = Form({"refused_email": "maya"}, {"refused_email": "Enter an e-mail address such as name@example.com."})
    view = Components(shell, form, refused, options, key, event)
    return render.page(request, "components/index.html", view)


HANDLERS = (show_file, show_components)
