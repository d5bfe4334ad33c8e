"""Request bodies of Latchpin's own routes: JSON objects with exactly the declared fields.

Text that is not JSON is 400, another content type 415, and JSON that does not match the struct is 422 and names the field. An
undeclared field is refused, so that no caller, careless or malicious, can set what a route does not offer.
"""

from __future__ import annotations

import enum
import typing
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException

from latchpin.api import validation_messages
from latchpin.api.routing import read_body
from latchpin.errors import FieldProblem, Invalid, Malformed

BODY = "body"
MAY_BE_EMPTY = "body_may_be_empty"
LINE = r"^[^\x00-\x1f\x7f]*$"  # one line
PROSE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"  # line breaks and tabs as well
# Only described here: the rule for all text (kit/plain_text.py) refuses these and more, in words of its own.
Name = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "pattern": LINE})]
OptionalText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": LINE})]
Document = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "pattern": PROSE})]
_NO_JSON = "The body is not JSON, or nested too deeply. Send a flat JSON object."
Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Body(msgspec.Struct, rename="camel", kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Base of request bodies: camelCase names, and only the declared fields."""


B = TypeVar("B", bound=Body)


class UnsupportedContentType(HTTPException):
    """The Content-Type of the body is not JSON."""

    status_code = 415


def json_body(kind: type[Body], *, may_be_empty: bool = False) -> dict[str, Any]:
    """Declare the body that a route takes, for the OpenAPI document; goes into `opt` beside the permission."""
    return {BODY: kind, MAY_BE_EMPTY: may_be_empty}


async def read(request: Request[Any, Any, Any], kind: type[B]) -> B:
    """Return the request's body; raises Malformed (not JSON), Invalid (does not match), UnsupportedContentType.

    Call `routing.principal` only after this: see `routing.read_body`.
    """
    body = await read_body(request)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and content_type != "application/json":
        raise UnsupportedContentType
    try:
        decoded: B = _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        _require_json(body)
        raise _refusal(kind, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed(_NO_JSON) from None
    return decoded


def _require_json(body: bytes) -> None:
    """Raise Malformed where the body is not JSON: decoding a struct stops at the first mismatch and does not read the rest."""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed(_NO_JSON) from None


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _refusal(kind: type[Body], message: str) -> Invalid:
    field = validation_messages.field_of(message)
    choices = _choices(kind, field) if "Invalid enum value" in message else ""
    sentence = f"Choose one of {choices}." if choices else validation_messages.of(message)
    return Invalid(f"{field}: {sentence}", problems=[FieldProblem(field, sentence)]) if field else Invalid(sentence)


def _choices(kind: type[Body], wire_name: str) -> str:
    """List the values of a field that is an enumeration, possibly an optional one."""
    hints = typing.get_type_hints(kind)
    for info in msgspec.structs.fields(kind):
        if info.encode_name == wire_name:
            for part in (hints[info.name], *typing.get_args(hints[info.name])):
                if isinstance(part, type) and issubclass(part, enum.Enum):
                    return ", ".join(str(member.value) for member in part)
    return ""
