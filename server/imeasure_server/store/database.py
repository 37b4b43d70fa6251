"""The connection to SQLite (a file in the workspace, by default) or PostgreSQL (``IMEASURE_DATABASE_URL``)."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

if TYPE_CHECKING:
    from imeasure_server.settings import ServerSettings

FILE_NAME = "imeasure.sqlite3"
BUSY_SECONDS = 30
CONNECT_SECONDS = 10
POSTGRESQL_SESSION = (
    f"SET lock_timeout = '{BUSY_SECONDS}s'",
    "SET idle_in_transaction_session_timeout = '60s'",  # a stopped process does not hold its locks for ever
)


class StoreUnavailable(Exception):
    """The database did not do what was asked; the message is a sentence without any password in it.

    Attributes:
        is_disconnect: the connection broke, so that it is not known whether the database has done it.
    """

    def __init__(self, sentence: str, is_disconnect: bool = False) -> None:
        super().__init__(sentence)
        self.is_disconnect = is_disconnect


def database_url(settings: ServerSettings) -> str:
    """The URL, with its password, of the database of these settings."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return URL.create("sqlite", database=str(settings.workspace.absolute() / FILE_NAME)).render_as_string(False)


def parse_url(url: str) -> URL:
    """A URL of a database that this server can use, with the driver named.

    Raises:
        ValueError: it is none; the message is a sentence that does not repeat it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("This is no database URL; give postgresql://USER:PASSWORD@HOST/DATABASE.") from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ValueError("The database is PostgreSQL (postgresql://…) or SQLite (sqlite:///PATH).")
    if parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
        raise ValueError("A SQLite database needs the path of a file: sqlite:///PATH.")
    return parsed


class Database:
    """One database and its pool of connections.

    Args:
        url: ``sqlite:///PATH``, ``postgresql://…`` or ``postgres://…``.

    Raises:
        ValueError: see `parse_url`.
    """

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgresql_engine(self.url)
        # SQLite lets one writer in and is unfair to those that wait: within this process they queue here instead.
        self._writer = threading.Lock() if self.is_sqlite else nullcontext()

    def __str__(self) -> str:
        """For people: where it is, without the password."""
        if self.is_sqlite:
            return f"SQLite, {self.url.database}"
        where = self.url.query.get("host") or self.url.host or "localhost"
        return f"PostgreSQL at {where}:{self.url.port or 5432}, database {self.url.database}"

    def open(self) -> None:
        """Connect, and bring the tables to what this version needs; safe from several servers at once.

        Raises:
            StoreUnavailable: it cannot be reached or written to, or is of a newer version of the server.
        """
        logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells much at every start
        from imeasure_server.store.migration import migrate

        if self.is_sqlite:
            self._make_file()
        else:
            self._reach()
        migrate(self)

    def close(self) -> None:
        """Let all connections go. It may be used again."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            StoreUnavailable: the database failed.
        """
        with self._sentences(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end of the block, or rolled back when it raises.

        Raises:
            StoreUnavailable: the database failed. `sqlalchemy.exc.IntegrityError` is caught within the block.
        """
        with self._sentences(), self._writer, self.engine.connect() as connection:
            connection = connection.execution_options(imeasure_writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            broken = isinstance(error, DBAPIError) and error.connection_invalidated
            raise StoreUnavailable(f"The database ({self}) failed: {self._reason(error)}.", broken) from None

    def _reason(self, error: SQLAlchemyError) -> str:
        """The driver's message in one line, without the password."""
        original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        lines = [line.strip() for line in str(original).splitlines()]
        reason = next((line for line in lines if line), type(original).__name__).rstrip(".")
        for secret in (self.url.password, self.url.query.get("password")):
            if secret:
                reason = reason.replace(str(secret), "***")
        return reason

    def _reach(self) -> None:
        try:
            self.engine.connect().close()
        except SQLAlchemyError as error:
            raise StoreUnavailable(
                f"The database ({self}) cannot be reached: {self._reason(error)}. Start it, or correct "
                "IMEASURE_DATABASE_URL."
            ) from None

    def _make_file(self) -> None:
        """An empty file that only this user can read: it will hold what customers sent."""
        path = Path(str(self.url.database))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreUnavailable(
                f"The database ({self}) cannot be opened ({error.strerror}). Choose another folder with --workspace."
            ) from None


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_timeout=BUSY_SECONDS)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where `begin` says, not where the driver thinks
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # a billed call survives a power cut

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: a reader that turns into a writer may find it cannot.
        writes = connection.get_execution_options().get("imeasure_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql_engine(url: URL) -> Engine:
    arguments = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
    # Counting relies on it: a statement sees what was committed while it waited for the lock.
    isolation = "READ COMMITTED"
    engine = create_engine(
        url, connect_args=arguments, pool_timeout=BUSY_SECONDS, pool_pre_ping=True, isolation_level=isolation
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        was_autocommit, connection.autocommit = connection.autocommit, True
        for command in POSTGRESQL_SESSION:
            connection.execute(command)
        connection.autocommit = was_autocommit

    return engine
