"""The OpenAPI 3.1 document and its explorer, served from our own origin with no third-party script."""

from __future__ import annotations

from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server

import latchpin
from latchpin.settings import Settings


def config(settings: Settings) -> OpenAPIConfig:
    """Return Litestar's OpenAPI configuration."""
    return OpenAPIConfig(
        title="Latchpin",
        version=latchpin.__version__,
        description="The API of the control center for web-data agents.",
        path="/api-docs",
        servers=[Server(url=settings.public_url)],
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        components=Components(
            security_schemes={
                "ApiKey": SecurityScheme(
                    type="apiKey",
                    name="Authorization",
                    security_scheme_in="header",
                    description="`ApiKey <key>`: a key issued in the Control Center.",
                ),
                "Bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT", description="An OAuth access token."),
            }
        ),
        security=[{"ApiKey": []}, {"Bearer": []}],
    )
