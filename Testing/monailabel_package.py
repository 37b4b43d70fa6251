"""The package ``monailabel`` from PyPI, without what it depends on: its client needs ``requests`` only."""

from __future__ import annotations

import hashlib
import importlib
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent / "clients"
REQUIREMENTS = HERE / "monailabel-requirements.txt"
FOLDER = HERE / ".monailabel"


def client_module() -> ModuleType:
    """``monailabel.client.client``, as it was published; installs it the first time."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    stamp = FOLDER / f".installed-{digest}"
    if not stamp.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--target", str(FOLDER), "-r", str(REQUIREMENTS)]
        subprocess.run(command, check=True, timeout=300)
        stamp.touch()
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # cgi, until Python 3.13
        return importlib.import_module("monailabel.client.client")
