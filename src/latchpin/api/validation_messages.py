"""Turns validation messages of the framework and of msgspec into plain sentences for people. Pure."""

from __future__ import annotations

import re

_BOUND = re.compile(r"`(?:int|float)(?: \| null)?` (>=|<=) (-?\d+)")
_LENGTH = re.compile(r"`str(?: \| null)?` of length (>=|<=) (\d+)")
_ITEMS = re.compile(r"`array(?: \| null)?` of length (>=|<=) (\d+)")
_KIND = re.compile(r"Expected `([a-z]+)")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_AT = re.compile(r" - at `\$\.?(.*)`$")
_KINDS = {
    "int": "Enter a whole number.",
    "float": "Enter a number.",
    "bool": "Enter true or false.",
    "str": "Enter a text.",
    "array": "Enter a list.",
    "object": "Enter a JSON object.",
}
_TIME = "Enter a time with its zone, such as 2027-11-24T00:00:00Z."
_SIGNS = (
    ("matching regex", "Control characters are not allowed here."),
    ("RFC3339", _TIME),
    ("datetime", _TIME),
    ("unknown field", "There is no such field here."),
    ("missing required field", "This field is needed."),
)


def of(message: str) -> str:
    """Return the sentence for a message of msgspec."""
    if match := _BOUND.search(message):
        return f"Enter a whole number of at {_most(match[1])} {match[2]}."
    if match := _LENGTH.search(message):
        return f"Enter at {_most(match[1])} {match[2]} character{'' if match[2] == '1' else 's'}."
    if match := _ITEMS.search(message):
        return f"Enter at {_most(match[1])} {match[2]} value{'' if match[2] == '1' else 's'}."
    for sign, sentence in _SIGNS:
        if sign in message:
            return sentence
    kind = _KIND.search(message)
    return _KINDS.get(kind[1] if kind else "", "This value is not accepted here.")


def field_of(message: str) -> str:
    """Return the field that a message of msgspec is about, as `networks[3]` or `definition`; empty for the whole input."""
    field_match = _UNKNOWN.search(message) or _MISSING.search(message)
    at = _AT.search(message)
    place = at[1].replace("[...]", "") if at else ""
    parts = [place] if place else []
    return ".".join([*parts, field_match[1]] if field_match else parts)


def _most(sign: str) -> str:
    return "least" if sign == ">=" else "most"
