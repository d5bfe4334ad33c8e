"""Converts text on a page to the value of a field's type; None if the text is not of that type."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

from latchpin.automation.definition_model import DecimalSeparator

_SPACE: Final = re.compile(r"\s+")
_TIME_DIRECTIVE: Final = re.compile(r"%[HIMpSf]")
_ZONE_DIRECTIVE: Final = re.compile(r"%[zZ]")
_MINUS: Final = "\N{MINUS SIGN}"
_GROUPS: Final = {
    DecimalSeparator.POINT: re.compile(r"([-+]?)((?:\d[\s',\u2019]?)*\d)(?:\.(\d+))?"),
    DecimalSeparator.COMMA: re.compile(r"([-+]?)((?:\d[\s'.\u2019]?)*\d)(?:,(\d+))?"),
}
_MOST_DIGITS: Final = 400  # beyond what a number in JSON can hold


def text(raw: str) -> str | None:
    """Return text with runs of white space made one space; None for nothing."""
    return _SPACE.sub(" ", raw).strip() or None


def number(raw: str, separator: DecimalSeparator) -> int | float | None:
    """Return the first number in a text: whole without decimals, else with them."""
    match = _GROUPS[separator].search(raw[:10_000].replace(_MINUS, "-"))
    if match is None:
        return None
    digits = re.sub(r"\D", "", match[2])
    if len(digits) > _MOST_DIGITS:
        return None
    if match[3] is None:
        return int(f"{match[1]}{digits}") if len(digits) < 19 else float(f"{match[1]}{digits}")  # noqa: PLR2004  64 bits
    value = float(f"{match[1]}{digits}.{match[3]}")
    return value if abs(value) != float("inf") else None


def moment(raw: str, date_format: str | None) -> str | None:
    """Read a date or time and write it as ISO 8601: a date where the text has no time of day."""
    clean = text(raw)
    if clean is None:
        return None
    try:
        if date_format is None:
            return _iso(clean)
        at = datetime.strptime(clean, date_format)  # noqa: DTZ007  the zone is what the text says, if anything
    except (ValueError, OverflowError, re.error):
        return None
    if not _TIME_DIRECTIVE.search(date_format):
        return at.date().isoformat()
    return _written(at.replace(tzinfo=at.tzinfo or (UTC if _ZONE_DIRECTIVE.search(date_format) and _says_utc(clean) else None)))


def _iso(clean: str) -> str:
    if "T" not in clean and ":" not in clean:
        return date.fromisoformat(clean).isoformat()
    return _written(datetime.fromisoformat(clean))


def _written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _says_utc(clean: str) -> bool:
    return clean.upper().endswith(("UTC", "GMT", "Z"))
