"""Every template is drawn from its sample, strictly, and uses exactly what its page promises."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
from jinja2 import Environment, meta, nodes

from latchpin.web import assets, templating
from tests.web import sample_pages, samples

PAGES = list(sample_pages.every())
IDS = [name for name, _, _ in PAGES]
PROVIDED = {"asset", "ui", "icon"}


@pytest.fixture(scope="module")
def environment() -> Environment:
    """The environment of the pages, with the real static files."""
    return templating.environment(assets.load())


def _used(environment: Environment, template: str, seen: frozenset[str] = frozenset()) -> set[str]:
    source, _, _ = environment.loader.get_source(environment, template)  # type: ignore[union-attr]
    tree = environment.parse(source)
    defined_names = {node.target for node in tree.find_all(nodes.Import)} | {node.name for node in tree.find_all(nodes.Macro)}
    undeclared_names = meta.find_undeclared_variables(tree) - defined_names
    kin = [node.template for node in tree.find_all(nodes.Extends)] + [node.template for node in tree.find_all(nodes.Include)]
    for other in kin:
        name = other.as_const()
        if name not in seen:
            undeclared_names |= _used(environment, name, seen | {name})
    return undeclared_names - PROVIDED


@pytest.mark.parametrize(("name", "template", "view"), PAGES, ids=IDS)
def test_every_page_draws_strictly(environment: Environment, name: str, template: str, view: Any) -> None:
    """A page draws from its view without an undefined name, and has one main heading and a title."""
    page = templating.render(environment, template, view)

    assert page.count("<h1") == 1 or name == "components"
    assert re.search(r"<title>\S.* - Latchpin</title>", page)


@pytest.mark.parametrize(("name", "template", "view"), PAGES, ids=IDS)
def test_a_page_needs_no_exception_from_the_content_policy(environment: Environment, name: str, template: str, view: Any) -> None:
    """A page has no inline script, no inline style and nothing from elsewhere."""
    page = templating.render(environment, template, view)

    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script[^>]*>", page) == re.findall(r'<script type="module" src="/static/[^"]+">', page)
    assert not re.search(r'<(?:link|img|script|iframe)[^>]+(?:href|src)="https?:', page)


def test_a_page_that_asks_for_a_password_tells_password_managers_whose(environment: Environment) -> None:
    """The user name stands in a text field out of sight, for they pass over hidden fields; the sign-in page asks for it itself."""
    drawn = [(template, templating.render(environment, template, view)) for _, template, view in PAGES]
    asking = [(template, page) for template, page in drawn if 'type="password"' in page]

    assert {template for template, _ in asking} >= {"account/account.html", "sign_in/confirm_password.html", "oauth/password.html"}
    for template, page in asking:
        fields_with_names = re.findall(r'<input[^>]+autocomplete="username"[^>]*>', page)
        assert fields_with_names or template == "components/index.html", template
        assert not [each for each in fields_with_names if 'type="hidden"' in each], template


@pytest.mark.parametrize(("template", "kind"), sorted({(template, type(view)) for _, template, view in PAGES}, key=str), ids=str)
def test_a_template_uses_what_its_page_gives(environment: Environment, template: str, kind: Any) -> None:
    """A template names no variable that its page does not give, and a page gives nothing that no template of it uses."""
    given = {field.name for field in fields(kind)}
    same_kind = {other for _, other, view in PAGES if type(view) is kind}
    used_by_any = set().union(*(_used(environment, other) for other in same_kind))

    assert _used(environment, template) <= given
    assert given <= used_by_any


def test_every_template_is_drawn_by_a_sample(environment: Environment) -> None:
    """No page's template is left without a sample; names that start with an underscore are parts."""
    drawn = {template for _, template, _ in PAGES}
    pages = {name for name in environment.list_templates() if "/" in name and "/_" not in name}

    assert pages == drawn


def test_what_people_type_is_escaped(environment: Environment) -> None:
    """A description that looks like markup is shown as text."""
    hostile = samples.key(0, "<script>alert(1)</script>", "Full access", "active", 10)
    view = next(view for name, _, view in PAGES if name == "keys")
    changed = type(view)(view.shell, view.owner, view.listing, (hostile,), ())

    page = templating.render(environment, "api_keys/list.html", changed)

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
