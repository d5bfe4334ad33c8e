"""The agents that a demo deployment starts with: what they are called, where they belong and how they grew.

The definitions lie beside this file as `<slug>.v<number>.yaml`. All addresses end in `.example`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final

RETAIL: Final = "Retail prices"
REAL_ESTATE: Final = "Real estate"
TENDERS: Final = "Public tenders"


@dataclass(frozen=True, slots=True)
class DemoVersion:
    """One saved version: the YAML text as an author would have written it, and what was said on saving."""

    text: str
    comment: str


@dataclass(frozen=True, slots=True)
class DemoAgent:
    """One demo agent, oldest version first. `space` is a Space's name, or None for a personal agent."""

    slug: str
    space: str | None
    versions: tuple[DemoVersion, ...]
    archived: bool = False


# Slug, Space, comments of the versions (oldest first), archived.
_TABLE: Final[tuple[tuple[str, str | None, tuple[str, ...], bool], ...]] = (
    (
        "book-prices",
        RETAIL,
        (
            "First version: one page per category",
            "Go through all pages",
            "Add ISBN, authors and date from the book's page",
        ),
        False,
    ),
    ("electronics-deals", RETAIL, ("First version", "Add rating, image and badges; slow down"), False),
    ("wholesale-catalogue", RETAIL, ("First version, signed in with a token",), False),
    ("grocery-basket", RETAIL, ("First version",), False),
    ("rebuild-price-feed", RETAIL, ("First version",), False),
    ("flats-to-rent", REAL_ESTATE, ("First version", "Choose rooms; read the details page"), False),
    ("houses-for-sale", REAL_ESTATE, ("First version",), False),
    ("new-developments", REAL_ESTATE, ("First version",), True),
    ("open-tenders", TENDERS, ("First version", "Add buyer, value and documents"), False),
    ("contract-awards", TENDERS, ("First version",), False),
    ("supplier-register", TENDERS, ("First version",), False),
    ("reading-list", None, ("First version",), False),
)


def demo_agents() -> tuple[DemoAgent, ...]:
    """Return every demo agent with the texts of its versions."""
    return tuple(
        DemoAgent(
            slug,
            space,
            tuple(DemoVersion(_text(slug, number), comment) for number, comment in enumerate(comments, start=1)),
            archived,
        )
        for slug, space, comments, archived in _TABLE
    )


def _text(slug: str, number: int) -> str:
    return resources.files(__name__).joinpath(f"{slug}.v{number}.yaml").read_text(encoding="utf-8")
