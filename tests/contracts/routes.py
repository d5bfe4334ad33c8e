"""Every route of the API as its OpenAPI document tells it, for tests that are generated from it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import app, settings
from latchpin.api import openapi
from latchpin.identity import scopes
from latchpin.identity.scopes import Access, Scope
from latchpin.storage import secrets
from latchpin.storage.generation import invalidate
from latchpin.storage.models import ApiKey
from latchpin.storage.subjects import EVERYTHING
from tests.support.people import Key, Organization

NOBODY = 2**31 - 1  # an id that nothing has


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the document."""

    method: str
    path: str
    operation: dict[str, Any]

    @property
    def name(self) -> str:
        """The operation's id."""
        operation_id: str = self.operation["operationId"]
        return operation_id

    @property
    def scope(self) -> str | None:
        """The scope it needs; None for one that takes no API key."""
        return self.operation.get("x-required-scope")

    @property
    def is_public(self) -> bool:
        """Whether it needs no credential."""
        return not self.operation["security"]

    @property
    def parameters(self) -> set[str]:
        """The names in the path."""
        return set(re.findall(r"\{(\w+)\}", self.path))

    @property
    def body(self) -> Any:
        """A sample body, None where it takes none."""
        content = self.operation.get("requestBody", {}).get("content", {})
        return content["application/json"]["example"] if content else None

    def filled(self, ids: Mapping[str, int] | None = None) -> str:
        """The path with ids, by default such that nothing has."""
        return re.sub(r"\{(\w+)\}", lambda match: str((ids or {}).get(match[1], NOBODY)), self.path)

    def query(self, **values: str) -> dict[str, str]:
        """The required parameters."""
        names = [each["name"] for each in self.operation["parameters"] if each["in"] == "query" and each["required"]]
        return {name: values.get(name, "x") for name in names}


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of an application that serves nobody."""
    with tempfile.TemporaryDirectory() as place:
        chosen = settings.load({}, data_dir=Path(place))
        application = app.build(chosen, secrets.generate())
    return openapi.document(application.litestar, application.litestar.openapi_schema.to_schema(), chosen)


def every() -> list[Route]:
    """Every route of the document."""
    return [
        Route(method.upper(), path, operation)
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    ]


def scoped() -> list[Route]:
    """Routes that an API key can open."""
    return [route for route in every() if route.scope]


def administration() -> list[Route]:
    """Routes for browser sessions only."""
    return [route for route in every() if not route.scope and not route.is_public]


SETS: dict[str, frozenset[Scope]] = {
    "none": frozenset(),
    **{access.value: members for access, members in scopes.SETS.items()},
    **{scope.value: frozenset({scope}) for scope in Scope},
}


def keys_of_every_set(organization: Organization) -> dict[str, Key]:
    """Issue the administrator a key for each set of scopes: none, the named ones, and each scope alone."""
    return {name: key_with(organization, members) for name, members in SETS.items()}


def key_with(organization: Organization, members: frozenset[Scope]) -> Key:
    """Issue a key with just these scopes, which need not be a named set."""
    key = organization.key(access=Access.FULL)

    async def work(session: AsyncSession) -> None:
        row = await session.get(ApiKey, key.id)
        assert row is not None
        row.scopes = scopes.serialize(members)
        invalidate(session, EVERYTHING)

    organization.write(work)
    return key
