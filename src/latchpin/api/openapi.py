"""The OpenAPI 3.1 document at /api-docs/openapi.json.

Parameters come from the framework; bodies, responses, errors, credentials and the required scope come from what each route declares, so
that the document cannot omit what authentication requires.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Contact, License

import latchpin
from latchpin.api import examples, openapi_parts
from latchpin.api.bodies import BODY, MAY_BE_EMPTY
from latchpin.api.errors import camel
from latchpin.api.explorer import HEADERS, Explorer
from latchpin.api.routing import PERMISSION, REAUTH, api_handlers
from latchpin.asgi.problems import Problem
from latchpin.identity.roles import SESSION_ONLY, Group, Permission
from latchpin.settings import Settings
from latchpin.storage.models.agent import ConfigType, RunStatus

_ENUMS = {"status": RunStatus, "configType": ConfigType}
_METHODS = ("get", "post", "put", "patch", "delete")
_OWN = "/api/v1/admin/"
_INTRODUCTION = """The API of a control center for web-data agents.

Send an API key with every request: `Authorization: ApiKey <key>`. An administrator issues keys in the Control Center: Users, Manage API
keys, New API key. What a request may do is what the key's access carries **and** what its user may do at that moment.

Every refusal is a problem document (`application/problem+json`). A query parameter is given once; a repeated one is refused. Times are
UTC. HEAD is answered wherever GET is, without the body. Routes below `/api/v1/admin/` are Latchpin's own."""
_TAGS = {
    "Agents": "Web-data agents and their versions.",
    "Runs": "Runs of agents: started, watched, stopped; and their files.",
    "Spaces": "Groups of agents, and who can enter them.",
    "Agent definitions": "Agents as YAML documents. An addition of Latchpin's own, open to API keys with `agents:write`.",
    "Administration": "Users, API keys, OAuth apps, Spaces and the audit log. An addition of Latchpin's own, for administrators signed in "
    "to the Control Center; no API key opens it.",
    "Operations": "Whether the server lives; open to everybody.",
}


def config(settings: Settings) -> OpenAPIConfig:
    """Return the framework's configuration: what is served at /api-docs."""
    return OpenAPIConfig(
        title="Latchpin",
        version=latchpin.__version__,
        description=_INTRODUCTION,
        contact=Contact(name="The administrators of this deployment", url=settings.public_url),
        license=License(name="Apache License 2.0", identifier="Apache-2.0"),
        openapi_router=Router("/api-docs", route_handlers=[], include_in_schema=False, response_headers=HEADERS),
        use_handler_docstrings=True,
        render_plugins=[Explorer(), _Json(settings)],
    )


class _Json(OpenAPIRenderPlugin):
    """Serves the document, which is built at the first request for it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._settings = settings
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        if self._rendered is None:
            self._rendered = msgspec.json.encode(document(request.app, openapi_schema, self._settings))
        return self._rendered


def document(app: Litestar, drawn: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the whole document; `drawn` is the one that the framework generates."""
    handlers = {(path, method.lower()): handler for path, handler in _handlers(app, drawn) for method in handler.http_methods}
    response_types = {key: _response_type(handler) for key, handler in handlers.items()}
    bodies = {key: handler.opt[BODY] for key, handler in handlers.items() if BODY in handler.opt}
    types = [*(kind for kind in response_types.values() if kind is not None), *bodies.values(), Problem]
    shapes, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(map(id, types), shapes, strict=True))
    paths: dict[str, Any] = {}
    for (path, method), handler in handlers.items():
        response_type, body = response_types[path, method], bodies.get((path, method))
        operation = _operation(path, handler, drawn["paths"][path][method])
        operation["responses"] = _responses(handler, schema_of[id(response_type)] if response_type is not None else None)
        if body is not None:
            operation["requestBody"] = _request_body(handler, schema_of[id(body)])
        paths.setdefault(_wire_path(path), {})[method] = operation
    paths = {path: {method: item[method] for method in _METHODS if method in item} for path, item in paths.items()}
    return {
        "openapi": "3.1.0",
        "info": drawn["info"],
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": openapi_parts.problem_responses(),
            "headers": openapi_parts.headers(),
            "securitySchemes": openapi_parts.security_schemes(settings),
        },
    }


def _handlers(app: Litestar, drawn: dict[str, Any]) -> Iterable[tuple[str, HTTPRouteHandler]]:
    yield from api_handlers(app)
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if route.path_format in drawn["paths"] and not route.path.startswith("/api/v1") and handler.http_methods != {"OPTIONS"}:
                yield route.path_format, handler


