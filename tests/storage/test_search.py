"""Searching in columns: the same answers on both databases, by the rule of `plain_text.fold`."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import String, literal, select

from latchpin.kit import plain_text
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.search import contains, equals

pytestmark = pytest.mark.both_databases("each database compares and folds text in its own way")

# A column's text, what is searched for, whether it is found in it, whether it is all of it.
TABLE = [
    ("Åsa Öberg", "åsa", True, False),
    ("Åsa Öberg", "ÅSA ÖBERG", True, True),
    ("Åsa Öberg", "A\u030asa", True, False),
    ("Åsa Öberg", "asa", False, False),
    ("Иван", "ИВАН", True, True),
    ("ИВАН ПЕТРОВ", "ван п", True, False),
    ("οδος", "ΟΔΟΣ", True, True),
    ("ΟΔΟΣ ΑΘΗΝΑΣ", "οδος", True, False),
    ("Straße", "STRAẞE", True, True),
    ("Straße", "strasse", False, False),
    ("山田\u3000太郎", "山田 太郎", True, True),
    ("Retail prices", " prices\u200b", True, False),
    ("100% [done]", "% [D", True, False),
    ("a*b?c", "*B?", True, False),
    ("a*b?c", "a*c", False, False),
    ("a.b^c$d\\e(f)|g{1}+-_~#&/", "A.B^C$D\\E(F)|G{1}+-_~#&/", True, True),
    ("abc", "a.c", False, False),
    ("under_score", "r_s", True, False),
    ("]x[ !^-", "]X[ !^-", True, True),
    ("e\u0301\u0323", "\u1eb9\u0301", True, True),
    ("👩\u200d🚀 Ops", "👩\u200d🚀 ops", True, True),
]


async def _found(chosen: Settings, pairs: list[tuple[str, str]]) -> list[tuple[bool, bool]]:
    database = Database(chosen)
    try:
        async with database.read() as session:
            outcomes = []
            for whole, part in pairs:
                column = literal(plain_text.normalize(whole), String())
                row = (await session.execute(select(contains(column, part), equals(column, part)))).one()
                outcomes.append((bool(row[0]), bool(row[1])))
            return outcomes
    finally:
        await database.close()


def test_case_is_passed_over_and_accents_count_in_every_script(chosen: Settings) -> None:
    """Signs that mean something in patterns stand for themselves."""
    outcomes = anyio.run(_found, chosen, [(whole, part) for whole, part, _, _ in TABLE])

    for (whole, part, within, all_of_it), outcome in zip(TABLE, outcomes, strict=True):
        assert outcome == (within, all_of_it), (whole, part)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]), max_size=8) | st.text("aAåÅsSςσΣ ß.*[]?^$\\-\u3000", max_size=6)  # noqa: RUF001  meant


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=30, max_size=30))
def test_both_databases_find_what_folding_finds(chosen: Settings, pairs: list[tuple[str, str]]) -> None:
    """For any text whatever."""
    outcomes = anyio.run(_found, chosen, pairs)

    for (whole, part), (within, all_of_it) in zip(pairs, outcomes, strict=True):
        haystack, term = (plain_text.fold(plain_text.normalize(text)) for text in (whole, part))
        assert within == (term in haystack), (whole, part)
        assert all_of_it == (term == haystack), (whole, part)
