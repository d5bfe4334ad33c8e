"""OAuth: signing keys, clients, grants, and the one-time things between them.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "oauth_assertions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_assertions")),
    )
    with op.batch_alter_table("oauth_assertions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_assertions_expires"), ["expires"], unique=False)

    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("private", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signs_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signs_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leaves", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
        sa.UniqueConstraint("kid", name=op.f("uq_signing_keys_kid")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("signing_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_signing_keys_leaves"), ["leaves"], unique=False)

    op.create_table(
        "oauth_resources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("identifier", sa.String(length=500), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("may_call_api", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_oauth_resources_organization_id_organizations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_resources")),
        sa.UniqueConstraint("organization_id", "identifier", name=op.f("uq_oauth_resources_organization_id_identifier")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "oauth_clients",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(length=500), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("auth_method", sa.String(length=32), nullable=False),
        sa.Column("application_type", sa.String(length=16), nullable=False),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("post_logout_redirect_uris", sa.Text(), nullable=False),
        sa.Column("grant_types", sa.String(length=400), nullable=False),
        sa.Column("scopes", sa.String(length=400), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=True),
        sa.Column("jwks_uri", sa.String(length=2000), nullable=True),
        sa.Column("client_uri", sa.String(length=2000), nullable=True),
        sa.Column("resource_id", sa.Integer(), nullable=True),
        sa.Column("registration_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fresh_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_name", sa.String(length=200), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by_name", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_oauth_clients_organization_id_organizations")),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["oauth_resources.id"], name=op.f("fk_oauth_clients_resource_id_oauth_resources"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_clients")),
        sa.UniqueConstraint("client_id", name=op.f("uq_oauth_clients_client_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("oauth_clients", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_clients_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_clients_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_clients_resource_id"), ["resource_id"], unique=False)

    op.create_table(
        "oauth_approvals",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("oauth_client_id", sa.Integer(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=True),
        sa.Column("asked_by_name", sa.String(length=200), nullable=False),
        sa.Column("decided_by_name", sa.String(length=200), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["oauth_client_id"], ["oauth_clients.id"], name=op.f("fk_oauth_approvals_oauth_client_id_oauth_clients"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_oauth_approvals_organization_id_organizations"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organization_id", "oauth_client_id", name=op.f("pk_oauth_approvals")),
    )
    with op.batch_alter_table("oauth_approvals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_approvals_oauth_client_id"), ["oauth_client_id"], unique=False)

    op.create_table(
        "oauth_client_secrets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("oauth_client_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("pepper_version", sa.Integer(), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_name", sa.String(length=200), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["oauth_client_id"],
            ["oauth_clients.id"],
            name=op.f("fk_oauth_client_secrets_oauth_client_id_oauth_clients"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_client_secrets")),
        sa.UniqueConstraint("digest", name=op.f("uq_oauth_client_secrets_digest")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("oauth_client_secrets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_client_secrets_oauth_client_id"), ["oauth_client_id"], unique=False)

    op.create_table(
        "oauth_client_spaces",
        sa.Column("oauth_client_id", sa.Integer(), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["oauth_client_id"], ["oauth_clients.id"], name=op.f("fk_oauth_client_spaces_oauth_client_id_oauth_clients"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name=op.f("fk_oauth_client_spaces_space_id_spaces"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("oauth_client_id", "space_id", name=op.f("pk_oauth_client_spaces")),
    )
    with op.batch_alter_table("oauth_client_spaces", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_client_spaces_space_id"), ["space_id"], unique=False)

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

    # Not in a batch: that copies the table, and the copy would give ids of deleted rows again.
    op.add_column("organizations", sa.Column("app_approval", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Bring the schema back."""
    op.drop_column("organizations", "app_approval")

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
    with op.batch_alter_table("oauth_client_spaces", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_client_spaces_space_id"))

    op.drop_table("oauth_client_spaces")
    with op.batch_alter_table("oauth_client_secrets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_client_secrets_oauth_client_id"))

    op.drop_table("oauth_client_secrets")
    with op.batch_alter_table("oauth_approvals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_approvals_oauth_client_id"))

    op.drop_table("oauth_approvals")
    with op.batch_alter_table("oauth_clients", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_clients_resource_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_clients_organization_id"))
        batch_op.drop_index(batch_op.f("ix_oauth_clients_created"))

    op.drop_table("oauth_clients")
    op.drop_table("oauth_resources")
    with op.batch_alter_table("signing_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_signing_keys_leaves"))

    op.drop_table("signing_keys")
    with op.batch_alter_table("oauth_assertions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_assertions_expires"))

    op.drop_table("oauth_assertions")
