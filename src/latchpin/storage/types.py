"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

from sqlalchemy import DateTime, Dialect, Integer, String
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime. SQLite keeps no zone, so the value is stored naive in UTC there; a naive value is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware time into what the driver takes."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a time without a zone cannot be stored"
            raise ValueError(message)
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Word = TypeVar("Word", bound=StrEnum)
Number = TypeVar("Number", bound=IntEnum)


class WordEnum(TypeDecorator[Word]):
    """A StrEnum stored as its text, so that adding a member needs no migration."""

    impl = String(32)
    cache_ok = True

    def __init__(self, kind: type[Word]) -> None:
        super().__init__(32)
        self.kind = kind

    def process_bind_param(self, value: Word | None, dialect: Dialect) -> str | None:
        """Turn the member into its text; text that is no member is refused."""
        del dialect
        return None if value is None else self.kind(value).value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Word | None:  # noqa: ANN401  the driver's value
        """Turn the text into the member."""
        del dialect
        return None if value is None else self.kind(value)


class NumberEnum(TypeDecorator[Number]):
    """An IntEnum stored as its number, as the wire contract numbers it."""

    impl = Integer()
    cache_ok = True

    def __init__(self, kind: type[Number]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Number | None, dialect: Dialect) -> int | None:
        """Turn the member into its number."""
        del dialect
        return None if value is None else int(self.kind(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Number | None:  # noqa: ANN401  the driver's value
        """Turn the number into the member."""
        del dialect
        return None if value is None else self.kind(value)
