"""The one rule for text: what is kept of it, what is refused, and what counts as the same."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from latchpin.kit import plain_text

# What is typed, what is kept of it (None: refused), and why.
TABLE = [
    ("Ada Byron", "Ada Byron", "ordinary"),
    ("  Ada Byron\t", "Ada Byron", "blanks around it"),
    ("\u00a0Ada\u3000", "Ada", "wide blanks around it"),
    ("A\u030asa", "Åsa", "typed in two parts (NFD)"),
    ("\ufeffAda\u200b", "Ada", "invisible signs around it, as copying brings them"),
    ("Ada\u00a0Byron", "Ada\u00a0Byron", "a wide blank within"),
    ("山田\u3000太郎", "山田\u3000太郎", "a blank of another script within"),
    ("Иван Straße ﬁ", "Иван Straße ﬁ", "other letters stay as they are"),
    ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648", "Persian writes with the joiner"),
    ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧", "an emoji of three"),
    ("❤\ufe0f", "❤\ufe0f", "an emoji that ends in a selector"),
    ("1\ufe0f\u20e3", "1\ufe0f\u20e3", "a key cap"),
    ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f", "a flag that ends in a tag"),
    ("\u2800⠃\u2800⠁", "⠃\u2800⠁", "Braille, whose blank may stand within"),
    ("", "", "nothing"),
    ("\u3164", "", "the Hangul filler alone"),
    ("\u2800", "", "the blank Braille pattern alone"),
    ("\u2060\u200b\u00ad", "", "invisible signs alone"),
    ("\u0301", None, "an accent on nothing"),
    ("Ada\u200bByron", None, "zero width space"),
    ("Ada\ufeffByron", None, "byte order mark"),
    ("Ada\u00adByron", None, "soft hyphen"),
    ("Ada\u200eByron", None, "left-to-right mark"),
    ("Ada\u2060Byron", None, "word joiner"),
    ("Ada\u3164Byron", None, "Hangul filler"),
    ("Ada\u200dByron", None, "a joiner that joins nothing"),
    ("Ada\ufe0fByron", None, "a selector behind a letter that has no variants"),
    ("\u202egnp.exe", "gnp.exe", "direction override at the beginning"),
    ("Ada\u202eByron", None, "direction override"),
    ("Ada\nByron", None, "line feed"),
    ("Ada\u2028Byron", None, "line separator"),
    ("Ada\0Byron", None, "NUL"),
    ("Ada\x1b[2J", None, "escape of a terminal"),
    ("Ada\ud800", None, "half a character"),
]


def test_names_are_kept_or_refused_as_the_table_says() -> None:
    """The table is the rule; a refused text is refused whole."""
    for typed, expected, why in TABLE:
        normalized = plain_text.normalize(typed)
        result = None if plain_text.line_problem(normalized) else normalized
        assert result == expected, why


def test_a_text_of_several_lines_has_line_feeds_however_they_were_typed() -> None:
    """CRLF and CR are the line ends of other systems; tabs may stay."""
    normalized = plain_text.normalize("\r\none\r\n\ttwo\rthree\r\n")

    assert normalized == "one\n\ttwo\nthree"
    assert plain_text.lines_problem(normalized) is None
    assert plain_text.lines_problem("one\u200btwo") is not None


@given(st.text(max_size=60))
@example("\ufe0f")
@example("e\u200b\u0301")
@example("\u2800\ufe0f\u2800")
def test_normalizing_twice_changes_nothing_more(text: str) -> None:
    """What is kept is in its one form, composed, and with nothing blank around it."""
    normalized = plain_text.normalize(text)

    assert plain_text.normalize(normalized) == normalized == unicodedata.normalize("NFC", normalized)
    assert normalized == normalized.strip()


@given(st.text(min_size=1, max_size=40))
def test_an_accepted_line_can_be_seen_and_hides_nothing(text: str) -> None:
    """Two accepted names that differ differ to the eye as well, but for letters that look alike."""
    normalized = plain_text.normalize(text)

    if normalized and plain_text.line_problem(normalized) is None:
        assert plain_text.is_visible(normalized)
        assert not set(normalized) & set("\u00ad\u200b\u200e\u200f\u2060\u3164\ufeff\n\0")


def test_search_takes_case_and_blanks_alike_and_accents_apart() -> None:
    """By Unicode's simple case folding, so that no text grows."""
    same = [("ÅSA", "åsa"), ("ИВАН", "иван"), ("ΟΔΟΣ", "οδος"), ("A\u030asa", "åsa"), ("a\u3000b", "a b"), ("ẞ", "ß")]
    apart = [("asa", "åsa"), ("strasse", "straße"), ("e", "é")]

    for one, other in same:
        assert plain_text.fold(one) == plain_text.fold(other), (one, other)
    for one, other in apart:
        assert plain_text.fold(one) != plain_text.fold(other), (one, other)


@given(st.characters())
def test_every_letter_is_among_its_own_variants(letter: str) -> None:
    """And all of them fold to one."""
    for variant in plain_text.variants(letter):
        assert {plain_text.fold(each) for each in variant} == {plain_text.fold(variant)[0]}
        assert plain_text.fold(letter)[0] in {plain_text.fold(each) for each in "".join(plain_text.variants(letter))}
