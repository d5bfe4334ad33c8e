"""The API explorer at /api-docs: Swagger UI from our own origin, with a policy that allows no inline script and nothing from elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import swagger_ui_bundle
from litestar import Request, Response, Router, get
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath

from latchpin.errors import Missing

_OWN = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
_YEAR = "public, max-age=31536000, immutable"
# Swagger UI draws its icons from data: addresses in its style sheet and sets styles from script, which 'self' allows; it needs no
# inline script and no inline style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API reference - Latchpin</title>
<link rel="icon" type="image/png" href="{favicon-32x32.png}">
<link rel="stylesheet" href="{swagger-ui.css}">
<link rel="stylesheet" href="{explorer.css}">
<script src="{theme.js}"></script>
</head>
<body>
<header class="latchpin">
<a class="brand" href="/">Latchpin</a><span>API reference</span>
<nav aria-label="API reference">
<a href="/">Control Center</a><a href="/errors">Errors</a><a href="/api-docs/openapi.json">openapi.json</a>
</nav>
</header>
<main id="explorer">
<noscript>The explorer needs JavaScript. The document is at <a href="/api-docs/openapi.json">openapi.json</a>.</noscript>
</main>
<script src="{swagger-ui-bundle.js}"></script>
<script src="{explorer.js}"></script>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _File:
    address: str
    content: bytes
    media_type: str


class Explorer(OpenAPIRenderPlugin):
    """Serves the page, and its files under names that contain a hash of their content."""

    def __init__(self) -> None:
        super().__init__(path=["/", "/index.html"])

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002  the plugin's interface
        """Return the page."""
        return _page()

    def receive_router(self, router: Router) -> None:
        """Add the files."""
        router.register(show_file)


@get("/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
def show_file(name: FromPath[str]) -> Response[bytes]:
    """Return one file by its hashed name."""
    file = _files().get(name)
    if file is None:
        raise Missing("file")
    return Response(file.content, media_type=file.media_type, headers={"Cache-Control": _YEAR})


@cache
def _files() -> dict[str, _File]:
    """Read the files that the page uses; returns them by the name in their address."""
    bundle = Path(swagger_ui_bundle.swagger_ui_path)
    bundle_files = [bundle / name for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")]
    files = {}
    for path in (*bundle_files, *(_OWN / name for name in ("theme.js", "explorer.js", "explorer.css"))):
        content = path.read_bytes()
        hashed = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
        files[hashed] = _File(f"/api-docs/assets/{hashed}", content, _TYPES[path.suffix])
    return files


@cache
def _page() -> bytes:
    text = _PAGE
    for hashed, file in _files().items():
        stem, _, suffix = hashed.rsplit(".", 2)
        text = text.replace(f"{{{stem}.{suffix}}}", file.address)
    return text.encode()
