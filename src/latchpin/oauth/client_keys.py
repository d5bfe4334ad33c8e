"""The public keys that a client proves itself with."""

from __future__ import annotations

from typing import cast

from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from latchpin.oauth.clients import Client
from latchpin.oauth.server import AuthorizationServer


async def of(server: AuthorizationServer, client: Client) -> KeySet | None:
    """Return the client's keys, or None where it has none that can be read."""
    del server
    if client.jwks is None:
        return None
    try:
        return KeySet.import_key_set(cast("KeySetSerialization", client.jwks))
    except (JoseError, ValueError, KeyError):
        return None
