"""The forms of all secrets that Latchpin issues, in one place, so that the code that makes them and the texts that describe them agree.

Each is a prefix and base62 characters that carry 256 random bits, so that scanners find it and none can be used in place of another.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretForm:
    """One kind of secret. `length` counts the base62 characters behind the prefix; `lifetime` and `revocation` are for people."""

    name: str
    prefix: str
    length: int
    lifetime: str
    revocation: str

    @property
    def pattern(self) -> str:
        """The regular expression, of the syntax that all common engines share, for finding one in a text."""
        return rf"\b{self.prefix}[0-9A-Za-z]{{{self.length}}}\b"


_RANDOM = 43  # 62**43 > 2**256
API_KEY = SecretForm(
    "API key", "sk-lp_", _RANDOM + 6, "as chosen, a year by default", "**Users**, **Manage API keys**, or `latchpin key revoke`"
)
CLIENT_SECRET = SecretForm(
    "client secret of an app or an API resource",
    "lps_",
    _RANDOM,
    "until it is rotated",
    "**OAuth apps**, the app, **Rotate secret**, end it now",
)
REFRESH_TOKEN = SecretForm(
    "refresh token",
    "lpr_",
    _RANDOM,
    "one use; 30 days without one, 90 in all by default",
    "`/api/oauth/revoke`, or **My account**, **Connected apps**",
)
REGISTRATION_TOKEN = SecretForm(
    "registration access token of an app that registered itself",
    "lpg_",
    _RANDOM,
    "as long as the app's entry",
    "DELETE at the app's `registration_client_uri`, or **OAuth apps**, the app, **Block**",
)
DEVICE_CODE = SecretForm("device code", "lpd_", _RANDOM, "10 minutes, one use", "deny the device, or wait")
ALL = (API_KEY, CLIENT_SECRET, REFRESH_TOKEN, REGISTRATION_TOKEN, DEVICE_CODE)
_LETTERS = "".join(each.prefix[2] for each in ALL[1:])
ANY = rf"\b(?:{API_KEY.prefix}[0-9A-Za-z]{{{API_KEY.length}}}|lp[{_LETTERS}]_[0-9A-Za-z]{{{_RANDOM}}})\b"
PREFIX = rf"(?:{API_KEY.prefix}|\blp[{_LETTERS}]_)"  # how each of them begins, to redact also those that were cut off
PASTED_API_KEY = rf"{API_KEY.prefix}[0-9A-Za-z]{{20,}}"  # a complete or nearly complete key in other text
