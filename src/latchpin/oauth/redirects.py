"""Redirect URIs: which may be registered, and which matches (OAuth 2.1 sections 2.3.1 and 8.4.2, RFC 8252 section 7.3). Pure."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NEVER = frozenset({"javascript", "data", "file", "vbscript", "about", "blob", "ws", "wss", "ftp"})
# Schemes without a dot that belong to no single app: of browsers and systems, mail and calls, network shares and shells.
_NOT_PRIVATE = re.compile(
    r"(ms|microsoft|x-apple|chrome|moz|safari|edge|opera)(-.*)?|android-app|ios-app|app-settings|shortcuts|itms-services|market|intent|content"
    r"|filesystem|view-source|resource|res|jar|livescript|mocha|wyciwyg|mk|hcp|help|search(-ms)?|shell|cid|mid|urn|tag|acct|did"
    r"|mailto|imap|pop|news|nntp|nfs|smb|afp|ssh|sftp|scp|rsync|git|svn|telnet|tn3270|rlogin|tftp|ldaps?|gopher|ircs?|webcal|rtsp|mms"
    r"|tel|fax|modem|sms|mmsto|smsto|sips?|geo|maps|facetime(-audio)?|steam|magnet|bitcoin"
)
_MOST = 2000
_UNSOUND = ' "<>\\^`{|}*'


def problem(uri: str, application_type: str, *, public: bool) -> str | None:
    """Return why an address may not be registered, or None.

    Native apps may have a scheme of their own (RFC 8252 section 7.1). One without a dot, which other apps can have just as well, is for
    those without a secret only: their users are asked and warned each time.
    """
    parts = _split(uri)
    if parts is None or not parts.scheme or any(letter in uri for letter in _UNSOUND):
        return "is not an absolute address"
    web = parts.scheme in ("http", "https")
    checks = (
        ("#" in uri, "may not have a fragment"),
        (parts.scheme in _NEVER, f"may not use {parts.scheme}:"),
        (web and (not parts.hostname or "@" in parts.netloc), "must have a host and no user in it"),
        (parts.scheme == "http" and parts.hostname not in LOOPBACK, "must use https, unless it is a loopback address"),
        (not web and application_type != "native", "must use https"),
        (not web and _is_others(parts.scheme), f"may not use {parts.scheme}:, which is no app's own"),
        (not (web or public) and "." not in parts.scheme, "must use a scheme with a dot, like com.example.app, where the app has a secret"),
        (not web and not (parts.netloc or parts.path.strip("/")), "must say more than its scheme"),
    )
    return next((text for is_so, text in checks if is_so), None)


def matches(sent: str, registered: str, *, any_port: bool) -> bool:
    """Whether the address that a request sent is the registered one: the same bytes, except the port of a loopback address.

    `any_port` also lets the name `localhost` have any port, which native and metadata-document clients get.
    """
    if sent == registered:
        return True
    one, other = _split(sent), _split(registered)
    if one is None or other is None or one.scheme != "http" or other.scheme != "http":
        return False
    host = one.hostname
    if host not in LOOPBACK or host != other.hostname or (host == "localhost" and not any_port):
        return False
    return _without_port(sent, one) is not None and _without_port(sent, one) == _without_port(registered, other)


def is_loopback(uri: str) -> bool:
    """Whether an address leads to a web server on the person's own computer."""
    return has_host(uri) and host_of(uri) in LOOPBACK


def is_local(uri: str) -> bool:
    """Whether an address leads to a program on the person's own computer."""
    parts = _split(uri)
    return parts is not None and (parts.hostname in LOOPBACK or parts.scheme not in ("http", "https"))


def host_of(uri: str) -> str:
    """Return the host that a user recognises; for an app's own scheme that scheme, whatever follows it."""
    parts = _split(uri)
    if parts is None:
        return ""
    return parts.hostname or "" if has_host(uri) else f"{parts.scheme}:"


def has_host(uri: str) -> bool:
    """Whether an address leads to a web server, and not to the app that registered its scheme."""
    parts = _split(uri)
    return parts is not None and parts.scheme in ("http", "https")


def opens_app(location: str) -> bool:
    """Whether a browser passes an address to the program that registered its scheme, and stays on its page."""
    scheme, colon, _ = location.partition(":")
    return bool(colon) and "/" not in scheme and scheme.lower() not in ("http", "https")


def _is_others(scheme: str) -> bool:
    """Whether a scheme belongs to a system, or is known for another purpose than one app."""
    return _NOT_PRIVATE.fullmatch(scheme) is not None


def _without_port(uri: str, parts: SplitResult) -> str | None:
    """Return the text of the address without its port, or None where its authority has more than host and port."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = parts.netloc.removeprefix(host)
    if not uri.startswith(f"http://{parts.netloc}") or (port and not (port.startswith(":") and port[1:].isascii() and port[1:].isdigit())):
        return None
    return f"http://{host}" + uri.removeprefix(f"http://{parts.netloc}")


def _split(uri: str) -> SplitResult | None:
    try:
        if not uri.isascii() or not uri.isprintable() or len(uri) > _MOST:
            return None
        parts = urlsplit(uri)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts
