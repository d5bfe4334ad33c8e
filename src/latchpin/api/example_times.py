"""Two moments that the OpenAPI document's examples share."""

from __future__ import annotations

from datetime import UTC, datetime

CREATED_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
UPDATED_AT = datetime(2026, 11, 23, 16, 5, 12, tzinfo=UTC)
