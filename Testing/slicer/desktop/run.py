"""Run the Slicer tests inside a desktop Slicer, against the real server.

    python Testing/slicer/desktop/run.py --slicer /path/to/Slicer [pytest arguments]
    python Testing/slicer/desktop/run.py --with-server COMMAND [its arguments]     # any command, with a server for it

Starts `imeasure-server` from the environment of the Python that runs this file (or takes the one that
``--server-url`` names), starts Slicer with the extension's modules, lets it run pytest on ``Testing/slicer``
(``run_in_slicer.py``), and exits with pytest's code. Reports and screenshots: ``test-output/slicer``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE_FOLDERS = (
    "IMeasure",
    "IMeasure/SegmentEditorIMeasure",
    "VHSAnalyzer",
    "AIAAClient",
    "AIAAClient/SegmentEditorAIAA",
)
HEALTHY_WITHIN_SECONDS = 90
SERVER_KEY = "key-of-the-slicer-tests"
"""As in ``Testing/slicer/conftest.py``."""


def free_port() -> int:
    """A port on the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_up(url: str) -> bool:
    """Whether an iMeasure server answers there."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(json.load(answer).get("status") == "UP")
    except (urllib.error.URLError, OSError, ValueError):
        return False


@contextlib.contextmanager
def running_server(log_path: Path) -> Iterator[str]:
    """The real server on a free port; yields its address and stops it at the end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    workspace = tempfile.mkdtemp(prefix="imeasure-test-workspace-")
    command = [sys.executable, "-m", "imeasure_server", "serve", "--port", str(port), "--workspace", workspace]
    environment = {**os.environ, "IMEASURE_API_KEYS": SERVER_KEY}
    with log_path.open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=workspace, env=environment)
        try:
            deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
            while not is_up(url):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"The server did not start; see {log_path}.")
                time.sleep(0.2)
            yield url
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            shutil.rmtree(workspace, ignore_errors=True)


def run_slicer(
    slicer: Path,
    url: str,
    output: Path,
    module_paths: list[Path],
    pytest_arguments: list[str],
    plugin: Path | None,
) -> int:
    """Start Slicer with the modules and let it run pytest; returns the exit code."""
    environment = dict(os.environ)
    environment["IMEASURE_SERVER_URL"] = url
    environment["IMEASURE_TEST_OUTPUT"] = str(output)
    environment["IMEASURE_TEST_PYTEST_ARGUMENTS"] = json.dumps(pytest_arguments)
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    # Read by the chroot wrapper of a headless Slicer only: folders to show inside, and the screen's size.
    data = environment.get("IMEASURE_DATA", "")
    # sys.base_prefix: the Python behind .venv, with which the tests start a local server.
    binds = [str(REPOSITORY), str(output), data if os.path.isdir(data) else "", sys.base_prefix]
    binds.append(environment.get("SLICER_BIND", ""))
    environment["SLICER_BIND"] = ":".join(bind for bind in binds if bind)
    environment.setdefault("SLICER_SCREEN", "1680x1120x24")
    if plugin is not None:
        module_paths = [*module_paths, plugin]
        environment["SLICER_BIND"] += f":{plugin}"
    command = [str(slicer), "--no-splash", "--disable-settings", "--additional-module-paths"]
    command += [str(path) for path in module_paths]
    command += ["--python-script", str(Path(__file__).with_name("run_in_slicer.py"))]
    # Slicer modules may write into the current folder: give them one of their own.
    with tempfile.TemporaryDirectory(prefix="imeasure-slicer-") as scratch:
        return subprocess.call(command, env=environment, cwd=scratch)


def plugin_for(slicer: Path, pytest_arguments: list[str]) -> Path | None:
    """Folder of MONAI Label's own plugin when its test is to be run, which has a Slicer of its own."""
    if not any("slicer/plugin" in argument for argument in pytest_arguments):
        return None
    sys.path.insert(0, str(REPOSITORY / "Testing"))
    from monailabel_peer.plugin import give_cgi, plugin_folder

    give_cgi(slicer)
    return plugin_folder()


@contextlib.contextmanager
def running_monailabel(pytest_arguments: list[str], folder: Path) -> Iterator[None]:
    """The real MONAI Label, its address in MONAILABEL_PEER_URL, unless other tests than those with it are to be run."""
    files = [argument for argument in pytest_arguments if ".py" in argument]
    if files and not any("aiaa_monailabel" in file for file in files):
        yield
        return
    sys.path.insert(0, str(REPOSITORY / "Testing"))
    from monailabel_peer.peer import launch_monailabel

    with tempfile.TemporaryDirectory(prefix="imeasure-monailabel-", dir=folder) as place:
        server = launch_monailabel(Path(place))
        os.environ["MONAILABEL_PEER_URL"] = server.url
        try:
            yield
        finally:
            server.stop()


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slicer", type=Path, help="the Slicer executable")
    parser.add_argument("--server-url", help="use this server instead of starting one")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "test-output" / "slicer")
    parser.add_argument(
        "--module-path",
        type=Path,
        action="append",
        help="take the modules from here (an unpacked package) and not from this checkout; may be repeated",
    )
    return parser.parse_known_args()


def run_with_server(command: list[str]) -> int:
    """Run a command that finds a real server at IMEASURE_SERVER_URL; returns its exit code."""
    output = REPOSITORY / "test-output"
    output.mkdir(exist_ok=True)
    with running_server(output / "server.log") as url:
        return subprocess.call(command, env={**os.environ, "IMEASURE_SERVER_URL": url})


def main() -> int:
    if sys.argv[1:2] == ["--with-server"]:
        return run_with_server(sys.argv[2:])
    options, pytest_arguments = parse_arguments()
    if options.slicer is None:
        raise SystemExit("Say which Slicer: --slicer /path/to/Slicer.")
    if not options.slicer.is_file():
        raise SystemExit(f"There is no Slicer at {options.slicer}.")
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    report = output / "junit.xml"
    report.unlink(missing_ok=True)
    folders = options.module_path or [REPOSITORY / name for name in MODULE_FOLDERS if (REPOSITORY / name).is_dir()]
    folders = [folder.resolve() for folder in folders]
    with contextlib.ExitStack() as stack:
        stack.enter_context(running_monailabel(pytest_arguments, output))
        url = options.server_url or stack.enter_context(running_server(output / "server.log"))
        code = run_slicer(
            options.slicer, url, output, folders, pytest_arguments, plugin_for(options.slicer, pytest_arguments)
        )
    if not report.is_file():
        print(f"Slicer ended (exit code {code}) before the tests were done.", file=sys.stderr)
        return code or 1
    return code


if __name__ == "__main__":
    sys.exit(main())
