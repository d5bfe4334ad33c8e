"""Alembic's entry point. The connection always comes from `latchpin.storage.migrate`."""

from alembic import context

from latchpin.storage.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
