"""Query parameters: each may be given once; their text has a maximum length and no NUL (an earlier layer refuses those)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from litestar import Request
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter

from latchpin.errors import FieldProblem, Malformed

_WITHOUT_NUL = r"^[^\x00]*$"


def text_parameter(description: str, *, most: int, least: int | None = None, name: str | None = None) -> QueryParameter:
    """Describe a parameter that is text of `least` to `most` characters; `name` is its name in requests where the code has another."""
    return QueryParameter(name=name, min_length=least, max_length=most, pattern=_WITHOUT_NUL, description=description)


async def require_each_once(request: Request[Any, Any, Any]) -> None:
    """Raise Malformed where a parameter of the route is given more than once: choosing one of the values would be a guess.

    Names that the route does not know are ignored, repeated or not.
    """
    if b"&" not in request.scope["query_string"]:
        return
    repeated = {name for name, times in Counter(name for name, _ in request.query_params.multi_items()).items() if times > 1}
    if repeated and (names := sorted(repeated & _single_valued(request.route_handler))):
        raise Malformed("A parameter was repeated.", problems=[FieldProblem(name, "Give this parameter once.") for name in names])


def _single_valued(handler: BaseRouteHandler) -> set[str]:
    """Return the names, as in requests, of a route's query parameters that take one value."""
    fields = handler.parsed_fn_signature.parameters.values()
    declared = [(field, field.kwarg_definition) for field in fields if not field.is_non_string_sequence]
    return {given.name or field.name for field, given in declared if isinstance(given, QueryParameter)}
