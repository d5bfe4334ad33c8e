"""Request bodies of the compatible API: names in any case, null means absent, unknown fields are ignored.

Clients of that API write `Parallelism` where its reference says `parallelism`. Text that is not a JSON object is 400, and so is an
invalid value, as in that API. `bodies` reads the bodies of Latchpin's own routes.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Request

from latchpin.api import validation_messages
from latchpin.api.bodies import Body
from latchpin.api.routing import read_body
from latchpin.errors import Malformed

B = TypeVar("B", bound=Body)


class CompatBody(Body, frozen=True, forbid_unknown_fields=False):
    """Base of these bodies."""


async def read(request: Request[Any, Any, Any], kind: type[B]) -> B:
    """Return the request's body, which may be empty; raises Malformed. See `bodies.read` for when to call `routing.principal`."""
    body = await read_body(request)
    try:
        document = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    if document is None or not isinstance(document, dict):
        raise Malformed("Send a JSON object; `{}` will do.")
    wire_names = {info.encode_name.lower(): info.encode_name for info in msgspec.structs.fields(kind)}
    given = {wire_names[name.lower()]: value for name, value in document.items() if name.lower() in wire_names and value is not None}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        field, sentence = validation_messages.field_of(str(error)), validation_messages.of(str(error))
        raise Malformed(f"{field}: {sentence}" if field else sentence, field=field or None) from None
