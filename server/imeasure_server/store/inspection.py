"""Looks at a database without making or changing anything: for settings and the doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from imeasure_server.store.database import Database, StoreUnavailable, database_url
from imeasure_server.store.keys import Keys

if TYPE_CHECKING:
    from imeasure_server.settings import ServerSettings


def has_keys(settings: ServerSettings) -> bool:
    """Whether the database has a key that is good.

    Raises:
        StoreUnavailable: it cannot be reached.
    """
    database = Database(database_url(settings))
    try:
        return _revision(database) is not None and Keys(database).count() > 0
    finally:
        database.close()


def describe_database(settings: ServerSettings) -> str:
    """What is there, as a sentence.

    Raises:
        StoreUnavailable: it cannot be reached, is damaged, or is of a newer version; a sentence.
    """
    from imeasure_server.store.migration import SCRIPTS, newest_revision

    database = Database(database_url(settings))
    try:
        found = _revision(database)
        if found is None:
            return f"{database}: no tables yet; the first start makes them"
        if found != newest_revision() and not list(SCRIPTS.glob(f"versions/{found}_*.py")):
            raise StoreUnavailable(f"{database} was made by a newer version of the server. Install that version.")
        if database.is_sqlite:
            with database.reading() as connection:
                verdict = str(connection.execute(text("PRAGMA quick_check(1)")).scalar_one())
            if verdict != "ok":
                raise StoreUnavailable(f"{database} is damaged ({verdict}). Restore it from a backup.")
        if found != newest_revision():
            return f"{database}: of an older version; the next start changes its tables"
        return f"{database}: {Keys(database).count()} key(s) in use"
    finally:
        database.close()


def _revision(database: Database) -> str | None:
    from imeasure_server.store.migration import revision_of

    if database.is_sqlite and not Path(str(database.url.database)).exists():
        return None
    with database.reading() as connection:
        return revision_of(connection)
