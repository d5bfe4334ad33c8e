"""The garbage collector while modules are imported."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from latchpin.kit.collector import no_collection


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Let later tests collect everything."""
    yield
    gc.unfreeze()


def test_the_collector_stands_still_and_passes_over_what_was_made() -> None:
    """It goes on after the block, over what is made from then on."""
    with no_collection():
        assert not gc.isenabled()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_the_collector_goes_on_where_the_block_fails() -> None:
    """An import that fails leaves the process as it was."""
    with pytest.raises(ImportError), no_collection():
        raise ImportError

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_collector_that_stood_still_before_is_left_so() -> None:
    """Somebody else has stopped it."""
    gc.disable()
    try:
        with no_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
