"""Fixtures with the databases that the server works with; every test of the store runs on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import PostgresServer

from imeasure_server.store.database import Database


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole session."""
    server = PostgresServer.start()
    yield server
    server.stop()


@pytest.fixture
def empty_postgresql_url(postgresql: PostgresServer) -> Iterator[str]:
    """The URL of PostgreSQL without tables."""
    with postgresql.empty_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'imeasure.sqlite3'}"
    url: str = request.getfixturevalue("empty_postgresql_url")
    return url


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    """An open database, of each kind in turn."""
    yield from _opened(empty_database_url)


@pytest.fixture
def postgresql_database(empty_postgresql_url: str) -> Iterator[Database]:
    """An open PostgreSQL database."""
    yield from _opened(empty_postgresql_url)


def _opened(url: str) -> Iterator[Database]:
    opened = Database(url)
    opened.open()
    yield opened
    opened.close()
