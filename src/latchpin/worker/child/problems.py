"""What went wrong with a request, in one line."""

from __future__ import annotations

from collections.abc import Iterator

from latchpin.worker.child.outbound import Forbidden


def problem_of(error: BaseException) -> str:
    """Return why a request has no response: a refusal of ours that caused the error, else the error's own first line."""
    for each in _causes(error):
        if isinstance(each, Forbidden):
            return str(each)
    line = (str(error).splitlines() or [""])[0][:300]
    return line or type(error).__name__


def is_forbidden(error: BaseException) -> bool:
    """Whether a request has no response because agents may not connect to its host."""
    return any(isinstance(each, Forbidden) for each in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = getattr(cause, "os_error", None) or cause.__cause__ or (cause.__context__ if not cause.__suppress_context__ else None)
