"""What single values of a definition must look like: selectors, addresses, names, headers, date formats.

Each function returns the message to show, or None when the value is valid. No message repeats the value.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from cssselect import HTMLTranslator, SelectorError

IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:.-]{0,99}")
_QUERY_NAME: Final = re.compile(r"[^\s&=#?{}+%]{1,100}")
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_DIRECTIVE: Final = re.compile(r"%(.?)", re.DOTALL)
_SECRET_NAME: Final = re.compile(
    r"(?:^|[-_.])(?:password|passwd|passphrase|secret|api[-_]?key|(?:access|auth|bearer|session|api)[-_]?token)$",
    re.IGNORECASE,
)
_SCHEME_WORD: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9_-]{0,40}[ =])?")
_CREDENTIAL_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
_CRAWLER_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect"})
_MAX_PARENTHESES: Final = 10
_MAX_HOST: Final = 253
_MAX_FORM_NAME: Final = 100
_SAMPLE_DATE: Final = datetime(2000, 12, 31, 23, 59, 58, tzinfo=UTC)


def looks_secret(name: str) -> bool:
    """Whether a parameter, header or form field of this name usually holds a secret."""
    return name.lower() in _CREDENTIAL_HEADERS or _SECRET_NAME.search(name) is not None


def identifier_problem(value: str) -> str | None:
    """Check the name of an input parameter or a field."""
    if IDENTIFIER.fullmatch(value):
        return None
    return "must be 1 to 64 letters, digits and `_`, and must not start with a digit"


def selector_problem(value: str) -> str | None:
    """Check that a CSS selector can be read and run by the crawler."""
    if value.count("(") > _MAX_PARENTHESES:
        return f"a selector may hold at most {_MAX_PARENTHESES} opening parentheses"
    try:
        HTMLTranslator().css_to_xpath(value)
    except SelectorError as error:
        if "Pseudo-elements" in str(error):
            return "`::text` and `::attr()` are not used: text is the default, `attribute` names an attribute"
        return "not a CSS selector the crawler can run; check the brackets, quotes and pseudo-classes"
    except (ValueError, RecursionError):
        return "not a CSS selector the crawler can run"
    return None


def attribute_problem(value: str) -> str | None:
    """Check the name of an HTML attribute."""
    return None if _ATTRIBUTE.fullmatch(value) else "must be the name of an HTML attribute, such as `href`"


def query_name_problem(value: str) -> str | None:
    """Check the name of a query parameter."""
    return None if _QUERY_NAME.fullmatch(value) else "must be the bare name of a query parameter, such as `page`"


def domain_problem(value: str) -> str | None:
    """Check one allowed domain."""
    if _DOMAIN.fullmatch(value):
        return None
    return "must be a domain in lower case, such as `shop.example`, without scheme, port or path"


def date_format_problem(value: str) -> str | None:
    """Check a date format of Python's `strptime`."""
    directives = _DIRECTIVE.findall(value)
    if not any(each != "%" for each in directives):
        return "must hold at least one directive such as `%d`, `%m` or `%Y`"
    if any(each not in "aAbBdHIjmMpSyYzZf%" or not each for each in directives):
        return "holds a directive that is not supported; use those of the reference, such as `%d`"
    try:
        datetime.strptime(_SAMPLE_DATE.strftime(value), value).replace(tzinfo=UTC)
    except (ValueError, re.error):
        return "cannot be used to read a date; is a directive there twice?"
    return None


def url_problem(value: str) -> str | None:
    """Check the start URL, except whether its placeholders are declared."""
    if brace := brace_problem(value):
        return brace
    if re.search(r"[\s\\\"<>^`|]", value):
        return "must not hold spaces, backslashes, quotes or the characters < > ^ ` |; percent-encode them"
    try:
        parts = urlsplit(value)
        return _parts_problem(parts)
    except ValueError:
        return "is not an address"


def _parts_problem(parts: SplitResult) -> str | None:
    """Check the parts of a URL; raises ValueError for an invalid port."""
    if "{" in parts.scheme + parts.netloc or not parts.scheme:
        return "must start with `https://` and a host; only path and query may hold `{parameter}`"
    if parts.scheme not in ("http", "https"):
        return "must start with `https://` or `http://`"
    if "@" in parts.netloc:
        return "must not hold a user name or password"
    if parts.port == 0 or not _is_host(parts.hostname or ""):
        return "has no usable host"
    for name, given in parse_qsl(parts.query):
        if looks_secret(name) and given:
            return "must not hold a secret; send it in `request.headers` or `request.form`"
    return None


def _is_host(host: str) -> bool:
    if ":" in host:
        return True
    try:
        encoded = host.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    return len(encoded) <= _MAX_HOST and _HOST.fullmatch(encoded) is not None


def brace_problem(value: str) -> str | None:
    """Check that braces in a value only surround the name of a parameter."""
    if re.search(r"[{}]", PLACEHOLDER.sub("", value)):
        return "braces may only surround the name of an input parameter, as in `{city}`"
    return None


def placeholders(value: str) -> list[str]:
    """Return the parameter names in a value, in order and with repetitions."""
    return PLACEHOLDER.findall(value)


def header_name_problem(name: str) -> str | None:
    """Check the name of a header."""
    if not _HEADER_NAME.fullmatch(name):
        return "is not the name of an HTTP header"
    if name.lower() in _CRAWLER_HEADERS:
        return "is set by the crawler itself"
    return None


def header_value_problem(value: str) -> str | None:
    """Check the value of a header, placeholders included."""
    if not _HEADER_VALUE.fullmatch(value):
        return "must be plain ASCII text without line breaks"
    return brace_problem(value)


def secret_value_problem(value: str, encrypted: Collection[str]) -> str | None:
    """Check the value of a header or form field whose name says that it is a secret.

    It must be one encrypted parameter, with at most one word such as `Bearer ` or `session=` before it.
    """
    used = placeholders(value)
    if len(used) == 1 and used[0] in encrypted and _SCHEME_WORD.fullmatch(PLACEHOLDER.sub("", value)):
        return None
    return "must take its value from one encrypted input parameter, as in `Bearer {token}`"


def form_name_problem(name: str) -> str | None:
    """Check the name of a form field."""
    if 0 < len(name) <= _MAX_FORM_NAME and name.isprintable() and name == name.strip():
        return None
    return f"a name must be 1 to {_MAX_FORM_NAME} printable characters"
