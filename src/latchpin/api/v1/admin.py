"""All routes of Latchpin's own under /api/v1/admin/; they are not part of the compatible API (contract/README.md)."""

from __future__ import annotations

from latchpin.api.v1 import (
    admin_access,
    admin_agents,
    admin_apps,
    admin_audit,
    admin_keys,
    admin_resources,
    admin_spaces,
    admin_users,
)

HANDLERS = [
    *admin_users.HANDLERS,
    *admin_access.HANDLERS,
    *admin_keys.HANDLERS,
    *admin_apps.HANDLERS,
    *admin_resources.HANDLERS,
    *admin_audit.HANDLERS,
    *admin_spaces.HANDLERS,
    *admin_agents.HANDLERS,
]
