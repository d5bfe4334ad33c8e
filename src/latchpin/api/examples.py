"""Samples for the OpenAPI document: what a route answers in a deployment such as the demo's, and bodies that it takes.

Answers are made from the very types of the routes, so that a sample cannot miss a field.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from latchpin.api import examples_oauth, examples_runs
from latchpin.api.v1.admin_agents import DefinitionOut
from latchpin.api.v1.admin_audit import Actor, EventOut, EventPage, Target
from latchpin.api.v1.admin_keys import ApiKeyMade, ApiKeyOut, KeyPolicyOut
from latchpin.api.v1.admin_spaces import MemberOut, RoleName
from latchpin.api.v1.admin_users import KeysRevoked, PasswordMade, UserMade, UserOut, UserPage
from latchpin.api.v1.agents import AgentOut, Count, InputParameter, VersionOut
from latchpin.api.v1.spaces import SpaceAgent, SpaceOut
from latchpin.identity.roles import Group
from latchpin.identity.scopes import SETS, Access, serialize

PARAMETERS: dict[str, Any] = {
    "agentId": 1,
    "versionNumber": 1,
    "spaceId": 1,
    "userId": 2,
    "keyId": 1,
    "eventId": 1,
    **examples_oauth.PARAMETERS,
    **examples_runs.PARAMETERS,
    "query": "price",
    "name": "Retail",
}
_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_LATER = datetime(2026, 11, 23, 16, 5, 12, tzinfo=UTC)
DEFINITION = """version: 1
name: Book prices
description: Title and price of every book in a category.
start_url: https://books.example/catalogue/{category}
input_parameters:
  - name: category
    default: fiction
record:
  selector: article.book
  fields:
    - name: title
      selector: h3
