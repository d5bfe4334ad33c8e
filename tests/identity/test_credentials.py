"""The form of keys and tokens, and what stands for them in the database."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchpin.identity import credentials
from latchpin.kit import base62

ROOT = Path(__file__).parents[2]
SCANNER = r"sk-lp_[0-9A-Za-z]{49}"
KEY = credentials.new_api_key()
_letters = st.characters(codec="utf-8")


def test_a_key_carries_at_least_256_random_bits() -> None:
    """The random part is 43 base62 characters, which hold 256 bits (security.md 91)."""
    random = KEY.removeprefix("sk-lp_")[:-6]

    assert len(random) == 43
    assert set(random) <= set(base62.ALPHABET)
    assert 62 ** len(random) >= 2**256


def test_no_two_keys_are_alike_and_every_place_varies() -> None:
    """The operating system's generator fills the whole random part (security.md 91)."""
    keys = [credentials.new_api_key() for _ in range(2000)]

    assert len(set(keys)) == len(keys)
    varying = [len({key[place] for key in keys}) for place in range(7, credentials.LENGTH - 6)]
    assert min(varying) > 40


def test_a_key_ends_in_the_checksum_of_what_precedes_it() -> None:
    """Anybody can check the form of a key from its description alone: CRC-32 in six base62 characters."""
    number = 0
    for letter in KEY[-6:]:
        number = number * 62 + base62.ALPHABET.index(letter)

    assert number == zlib.crc32(KEY[:-6].encode())
    assert credentials.is_well_formed(KEY)


@given(place=st.integers(0, credentials.LENGTH - 1), letter=_letters)
def test_every_change_of_one_character_is_noticed(place: int, letter: str) -> None:
    """A mistyped key is known to be one without asking the database (security.md 93)."""
    changed = KEY[:place] + letter + KEY[place + 1 :]

    assert credentials.is_well_formed(changed) == (changed == KEY)


@given(place=st.integers(0, credentials.LENGTH - 2))
def test_two_neighbours_that_changed_places_are_noticed(place: int) -> None:
    """The usual slip of whoever types a key by hand is caught by the checksum."""
    changed = KEY[:place] + KEY[place + 1] + KEY[place] + KEY[place + 2 :]

    assert credentials.is_well_formed(changed) == (changed == KEY)


@given(st.text(alphabet=_letters, max_size=80))
def test_arbitrary_text_is_not_a_key(text: str) -> None:
    """Any text may be asked about, and is refused."""
    assert not credentials.is_well_formed(text)
    assert not credentials.is_well_formed("sk-lp_" + text)


@pytest.mark.parametrize(
    "text",
    ["", KEY[:-1], KEY + "0", KEY.upper(), " " + KEY, KEY + "\n", KEY.replace("sk-lp_", "sk-ab_")],
    ids=["empty", "shorter", "longer", "upper", "blank", "line", "prefix"],
)
def test_nearly_a_key_is_not_a_key(text: str) -> None:
    """Length, case, blanks and prefix all count."""
    assert not credentials.is_well_formed(text)


def test_what_may_be_shown_tells_four_random_characters() -> None:
    """The display prefix leaves more than 230 bits unknown (security.md 91)."""
    prefix = credentials.display_prefix(KEY)

    assert prefix == KEY[:10]
    assert len(KEY) - 6 - len(prefix) == 39


def test_the_digest_depends_on_the_pepper_and_on_the_whole_key() -> None:
    """A copy of the database verifies no guess without the pepper (security.md 92)."""
    one, other = bytes(32), bytes(31) + b"\x01"
    key = KEY.encode()

    assert len(credentials.key_digest(key, one)) == 32
    assert credentials.key_digest(key, one) != credentials.key_digest(key, other)
    assert credentials.key_digest(key, one) != credentials.key_digest(key[:-1], one)


def test_a_token_for_cookies_carries_256_random_bits() -> None:
    """Sessions and one-time links are as hard to guess as keys."""
    tokens = {credentials.new_token() for _ in range(500)}

    assert len(tokens) == 500
    assert all(len(token) == 43 and set(token) <= set(base62.ALPHABET) for token in tokens)


def test_a_temporary_password_can_be_read_out_and_not_guessed() -> None:
    """Four groups of four letters and digits that cannot be mistaken for each other."""
    password = credentials.temporary_password()

    assert re.fullmatch(r"(?:[a-hj-km-np-z2-9]{4}-){3}[a-hj-km-np-z2-9]{4}", password)
    assert credentials.temporary_password() != password


def test_secret_scanners_find_a_key_in_a_line_of_code() -> None:
    """The regular expression for secret scanners matches a key and nothing shorter or longer."""
    assert re.findall(rf"\b{SCANNER}\b", f'client(key="{KEY}")') == [KEY]
    assert not re.findall(rf"\b{SCANNER}\b", f"{KEY}x {KEY[:-1]}")


def test_the_scanner_expression_is_documented() -> None:
    """Whoever runs a secret scanner finds the expression in docs/reference/api-keys.md."""
    assert SCANNER in (ROOT / "docs/reference/api-keys.md").read_text(encoding="utf-8")
