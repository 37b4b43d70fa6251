"""Serve an application until Ctrl-C or SIGTERM, and finish what runs."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from imeasure_server.models.memory import return_large_blocks


def serve(app: FastAPI, listener: socket.socket, when_ready: Callable[[], None]) -> bool:
    """Answer requests until Ctrl-C or SIGTERM, then finish those that have come.

    Returns:
        False when a second Ctrl-C ended it before they were finished.
    """
    return_large_blocks()
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="on", ws="none")
    server = _Server(config, when_ready)
    server.run(sockets=[listener])
    return not server.force_exit


class _Server(uvicorn.Server):
    """Uvicorn that says when it is ready, and after a signal returns when it has finished (and not by the signal)."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._when_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._stop) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit and number == signal.SIGINT:
            self.force_exit = True
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is broken off is no error
        self.should_exit = True