"""
_AGENT = AgentOut(
    id=1,
    name="Book prices",
    description="Title and price of every book in a category.",
    documentation=None,
    icon=None,
    image=None,
    input_parameters={"category": "fiction"},
    agent_templates=None,
    config_type=1,
    is_active=False,
    last_activity=None,
    proxy_pool_id=None,
    space_id=1,
    start_url="https://books.example/catalogue/{category}",
    status=None,
    user_id=1,
    validation_status=3,
    version=2,
    created=_AT,
    updated=_LATER,
)
_SPACE = SpaceOut(
    id=1,
    name="Retail",
    organization_id=1,
    created=_AT,
    is_default_access=False,
    scope="Private",
    run_retention_hours=720,
    initiated_by="Maya Lindqvist",
    access=["Administrator", "User"],
    description="Shops and prices.",
    updated=_AT,
)
_SPACE_AGENT = SpaceAgent(
    id=1,
    name="Book prices",
    description="Title and price of every book in a category.",
    config_type=1,
    status=None,
    validation_status=3,
    last_activity=None,
    created=_AT,
    updated=_LATER,
    version=2,
    is_archived=False,
    approval_status=None,
    labels=[],
)
_USER = UserOut(
    id=2,
    full_name="Jonas Weber",
    email="jonas@northwind.example",
    group=Group.USER,
    authentication_method="Local",
    status="active",
    must_change_password=False,
    live_keys=1,
    last_sign_in=_LATER,
    created=_AT,
)
_NEW_USER = msgspec.structs.replace(_USER, must_change_password=True, live_keys=0, last_sign_in=None)
_KEY = ApiKeyOut(
    id=1,
    user_id=2,
    description="Nightly export",
    prefix="sk-lp_9xQz",
    access=Access.READ_ONLY,
    scopes=serialize(SETS[Access.READ_ONLY]).split(),
    networks=["203.0.113.0/24"],
    rate_limit=None,
    status="active",
    created=_AT,
    created_by="Maya Lindqvist",
    expires=datetime(2027, 11, 20, 9, 30, tzinfo=UTC),
    last_used=None,
    last_used_address=None,
    revoked=None,
    revoked_by=None,
    revoked_reason=None,
)
_EVENT = EventOut(
    id=17,
    at=_AT,
    action="api_key.created",
    outcome="done",
    reason=None,
    actor=Actor(id=1, name="maya@northwind.example", credential_kind="session", credential_id=3, credential_name="browser session"),
    target=Target(kind="api_key", id=1, name="Nightly export (sk-lp_9xQz...)"),
    address="203.0.113.24",
    user_agent="Mozilla/5.0",
    request_id="8726d9f4bf2436-7",
    changes={"user": [None, "jonas@northwind.example"], "expires": [None, "2027-11-20T09:30:00Z"]},
    count=1,
)
_ANSWERS: dict[str, Any] = {
    "listAgents": [_AGENT],
    "searchAgents": [_AGENT],
    "countAgentSearch": Count(total_count=3),
    "countPersonalAgents": Count(total_count=1),
    "getAgent": _AGENT,
    "getInputParameters": [
        InputParameter(name="category", default_value="fiction", is_encrypted=False),
        InputParameter(name="account_password", default_value=None, is_encrypted=True),
    ],
    "listVersions": [
        VersionOut(user_name="Maya Lindqvist", version=2, created=_LATER, comments="Follow the new layout", file_size=1184),
        VersionOut(user_name="Maya Lindqvist", version=1, created=_AT, comments=None, file_size=1102),
    ],
    "listSpaces": [_SPACE],
    "findSpace": _SPACE,
    "getSpace": _SPACE,
    "listSpaceAgents": [_SPACE_AGENT],
    "countSpaceAgents": Count(total_count=4),
    "listUsers": UserPage(users=[_USER], total_record_count=1),
    "createUser": UserMade(user=_NEW_USER, temporary_password="shown-here-once"),  # noqa: S106  a sample
    "getUser": _USER,
    "changeUser": _USER,
    "disableUser": KeysRevoked(keys_revoked=1),
    "resetPassword": PasswordMade(temporary_password="shown-here-once"),  # noqa: S106  a sample
    "listApiKeys": [_KEY],
    "createApiKey": ApiKeyMade(key="sk-lp_ and 49 more letters and digits, shown here once", api_key=_KEY),
    "getApiKey": _KEY,
    "changeApiKeyExpiry": _KEY,
    "getKeyPolicy": KeyPolicyOut(default_days=365, max_days=730, deployment_max_days=730),
    "changeKeyPolicy": KeyPolicyOut(default_days=90, max_days=365, deployment_max_days=730),
    "listAuditEvents": EventPage(events=[_EVENT], next="YzE6MTc"),
    "getAuditEvent": _EVENT,
    "createSpace": _SPACE,
    "changeSpace": _SPACE,
    "listMembers": [MemberOut(user_id=2, full_name="Jonas Weber", email="jonas@northwind.example", role=RoleName.EDITOR)],
    "createAgent": msgspec.structs.replace(_AGENT, version=1, updated=_AT),
    "saveDefinition": _AGENT,
    "moveAgent": _AGENT,
    "getDefinition": DefinitionOut(agent_id=1, version=2, definition=DEFINITION, comments="Follow the new layout"),
    **examples_oauth.ANSWERS,
    **examples_runs.ANSWERS,
    "live": {"status": "ok"},
    "ready": {"status": "ok"},
}
_SPACE_ENTRY = {"name": "Retail", "description": "Shops and prices.", "scope": "Private", "runRetentionHours": 720}
BODIES: dict[str, Any] = {
    "restoreVersion": {"content": "The new layout broke the prices"},
    "createUser": {"fullName": "Jonas Weber", "email": "jonas@northwind.example", "group": "User"},
    "changeUser": {"fullName": "Jonas Weber-Lind"},
    "createApiKey": {"description": "Nightly export", "access": "read-only", "networks": ["203.0.113.0/24"]},
    "changeApiKeyExpiry": {"expires": "2027-11-20T23:59:59Z"},
    "revokeApiKey": {"reason": "Found in a public repository"},
    "changeKeyPolicy": {"defaultDays": 90, "maxDays": 365},
    "createSpace": _SPACE_ENTRY,
    "changeSpace": _SPACE_ENTRY,
    **examples_oauth.BODIES,
    **examples_runs.BODIES,
    "setMember": {"role": "editor"},
    "createAgent": {"definition": DEFINITION, "spaceId": 1, "comment": "First draft"},
    "moveAgent": {"spaceId": 1},
    "saveDefinition": {"definition": DEFINITION, "comment": "Follow the new layout"},
}


def answer(operation_id: str) -> Any:  # noqa: ANN401  any JSON
    """Return a sample answer of a route as plain JSON values; KeyError for a route without one."""
    return msgspec.to_builtins(_ANSWERS[operation_id])
