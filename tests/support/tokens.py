"""What tests look at in tokens and in the trail of what happened to them."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.support.people import Organization
from tests.support.wire import audit


def claims(token: str) -> dict[str, Any]:
    """Return what a JWT claims, unproved."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def reasons(organization: Organization, action: str) -> list[str | None]:
    """Return the reasons of an organization's audit events of one kind, after writing what waits to be written."""
    organization.server.flush()
    return [event.reason for event in audit(organization, action, organization_id=organization.id)]
