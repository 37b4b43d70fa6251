"""A server for as long as a program needs one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY = "IMeasure server ready at "


@contextmanager
def running_server(address: str | None, log: Path, environment: dict[str, str] | None = None) -> Iterator[str]:
    """The address of a running server: the one given, or one of our own on a free port that ends with the block.

    Args:
        address: of a server that runs already, or None.
        log: file for what our own server prints.
        environment: variables for our own server, beside those of this process.

    Raises:
        SystemExit: it does not start; the log says why.
    """
    if address:
        yield address
        return
    variables = {**os.environ, **(environment or {})}
    command = [sys.executable, "-m", "imeasure_server", "serve", "--port", "0"]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=variables) as process,
    ):
        try:
            yield _ready_address(process, log)
        finally:
            process.terminate()
            process.wait(30)


def _ready_address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
    raise SystemExit(f"The server did not start. {log} says why.")
