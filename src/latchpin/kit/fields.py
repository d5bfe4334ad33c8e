"""Checks of what people type into fields, with messages for people. Pure.

An entry is accepted or refused as a whole: nothing is cut or cleaned silently.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Sequence

import idna

from latchpin import secret_forms
from latchpin.errors import FieldProblem, Invalid
from latchpin.kit import plain_text

_LOCAL = re.compile(r"[^@\s\"(),:;<>\[\]\\]{1,64}")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")
_API_KEY = re.compile(secret_forms.PASTED_API_KEY)
_INT32 = 2**31 - 1


class FieldValidation:
    """Collects the problems of several fields, so that they are reported together: check, then `done()`."""

    def __init__(self) -> None:
        self.problems: list[FieldProblem] = []

    def problem(self, field: str, message: str) -> None:
        """Note one problem."""
        self.problems.append(FieldProblem(field, message))

    def line(self, field: str, text: str, *, most: int, required: bool = True) -> str:
        """Check a one-line text; returns it without surrounding blanks."""
        clean = plain_text.normalize(text)
        if required and not clean:
            self.problem(field, "Enter a value.")
        if len(clean) > most:
            self.problem(field, f"At most {most} characters; this has {len(clean)}.")
        if message := plain_text.line_problem(clean):
            self.problem(field, message)
        self.no_key(field, clean)
        return clean

    def no_key(self, field: str, text: str) -> None:
        """Note a problem where a text holds a full API key: it would be stored in plain text, and shown to others."""
        if _API_KEY.search(text):
            self.problem(field, "This holds a full API key. Revoke that key, since it may have been seen, and leave it out here.")

    def optional_line(self, field: str, text: str | None, *, most: int) -> str | None:
        """Check a one-line text that may be left out; blank counts as left out."""
        return self.line(field, text, most=most, required=False) or None if text else None

    def email(self, field: str, text: str) -> str:
        """Check the form of an e-mail address, not whether it exists."""
        problems_before = len(self.problems)
        clean = self.line(field, text, most=254)
        if not clean or len(self.problems) > problems_before:
            return clean
        if hidden := plain_text.hidden_in(clean, joiners=False):
            self.problem(field, f"This holds an invisible character ({hidden}). Type the address anew instead of pasting it.")
        elif not _is_email(clean) or len(email_key(clean)) > 254:  # noqa: PLR2004  folding may lengthen
            self.problem(field, "Enter an e-mail address such as name@example.com.")
        return clean

    def networks(self, field: str, parts: Sequence[str]) -> str:
        """Check networks in CIDR form; returns them space-separated in canonical form."""
        cidrs = []
        for part in parts:
            try:
                cidrs.append(str(ipaddress.ip_network(part.strip())))
            except ValueError:
                self.problem(field, f"{part.strip()[:60]!r} is not a network such as 203.0.113.0/24 or 2001:db8::/32.")
        networks = " ".join(dict.fromkeys(cidrs))
        if len(cidrs) > 50 or len(networks) > 2000:  # noqa: PLR2004  fits the column
            self.problem(field, "At most 50 networks, of 2,000 characters together.")
        return networks

    def number(self, field: str, value: int | None, *, least: int, most: int = _INT32) -> int | None:
        """Check a whole number that may be left out."""
        if value is not None and not least <= value <= most:
            self.problem(field, f"Enter a whole number from {least} to {most}.")
        return value

    def done(self) -> None:
        """Raise Invalid with every problem noted, or return."""
        if self.problems:
            count = len(self.problems)
            detail = "One entry was refused; nothing was changed." if count == 1 else f"{count} entries were refused; nothing was changed."
            raise Invalid(detail, problems=self.problems)


def email_key(email: str) -> str:
    """Return the form of an address under which it is unique: two that differ only in case, or in invisible characters, are the same.

    The local part is folded as Unicode compares identifiers (NFKC_Casefold), the domain is written as the DNS has it (RFC 5891).
    """
    clean = unicodedata.normalize("NFKC", plain_text.without_ignorable(plain_text.normalize(email)))
    local, at, domain = clean.rpartition("@")
    return local.casefold() + at + (_dns_name(domain) or domain.casefold())


def _is_email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return _LOCAL.fullmatch(local) is not None and _dns_name(domain) is not None


def _dns_name(domain: str) -> str | None:
    """Return a domain's name in the DNS, internationalized or not, or None for an invalid name."""
    try:
        name = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None
    return name if _DOMAIN.fullmatch(name) else None
