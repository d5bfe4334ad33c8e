"""Schemathesis over the OpenAPI document and the running server: nothing undocumented, nothing malformed, no failure of the server.

Each key is tried on every route, with input that fits the document and input that does not; so is an administrator's session, for what
no key opens. Ids in addresses are real ones half of the time, so that the routes behind them are reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from latchpin.identity.roles import Role
from latchpin.identity.scopes import Access
from tests.contracts import routes
from tests.support import databases
from tests.support.people import Organization
from tests.support.server import Server, served
from tests.support.signed_in import SignedIn

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
EXAMPLES = {"sqlite": 4, "postgresql": 2}
WHO = ["full", "read-only", "billing-only", "administrator"]


class Callers:
    """An organization with one of everything, and the headers of each caller."""

    def __init__(self, server: Server) -> None:
        self.organization = Organization(server)
        user = self.organization.user()
        space = self.organization.space()
        self.organization.member(space, user, Role.EDITOR)
        self.ids = {
            "spaceId": space,
            "agentId": self.organization.agent(space_id=space),
            "versionNumber": 1,
            "userId": self.organization.user("Mary Target").id,
            "keyId": self.organization.key(user).id,
            "eventId": 1,
        }
        self.headers = {access.value: self.organization.key(user, access).header for access in Access}
        self.headers["administrator"] = SignedIn(server, self.organization.admin).headers

    def are_alive(self) -> bool:
        """Whether every credential still counts: an administrator's random request may hit the callers' own accounts."""
        http = self.organization.server.http
        return all(http.get("/api/v1/nothing", headers=headers).status_code == 404 for headers in self.headers.values())


@pytest.fixture(scope="module")
def server(kind: str, templates: databases.Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A deployment of this module's own: what is made up here includes global Spaces, which everybody would see."""
    data_dir = tmp_path_factory.mktemp(f"generated-{kind}")
    with templates.fresh(kind, data_dir) as url, served(url, data_dir) as running:
        yield running


class Crowd:
    """Callers whose credentials count, made anew when they do not any more."""

    def __init__(self, server: Server) -> None:
        self._server, self.callers = server, Callers(server)

    def send(self, case: Any, who: str) -> Any:
        """Send a case as one of them."""
        response = case.call(base_url=self._server.url, headers=self.callers.headers[who])
        if response.status_code == HTTPStatus.UNAUTHORIZED and not self.callers.are_alive():
            self.callers = Callers(self._server)
            response = case.call(base_url=self._server.url, headers=self.callers.headers[who])
        return response


@pytest.fixture(scope="module")
def crowd(server: Server) -> Crowd:
    """The callers of this module."""
    return Crowd(server)


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """Schemathesis's view of every operation, by its id."""
    config = schemathesis.Config(seed=1)
    schema = schemathesis.openapi.from_dict(routes.document(), config=config)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    return {each.definition.raw["operationId"]: each for each in operations}


def strategies(operation: Any, ids: dict[str, int]) -> Iterator[Any]:
    """Input that fits with real ids, input that fits, and input that does not fit."""
    path_ids = {name: value for name, value in ids.items() if f"{{{name}}}" in operation.path}
    if path_ids:
        yield operation.as_strategy(path_parameters=path_ids)
    yield operation.as_strategy()
    if operation.path_parameters or operation.query or operation.body:
        yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


@pytest.mark.slow
@pytest.mark.both_databases("each database refuses texts and numbers that the other one takes")
@pytest.mark.parametrize("name", [route.name for route in routes.every()])
def test_every_answer_is_as_documented(kind: str, crowd: Crowd, operations: dict[str, Any], name: str) -> None:
    """Whatever is sent, by whomever, the status is documented, headers and body fit the document, and the server does not fail."""
    for strategy in strategies(operations[name], crowd.callers.ids):

        @settings(
            max_examples=EXAMPLES[kind],
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def answers(case: Any) -> None:
            case.headers, case.cookies = {}, {}
            for who in WHO:  # made up once for all, as that takes longer than asking
                response = crowd.send(case, who)
                assert response.status_code != HTTPStatus.UNAUTHORIZED, who
                case.validate_response(response, checks=CHECKS)

        answers()
