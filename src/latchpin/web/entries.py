"""Reads the entries of a form from the request's body."""

from __future__ import annotations

from urllib.parse import parse_qsl

from latchpin.errors import Malformed
from latchpin.services import AnyRequest

Entries = dict[str, str]
_MOST_FIELDS = 100
_UNREADABLE = "This form cannot be read. Open its page again and repeat it."


async def read(request: AnyRequest) -> Entries:
    """Return a form's entries by field name, the last one where a name is repeated; raises Malformed."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = await request.body()
    if kind != "application/x-www-form-urlencoded" and body:
        raise Malformed(_UNREADABLE)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise Malformed(_UNREADABLE) from None
    return {name: value.replace("\r\n", "\n") for name, value in pairs}
