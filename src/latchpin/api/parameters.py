"""Query parameters: each is given once; text in one is bounded, and holds no NUL (refused in every address before)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from litestar import Request
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter

from latchpin.errors import FieldProblem, Malformed

_WITHOUT_NUL = r"^[^\x00]*$"


def text_parameter(description: str, *, most: int, least: int | None = None, name: str | None = None) -> QueryParameter:
    """Describe a parameter that is text of `least` to `most` characters; `name` where the wire calls it otherwise than the code."""
    return QueryParameter(name=name, min_length=least, max_length=most, pattern=_WITHOUT_NUL, description=description)


async def require_each_once(request: Request[Any, Any, Any]) -> None:
    """Raise Malformed where a parameter of the route is given more than once: taking one of the values would be a guess.

    Names that the route does not know are passed over, as they are when they come once.
    """
    if b"&" not in request.scope["query_string"]:
        return
    repeated = {name for name, times in Counter(name for name, _ in request.query_params.multi_items()).items() if times > 1}
    if repeated and (names := sorted(repeated & _single_valued(request.route_handler))):
        raise Malformed("A parameter was repeated.", problems=[FieldProblem(name, "Give this parameter once.") for name in names])


def _single_valued(handler: BaseRouteHandler) -> set[str]:
    """Return the wire names of a route's query parameters that take one value."""
    fields = handler.parsed_fn_signature.parameters.values()
    declared = [(field, field.kwarg_definition) for field in fields if not field.is_non_string_sequence]
    return {given.name or field.name for field, given in declared if isinstance(given, QueryParameter)}
