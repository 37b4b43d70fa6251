"""Brings the tables of a database to what this version needs, with Alembic."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from imeasure_server.store.database import BUSY_SECONDS, StoreUnavailable

if TYPE_CHECKING:
    from imeasure_server.store.database import Database

SCRIPTS = Path(__file__).parent / "migrations"
ADVISORY_LOCK = 0x1_3EA5_02E
"""Of PostgreSQL: held by the server that migrates. Any number that other programs are unlikely to take."""

_alembic = threading.Lock()  # Alembic's context is one for the process


def newest_revision() -> str:
    """The revision that this version of the server works with."""
    head = ScriptDirectory(str(SCRIPTS)).get_current_head()
    assert head is not None
    return head


def revision_of(connection: Connection) -> str | None:
    """The revision of a database; None when there are no tables yet."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(database: Database) -> None:
    """Make or change the tables, in one transaction; other servers that start meanwhile wait for it.

    Raises:
        StoreUnavailable: the database cannot be reached or written to, or is of a newer version of the server.
    """
    if database.is_sqlite:
        _use_write_ahead_log(database)
    with database.reading() as connection:
        if revision_of(connection) == newest_revision():
            return
    with _alembic, database.writing() as connection:
        if not database.is_sqlite:  # there the transaction itself is the lock
            connection.execute(text("SET LOCAL lock_timeout = '10min'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})
        configuration = Config(attributes={"connection": connection})
        configuration.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
        try:
            command.upgrade(configuration, "head")
        except CommandError:
            raise StoreUnavailable(
                f"The database ({database}) was made by a newer version of the server. Install that version, or give "
                "this one another database with --workspace or IMEASURE_DATABASE_URL."
            ) from None


def _use_write_ahead_log(database: Database) -> None:
    """Readers and a writer do not wait for each other then. The setting stays with the file.

    SQLite does not wait by itself when several processes set it at once.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        with database._sentences(), database.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            try:
                driver.execute("PRAGMA journal_mode = WAL")
                return
            except database.engine.dialect.dbapi.OperationalError as error:  # type: ignore[union-attr]
                if "locked" not in str(error) or time.monotonic() > end:
                    raise OperationalError("PRAGMA journal_mode", None, error) from None
        time.sleep(0.05)
