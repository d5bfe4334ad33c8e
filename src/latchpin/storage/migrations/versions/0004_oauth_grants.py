"""OAuth grants, and the one-time things that lead to them or follow from them.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "oauth_consents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("oauth_client_id", sa.Integer(), nullable=False),
        sa.Column("client_version", sa.Integer(), nullable=False),
        sa.Column("scopes", sa.String(length=400), nullable=False),
        sa.Column("reach", sa.String(length=32), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=True),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["oauth_client_id"], ["oauth_clients.id"], name=op.f("fk_oauth_consents_oauth_client_id_oauth_clients"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name=op.f("fk_oauth_consents_space_id_spaces"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_oauth_consents_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_consents")),
        sa.UniqueConstraint("user_id", "oauth_client_id", name=op.f("uq_oauth_consents_user_id_oauth_client_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("oauth_consents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_consents_oauth_client_id"), ["oauth_client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_consents_space_id"), ["space_id"], unique=False)

    op.create_table(
        "oauth_grants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("oauth_client_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("api_key_id", sa.Integer(), nullable=True),
        sa.Column("browser_session_id", sa.Integer(), nullable=True),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("scopes", sa.String(length=400), nullable=False),
        sa.Column("reach", sa.String(length=32), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=True),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_reason", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"], name=op.f("fk_oauth_grants_api_key_id_api_keys"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["browser_session_id"],
            ["browser_sessions.id"],
            name=op.f("fk_oauth_grants_browser_session_id_browser_sessions"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["oauth_client_id"], ["oauth_clients.id"], name=op.f("fk_oauth_grants_oauth_client_id_oauth_clients"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_oauth_grants_organization_id_organizations")),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name=op.f("fk_oauth_grants_space_id_spaces"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_oauth_grants_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_grants")),
        sa.UniqueConstraint("sid", name=op.f("uq_oauth_grants_sid")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("oauth_grants", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_grants_api_key_id"), ["api_key_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_grants_browser_session_id"), ["browser_session_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_grants_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_grants_oauth_client_id"), ["oauth_client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_grants_space_id"), ["space_id"], unique=False)
        batch_op.create_index("ix_oauth_grants_user_id_ended", ["user_id", "ended"], unique=False)

    op.create_table(
        "oauth_requests",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("browser_session_id", sa.Integer(), nullable=False),
        sa.Column("oauth_client_id", sa.Integer(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["browser_session_id"],
            ["browser_sessions.id"],
            name=op.f("fk_oauth_requests_browser_session_id_browser_sessions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["oauth_client_id"], ["oauth_clients.id"], name=op.f("fk_oauth_requests_oauth_client_id_oauth_clients"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_requests")),
    )
    with op.batch_alter_table("oauth_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_requests_browser_session_id"), ["browser_session_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_requests_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_requests_oauth_client_id"), ["oauth_client_id"], unique=False)

    op.create_table(
        "oauth_codes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.Integer(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.String(length=128), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["oauth_grants.id"], name=op.f("fk_oauth_codes_grant_id_oauth_grants"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_codes")),
    )
    with op.batch_alter_table("oauth_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_codes_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_codes_grant_id"), ["grant_id"], unique=False)

    op.create_table(
        "oauth_device_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_code_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("oauth_client_id", sa.Integer(), nullable=False),
        sa.Column("grant_id", sa.Integer(), nullable=True),
        sa.Column("scopes", sa.String(length=400), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("interval_seconds", sa.Integer(), nullable=False),
        sa.Column("last_polled", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["oauth_grants.id"], name=op.f("fk_oauth_device_codes_grant_id_oauth_grants"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["oauth_client_id"], ["oauth_clients.id"], name=op.f("fk_oauth_device_codes_oauth_client_id_oauth_clients"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_device_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_oauth_device_codes_digest")),
        sa.UniqueConstraint("user_code_digest", name=op.f("uq_oauth_device_codes_user_code_digest")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("oauth_device_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_device_codes_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_device_codes_grant_id"), ["grant_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_device_codes_oauth_client_id"), ["oauth_client_id"], unique=False)

    op.create_table(
        "oauth_refresh_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent", sa.DateTime(timezone=True), nullable=True),
        sa.Column("successor_id", sa.Integer(), nullable=True),
        sa.Column("asked", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["oauth_grants.id"], name=op.f("fk_oauth_refresh_tokens_grant_id_oauth_grants"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_refresh_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_oauth_refresh_tokens_digest")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("oauth_refresh_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_refresh_tokens_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_refresh_tokens_grant_id"), ["grant_id"], unique=False)

    op.create_table(
        "oauth_revoked_tokens",
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("grant_id", sa.Integer(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["oauth_grants.id"], name=op.f("fk_oauth_revoked_tokens_grant_id_oauth_grants"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_oauth_revoked_tokens")),
    )
    with op.batch_alter_table("oauth_revoked_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_revoked_tokens_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_revoked_tokens_grant_id"), ["grant_id"], unique=False)


def downgrade() -> None:
    """Bring the schema back."""
    with op.batch_alter_table("oauth_revoked_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_revoked_tokens_grant_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_revoked_tokens_expires"))

    op.drop_table("oauth_revoked_tokens")
    with op.batch_alter_table("oauth_refresh_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_refresh_tokens_grant_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_refresh_tokens_expires"))

    op.drop_table("oauth_refresh_tokens")
    with op.batch_alter_table("oauth_device_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_device_codes_oauth_client_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_device_codes_grant_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_device_codes_expires"))

    op.drop_table("oauth_device_codes")
    with op.batch_alter_table("oauth_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_codes_grant_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_codes_expires"))

    op.drop_table("oauth_codes")
    with op.batch_alter_table("oauth_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_requests_oauth_client_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_requests_expires"))
        batch_op.drop_index(batch_op.f("ix_oauth_requests_browser_session_id"))

    op.drop_table("oauth_requests")
    with op.batch_alter_table("oauth_grants", schema=None) as batch_op:
        batch_op.drop_index("ix_oauth_grants_user_id_ended")
        batch_op.drop_index(batch_op.f("ix_oauth_grants_space_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_grants_oauth_client_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_grants_expires"))
        batch_op.drop_index(batch_op.f("ix_oauth_grants_browser_session_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_grants_api_key_id"))

    op.drop_table("oauth_grants")
    with op.batch_alter_table("oauth_consents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_consents_space_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_consents_oauth_client_id"))

    op.drop_table("oauth_consents")
