"""Runs the server so that it never outlives Slicer: ``python server_guard.py serve --port 0 ...``.

Run by the Python of the server's own environment; uses the standard library alone. Slicer holds the other end of the
standard input. When that end is closed, because Slicer stops the server, quits, or is killed, the server is asked to
finish as by Ctrl-C, and ended when it does not.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 10.0


def endWithInput() -> None:
    """Wait for the end of the standard input, then end this process."""
    while os.read(0, 4096):
        pass
    signal.raise_signal(signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def main() -> None:
    threading.Thread(target=endWithInput, name="end with Slicer", daemon=True).start()
    sys.argv[0] = "imeasure-server"
    runpy.run_module("imeasure_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
