"""What Alembic runs: the revisions, on the connection and within the transaction of `store.migration.migrate`."""

from alembic import context

from imeasure_server.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes columns by copying the table
)
context.run_migrations()
