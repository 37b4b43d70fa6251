"""HTTP connections that another thread can close: requests itself offers no way out of a call that waits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

POLL_SECONDS = 0.05


class CancellableAdapter(HTTPAdapter):
    """An adapter of requests that knows the sockets of its connections."""

    def __init__(self) -> None:
        self._sockets: list[Any] = []
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self._track(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        self._track(manager)
        return manager

    def _track(self, manager: Any) -> None:
        sockets = self._sockets

        class PlainConnection(urllib3.connection.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        class SecureConnection(urllib3.connection.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = PlainConnection

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def abort(self) -> None:
        """Close all connections; whoever waits on one gets an exception, and the server sees that nobody waits."""
        for connected in list(self._sockets):
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


@contextmanager
def closedOnCancel(adapter: CancellableAdapter, cancel: threading.Event | None) -> Iterator[None]:
    """Close the adapter's connections as soon as ``cancel`` is set, until the block ends."""
    if cancel is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            if cancel.wait(POLL_SECONDS):
                # Again and again: the connection may be made only after the event was set.
                adapter.abort()
                done.wait(POLL_SECONDS)

    watcher = threading.Thread(target=watch, name="IMeasure cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
