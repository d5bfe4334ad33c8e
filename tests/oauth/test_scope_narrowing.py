"""Scopes only ever narrow: what is asked for, what is granted, what a token gets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchpin.identity.scopes import OFFLINE, REQUESTABLE
from latchpin.oauth import scope
from latchpin.oauth.errors import OAuthError

sets = st.frozensets(st.sampled_from(REQUESTABLE))
texts = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.lists(st.one_of(st.sampled_from(REQUESTABLE), st.sampled_from([word.upper() for word in REQUESTABLE]), st.text(max_size=8))).map(
        " ".join
    ),
)


@given(texts, sets)
def test_a_token_never_has_more_than_its_grant(text: str | None, granted: frozenset[str]) -> None:
    """Whatever a client sends: a part of it, or a refusal (security.md 36)."""
    narrowed = allowed(scope.for_token, text, granted)

    if narrowed is None:
        assert text is not None
    else:
        assert narrowed <= granted
        assert narrowed == (granted if text is None else granted.intersection(text.split(" ")))


@given(sets, st.data())
def test_every_part_of_a_grant_can_be_had(granted: frozenset[str], data: st.DataObject) -> None:
    """In any order, with any repetition; and nothing asked for is all of it."""
    part = data.draw(st.lists(st.sampled_from(sorted(granted)), min_size=1)) if granted else []

    assert scope.for_token(None, granted) == granted
    if part:
        assert scope.for_token(" ".join(part), granted) == set(part)


@given(sets, st.lists(sets, max_size=4))
def test_narrowing_again_never_widens(granted: frozenset[str], steps: list[frozenset[str]]) -> None:
    """However often, each is a part of the one before."""
    held = granted
    for step in steps:
        requested = step & held
        if requested:
            narrower = scope.for_token(" ".join(sorted(requested)), held)
            assert narrower <= held <= granted
            held = narrower


@given(sets, sets)
def test_words_too_many_are_left_out_and_only_an_empty_rest_is_refused(granted: frozenset[str], requested: frozenset[str]) -> None:
    """The token's `scope` tells what was granted (security.md 8, 36)."""
    narrowed = allowed(scope.for_token, " ".join(sorted(requested)), granted)

    assert narrowed == (requested & granted or None)


@given(text=texts, may=sets, offline=st.booleans())
def test_an_app_never_asks_for_more_than_it_may(text: str | None, may: frozenset[str], *, offline: bool) -> None:
    """What an administrator assigned is the bound; nothing assigned is no bound, and offline_access is for those who refresh."""
    requested = allowed(partial(scope.requested_scopes, offline=offline), text, may)

    if requested is not None:
        assert set() < requested <= set(REQUESTABLE)
        assert not may or requested <= may | {OFFLINE}
        assert OFFLINE not in requested or (offline and OFFLINE in (text or ""))


@pytest.mark.parametrize("text", ["", " ", "AGENTS:READ", "agents:read,spaces:read", "agents:read\tspaces:read", "*", "agents:*"])
def test_scope_words_are_exact(text: str) -> None:
    """Case-sensitive, separated by spaces, no patterns (contract/auth.md 3)."""
    with pytest.raises(OAuthError):
        scope.requested_scopes(text, frozenset(), offline=True)


def allowed(read: Callable[[str | None, frozenset[str]], frozenset[str]], text: str | None, of: frozenset[str]) -> frozenset[str] | None:
    """Return what was read, None where it was refused as `invalid_scope`."""
    try:
        return read(text, of)
    except OAuthError as refused:
        return None if refused.error == "invalid_scope" else frozenset({"refused for another reason"})
