"""Times in words, for people. All times are UTC; script shows them in the viewer's zone."""

from __future__ import annotations

import re
from datetime import date, datetime

from markupsafe import Markup, escape

from latchpin import secret_forms

_MINUTE = 60
_UNITS = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60))


_PREFIX = re.compile(secret_forms.PREFIX + r"\w+(?:\.{3}|…)?")


def unbroken(text: str) -> Markup:
    """A text, escaped, without line breaks at the hyphen in the first characters of a key or secret."""
    return Markup(_PREFIX.sub(r'<span class="prefix">\g<0></span>', str(escape(text))))  # noqa: S704  escaped just here


def iso(at: datetime) -> str:
    """A time in the format of the datetime attribute."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(at: datetime) -> str:
    """A time in full, in UTC."""
    return f"{day(at)}, {at:%H:%M:%S} UTC"


def day(at: date) -> str:
    """A date with its month as a word, so that day and month cannot be confused."""
    return f"{at.day} {at:%b %Y}"


def iso_day(text: str) -> str:
    """A day given as YYYY-MM-DD, in the same words."""
    return day(date.fromisoformat(text))


def stamp(at: datetime, style: str = "date") -> str:
    """A time as a "date", a "moment" (to the minute) or "exact" (to the second)."""
    if style == "date":
        return day(at)
    return utc(at) if style == "exact" else f"{day(at)}, {at:%H:%M} UTC"


def ago(at: datetime, now: datetime) -> str:
    """How long ago something was: "just now", "3 days ago"."""
    seconds = int((now - at).total_seconds())
    return "just now" if seconds < _MINUTE else f"{_amount(seconds)} ago"


def until(at: datetime, now: datetime) -> str:
    """How long until a time: "in 12 days"; for a time in the past, how long ago it was."""
    seconds = int((at - now).total_seconds())
    if seconds < 0:
        return ago(at, now)
    return "in less than a minute" if seconds < _MINUTE else f"in {_amount(seconds)}"


def _amount(seconds: int) -> str:
    """A duration in its largest unit; months and years only from two on, so that a year is shown as 12 months."""
    for unit, size in _UNITS:
        least = 2 if unit in ("month", "year") else 1
        count = seconds // size
        if count >= least:
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "1 minute"
