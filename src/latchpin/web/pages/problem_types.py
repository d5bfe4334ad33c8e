"""Public pages for the addresses in the `type` of problem documents (RFC 9457 section 3.1.1)."""

from __future__ import annotations

import json

from litestar import Response, get
from litestar.params import FromPath

from latchpin import problem_types, services
from latchpin.errors import Missing
from latchpin.services import AnyRequest
from latchpin.web import page_context, render
from latchpin.web.views.problem_types import Type, Types


@get(problem_types.PATH)
async def show_types(request: AnyRequest) -> Response[str]:
    """List every type."""
    return render.page(request, "problem_types/list.html", Types(page_context.shell_outside(request), problem_types.ALL_TYPES))


@get(problem_types.PATH + "/{slug:str}")
async def show_type(request: AnyRequest, slug: FromPath[str]) -> Response[str]:
    """Explain one type; raises Missing where there is no such type."""
    try:
        problem_type = problem_types.get(slug)
    except KeyError:
        raise Missing("page") from None
    example = problem_type.example(services.of(request).settings.public_url)
    view = Type(page_context.shell_outside(request), problem_type, problem_types.TITLES[problem_type.status], json.dumps(example, indent=2))
    return render.page(request, "problem_types/details.html", view)


HANDLERS = (show_types, show_type)
