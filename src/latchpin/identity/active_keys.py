"""Whether an API key is active: neither revoked nor expired. An active key cannot be used while its user is disabled.

The rule is here in Python and in SQL; tests/identity/test_active_keys.py checks that both give the same answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_

from latchpin.kit import clock
from latchpin.storage.models import ApiKey

Status = Literal["active", "expired", "revoked"]


def status(key: ApiKey | Row[Any], at: datetime | None = None) -> Status:
    """Return a key's status at a moment, by default now. A key is expired from its `expires_at` on, that moment included."""
    if key.revoked_at is not None:
        return "revoked"
    return "active" if key.expires_at > (at or clock.now()) else "expired"


def is_active(key: ApiKey, at: datetime | None = None) -> bool:
    """Whether a key is active at a moment, by default now."""
    return status(key, at) == "active"


def active(at: datetime | None = None) -> ColumnElement[bool]:
    """The same rule as an SQL condition on ApiKey."""
    return and_(ApiKey.revoked_at.is_(None), ApiKey.expires_at > (at or clock.now()))
