"""The local server: found, started, stopped, and gone when the process that started it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from conftest import IS_DESKTOP, REPOSITORY
from IMeasureLib.http_client import ServerError
from IMeasureLib.imeasure_client import IMeasureClient
from IMeasureLib.jobs import Cancelled
from IMeasureLib.local_server import LocalServer
from IMeasureLib.server_installation import (
    InstallationError,
    ServerInstallation,
    cleanEnvironment,
    pythonOf,
    sourceFolder,
)

CHECKOUT_PYTHON = pythonOf(REPOSITORY / ".venv")
SERVER_PYTHON = CHECKOUT_PYTHON if CHECKOUT_PYTHON.is_file() else Path(sys.executable)
# In the desktop, Python is Slicer's own: it has no server, and a headless one in a chroot may see no other.
HAS_SERVER_PYTHON = not IS_DESKTOP or CHECKOUT_PYTHON.is_file()


@pytest.fixture
def installation(tmp_path):
    return ServerInstallation(REPOSITORY / "IMeasure", tmp_path / "settings", str(SERVER_PYTHON))


def isAlive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return True


def waitUntil(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


if HAS_SERVER_PYTHON:

    def test_start_answer_log_and_stop(installation):
        server = LocalServer(installation)
        lines = []
        address = server.start(SERVER_PYTHON, threading.Event(), lines.append)
        try:
            assert server.isRunning
            assert server.address == address
            IMeasureClient(address).check()
            assert any(address in line for line in server.newLogLines())
            assert lines == ["Starting the server on this machine."]
        finally:
            process = server._process
            server.stop()
        assert not server.isRunning
        assert server.address == ""
        assert process.returncode == 0, server.log()
        with pytest.raises(ServerError, match="No IMeasure server is running"):
            IMeasureClient(address).check()

    def test_it_ends_when_the_process_that_started_it_is_killed(installation, tmp_path):
        script = tmp_path / "parent.py"
        script.write_text(
            textwrap.dedent(
                f"""
                import sys, time
                sys.path.insert(0, {str(REPOSITORY / "IMeasure")!r})
                from pathlib import Path
                from IMeasureLib.local_server import LocalServer
                from IMeasureLib.server_installation import ServerInstallation
                server = LocalServer(ServerInstallation({str(REPOSITORY / "IMeasure")!r}, {str(tmp_path)!r}))
                server.start(Path({str(SERVER_PYTHON)!r}))
                print(server._process.pid, server.address, flush=True)
                time.sleep(600)
                """
            )
        )
        parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        try:
            pid, address = parent.stdout.readline().split()
            IMeasureClient(address).check()
        finally:
            parent.kill()
            parent.wait()
        waitUntil(lambda: not isAlive(int(pid)))
        with pytest.raises(ServerError):
            IMeasureClient(address).check()


def test_a_server_that_cannot_start_says_why(installation, tmp_path):
    server = LocalServer(installation)
    with pytest.raises(ServerError, match="could not be started"):
        server.start(tmp_path / "no-python-here")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho first\necho the disk is full\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(ServerError, match="stopped before it was ready: the disk is full"):
        server.start(broken)
    assert not server.isRunning


def test_cancelling_the_start_leaves_nothing_running(installation, tmp_path):
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    cancel = threading.Event()
    cancel.set()
    server = LocalServer(installation)
    with pytest.raises(Cancelled):
        server.start(slow, cancel)
    assert not server.isRunning


def test_finding_takes_the_chosen_python_then_ours_then_the_checkouts(tmp_path):
    """Stand-ins for Python that do or do not have the server."""
    module = tmp_path / "checkout" / "IMeasure"
    module.mkdir(parents=True)
    settings = tmp_path / "settings"

    def makePython(path, hasServer):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\nexit {0 if hasServer else 1}\n")
        path.chmod(0o755)
        return path

    assert ServerInstallation(module, settings).find() is None
    checkout = makePython(pythonOf(tmp_path / "checkout" / ".venv"), True)
    assert ServerInstallation(module, settings).find() == checkout
    ours = makePython(pythonOf(settings / "IMeasure" / "server-venv"), False)
    assert ServerInstallation(module, settings).find() == checkout
    makePython(ours, True)
    assert ServerInstallation(module, settings).find() == ours
    chosen = makePython(tmp_path / "own" / "python", True)
    assert ServerInstallation(module, settings, str(chosen)).find() == chosen
    assert ServerInstallation(module, settings, str(tmp_path / "gone")).find() == ours


def test_the_source_is_the_packages_or_the_checkouts(tmp_path):
    assert sourceFolder(REPOSITORY / "IMeasure") == REPOSITORY / "server"
    packaged = tmp_path / "IMeasure" / "Resources" / "server"
    (packaged / "imeasure_server").mkdir(parents=True)
    assert sourceFolder(tmp_path / "IMeasure") is None
    (packaged / "install.py").write_text("")
    assert sourceFolder(tmp_path / "IMeasure") == packaged


def test_slicers_variables_do_not_reach_another_python():
    environment = cleanEnvironment({"PYTHONHOME": "/slicer", "LD_LIBRARY_PATH": "/slicer/lib", "PATH": "/bin"})
    assert "PYTHONHOME" not in environment
    assert "LD_LIBRARY_PATH" not in environment
    assert environment["PATH"] == "/bin"


class SmallPackage:
    """A package laid out like the server's, which installs in seconds: the same steps, other contents."""

    def __init__(self, folder):
        self.module = folder / "IMeasure"
        self.source = self.module / "Resources" / "server"
        package = self.source / "imeasure_server"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "cli.py").write_text("")
        self.write("print('half way')")

    def write(self, before):
        """install.py puts the package into the environment that runs it, as pip would."""
        (self.source / "install.py").write_text(
            f"{before}\nimport pathlib, shutil, sysconfig\n"
            "source = pathlib.Path(__file__).parent / 'imeasure_server'\n"
            "shutil.copytree(source, pathlib.Path(sysconfig.get_path('purelib')) / 'imeasure_server')\n"
        )