def _response_type(handler: HTTPRouteHandler) -> Any:  # noqa: ANN401  any annotation
    """Return the type of a route's response: its return annotation, or the type inside Response[...]; None for an empty response."""
    return_type = handler.parsed_fn_signature.return_type
    if return_type.is_subclass_of(Response):
        return_type = return_type.inner_types[0]
    return None if return_type.annotation in (None, type(None)) else return_type.annotation


def _operation(path: str, handler: HTTPRouteHandler, drawn: dict[str, Any]) -> dict[str, Any]:
    permission: Permission | None = handler.opt.get(PERMISSION)
    operation: dict[str, Any] = {
        "operationId": drawn["operationId"],
        "tags": drawn["tags"],
        "summary": drawn["summary"],
        "description": "\n\n".join([inspect.cleandoc(drawn["description"]), *_needs(permission, reauth=handler.opt.get(REAUTH, False))]),
        "parameters": [_parameter(given) for given in drawn.get("parameters", ())],
        "security": _security(permission),
    }
    if permission is not None and permission.scope is not None:
        operation["x-required-scope"] = permission.scope.value
    if permission is not None:
        operation["x-required-group"] = permission.group.value
    if path.startswith(_OWN):
        operation["x-latchpin"] = True
    return operation


def _needs(permission: Permission | None, *, reauth: bool) -> Iterable[str]:
    if permission is None:
        yield "Needs no credential."
        return
    if permission.scope is not None:
        yield f"Needs the scope `{permission.scope}`, and the role {permission.role.word} in the Space of what is touched."
    if permission.group is Group.ADMINISTRATOR:
        yield "For administrators signed in to the Control Center; no API key opens it."
    if reauth:
        yield "Asks for a password that was given recently (403 with `errorCode` `proof_needed` otherwise)."


def _security(permission: Permission | None) -> list[dict[str, list[str]]]:
    if permission is None:
        return []
    return [{"Session": []}] if permission.kinds == SESSION_ONLY else [{"ApiKey": []}, {"Bearer": []}, {"Session": []}]


def _parameter(drawn: dict[str, Any]) -> dict[str, Any]:
    name = camel(drawn["name"])
    schema = {key: value for key, value in drawn["schema"].items() if key != "description"}
    if "oneOf" in schema:  # an optional parameter is not a nullable one
        kinds = [kind for kind in schema.pop("oneOf") if kind != {"type": "null"}]
        schema = {**kinds[0], **schema}
    schema = {key: int(value) if isinstance(value, float) else value for key, value in schema.items()}
    if name in _ENUMS and "enum" not in schema:
        members = [member.name.title().replace("_", "") for member in _ENUMS[name]]
        schema = {"anyOf": [{"type": "integer", "enum": [int(member) for member in _ENUMS[name]]}, {"type": "string", "enum": members}]}
    parameter = {"name": name, "in": drawn["in"], "required": drawn["required"], "schema": schema}
    if drawn.get("description"):
        parameter["description"] = drawn["description"]
    if name in examples.PARAMETERS and drawn["required"]:
        parameter["example"] = examples.PARAMETERS[name]
    return parameter


def _responses(handler: HTTPRouteHandler, schema: dict[str, Any] | None) -> dict[str, Any]:
    rate_headers = openapi_parts.RATE_HEADERS if PERMISSION in handler.opt else ()
    response: dict[str, Any] = {
        "description": "Done." if schema is None else "The answer.",
        "headers": openapi_parts.header_references(*rate_headers),
    }
    if schema is not None:
        response["content"] = {"application/json": {"schema": schema, "example": examples.response(str(handler.operation_id))}}
    statuses = {500, 503} | set(handler.responses or ()) | ({413, 415, 422} if BODY in handler.opt else set())
    refusals = {str(status): {"$ref": f"#/components/responses/{openapi_parts.PROBLEM_NAMES[status]}"} for status in sorted(statuses)}
    return {str(handler.status_code): response, **refusals}


def _request_body(handler: HTTPRouteHandler, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": schema, "example": examples.BODIES[str(handler.operation_id)]}
    return {"required": not handler.opt[MAY_BE_EMPTY], "content": {"application/json": content}}


def _wire_path(path: str) -> str:
    return "/".join(camel(part) if part.startswith("{") else part for part in path.split("/"))
