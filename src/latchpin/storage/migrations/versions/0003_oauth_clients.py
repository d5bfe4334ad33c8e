"""OAuth clients: their secrets, Spaces and assertions, what organizations decided about them, and API resources.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
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

    # Not in a batch: that copies the table, and the copy would give ids of deleted rows again.
    op.add_column("organizations", sa.Column("app_approval", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Bring the schema back."""
    op.drop_column("organizations", "app_approval")
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
    with op.batch_alter_table("oauth_assertions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_assertions_expires"))

    op.drop_table("oauth_assertions")
