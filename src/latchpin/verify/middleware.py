"""ASGI middleware that accepts requests with a valid token only, for any ASGI framework."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, quote

from latchpin.verify.errors import PROOFS, InvalidProof, InvalidRequest, MissingToken, VerificationError
from latchpin.verify.introspection import Introspector
from latchpin.verify.proof import Proof, normalised
from latchpin.verify.token import Token
from latchpin.verify.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN = "latchpin.token"  # noqa: S105  the name under which the scope holds it
_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1


class RequireToken:
    """Passes a request to `app` with its Token in `scope["latchpin.token"]`, or answers 401, 403, 400 or 503 (RFC 6750).

    `scopes` are required for every request; routes add more by `token.require_scope`, whose errors it answers. `resource_metadata` is
    the address of your RFC 9728 document. `api_keys`, an Introspector, adds `Authorization: ApiKey`. `public` are exact paths
    that need no token; the metadata document must be one of them if the same app serves it.

    With `origin`, the address by which clients know this service (`https://reports.example`), tokens that are bound to a key are
    accepted under `Authorization: DPoP` with a proof (RFC 9449); without it they are refused. Several processes need a shared list of
    used proofs: see Proofs.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier | Introspector,
        *,
        scopes: Iterable[str] = (),
        resource_metadata: str | None = None,
        api_keys: Introspector | None = None,
        public: Iterable[str] = (),
        origin: str | None = None,
    ) -> None:
        self._app = app
        self._checks: dict[str, Verifier | Introspector] = {"bearer": verifier}
        if origin is not None:
            if normalised(origin) != origin.rstrip("/") + "/":
                message = f"origin must be an address such as https://reports.example: {origin}"
                raise ValueError(message)
            self._checks["dpop"] = verifier
        self._origin = (origin or "").rstrip("/")
        if api_keys is not None:
            self._checks["apikey"] = api_keys
        self._scopes = tuple(scopes)
        self._resource_metadata = resource_metadata
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in self._public:
            await self._app(scope, receive, send)
            return
        started, scheme = False, ""

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            scheme, text = self._credential(scope)
            proof = self._proof(scope) if scheme == "dpop" else None
            token = await _verify(self._checks[scheme], text, scope, proof)
            token.require_scope(*self._scopes)
            scope[TOKEN] = token
            await self._app(scope, receive, watched)
        except VerificationError as error:
            if started:
                raise
            if scheme == "dpop":
                error.scheme = "DPoP"
            await self._refuse(error, scope, receive, send)

    def _credential(self, scope: Scope) -> tuple[str, str]:
        """Return scheme and credential of the one Authorization header; never reads them from anywhere else.

        A token in the URL is refused, because URLs are kept in logs and histories (OAuth 2.1 section 5.1; security.md 53).
        """
        query = scope.get("query_string", b"")
        if b"oken" in query.lower() or b"%" in query:
            names = {name.lower() for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)}
            if "access_token" in names:
                raise InvalidRequest("a token in the address is not accepted; send it in the Authorization header")
        headers = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
        if len(headers) > 1:
            raise InvalidRequest("send one Authorization header only")
        scheme, _, text = headers[0].partition(" ") if headers else ("", "", "")
        if scheme.lower() not in self._checks or not text.strip():
            raise MissingToken(scopes=self._scopes)
        return scheme.lower(), text.strip()

    def _proof(self, scope: Scope) -> Proof:
        """Return the proof of a bound token; its URL is our origin with the path as it was sent, never the Host header."""
        headers = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"dpop"]
        if len(headers) != 1:
            raise InvalidProof("send exactly one DPoP header")
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        return Proof(scope.get("method", "GET"), self._origin + path.decode("latin-1"), headers[0])

    async def _refuse(self, error: VerificationError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        body = json.dumps({"error": error.error or _WORDS.get(error.status, "unauthorized"), "error_description": error.description})
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        if error.status == 503:  # noqa: PLR2004  nothing is wrong with the token, as far as anybody knows
            headers.append((b"retry-after", b"2"))
        else:
            headers.append((b"www-authenticate", error.www_authenticate(self._resource_metadata).encode("ascii")))
            if isinstance(error, MissingToken) and "dpop" in self._checks:
                headers.append((b"www-authenticate", f'DPoP algs="{" ".join(PROOFS)}"'.encode()))
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})


async def _verify(checks: Verifier | Introspector, text: str, scope: Scope, proof: Proof | None) -> Token:
    if isinstance(checks, Introspector):
        client = scope.get("client")
        return await checks.verify_async(text, client_address=client[0] if client else None, proof=proof)
    return await checks.verify_async(text, proof=proof)


_WORDS = {401: "missing_token", 503: "temporarily_unavailable"}
