"""Columns that hold a moment end in `_at`, and what names a form's one use is its idempotency key. No value changes.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "agents": {"last_activity": "last_activity_at", "archived": "archived_at", "created": "created_at", "updated": "updated_at"},
    "agent_versions": {"created": "created_at"},
    "api_keys": {
        "created": "created_at",
        "form_id": "idempotency_key",
        "expires": "expires_at",
        "last_used": "last_used_at",
        "revoked": "revoked_at",
    },
    "browser_sessions": {
        "created": "created_at",
        "last_seen": "last_seen_at",
        "proved": "reauthenticated_at",
        "expires": "expires_at",
        "ended": "ended_at",
    },
    "deployment": {"setup_expires": "setup_expires_at", "created": "created_at"},
    "oauth_approvals": {"at": "updated_at"},
    "oauth_assertions": {"expires": "expires_at"},
    "oauth_clients": {"form_id": "idempotency_key", "created": "created_at", "last_used": "last_used_at", "revoked": "revoked_at"},
    "oauth_client_secrets": {"created": "created_at", "expires": "expires_at"},
    "oauth_codes": {"expires": "expires_at", "used": "used_at"},
    "oauth_consents": {"created": "created_at", "updated": "updated_at"},
    "oauth_device_codes": {"last_polled": "last_polled_at", "created": "created_at", "expires": "expires_at"},
    "oauth_grants": {
        "created": "created_at",
        "begun": "activated_at",
        "expires": "expires_at",
        "last_used": "last_used_at",
        "ended": "ended_at",
    },
    "oauth_pushed_requests": {"expires": "expires_at", "used": "used_at"},
    "oauth_refresh_tokens": {"created": "created_at", "expires": "expires_at", "spent": "used_at", "asked": "token_request"},
    "oauth_requests": {"expires": "expires_at", "used": "used_at"},
    "oauth_resources": {"created": "created_at"},
    "oauth_revoked_tokens": {"expires": "expires_at"},
    "organizations": {"created": "created_at"},
    "signing_keys": {"created": "created_at", "leaves": "published_until"},
    "sign_in_failures": {"window_ends": "window_ends_at"},
    "spaces": {"created": "created_at", "updated": "updated_at"},
    "space_members": {"created": "created_at"},
    "users": {"last_sign_in": "last_sign_in_at", "created": "created_at"},
}
# Their columns before; both names follow from these by the convention of `storage.models.base`.
_INDEXES = (
    ("api_keys", ("expires",)),
    ("browser_sessions", ("expires",)),
    ("oauth_assertions", ("expires",)),
    ("oauth_clients", ("created",)),
    ("oauth_clients", ("form_id",)),
    ("oauth_codes", ("expires",)),
    ("oauth_device_codes", ("expires",)),
    ("oauth_grants", ("expires",)),
    ("oauth_grants", ("user_id", "ended")),
    ("oauth_pushed_requests", ("expires",)),
    ("oauth_refresh_tokens", ("expires",)),
    ("oauth_requests", ("expires",)),
    ("oauth_revoked_tokens", ("expires",)),
    ("signing_keys", ("leaves",)),
    ("sign_in_failures", ("window_ends",)),
)
_UNIQUE = ("form_id",)  # of the indexes above


def upgrade() -> None:
    """Bring the schema forward."""
    for table, before in _INDEXES:
        op.drop_index(_index(table, before), table_name=table)
    for table, names in _COLUMNS.items():
        for old, new in names.items():
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    for table, before in _INDEXES:
        after = _after(table, before)
        op.create_index(_index(table, after), table, list(after), unique=before == _UNIQUE)
    with _changing_api_keys() as batch_op:
        batch_op.drop_constraint(op.f("uq_api_keys_form_id"), type_="unique")
        batch_op.create_unique_constraint(op.f("uq_api_keys_idempotency_key"), ["idempotency_key"])
    _move_drafts("kept_forms", "expires", "form_drafts", "expires_at")


def downgrade() -> None:
    """Bring the schema back."""
    _move_drafts("form_drafts", "expires_at", "kept_forms", "expires")
    for table, before in _INDEXES:
        op.drop_index(_index(table, _after(table, before)), table_name=table)
    for table, names in _COLUMNS.items():
        for old, new in names.items():
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
    for table, before in _INDEXES:
        op.create_index(_index(table, before), table, list(before), unique=before == _UNIQUE)
    with _changing_api_keys() as batch_op:
        batch_op.drop_constraint(op.f("uq_api_keys_idempotency_key"), type_="unique")
        batch_op.create_unique_constraint(op.f("uq_api_keys_form_id"), ["form_id"])


def _index(table: str, columns: tuple[str, ...]) -> str:
    return op.f("_".join(("ix", table, *columns)))


def _after(table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_COLUMNS[table].get(name, name) for name in columns)


def _move_drafts(source: str, source_expiry: str, target: str, expiry: str) -> None:
    """Move the drafts of forms to a table of another name, whose constraints have their names by its own."""
    op.create_table(
        target,
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column(expiry, sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f(f"fk_{target}_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f(f"pk_{target}")),
    )
    op.execute(
        f"INSERT INTO {target} (user_id, digest, sealed, {expiry}) SELECT user_id, digest, sealed, {source_expiry} FROM {source}"  # noqa: S608
    )
    op.drop_table(source)


@contextmanager
def _changing_api_keys() -> Iterator[BatchOperations]:
    """Change the table; on SQLite by copying it, without forgetting which ids were given to keys that are gone."""
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    highest = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'api_keys'")) if is_sqlite else None
    with op.batch_alter_table("api_keys", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        yield batch_op
    if highest is not None:
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'api_keys'"))
        connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('api_keys', :highest)"), {"highest": highest})
    if is_sqlite and (lost := connection.execute(sa.text("PRAGMA foreign_key_check")).all()):
        message = f"rows would refer to nothing: {lost[:5]}"
        raise RuntimeError(message)
