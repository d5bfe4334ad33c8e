"""Pages of lists: a cursor is a place in an ordered list that stays right while rows are added at the front."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Generic, TypeVar

from latchpin.errors import Malformed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A slice of a list, with the cursors of its neighbours; None where there is no neighbour.

    `is_short` means fewer items than requested although more may follow at `next`, because the search stopped early.
    """

    items: tuple[T, ...]
    next: str | None
    previous: str | None = None
    is_short: bool = False


@dataclass(frozen=True, slots=True)
class CountedPage(Generic[T]):
    """A numbered slice of a list, with the length of the whole list."""

    items: tuple[T, ...]
    total: int


def encode_cursor(row_id: int) -> str:
    """Make an opaque cursor of a row id."""
    return base64.urlsafe_b64encode(f"c1:{row_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """Read a cursor that `encode_cursor` made; raises Malformed for anything else."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        version, _, number = raw.partition(":")
        if version != "c1" or not number.isdigit() or len(number) > 18:  # noqa: PLR2004  18 digits fit in 64 bits
            raise ValueError  # noqa: TRY301  one message for every kind of damage
        return int(number)
    except (binascii.Error, ValueError, UnicodeDecodeError):
        detail = "The cursor is not one that this server gave out. Start again without a cursor."
        raise Malformed(detail, field="cursor") from None
