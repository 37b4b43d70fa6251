"""Serves an application over HTTP from a thread of the test's own process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from imeasure_server.app import create_app
from imeasure_server.settings import ServerSettings
from radanalyzer.client import KEY, Client
from radanalyzer.prepared import PreparedPool, model_files


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of the application while the block lasts."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "The application did not start."
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@dataclass(frozen=True)
class Service:
    """A server with prepared answers: what it was made of, and a customer of it."""

    url: str
    app: FastAPI
    pool: PreparedPool
    client: Client


@contextmanager
def prepared_service(folder: Path, without: tuple[str, ...] = (), **settings: Any) -> Iterator[Service]:
    """Serve the real application and a real database, with a `PreparedPool`.

    Args:
        folder: for the database and what stands in for weights.
        without: names of model files to leave out.
        settings: of the server.
    """
    weights = model_files(folder / "weights", without)
    given = {"workspace": folder / "workspace", "weights": weights, "api_keys": f"{KEY},other-key", **settings}
    pool = PreparedPool()
    app = create_app(ServerSettings(**given), pool)  # type: ignore[arg-type]
    with served(app) as url:
        yield Service(url, app, pool, Client(url))
