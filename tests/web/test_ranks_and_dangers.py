"""What pages put first and what they warn of by colour, on every page's sample."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from jinja2 import Environment

from latchpin.web import assets, templating
from tests.web import sample_pages

_ENDINGS = re.compile(r"(Revoke|Delete|Disable|Block|Remove|End)\b")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, str]]:
    """Every sample page's name and text, without the page of components, which shows all of them side by side."""
    environment: Environment = templating.environment(assets.load())
    return [(name, templating.render(environment, template, view)) for name, template, view in sample_pages.every() if name != "components"]


def _buttons(page: str) -> Iterator[tuple[str, str]]:
    """The classes and the words of every button and of every link that looks like one."""
    for classes, content in re.findall(r'<(?:a|button)\b[^>]*class="(button[^"]*)"[^>]*>(.*?)</(?:a|button)>', page, re.DOTALL):
        yield classes, " ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", content, flags=re.DOTALL).split())


def test_a_page_has_one_first_choice_at_most(drawn: list[tuple[str, str]], subtests: pytest.Subtests) -> None:
    """Of two filled buttons nobody knows which to press: after a key was made, copying it is the one.

    Where a dialog is open, what stands behind it is out of reach.
    """
    for name, page in drawn:
        reached = re.search(r"<dialog\b.*</dialog>", page, re.DOTALL)
        with subtests.test(page=name):
            first = [words for classes, words in _buttons(reached[0] if reached else page) if "button-primary" in classes]
            assert len(first) <= 1


def test_what_ends_something_is_in_the_colour_of_danger(drawn: list[tuple[str, str]], subtests: pytest.Subtests) -> None:
    """On the pages of apps and users as on those that ask once more."""
    seen = set()
    for name, page in drawn:
        for classes, words in _buttons(page):
            if match := _ENDINGS.match(words):
                with subtests.test(page=name, button=words):
                    assert "button-danger" in classes
                    seen.add(match[1])

    assert seen >= {"Revoke", "Delete", "Disable", "Block"}


def test_the_policy_is_saved_by_one_button(drawn: list[tuple[str, str]]) -> None:
    """Of keys and of apps together."""
    pages = [page for _, page in drawn if ">API policy</h1>" in page]

    assert pages
    for page in pages:
        assert [words for _, words in _buttons(page) if words.startswith("Save")] == ["Save"]


def test_no_warning_stands_within_the_sentence_of_consent(drawn: list[tuple[str, str]]) -> None:
    """Who wants to act for whom and where is read in one go; warnings come after it."""
    sentences = [(page, match) for _, page in drawn if (match := re.search(r"wants to act for.*?</select>", page, re.DOTALL))]

    assert any("summary-warning" in page for page, _ in sentences)
    for _, sentence in sentences:
        assert "summary" not in sentence[0]
