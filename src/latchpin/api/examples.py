"""Examples of the OpenAPI document: what a route answers in a deployment such as the demo's, and bodies that it takes.

They are defined beside the structs that they are made of, and collected here by operation.
"""

from __future__ import annotations

from typing import Any

import msgspec

from latchpin.api.v1 import (
    admin_access,
    admin_agents,
    admin_apps,
    admin_audit,
    admin_keys,
    admin_resources,
    admin_spaces,
    admin_users,
    agent_wire,
    app_wire,
    run_files,
    run_wire,
    spaces,
)

PARAMETERS: dict[str, Any] = {
    "agentId": 1,
    "versionNumber": 1,
    "spaceId": 1,
    "userId": 2,
    "keyId": 1,
    "eventId": 1,
    "appId": 1,
    "resourceId": 1,
    "sessionId": 1,
    "runId": 512,
    "fileId": 3,
    "query": "price",
    "name": "Retail",
}
_RESPONSES: dict[str, Any] = {
    **agent_wire.RESPONSE_EXAMPLES,
    **spaces.RESPONSE_EXAMPLES,
    **admin_users.RESPONSE_EXAMPLES,
    **admin_access.RESPONSE_EXAMPLES,
    **admin_keys.RESPONSE_EXAMPLES,
    **admin_audit.RESPONSE_EXAMPLES,
    **admin_spaces.RESPONSE_EXAMPLES,
    **admin_agents.RESPONSE_EXAMPLES,
    **app_wire.RESPONSE_EXAMPLES,
    **admin_resources.RESPONSE_EXAMPLES,
    **run_wire.RESPONSE_EXAMPLES,
    **run_files.RESPONSE_EXAMPLES,
    "live": {"status": "ok"},
    "ready": {"status": "ok"},
}
BODIES: dict[str, Any] = {
    **agent_wire.BODY_EXAMPLES,
    **admin_users.BODY_EXAMPLES,
    **admin_keys.BODY_EXAMPLES,
    **admin_spaces.BODY_EXAMPLES,
    **admin_agents.BODY_EXAMPLES,
    **admin_apps.BODY_EXAMPLES,
    **admin_resources.BODY_EXAMPLES,
    **run_wire.BODY_EXAMPLES,
}


def response(operation_id: str) -> Any:  # noqa: ANN401  any JSON
    """Return an example of a route's response, as plain JSON values; raises KeyError for a route without one."""
    return msgspec.to_builtins(_RESPONSES[operation_id])
