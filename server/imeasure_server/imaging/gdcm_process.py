"""GDCM in a process of its own: its decoders end the process at some damaged files."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

_CHILD = Path(__file__).with_name("gdcm_child.py")
_SECONDS = 60.0
"""For one frame; a decoder that a damaged file keeps busy for longer is ended."""


class GdcmProcess:
    """Decodes DICOM files, one after another, whichever threads ask.

    The process is started at the first file, and again after it has died.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> GdcmProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def decode(self, content: bytes) -> npt.NDArray[Any] | None:
        """The array of a DICOM file, or None when it cannot be read."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="imeasure-gdcm-")
            path = Path(self._folder.name) / "frame.dcm"
            path.write_bytes(content)
            if self._answer(path) != "done":
                return None
            return np.asarray(np.load(f"{path}.npy"))

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _answer(self, path: Path) -> str:
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        watch = threading.Timer(_SECONDS, child.kill)
        watch.start()
        try:
            child.stdin.write(f"{path}\n")
            child.stdin.flush()
            return child.stdout.readline().strip()
        except OSError:
            return ""
        finally:
            watch.cancel()

    def _running(self) -> subprocess.Popen[str]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        if self._child is not None:
            self._child.communicate()
        self._child = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        return self._child
