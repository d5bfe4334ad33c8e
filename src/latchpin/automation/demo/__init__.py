"""The agents that a demo deployment starts with: their names, Spaces and versions.

The definitions are beside this file as `<slug>.v<number>.yaml`. All addresses end in `.example`.
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
    """One saved version: the YAML text as an author would have written it, the comment, and how many days ago it was saved."""

    text: str
    comment: str
    days_ago: int


@dataclass(frozen=True, slots=True)
class DemoAgent:
    """One demo agent, oldest version first. `space` is a Space's name, or None for a personal agent."""

    slug: str
    space: str | None
    versions: tuple[DemoVersion, ...]
    archived_days_ago: int | None = None


# Slug, Space, versions (oldest first: how many days ago, and the comment), how many days ago it was archived.
_TABLE: Final[tuple[tuple[str, str | None, tuple[tuple[int, str], ...], int | None], ...]] = (
    (
        "book-prices",
        RETAIL,
        (
            (58, "First version: one page per category"),
            (51, "Go through all pages"),
            (12, "Add ISBN, authors and date from the book's page"),
        ),
        None,
    ),
    ("electronics-deals", RETAIL, ((56, "First version"), (23, "Add rating, image and badges; slow down")), None),
    ("wholesale-catalogue", RETAIL, ((34, "First version, signed in with a token"),), None),
    ("grocery-basket", RETAIL, ((27, "First version"),), None),
    ("rebuild-price-feed", RETAIL, ((11, "First version"),), None),
    ("flats-to-rent", REAL_ESTATE, ((54, "First version"), (4, "Choose rooms; read the details page")), None),
    ("houses-for-sale", REAL_ESTATE, ((53, "First version"),), None),
    ("new-developments", REAL_ESTATE, ((52, "First version"),), 18),
    ("open-tenders", TENDERS, ((47, "First version"), (15, "Add buyer, value and documents")), None),
    ("contract-awards", TENDERS, ((41, "First version"),), None),
    ("supplier-register", TENDERS, ((19, "First version"),), None),
    ("reading-list", None, ((8, "First version"),), None),
)


def demo_agents() -> tuple[DemoAgent, ...]:
    """Return every demo agent with the texts of its versions."""
    return tuple(
        DemoAgent(
            slug,
            space,
            tuple(DemoVersion(_text(slug, number), comment, days) for number, (days, comment) in enumerate(versions, start=1)),
            archived,
        )
        for slug, space, versions, archived in _TABLE
    )


def _text(slug: str, number: int) -> str:
    return resources.files(__name__).joinpath(f"{slug}.v{number}.yaml").read_text(encoding="utf-8")
