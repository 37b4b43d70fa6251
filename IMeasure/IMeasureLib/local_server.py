"""A server process on this machine that lives as long as Slicer: started on a free port, with its log at hand."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import threading
import time
from pathlib import Path

from .http_client import ServerError
from .jobs import Cancelled, Progress
from .server_installation import NO_WINDOW, ServerInstallation
from .settings import rememberLocalKey

READY = re.compile(r"IMeasure server ready at (http://\S+)")
START_SECONDS = 180.0
STOP_SECONDS = 12.0
POLL_SECONDS = 0.1
LOG_DAYS = 7


class LocalServer:
    """One server process.

    Its output goes to a file and not to a pipe: nobody would empty a pipe while Slicer's main thread is busy, and the
    server would stand still at its next line.

    Attributes:
        address: ``http://127.0.0.1:PORT`` once it is ready, "" before and after.
        logPath: file with everything it printed, None before the first start.
        key: made anew at each start, for the protocols that always ask for one (RadAnalyzer). It reaches the server by
            its environment, never by the command line, which other people of this computer can read.
    """

    def __init__(self, installation: ServerInstallation) -> None:
        self.installation = installation
        self.address = ""
        self.logPath: Path | None = None
        self.key = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0

    @property
    def isRunning(self) -> bool:
        """Whether the process is there; it may not be ready yet."""
        return self._process is not None and self._process.poll() is None

    def start(self, python: Path, cancel: threading.Event | None = None, progress: Progress | None = None) -> str:
        """Start it and wait until it is ready: call it from a background job.

        Args:
            python: one that has the server (``ServerInstallation.find`` or ``install``).

        Returns:
            its address.

        Raises:
            ServerError: it did not get ready; says why. Cancelled: ``cancel`` was set. Nothing is left running then.
        """
        self.stop()
        self._launch(python)
        if progress is not None:
            progress("Starting the server on this machine.")
        try:
            self.address = self._waitUntilReady(cancel)
        except BaseException:
            self.stop(0.0)
            raise
        rememberLocalKey(self.address, self.key)
        return self.address

    def _launch(self, python: Path) -> None:
        folder = self.installation.folder
        try:
            (folder / "workspace").mkdir(parents=True, exist_ok=True)
            removeOldLogs(folder)
            self.logPath = folder / f"server-{os.getpid()}.log"
            self._read = 0
            guard = Path(__file__).with_name("server_guard.py")
            command = [str(python), str(guard), "serve", "--host", "127.0.0.1", "--port", "0"]
            command += ["--workspace", str(folder / "workspace")]
            self.key = secrets.token_urlsafe(24)
            environment = dict(self.installation.environment)
            keys = [key for key in (environment.get("IMEASURE_API_KEYS", ""), self.key) if key]
            environment["IMEASURE_API_KEYS"] = ",".join(keys)
            with self.logPath.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=str(folder),
                    creationflags=NO_WINDOW,
                )
        except OSError as error:
            raise ServerError(f"The server could not be started: {error.strerror or error}.") from error

    def _waitUntilReady(self, cancel: threading.Event | None) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            ready = READY.search(self.log())
            if ready is not None:
                return ready.group(1).rstrip("/.")
            if not self.isRunning:
                last = next((line for line in reversed(self.log().splitlines()) if line.strip()), "it said nothing")
                raise ServerError(f"The server stopped before it was ready: {last}")
            if cancel is not None and cancel.wait(POLL_SECONDS):
                raise Cancelled
            if cancel is None:
                time.sleep(POLL_SECONDS)
        raise ServerError(f"The server was not ready within {START_SECONDS:.0f} s. Its log says more.")

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it: ask, wait that long, then kill. With 0 it is killed at once. Does nothing when none is running."""
        if self.address:
            rememberLocalKey(self.address, "")
        process, self._process, self.address = self._process, None, ""
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            if seconds <= 0:
                process.kill()
            process.wait(max(seconds, 5.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5.0)

    def log(self) -> str:
        """Everything it printed so far."""
        if self.logPath is None or not self.logPath.is_file():
            return ""
        return self.logPath.read_text(encoding="utf-8", errors="replace")

    def newLogLines(self) -> list[str]:
        """The whole lines that came since the last call."""
        if self.logPath is None or not self.logPath.is_file():
            return []
        with self.logPath.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.decode("utf-8", errors="replace").splitlines()


def removeOldLogs(folder: Path) -> None:
    """Remove logs of servers of former days."""
    oldest = time.time() - LOG_DAYS * 86_400
    for path in folder.glob("server-*.log"):
        if path.stat().st_mtime < oldest:
            path.unlink()
