"""Alembic's scripts; `imeasure_server.store.migration` runs them when a server starts."""
