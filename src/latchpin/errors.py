"""The kinds of refusal the product knows, free of HTTP.

Each surface (API, pages, command line) has one table from kind to its own words. `detail` is shown to the caller, so it
says what happened and what to do next, and never holds a secret, SQL, a path or another tenant's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field; `line` and `column` are 1-based where the input is a text document."""

    field: str
    message: str
    line: int | None = None
    column: int | None = None


class LatchpinError(Exception):
    """Base of every refusal; never raised itself."""

    code: str = "error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class Invalid(LatchpinError):
    """The input was understood and refused; nothing was changed. `problems` names the fields."""

    code = "invalid"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        problems: Sequence[FieldProblem] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.problems = tuple(problems) or ((FieldProblem(field, detail),) if field else ())


class Malformed(Invalid):
    """The request itself cannot be read as what it should be: a parameter of the wrong kind, out of range, or unknown."""

    code = "bad_request"


class Unauthenticated(LatchpinError):
    """No credential, or one that is not valid. `detail` must be the same for every reason a credential can fail."""

    code = "unauthenticated"


class BadToken(Unauthenticated):
    """An access token that is not valid, for any reason (RFC 6750 section 3.1: `invalid_token`); the caller refreshes it."""

    code = "invalid_token"


class BadProof(BadToken):
    """A DPoP proof that is not valid, or is missing although the token needs one (RFC 9449 section 7.1). `detail` says what is wrong.

    With the code `use_dpop_nonce` the proof lacks our nonce; the client repeats the request with a new proof.
    """

    code = "invalid_dpop_proof"


class Denied(LatchpinError):
    """The caller is known and may see the thing, but not do this to it. Raise `Missing` first where it may not be seen."""

    code = "denied"


class Missing(LatchpinError):
    """There is no such thing, or the caller may not know that there is."""

    code = "not_found"

    def __init__(self, kind: str, key: object = None) -> None:
        description = f"{kind} {key}" if isinstance(key, int) else kind
        super().__init__(f"{description[:1].upper()}{description[1:]} does not exist, or you have no access to it.")
        self.kind = kind
        self.code = f"{kind.replace(' ', '-').lower()}-not-found"


class Conflict(LatchpinError):
    """The request is valid, but not possible in the present state of the thing."""

    code = "conflict"


class TimedOut(LatchpinError):
    """The run with this id takes longer than the caller wants to wait; it goes on."""

    code = "run_timeout"

    def __init__(self, detail: str, *, run_id: int) -> None:
        super().__init__(detail)
        self.run_id = run_id


class RunFailed(Invalid):
    """The run with this id, which the caller waited for, ended without a result."""

    code = "run_failed"

    def __init__(self, detail: str, *, run_id: int) -> None:
        super().__init__(detail)
        self.run_id = run_id


class Throttled(LatchpinError):
    """Too many tries; `retry_after` is in whole seconds, at least 1."""

    code = "throttled"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = max(1, retry_after)


class Unavailable(LatchpinError):
    """A part that the response depends on cannot be reached; the same request may work soon."""

    code = "unavailable"


class Overloaded(Unavailable):
    """The server has as many requests under way as it can handle; the same request may work soon."""

    code = "overloaded"
