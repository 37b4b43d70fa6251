"""Starts real servers for the tests that talk HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

START_SECONDS = 120.0


@dataclass
class ServerProcess:
    """A running server.

    Attributes:
        url: ``http://127.0.0.1:PORT``, without a slash at the end.
        process: its process; the workers are children of it.
        log: file with everything it printed.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C or a service manager does, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> ServerProcess:
    """Start ``imeasure-server serve`` on a free port of this machine and wait until it answers ``GET /``."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IMEASURE_")}
    log = folder / f"server-{port}.log"
    command = [sys.executable, "-m", "imeasure_server", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--device", "cpu", "--workspace", str(folder / "workspace"), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**inherited, **(environment or {})}
        )
    server = ServerProcess(f"http://127.0.0.1:{port}", process, log)
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(f"{server.url}/").json() == {"status": "UP"}:
                    return server
            except (httpx.TransportError, ValueError):
                pass
            time.sleep(0.1)
    server.stop()
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')}")
