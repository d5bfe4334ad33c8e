"""A Flask service that takes Latchpin's access tokens: `flask --app verify_flask run --port 9100` (pip install flask)."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps

from flask import Flask, Response, g, jsonify, request

from latchpin.verify import InvalidRequest, MissingToken, VerificationError, Verifier

METADATA = "/.well-known/oauth-protected-resource"


def build(issuer: str, resource: str) -> Flask:
    """Make the service. `resource` is its own address, as an administrator registered it under API resources."""
    made = Flask("reports")
    verifier = Verifier(issuer, audience=resource)

    def require_token(*scopes: str) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
        def around(view: Callable[[], Response]) -> Callable[[], Response]:
            @wraps(view)
            def checked() -> Response:
                scheme, _, text = request.headers.get("Authorization", "").partition(" ")
                if "access_token" in request.args:
                    raise InvalidRequest("a token in the address is not accepted")
                if scheme.lower() != "bearer" or not text.strip():
                    raise MissingToken(scopes=scopes)
                g.token = verifier.verify(text.strip())
                g.token.require_scope(*scopes)
                return view()

            return checked

        return around

    @made.errorhandler(VerificationError)
    def refuse(error: VerificationError) -> Response:
        answer = jsonify(error=error.error, error_description=error.description)
        answer.status_code = error.status
        answer.headers["WWW-Authenticate"] = error.www_authenticate(resource + METADATA)
        return answer

    @made.get(METADATA)
    def metadata() -> Response:
        """Tell clients where they get a token for this service (RFC 9728)."""
        return jsonify(resource=resource, authorization_servers=[issuer], bearer_methods_supported=["header"])

    @made.get("/reports")
    @require_token("runs:read")
    def reports() -> Response:
        return jsonify(
            {"for": g.token.subject, "organization": g.token.organization, "spaces": [each.name for each in g.token.spaces or ()]}
        )

    return made


app = build(os.environ.get("LATCHPIN_ISSUER", "http://127.0.0.1:8080"), os.environ.get("RESOURCE", "http://127.0.0.1:9100"))
