"""Every `type` that the API can write is explained, and what is explained is true."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import latchpin
from latchpin import errors, problem_types
from latchpin.asgi import problems
from latchpin.automation import definitions
from latchpin.errors import LatchpinError
from latchpin.problem_types import ProblemType
from tests.contracts import routes

SOURCE = Path(latchpin.__file__).parent
# Pages draw their refusals as pages, and the command line prints them: no problem document is made of those.
ELSEWHERE = ("web", "cli", "verify", "oauth/pending.py", "oauth/par.py", "oauth/endpoints", "oauth/grants", "api/explorer.py")
# These make documents of codes that they are given.
GIVEN = ("errors.py", "api/problems.py", "api/errors.py")


def _kinds() -> dict[str, type[LatchpinError]]:
    """Return every kind of refusal by name; with the routes the whole application is imported."""
    classes: dict[str, type[LatchpinError]] = {}
    waiting: list[type[LatchpinError]] = [LatchpinError]
    while waiting:
        kind = waiting.pop()
        classes[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return classes


KINDS = _kinds()


def _sources() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith(ELSEWHERE):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def _written() -> Iterator[tuple[str, int]]:
    """Yield (code, status) of every refusal in the source that can become a document."""
    for name, kind in KINDS.items():
        place = kind.__module__.removeprefix("latchpin.").replace(".", "/")
        if kind not in (LatchpinError, errors.Missing) and not place.startswith(ELSEWHERE):
            yield kind.code, problems.status_of(kind.__new__(kind))
        assert name == kind.__name__
    for name, tree in _sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS and name not in GIVEN:
                kind = KINDS[node.func.id]
                code = next((word.value for word in node.keywords if word.arg == "code"), None)
                if kind is errors.Missing:
                    yield errors.Missing(_text(node.args[0], name)).code, 404
                elif code is not None:
                    yield _text(code, name), problems.status_of(kind.__new__(kind))
    for status, slug in problems.SLUGS.items():
        yield slug.replace("-", "_"), status
    yield from (("not_found", 404), ("error", 400))  # an address without a route; a refusal of the framework without a code


def _text(node: ast.AST, where: str) -> str:
    assert isinstance(node, ast.Constant), f"{where}: write the code of a refusal as a text, so that this test can read it"
    assert isinstance(node.value, str)
    return node.value


WRITTEN = sorted(set(_written()))


@pytest.mark.parametrize(("code", "status"), WRITTEN, ids=[code for code, _ in WRITTEN])
def test_every_code_in_the_source_is_explained(code: str, status: int) -> None:
    """A new code needs its entry in latchpin/problem_types, with the status that it is sent with."""
    problem_type = problem_types.get(problem_types.slug_of(code))

    assert (problem_type.code, problem_type.status) == (code, status)


def test_nothing_is_explained_that_is_not_there() -> None:
    """A code that the API has lost loses its page; no two types share an address or a heading."""
    assert sorted(each.code for each in problem_types.ALL_TYPES) == sorted({code for code, _ in WRITTEN})
    assert len({each.heading for each in problem_types.ALL_TYPES}) == len(problem_types.ALL_TYPES)


@pytest.mark.parametrize("found", problem_types.ALL_TYPES, ids=lambda each: each.code)
def test_an_example_is_what_the_api_would_write(found: ProblemType) -> None:
    """The same members in the same order, for a route that there is."""
    response = problems.render(
        found.status,
        found.detail,
        code=found.code,
        title=found.title or None,
        instance=found.instance,
        public_url="https://latchpin.example",
        request_id=problem_types.SAMPLE_REQUEST,
        scope=found.more.get("scope"),
        problems=[errors.FieldProblem(**each) for each in found.more.get("errors", ())],
        run_id=found.more.get("runId"),
    )

    assert msgspec.json.encode(found.example("https://latchpin.example")) == response.body
    assert found.code == "not_found" or _is_routed(found.instance)


@pytest.mark.parametrize("found", problem_types.ALL_TYPES, ids=lambda each: each.code)
def test_every_explanation_is_whole(found: ProblemType) -> None:
    """Sentences that end, and code that is closed: the pages take every second piece between backticks for code."""
    for text in (found.meaning, found.why, found.advice):
        assert text.endswith(".")
        assert text.count("`") % 2 == 0


def test_the_example_of_a_definition_is_a_true_one() -> None:
    """What is said there is what the parser says."""
    problem_type = problem_types.get("invalid-definition")

    with pytest.raises(definitions.DefinitionError) as refused:
        definitions.parse(
            "name: Prices\nstart_url: https://shop.example/\nrecord:\n  selector: li\n  fields:\n    - name: title\n      selector: h2\n"
        )

    assert refused.value.detail == problem_type.detail


def _is_routed(instance: str) -> bool:
    parts = instance.split("/")
    return any(_fits(route.path.split("/"), parts) for route in routes.every())


def _fits(route_parts: list[str], parts: list[str]) -> bool:
    return len(route_parts) == len(parts) and all(
        a == b or (a.startswith("{") and b.isdigit()) for a, b in zip(route_parts, parts, strict=True)
    )
