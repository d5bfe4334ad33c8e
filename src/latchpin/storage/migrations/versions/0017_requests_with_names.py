"""What a refresh asked for is an object with names, where it was a list whose places one had to know.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TOKENS = sa.table("oauth_refresh_tokens", sa.column("id", sa.Integer), sa.column("asked", sa.Text))
_NAMES = ("scope", "resource", "jkt", "bound_to")


def upgrade() -> None:
    """Bring the data forward. A list of before proofs of a key (0005) has two places, and was bound to none."""
    for token_id, places in _kept():
        padded = [*places, *[None] * (len(_NAMES) - len(places))]
        _keep(token_id, dict(zip(_NAMES, padded, strict=True)))


def downgrade() -> None:
    """Bring the data back."""
    for token_id, named in _kept():
        _keep(token_id, [named[name] for name in _NAMES])


def _kept() -> list[tuple[int, Any]]:
    rows = op.get_bind().execute(sa.select(_TOKENS).where(_TOKENS.c.asked.is_not(None))).all()
    return [(row.id, json.loads(row.asked)) for row in rows]


def _keep(token_id: int, asked: object) -> None:
    op.get_bind().execute(_TOKENS.update().where(_TOKENS.c.id == token_id).values(asked=json.dumps(asked)))
