"""The database: made, migrated, refused, on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from postgres import PostgresServer
from pydantic import ValidationError
from sqlalchemy import insert, inspect, text

from imeasure_server.settings import ServerSettings
from imeasure_server.store.database import Database, StoreUnavailable, database_url, parse_url
from imeasure_server.store.inspection import describe_database
from imeasure_server.store.keys import Keys
from imeasure_server.store.migration import newest_revision, revision_of
from imeasure_server.store.tables import keys, metadata

SECRET = "s3cret-of-mine"
OPEN = "import sys; from imeasure_server.store.database import Database; Database(sys.argv[1]).open()"


def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert revision_of(connection) == newest_revision()


def test_several_servers_start_at_once_on_an_empty_database(empty_database_url: str) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", OPEN, empty_database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 3, errors
    database = Database(empty_database_url)
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
    database.close()


def test_opening_again_keeps_what_is_there(database: Database) -> None:
    made = Keys(database).create("a")
    again = Database(database.url.render_as_string(hide_password=False))
    again.open()
    assert [key.id for key in Keys(again).list()] == [made.id]
    again.close()


def test_a_failed_migration_leaves_nothing(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    if database.is_sqlite:
        database._make_file()
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE pop_frames (mine INTEGER)"))  # in the way of the last table
    with pytest.raises(StoreUnavailable, match="pop_frames"):
        database.open()
    with database.reading() as connection:
        assert set(inspect(connection).get_table_names()) == {"pop_frames"}
    database.close()


def test_a_transaction_that_raises_is_undone(database: Database) -> None:
    def fail() -> None:
        with database.writing() as connection:
            connection.execute(insert(keys).values(name="a", hash=b"h", created=datetime.now(timezone.utc)))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert Keys(database).list() == []


def test_a_database_of_a_newer_version(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    url = database.url.render_as_string(hide_password=False)
    with pytest.raises(StoreUnavailable, match="newer version of the server"):
        Database(url).open()
    with pytest.raises(StoreUnavailable, match="newer version of the server"):
        describe_database(ServerSettings(database_url=url))


def test_what_the_doctor_says(empty_database_url: str) -> None:
    settings = ServerSettings(database_url=empty_database_url)
    assert describe_database(settings).endswith("no tables yet; the first start makes them")
    database = Database(empty_database_url)
    database.open()
    database.close()
    assert describe_database(settings).endswith("0 key(s) in use")


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "imeasure.sqlite3"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        describe_database(ServerSettings(workspace=tmp_path))
    with pytest.raises(StoreUnavailable, match="not a database"):
        Database(f"sqlite:///{path}").open()


def test_the_file_is_in_the_workspace_and_of_its_user_only(tmp_path: Path) -> None:
    database = Database(database_url(ServerSettings(workspace=tmp_path / "100% new?")))
    database.open()
    path = tmp_path / "100% new?" / "imeasure.sqlite3"
    assert str(database) == f"SQLite, {path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with database.writing() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar_one() == 30_000
        connection.execute(insert(keys).values(name="a", hash=b"h", created=datetime.now(timezone.utc)))
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.parent.iterdir())
    database.close()


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"cannot be opened .* --workspace"):
        Database(f"sqlite:///{tmp_path / 'file' / 'a.sqlite3'}").open()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_the_url(postgresql: PostgresServer, scheme: str) -> None:
    database = Database(postgresql.url(scheme=scheme))
    with database.reading() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    assert str(database) == f"PostgreSQL at 127.0.0.1:{postgresql.port}, database postgres"
    database.close()


@pytest.mark.parametrize(
    ("user", "port", "database", "said"),
    [
        ("imeasure", None, "postgres", "password authentication failed"),
        ("nobody", None, "postgres", "password authentication failed"),
        ("imeasure", 1, "postgres", "onnection refused"),
    ],
)
def test_a_database_that_cannot_be_reached(
    postgresql: PostgresServer, user: str, port: int | None, database: str, said: str
) -> None:
    url = f"postgresql://{user}:{SECRET}@127.0.0.1:{port or postgresql.port}/{database}"
    for action in (Database(url).open, lambda: describe_database(ServerSettings(database_url=url))):
        with pytest.raises(StoreUnavailable, match=said) as caught:
            action()
        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is None
    with pytest.raises(StoreUnavailable, match="correct IMEASURE_DATABASE_URL"):
        Database(url).open()


def test_a_database_that_is_not_there(postgresql: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable, match='"absent" does not exist') as caught:
        Database(postgresql.url("absent")).open()
    assert postgresql.password not in str(caught.value)


def test_the_server_comes_back_after_its_database_did(
    postgresql: PostgresServer, postgresql_database: Database
) -> None:
    database = postgresql_database
    postgresql.halt()
    try:
        with pytest.raises(StoreUnavailable), database.reading() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        postgresql.run()
    assert Keys(database).list() == []


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@host/d",
        f"me:{SECRET}@host",
        "sqlite://",
        "sqlite:///:memory:",
        f"postgresql://me:{SECRET}@h:x/d",
    ],
)
def test_what_is_no_url_of_a_database(url: str) -> None:
    with pytest.raises(ValueError, match="database") as caught:
        parse_url(url)
    assert SECRET not in str(caught.value)
    with pytest.raises(ValidationError) as refused:
        ServerSettings(database_url=url)
    assert SECRET not in str(refused.value)


def test_settings_do_not_show_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMEASURE_DATABASE_URL", f"postgres://me:{SECRET}@host/d")
    settings = ServerSettings()
    assert database_url(settings) == f"postgres://me:{SECRET}@host/d"
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json(exclude={"api_keys"})
    monkeypatch.setenv("IMEASURE_DATABASE_URL", "")
    assert database_url(ServerSettings()).startswith("sqlite:///")


def test_the_scripts_are_in_the_package() -> None:
    packaged = Path(sys.modules["imeasure_server.store.migration"].__file__ or "").parent / "migrations"
    assert {"env.py", "script.py.mako"} <= set(os.listdir(packaged))
