"""Reading the entries of a form, and showing problems beside their fields."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from latchpin.errors import FieldProblem, Invalid, LatchpinError
from latchpin.services import AnyRequest
from latchpin.web import entries
from latchpin.web.page_context import revalidate_session
from latchpin.web.views.common import Form

Entries: TypeAlias = entries.Entries
_IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")


async def read(request: AnyRequest) -> Entries:
    """Return a form's entries by field name, the last one where a name is repeated.

    A form can arrive slowly, so the session is looked up again afterwards.

    Raises Malformed, and what `revalidate_session` raises.
    """
    await request.body()
    await revalidate_session(request)
    return await entries.read(request)


def query(request: AnyRequest, name: str, *, most: int = 200) -> str:
    """Return one query parameter as one line, cut to `most` characters and without control characters; empty where it is missing."""
    value = request.query_params.get(name) or ""
    text = value if isinstance(value, str) else str(value)
    return "".join(letter for letter in text[:most] if unicodedata.category(letter) not in ("Cc", "Cs")).strip()


def number(text: str, *, least: int = 1, most: int = 2**31 - 1) -> int | None:
    """Read a whole number within bounds; None for anything else."""
    clean = text.strip()
    if not clean.isascii() or not clean.isdigit() or len(clean) > 10:  # noqa: PLR2004  longer ones are out of bounds
        return None
    value = int(clean)
    return value if least <= value <= most else None


def once(entries: Entries) -> str:
    """Return the random id of a form that creates something, so that sending it again creates nothing more; raises Invalid."""
    idempotency_key = entries.get("idempotency_key", "")
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise Invalid("This form cannot be sent again. Check the entries and send this one.")
    return idempotency_key


def require_none(problems: Sequence[FieldProblem]) -> None:
    """Raise Invalid where the page itself found problems in the entries.

    Call it in the transaction after the feature has checked the rest, and pass the problems to `refused`: all are shown together.
    """
    if problems:
        raise Invalid("Some entries were refused; nothing was changed.", problems=problems)


def refused(
    entries: Mapping[str, str], error: LatchpinError, names: Mapping[str, str] | None = None, *, also: Sequence[FieldProblem] = ()
) -> Form:
    """Return the form with its entries and their problems, in the order of the form.

    `names` maps a feature's field to the page's; `also` are problems that the page itself found.
    """
    names = names or {}
    errors: dict[str, str] = {}
    if isinstance(error, Invalid):
        for problem in (*also, *error.problems):
            errors.setdefault(names.get(problem.field, problem.field), problem.message)
    order = {name: index for index, name in enumerate(entries)}
    in_order = sorted(errors.items(), key=lambda each: order.get(each[0], len(order)))
    return Form(entries, dict(in_order) or {"": error.detail})
