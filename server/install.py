"""Install the server into the environment of the Python that runs this file, from the lock beside it.

    python -m venv .venv && .venv/bin/python server/install.py

Used by `make setup` and by the Slicer module's local server. Packages have exact versions and checked hashes
(`requirements.lock`). PyTorch is a line of its own (`requirements-torch.txt`): its build depends on the device.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TORCH = HERE / "requirements-torch.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def pip(*arguments: str) -> None:
    """Run pip of this environment; its own message explains a failure."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if subprocess.call(command) != 0:
        raise SystemExit(f"pip could not finish: {' '.join(arguments)}. Check the network, then run this again.")


def has_torch(version: str) -> bool:
    """Whether this environment already has that version, in any build."""
    query = "import importlib.metadata as m; print(m.version('torch'))"
    found = subprocess.run([sys.executable, "-c", query], capture_output=True, text=True, check=False).stdout.strip()
    return found.split("+")[0] == version


def offers_cpu_build() -> bool:
    """Whether the configured indexes' first choice is a build without CUDA (Linux wheels on PyPI bring gigabytes)."""
    if sys.platform != "linux":
        return True
    query = ["-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed", "--report", "-"]
    answer = subprocess.run([sys.executable, *query, "-r", str(TORCH)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return False
    report = json.loads(answer.stdout)
    return all("+cpu" in item["metadata"]["version"] for item in report["install"])


def install_torch(index: str | None) -> None:
    """Install PyTorch from ``index``, or a CPU build when none is given."""
    version = TORCH.read_text().split("==")[1].split()[0]
    if index is None and has_torch(version):
        return
    if index is None and not offers_cpu_build():
        index = CPU_INDEX
    pip("--no-deps", *(["--index-url", index] if index else []), "-r", str(TORCH))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--editable", action="store_true", help="leave the server's source where it is, for development"
    )
    parser.add_argument("--torch-index", help="e.g. https://download.pytorch.org/whl/cu130 for an NVIDIA GPU")
    options = parser.parse_args()
    if sys.version_info < (3, 10):  # noqa: UP036 - the person may have an older one
        raise SystemExit("The server needs Python 3.10 or newer.")
    if sys.prefix == sys.base_prefix:
        raise SystemExit("Run this with the Python of a virtual environment (python -m venv .venv).")
    install_torch(options.torch_index)
    pip("--no-deps", "--require-hashes", "-r", str(HERE / "requirements.lock"))
    pip("--no-deps", "--no-build-isolation", *(["--editable"] if options.editable else []), str(HERE))


if __name__ == "__main__":
    main()
