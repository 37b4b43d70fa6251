"""Starts the real MONAI Label 0.8.5, in an environment of its own, with the trivial app beside this file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
from contract.server import ServerProcess, free_port

from monailabel_peer.threshold import save_threshold

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[1] / ".venv-monailabel"
START_SECONDS = 180.0


def launch_monailabel(folder: Path) -> ServerProcess:
    """Start it on a free port with an empty datastore, and wait until it answers; sets its environment up first.

    Args:
        folder: for the app, the datastore (``studies``) and the log.
    """
    subprocess.run([str(HERE / "setup.sh"), sys.executable, str(ENVIRONMENT)], check=True)
    app, studies, port = folder / "app", folder / "studies", free_port()
    shutil.copytree(HERE / "app", app)
    save_threshold(app / "model" / "threshold.ts")
    studies.mkdir()
    log = folder / f"monailabel-{port}.log"
    command = [str(ENVIRONMENT / "bin" / "python"), "-m", "monailabel.main", "start_server", "--app", str(app)]
    command += ["--studies", str(studies), "--host", "127.0.0.1", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MONAI_LABEL"))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder)
    server = ServerProcess(f"http://127.0.0.1:{port}", process, log)
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(f"{server.url}/info/").status_code == 200:
                    return server
            except httpx.TransportError:
                pass
            time.sleep(0.2)
    server.stop()
    raise RuntimeError(f"MONAI Label did not start:\n{log.read_text(errors='replace')[-4000:]}")
