"""Finding an environment that has our server, or making one: for people who have neither git nor a terminal.

The server is installed from the source and the lock file that the extension's package carries, into a virtual
environment of its own; Slicer's own Python packages are never touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from .jobs import Cancelled, Progress

MINIMUM_PYTHON = (3, 10)
VENV_NAME = "server-venv"
STAMP_NAME = "imeasure-server.sha256"
SLICER_VARIABLES = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONNOUSERSITE",
    "PYTHONSTARTUP",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
    "DYLD_FRAMEWORK_PATH",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_REQUIRE_VIRTUALENV",
    "__PYVENV_LAUNCHER__",
)
"""What Slicer's launcher sets for its own Python and libraries; another Python does not run with it."""


NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Keeps Windows from opening a console for each process."""


class InstallationError(Exception):
    """The server cannot be installed; the message is a sentence for the person who asked."""


def cleanEnvironment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which another Python than Slicer's runs, and prints lines as they come."""
    base = os.environ if environment is None else environment
    clean = {name: value for name, value in base.items() if name not in SLICER_VARIABLES}
    return {**clean, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def sourceFolder(moduleFolder: Path) -> Path | None:
    """The server's source: the installed extension's (``Resources/server``) or a checkout's; None if absent."""
    for folder in (moduleFolder / "Resources" / "server", moduleFolder.parent / "server"):
        if (folder / "install.py").is_file() and (folder / "imeasure_server").is_dir():
            return folder
    return None


def pythonOf(venv: Path) -> Path:
    """Where a virtual environment has its Python."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


class ServerInstallation:
    """The environment of the local server.

    Attributes:
        venv: where one is made: ``<settings folder>/IMeasure/server-venv``.
        source: the server's source, None when the extension does not carry it.
    """

    def __init__(
        self,
        moduleFolder: str | Path,
        settingsFolder: str | Path,
        chosenPython: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Look around; nothing is changed.

        Args:
            moduleFolder: folder of ``IMeasure.py``.
            settingsFolder: folder for what belongs to this person (``slicer.app.slicerUserSettingsFilePath``'s folder).
            chosenPython: the setting ``IMeasure/ServerPython``, "" for none.
            environment: of the processes that are started; by default this one's, cleaned of what Slicer set.
        """
        self.moduleFolder = Path(moduleFolder).resolve()
        self.folder = Path(settingsFolder) / "IMeasure"
        self.venv = self.folder / VENV_NAME
        self.source = sourceFolder(self.moduleFolder)
        self.environment = cleanEnvironment(environment)
        self._chosenPython = chosenPython

    def find(self) -> Path | None:
        """A Python that has the server: the chosen one, else ours, else that of the checkout; None when there is none.

        Starts each of them once: call it from a background job.
        """
        candidates = [Path(self._chosenPython)] if self._chosenPython else []
        candidates += [pythonOf(self.venv), pythonOf(self.moduleFolder.parent / ".venv")]
        return next((python for python in candidates if python.is_file() and self.hasServer(python)), None)

    def hasServer(self, python: Path) -> bool:
        """Whether that Python has the server installed."""
        return self._succeeds([str(python), "-c", "import imeasure_server.cli"])

    @property
    def isOutdated(self) -> bool:
        """Whether our environment was made from another version of the server than the extension carries."""
        stamp = self.venv / STAMP_NAME
        return self.source is not None and stamp.is_file() and stamp.read_text() != self.fingerprint()

    def fingerprint(self) -> str:
        """SHA-256 of the server's source and lock file."""
        if self.source is None:
            return ""
        digest = hashlib.sha256()
        for path in sorted(self.source.rglob("*")):
            relative = path.relative_to(self.source)
            if path.is_file() and not _isLeftOut(relative):
                digest.update(relative.as_posix().encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    def install(self, cancel: threading.Event, progress: Progress) -> Path:
        """Make the environment anew and install the server into it; minutes, and about 2 GB (PyTorch).

        To be called from a background job, after the person agreed. What an earlier attempt left is removed.

        Returns:
            the environment's Python.

        Raises:
            InstallationError: it could not be done; says why. Cancelled: ``cancel`` was set.
        """
        if self.source is None:
            raise InstallationError(
                "This installation of IMeasure lacks the server's files. Install the extension again."
            )
        copy = self.folder / "server-source"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for leftover in (self.venv, copy):
                shutil.rmtree(leftover, ignore_errors=True)
            # The package may lie where nobody can write, and pip builds beside the source.
            shutil.copytree(self.source, copy, ignore=lambda _, names: {n for n in names if _isLeftOut(Path(n))})
        except OSError as error:
            raise InstallationError(f"The folder {self.folder} cannot be written to: {error.strerror}.") from error
        self._makeVenv(cancel, progress)
        python = pythonOf(self.venv)
        progress("Installing the server's packages. This takes some minutes.")
        self._run([str(python), str(copy / "install.py")], cancel, progress)
        if not self.hasServer(python):
            raise InstallationError("The server was installed but does not start. The lines above say more.")
        (self.venv / STAMP_NAME).write_text(self.fingerprint())
        shutil.rmtree(copy, ignore_errors=True)
        return python

    def _makeVenv(self, cancel: threading.Event, progress: Progress) -> None:
        """With the first Python that can; Slicer's own cannot be moved into an environment on every platform."""
        tried = []
        for python in self._pythons():
            tried.append(python)
            progress(f"Making an environment with {python}.")
            shutil.rmtree(self.venv, ignore_errors=True)
            try:
                self._run([python, "-m", "venv", str(self.venv)], cancel, progress)
            except InstallationError:
                continue
            if self._succeeds([str(pythonOf(self.venv)), "-c", "import ssl, ctypes, pip"]):
                return
        shutil.rmtree(self.venv, ignore_errors=True)
        raise InstallationError(
            "The server needs Python 3.10 or newer, and none was found that can make an environment"
            + (f" (tried {', '.join(tried)})" if tried else "")
            + ". Install Python from python.org, then try again."
        )

    def _pythons(self) -> Iterator[str]:
        """Pythons of version 3.10 or newer: those on the path, newest tested first, then the one that runs this."""
        names = [f"python3.{minor}" for minor in (12, 13, 11, 10, 14)] + ["python3", "python", "py"]
        seen = set()
        for found in [shutil.which(name, path=self.environment.get("PATH")) for name in names] + [sys.executable]:
            if not found or found in seen:
                continue
            seen.add(found)
            check = f"import sys, venv, ensurepip; sys.exit(sys.version_info < {MINIMUM_PYTHON})"
            if self._succeeds([found, "-c", check]):
                yield found

    def _succeeds(self, command: list[str]) -> bool:
        try:
            done = subprocess.run(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=120,
                check=False,
                creationflags=NO_WINDOW,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return bool(done.returncode == 0)

    def _run(self, command: list[str], cancel: threading.Event, progress: Progress) -> None:
        """Run a command to its end and pass its lines on; InstallationError with its last lines when it fails."""
        try:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                creationflags=NO_WINDOW,
            )
        except OSError as error:
            raise InstallationError(f"{command[0]} could not be started: {error.strerror}.") from error
        ended = threading.Event()
        killer = threading.Thread(target=_killOnCancel, args=(process, cancel, ended), daemon=True)
        killer.start()
        lines: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            progress(line.rstrip())
        code = process.wait()
        ended.set()
        killer.join()
        if cancel.is_set():
            raise Cancelled
        if code != 0:
            reason = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
            raise InstallationError(f"The installation stopped: {reason}")


def killTree(process: subprocess.Popen[str]) -> None:
    """Kill a process that was started with ``start_new_session`` and all that it started."""
    if os.name == "nt":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)],
            capture_output=True,
            check=False,
            creationflags=NO_WINDOW,
        )
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _killOnCancel(process: subprocess.Popen[str], cancel: threading.Event, ended: threading.Event) -> None:
    while not ended.is_set():
        if cancel.wait(0.1):
            killTree(process)
            return


def _isLeftOut(path: Path) -> bool:
    """What a checkout has beside the server's source and an installation does not need."""
    parts = path.parts
    return any(part in ("__pycache__", "build", "training") or part.endswith(".egg-info") for part in parts)
