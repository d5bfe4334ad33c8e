"""The vocabulary of scopes and its named sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchpin.errors import Invalid
from latchpin.identity import scopes
from latchpin.identity.scopes import Access, Scope


def test_the_vocabulary_is_the_contracts() -> None:
    """The six scopes of contract/auth.md 3, in its order."""
    expected = "agents:read agents:write runs:read spaces:read spaces:write billing:read"

    assert scopes.serialize(scopes.ALL) == expected


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        (Access.FULL, "agents:read agents:write runs:read spaces:read spaces:write billing:read"),
        (Access.READ_ONLY, "agents:read runs:read spaces:read billing:read"),
        (Access.RUNS_ONLY, "agents:read agents:write runs:read"),
        (Access.BILLING_ONLY, "billing:read"),
    ],
)
def test_a_named_set_is_what_its_name_says(access: Access, expected: str) -> None:
    """Full access, read-only, runs-only and billing-only hold these scopes and no others (security.md 97)."""
    assert scopes.serialize(scopes.SETS[access]) == expected
    assert scopes.access_of(scopes.parse(expected)) is access


@given(st.frozensets(st.sampled_from(Scope)))
def test_what_is_written_is_read_back(chosen: frozenset[Scope]) -> None:
    """Any set of scopes survives being stored."""
    assert scopes.parse(scopes.serialize(chosen)) == chosen


@pytest.mark.parametrize("text", ["agents:READ", "agents", "agents:read,runs:read", "agents:read\truns:read", "*", "admin"])
def test_an_unknown_scope_is_refused(text: str) -> None:
    """Scopes match exactly and case-sensitively (RFC 6749 section 3.3); a wrong one is never ignored in silence."""
    with pytest.raises(Invalid):
        scopes.parse(text)


def test_a_mixture_of_its_own_has_no_name() -> None:
    """A set that is none of the four is shown as its scopes."""
    assert scopes.access_of({Scope.AGENTS_READ, Scope.BILLING_READ}) is None
    assert scopes.access_of(()) is None
