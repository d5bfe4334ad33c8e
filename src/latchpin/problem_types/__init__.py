"""What each `type` of a problem document means: the source of the pages below /errors and of docs/reference/errors.md. Pure.

Each error code needs an entry in `callers` or `requests`: tests/test_problem_types.py reads the code and fails where one is missing.
"""

from __future__ import annotations

from latchpin.problem_types import callers, requests
from latchpin.problem_types.model import PATH, REFUSED, SAMPLE_REQUEST, TITLES, ProblemType, address_of, slug_of

__all__ = ["ALL_TYPES", "PATH", "REFUSED", "SAMPLE_REQUEST", "TITLES", "ProblemType", "address_of", "get", "slug_of"]
ALL_TYPES: tuple[ProblemType, ...] = (*callers.CREDENTIAL_TYPES, *requests.REQUEST_TYPES)
_BY_SLUG = {each.slug: each for each in ALL_TYPES}


def get(slug: str) -> ProblemType:
    """Return the type by the last part of its address; raises KeyError where there is none."""
    return _BY_SLUG[slug]
