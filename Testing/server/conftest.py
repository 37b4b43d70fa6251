"""A real server process for the tests that talk HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contract.server import ServerProcess, launch
from orthanc import orthanc
from store_databases import database, empty_database_url, empty_postgresql_url, postgresql, postgresql_database

from imeasure_server.segmentation.engine import SegmentationEngine
from imeasure_server.segmentation.engines import ENGINE_NAMES, create_engine

STORE_FIXTURES = (database, empty_database_url, empty_postgresql_url, orthanc, postgresql, postgresql_database)

StartServer = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def live_server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One real server for the whole session, with its process and its log."""
    server = launch(tmp_path_factory.mktemp("live-server"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def live_server(live_server_process: ServerProcess) -> str:
    """The address of one real server that lives through the whole session."""
    return live_server_process.url


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers with options of the test's own: ``start_server("--require-api-key", environment={...})``."""
    started: list[ServerProcess] = []

    def start(*arguments: str, environment: dict[str, str] | None = None) -> ServerProcess:
        started.append(launch(tmp_path, *arguments, environment=environment))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session", params=ENGINE_NAMES)
def engine(request: pytest.FixtureRequest) -> SegmentationEngine:
    """Every engine of the server in turn."""
    made = create_engine(request.param, "cpu")
    assert made.name == request.param, "its weights cannot be used"
    return made
