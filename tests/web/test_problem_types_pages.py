"""The pages below /errors, which the `type` of a problem document leads to."""

from __future__ import annotations

import html

import pytest

from latchpin import problem_types
from latchpin.problem_types import ProblemType
from latchpin.web import render
from tests.support.people import Organization
from tests.support.server import Server


@pytest.mark.parametrize("found", problem_types.ALL_TYPES, ids=lambda each: each.code)
def test_every_type_has_a_page_that_is_open_to_everybody(server: Server, found: ProblemType) -> None:
    """Without signing in: what it means, why it happens, what to do next, which status, and an example with our own address."""
    response = server.http.get(f"/errors/{found.slug}")
    page_text = html.unescape(response.text).replace("<code>", "`").replace("</code>", "`")

    assert response.status_code == 200
    assert all(text in page_text for text in (found.heading, found.meaning, found.why, found.advice, f"Status {found.status}"))
    assert f'"type": "{server.url}/errors/{found.slug}"' in page_text
    assert response.headers["content-security-policy"] == render.HEADERS["Content-Security-Policy"]


def test_the_type_of_a_refusal_opens_its_page(organization: Organization) -> None:
    """What the API says is an address that a browser can follow."""
    http = organization.server.http
    problem = http.get("/api/v1/agent/all").json()

    assert problem["type"].startswith(organization.server.url)
    assert "Authentication required" in http.get(problem["type"]).text


def test_all_types_are_listed(server: Server) -> None:
    """The list leads to every page, each once."""
    response = server.http.get("/errors")

    assert response.status_code == 200
    assert [response.text.count(f'href="/errors/{each.slug}"') for each in problem_types.ALL_TYPES] == [1] * len(problem_types.ALL_TYPES)


@pytest.mark.parametrize("slug", ["nothing", "insufficient_scope", "Conflict", "conflict/more", "%3Cscript%3E"])
def test_an_address_that_no_document_names_is_404(server: Server, slug: str) -> None:
    """It looks like every address where nothing is."""
    response = server.http.get(f"/errors/{slug}")

    assert response.status_code == 404
    assert "Page not found" in response.text
