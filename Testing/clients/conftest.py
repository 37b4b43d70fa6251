"""A real server process for the clients of other languages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract.server import launch
from orthanc import orthanc

FIXTURES = (orthanc,)


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one real server that lives through the session."""
    server = launch(tmp_path_factory.mktemp("live-server"))
    yield server.url
    server.stop()
