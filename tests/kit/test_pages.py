"""Cursors."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchpin.errors import Malformed
from latchpin.kit import pages


@given(st.integers(0, 10**18 - 1))
def test_a_cursor_can_be_read_back(row_id: int) -> None:
    """What the server gave out it understands, for any id."""
    assert pages.decode_cursor(pages.encode_cursor(row_id)) == row_id


@given(st.text(max_size=60))
def test_a_foreign_cursor_is_refused_with_a_field(text: str) -> None:
    """Any other text is a plain refusal that names the field, never a failure."""
    with pytest.raises(Malformed) as refused:
        pages.decode_cursor("x" + text)

    assert [problem.field for problem in refused.value.problems] == ["cursor"]


@pytest.mark.parametrize("inside", ["c1:-1", "c2:5", "c1:", "c1:9" + "9" * 40, "c1:1 OR 1=1", "c1:\u0661"])
def test_a_cursor_with_another_inside_is_refused(inside: str) -> None:
    """A cursor cannot smuggle a negative, endless or non-numeric id into the query."""
    cursor = base64.urlsafe_b64encode(inside.encode()).decode().rstrip("=")

    with pytest.raises(Malformed):
        pages.decode_cursor(cursor)
