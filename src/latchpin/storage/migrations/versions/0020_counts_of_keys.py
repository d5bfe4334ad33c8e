"""How many active keys each user has is kept by triggers, as of a moment that moves on.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_COUNTS = sa.table("api_key_counts", sa.column("user_id", sa.Integer), sa.column("active", sa.Integer))
_TIME = sa.table("api_key_count_time", sa.column("id", sa.Integer), sa.column("counted_at", sa.DateTime(timezone=True)))
_KEYS = sa.table("api_keys", sa.column("user_id"), sa.column("revoked_at"), sa.column("expires_at", sa.DateTime(timezone=True)))
_AT = "(SELECT counted_at FROM api_key_count_time)"
_WAS = f"OLD.revoked_at IS NULL AND OLD.expires_at > {_AT}"
_IS = f"NEW.revoked_at IS NULL AND NEW.expires_at > {_AT}"
_LESS = "UPDATE api_key_counts SET active = active - 1 WHERE user_id = OLD.user_id"
# No upsert: a trigger's statement takes over how the statement that set it off treats conflicts.
_MORE = (
    "INSERT INTO api_key_counts (user_id, active)"
    " SELECT NEW.user_id, 0 WHERE NOT EXISTS (SELECT 1 FROM api_key_counts WHERE user_id = NEW.user_id);"
    " UPDATE api_key_counts SET active = active + 1 WHERE user_id = NEW.user_id"
)
_SQLITE = (
    f"CREATE TRIGGER api_keys_count_new AFTER INSERT ON api_keys WHEN {_IS} BEGIN {_MORE}; END",
    f"CREATE TRIGGER api_keys_count_old AFTER DELETE ON api_keys WHEN {_WAS} BEGIN {_LESS}; END",
    f"CREATE TRIGGER api_keys_count_less AFTER UPDATE OF revoked_at, expires_at, user_id ON api_keys WHEN {_WAS} BEGIN {_LESS}; END",
    f"CREATE TRIGGER api_keys_count_more AFTER UPDATE OF revoked_at, expires_at, user_id ON api_keys WHEN {_IS} BEGIN {_MORE}; END",
)
# The moment's row is locked against who moves it on, so that every key is counted as of one moment.
_POSTGRESQL = (
    """CREATE FUNCTION api_keys_count() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE moment timestamptz;
    BEGIN
        SELECT counted_at INTO moment FROM api_key_count_time FOR SHARE;
        IF TG_OP <> 'INSERT' AND OLD.revoked_at IS NULL AND OLD.expires_at > moment THEN
            UPDATE api_key_counts SET active = active - 1 WHERE user_id = OLD.user_id;
        END IF;
        IF TG_OP <> 'DELETE' AND NEW.revoked_at IS NULL AND NEW.expires_at > moment THEN
            INSERT INTO api_key_counts AS counts (user_id, active) VALUES (NEW.user_id, 1)
            ON CONFLICT (user_id) DO UPDATE SET active = counts.active + 1;
        END IF;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER api_keys_count AFTER INSERT OR DELETE OR UPDATE OF revoked_at, expires_at, user_id ON api_keys
    FOR EACH ROW EXECUTE FUNCTION api_keys_count()""",
)


def upgrade() -> None:
    """Bring the schema forward, and count the keys that are there."""
    op.create_table(
        "api_key_counts",
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "api_key_count_time",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name="only_one"),
        sa.PrimaryKeyConstraint("id"),
    )
    at, connection = datetime.now(UTC), op.get_bind()
    connection.execute(sa.insert(_TIME).values(id=1, counted_at=at))
    active = (
        sa.select(_KEYS.c.user_id, sa.func.count()).where(_KEYS.c.revoked_at.is_(None), _KEYS.c.expires_at > at).group_by(_KEYS.c.user_id)
    )
    connection.execute(sa.insert(_COUNTS).from_select(["user_id", "active"], active))
    for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Bring the schema back."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("new", "old", "less", "more"):
            op.execute(f"DROP TRIGGER api_keys_count_{name}")
    else:
        op.execute("DROP TRIGGER api_keys_count ON api_keys")
        op.execute("DROP FUNCTION api_keys_count()")
    op.drop_table("api_key_count_time")
    op.drop_table("api_key_counts")
