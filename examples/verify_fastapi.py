"""A FastAPI service that takes Latchpin's access tokens: `uvicorn verify_fastapi:app --port 9100` (pip install fastapi uvicorn)."""

from __future__ import annotations

import os

from fastapi import FastAPI, Request

from latchpin.verify import RequireToken, Token, Verifier

METADATA = "/.well-known/oauth-protected-resource"


def build(issuer: str, resource: str) -> FastAPI:
    """Make the service. `resource` is its own address, as an administrator registered it under API resources."""
    made = FastAPI(title="Reports")
    made.add_middleware(
        RequireToken, verifier=Verifier(issuer, audience=resource), resource_metadata=resource + METADATA, public=[METADATA]
    )

    @made.get(METADATA)
    def metadata() -> dict[str, object]:
        """Tell clients where they get a token for this service (RFC 9728)."""
        return {"resource": resource, "authorization_servers": [issuer], "bearer_methods_supported": ["header"]}

    @made.get("/reports")
    def reports(request: Request) -> dict[str, object]:
        token: Token = request.scope["latchpin.token"]
        token.require_scope("runs:read")  # the middleware answers 403 where the token lacks it
        return {"for": token.subject, "organization": token.organization, "spaces": [each.name for each in token.spaces or ()]}

    return made


app = build(os.environ.get("LATCHPIN_ISSUER", "http://127.0.0.1:8080"), os.environ.get("RESOURCE", "http://127.0.0.1:9100"))
