"""The one rule for text that people type: how it is normalized, what is refused, and when two texts are the same. Pure.

All text is kept in composed form (NFC) without blanks around it, so that a letter is the same however a keyboard made it. Invisible
characters are refused, since they make two names look alike; only those that scripts and emoji need are allowed.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), as ranges for a regular expression.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_BLANK = r"\s\u2800"  # the Braille pattern without dots looks blank but is in no list of blanks
_JOINERS = "\u200c\u200d"  # Persian and Indic scripts write with them, and emoji of several parts
_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef"  # how the one before is drawn; flags

# Not allowed in any text: control characters except tab and line feed, lone surrogates, non-characters, and bidirectional controls.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
_LEADING = re.compile(f"^[{_BLANK}{_IGNORABLE}]+")
_TRAILING = re.compile(f"(?:[{_BLANK}]|(?![{_SELECTORS}])[{_IGNORABLE}])+$")
_HIDDEN = re.compile(
    f"(?![{_JOINERS}{_SELECTORS}])[{_IGNORABLE}]|(?<=[\x00-\x7f])[{_JOINERS}]|[{_JOINERS}](?=[\x00-\x7f])|(?<=[A-Za-z])[{_SELECTORS}]"
)
_ANY_IGNORABLE = re.compile(f"[{_IGNORABLE}]")
_INVISIBLE = re.compile(f"[{_IGNORABLE}\u2800]")
_LAST_CASED = 0x1E944  # behind it no letter of Unicode 15 has a case


def normalize(text: str) -> str:
    """Return a text as it is stored: composed (NFC), with line feeds alone as line breaks, and nothing blank or invisible around it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _TRAILING.sub("", _LEADING.sub("", lines)))


def line_problem(text: str) -> str | None:
    """Return why a normalized text cannot be a name or another text of one line, as a sentence for a person, or None."""
    return "Control characters and line breaks are not allowed here." if re.search(r"[\n\t]", text) else lines_problem(text)


def lines_problem(text: str) -> str | None:
    """Return why a normalized text cannot be a text of several lines, as a sentence for a person, or None."""
    if hidden := hidden_in(text):
        return f"This holds an invisible character ({hidden}). Type the text anew instead of pasting it."
    if UNSAFE.search(text):
        return "Control characters and line breaks are not allowed here."
    if text and not is_visible(text):
        return "Enter at least one character that can be seen."
    return None


def visible(text: str) -> str:
    """Return a text with all characters that are not allowed written as escapes, as JSON does: for terminals and logs."""
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def hidden_in(text: str, *, joiners: bool = True) -> str | None:
    """Return the first invisible character as U+200B, or None. With `joiners` false, those that scripts and emoji need are included."""
    match = (_HIDDEN if joiners else _INVISIBLE).search(text)
    return match and f"U+{ord(match[0]):04X}"


def is_visible(text: str) -> bool:
    """Whether a text has a visible character, such as a letter or a digit, and not only blanks and accents."""
    return any(unicodedata.category(letter)[0] in "LNPS" for letter in _INVISIBLE.sub("", text))


def without_ignorable(text: str) -> str:
    """Return a text without invisible characters, joiners and selectors included, for comparing."""
    return _ANY_IGNORABLE.sub("", text)


def with_plain_blanks(text: str) -> str:
    """Return a text whose blanks of every width are the ordinary space."""
    return "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in text)


def fold(text: str) -> str:
    """Return the form by which search compares: composed, without case, any blank a space. Accents matter; the length stays the same."""
    return "".join(map(_folded, unicodedata.normalize("NFC", text)))


def variants(text: str) -> list[str]:
    """Return for each letter of a text all letters that search treats as the same, including itself."""
    return [_cased().get(_folded(letter), letter) for letter in unicodedata.normalize("NFC", text)]


def _folded(letter: str) -> str:
    """Return one letter for all that differ only in case (Unicode's simple case folding), and a space for any blank of a line.

    ASCII letters fold among themselves only, not with the historical long s: databases search ASCII fastest.
    """
    if unicodedata.category(letter) == "Zs":
        return " "
    folded = letter.casefold()
    if len(folded) != 1:
        folded = letter.lower()
    return folded if len(folded) == 1 and folded.isascii() == letter.isascii() else letter


@cache
def _cased() -> dict[str, str]:
    """Return, for each folded letter, the letters that fold to it; computed once, in some 50 ms."""
    letters_by_fold: dict[str, str] = {}
    for letter in map(chr, range(_LAST_CASED)):
        if (letter.casefold() != letter or letter.isspace()) and (folded := _folded(letter)) != letter:
            letters_by_fold[folded] = letters_by_fold.get(folded, folded) + letter
    return letters_by_fold
