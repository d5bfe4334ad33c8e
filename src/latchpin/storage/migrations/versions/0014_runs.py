"""Runs of agents, with their transitions and files, and the workers that execute them.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UNFINISHED = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "workers",
        sa.Column("id", _INT64, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("draining_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "runs",
        sa.Column("id", _INT64, nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=True),
        sa.Column("agent_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("sequence", _INT64, nullable=False),
        sa.Column("config_version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("origin_id", _INT64, nullable=True),
        sa.Column("origin_name", sa.String(length=200), nullable=False),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("sealed_input", sa.LargeBinary(), nullable=True),
        sa.Column("parallelism", sa.Integer(), nullable=False),
        sa.Column("parallel_max_concurrency", sa.Integer(), nullable=False),
        sa.Column("parallel_export", sa.String(length=32), nullable=False),
        sa.Column("parallel_set", sa.Integer(), nullable=False),
        sa.Column("log_level", sa.String(length=32), nullable=False),
        sa.Column("log_mode", sa.String(length=32), nullable=False),
        sa.Column("is_exclusive", sa.Boolean(), nullable=False),
        sa.Column("is_wait_on_failure", sa.Boolean(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=True),
        sa.Column("concurrency_group", sa.Integer(), nullable=False),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queue_rank", sa.Integer(), nullable=False),
        sa.Column("owner", _INT64, nullable=True),
        sa.Column("server_name", sa.String(length=200), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fencing_token", _INT64, nullable=False),
        sa.Column("stop_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_requested_by", sa.String(length=200), nullable=True),
        sa.Column("kill_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("action_count", _INT64, nullable=False),
        sa.Column("page_count", _INT64, nullable=False),
        sa.Column("dynamic_page_count", _INT64, nullable=False),
        sa.Column("request_count", _INT64, nullable=False),
        sa.Column("data_count", _INT64, nullable=False),
        sa.Column("input_count", _INT64, nullable=False),
        sa.Column("error_count", _INT64, nullable=False),
        sa.Column("export_count", _INT64, nullable=False),
        sa.Column("traffic", _INT64, nullable=False),
        sa.Column("field_counts", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=op.f("fk_runs_agent_id_agents"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_runs_organization_id_organizations")),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name=op.f("fk_runs_space_id_spaces")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_runs_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("agent_id", "sequence", name=op.f("uq_runs_agent_id_sequence")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index("ix_runs_agent_id_status", ["agent_id", "status"], unique=False)
        batch_op.create_index("ix_runs_idempotency_key", ["idempotency_key"], unique=True)
        batch_op.create_index("ix_runs_organization_id_created_at", ["organization_id", "created_at"], unique=False)
        batch_op.create_index("ix_runs_space_id_created_at", ["space_id", "created_at"], unique=False)
        batch_op.create_index(
            "ix_runs_unfinished_agent", ["agent_id", "id"], unique=False, sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED
        )
        batch_op.create_index(
            "ix_runs_unfinished_group", ["concurrency_group", "id"], unique=False, sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED
        )
        batch_op.create_index("ix_runs_user_id", ["user_id"], unique=False)

    op.create_table(
        "run_files",
        sa.Column("id", _INT64, nullable=False),
        sa.Column("run_id", _INT64, nullable=False),
        sa.Column("fencing_token", _INT64, nullable=False),
        sa.Column("file_type", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("size", _INT64, nullable=False),
        sa.Column("storage_key", sa.String(length=400), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_files_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_files")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("run_files", schema=None) as batch_op:
        batch_op.create_index("ix_run_files_run_id", ["run_id"], unique=False)

    op.create_table(
        "run_transitions",
        sa.Column("run_id", _INT64, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("from_status", sa.Integer(), nullable=True),
        sa.Column("to_status", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=200), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_transitions_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "ordinal", name=op.f("pk_run_transitions")),
    )
    with op.batch_alter_table("agents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("active_runs", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("started_runs", _INT64, server_default="0", nullable=False))

    with op.batch_alter_table("spaces", schema=None) as batch_op:
        batch_op.add_column(sa.Column("max_concurrent_runs", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Bring the schema back."""
    op.drop_column("spaces", "max_concurrent_runs")
    op.drop_column("agents", "started_runs")
    op.drop_column("agents", "active_runs")
    op.drop_table("run_transitions")
    op.drop_table("run_files")
    op.drop_table("runs")
    op.drop_table("workers")
