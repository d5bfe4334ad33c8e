"""Base62 numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchpin.kit import base62


@given(st.integers(0, 62**6 - 1))
def test_a_number_can_be_read_back(number: int) -> None:
    """Every number that fits is written without loss, in full width."""
    text = base62.encode(number, 6)

    assert len(text) == 6
    assert sum(base62.ALPHABET.index(letter) * 62**place for place, letter in enumerate(reversed(text))) == number


def test_a_number_that_does_not_fit_is_refused() -> None:
    """Nothing is cut off in silence."""
    with pytest.raises(ValueError, match="does not fit"):
        base62.encode(62**6, 6)


def test_random_text_has_the_width_that_was_asked_for() -> None:
    """Small random numbers are padded, so that a key's length tells nothing."""
    assert {len(base62.random(256, 43)) for _ in range(500)} == {43}