@pytest.fixture
def package(tmp_path):
    return SmallPackage(tmp_path / "package")


if not IS_DESKTOP:  # they make an environment with the Python that runs the tests

    def test_an_installation_that_fails_says_why_and_can_be_made_again(package, tmp_path):
        package.write("raise SystemExit('pip could not finish: check the network')")
        installation = ServerInstallation(package.module, tmp_path / "settings")
        with pytest.raises(InstallationError, match="check the network"):
            installation.install(threading.Event(), lambda line: None)
        assert installation.find() is None
        package.write("print('half way')")
        lines = []
        python = installation.install(threading.Event(), lines.append)
        assert "half way" in lines
        assert ServerInstallation(package.module, tmp_path / "settings").find() == python
        assert not installation.isOutdated
        (package.source / "imeasure_server" / "cli.py").write_text("VERSION = 2")
        assert ServerInstallation(package.module, tmp_path / "settings").isOutdated

    def test_cancelling_the_installation_ends_what_it_started(package, tmp_path):
        package.write(
            "import subprocess, sys\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            "print('child', child.pid, flush=True)\n"
            "child.wait()"
        )
        installation = ServerInstallation(package.module, tmp_path / "settings")
        cancel = threading.Event()
        pids = []

        def progress(line):
            if line.startswith("child"):
                pids.append(int(line.split()[1]))
                cancel.set()

        with pytest.raises(Cancelled):
            installation.install(cancel, progress)
        waitUntil(lambda: not isAlive(pids[0]))


def test_without_the_servers_files_nothing_is_installed(tmp_path):
    (tmp_path / "IMeasure").mkdir()
    with pytest.raises(InstallationError, match="Install the extension again"):
        ServerInstallation(tmp_path / "IMeasure", tmp_path).install(threading.Event(), lambda line: None)
