"""Fixtures of the Slicer tests, which run in two hosts: on slicer-core (``make test``) and in the desktop application.

In the desktop, the scene is the application's; on slicer-core this file makes one. Neither needs the other's parts.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 120
SERVER_KEY = "key-of-the-slicer-tests"
"""Of the real server, for the protocol that always asks for one."""

# slicer-core takes in every folder called "slicer" on the path, and this one is called so.
_shadowing = [path for path in sys.path if (Path(path) / "slicer").resolve() == Path(__file__).resolve().parent]
sys.path[:] = [path for path in sys.path if path not in _shadowing]
import slicer  # noqa: E402
import vtk  # noqa: E402

for folder in (
    REPOSITORY / "Testing",
    REPOSITORY / "server",
    REPOSITORY / "IMeasure",
    REPOSITORY / "VHSAnalyzer",
    REPOSITORY / "AIAAClient",
    REPOSITORY / "AIAAClient" / "SegmentEditorAIAA",
    Path(__file__).resolve().parent,
):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import numpy as np  # noqa: E402

IS_DESKTOP = hasattr(slicer, "app")


class CoreScene:
    """A scene with the logics that Slicer's application would have."""

    def __init__(self):
        self.scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        self.logics = []
        for name in ("Volumes", "Markups", "Transform"):
            self._add(name, getattr(slicer, f"vtkSlicer{name}Logic"))
        for name in ("Segmentations", "SubjectHierarchy"):
            self._add(name, getattr(slicer, f"vtkSlicer{name}ModuleLogic"))

    def _add(self, name, logicClass):
        logic = logicClass()
        logic.SetMRMLApplicationLogic(self.application)
        logic.SetMRMLScene(self.scene)
        self.application.SetModuleLogic(name, logic)
        self.logics.append(logic)


@pytest.fixture
def core():
    """A new slicer-core application (None in the desktop)."""
    return None if IS_DESKTOP else CoreScene()


@pytest.fixture
def scene(core):
    """An empty scene; ``slicer.mrmlScene`` during the test."""
    if core is not None:
        slicer.mrmlScene = core.scene
    slicer.mrmlScene.Clear(0)
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(0)


@pytest.fixture(scope="session")
def live_server(tmp_path_factory):
    """Address of a real server: the one that the desktop runner started, else a process of its own."""
    given = os.environ.get("IMEASURE_SERVER_URL")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "imeasure_server", "serve", "--port", str(port), "--device", "cpu"]
    command += ["--workspace", str(folder / "workspace")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMEASURE_")}
    environment["IMEASURE_API_KEYS"] = SERVER_KEY
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait_until_up(process, port, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
def vhs_server(live_server, monkeypatch):
    """Address of the real server, with the settings' variables set to it and its key."""
    monkeypatch.setenv("IMEASURE_SERVER_URL", live_server)
    monkeypatch.setenv("IMEASURE_API_KEY", SERVER_KEY)
    return live_server


@pytest.fixture(scope="session")
def monailabel_peer(tmp_path_factory):
    """Address of the real MONAI Label: the one that the desktop runner started, else a process of its own."""
    given = os.environ.get("MONAILABEL_PEER_URL")
    if given:
        yield given
        return
    from monailabel_peer.peer import launch_monailabel

    server = launch_monailabel(tmp_path_factory.mktemp("monailabel"))
    yield server.url
    server.stop()


def _wait_until_up(process, port, log):
    import requests

    deadline = time.monotonic() + START_SECONDS
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if session.get(f"http://127.0.0.1:{port}/", timeout=5).json() == {"status": "UP"}:
                    return
            except (requests.RequestException, ValueError):
                time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')}")


def rotation(axis, degrees):
    """3x3 rotation about an axis (Rodrigues)."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def addVolume(scene, array, ijkToRAS, name="CT"):
    """A scalar volume node from a (k, j, i) array."""
    from vtk.util import numpy_support

    k, j, i = array.shape
    image = vtk.vtkImageData()
    image.SetDimensions(i, j, k)
    scalars = numpy_support.numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True)
    image.GetPointData().SetScalars(scalars)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(image)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(ijkToRAS, dtype=float).ravel().tolist())
    node.SetIJKToRASMatrix(matrix)
    node.CreateDefaultDisplayNodes()
    return node


class PhantomVolume:
    """A phantom as a volume node.

    Attributes:
        node: the volume.
        array: (k, j, i) int16 HU.
        truth: (k, j, i) bool.
        ijkToRAS: 4x4.
        inside: local RAS mm of the lesion's deepest voxel.
    """

    def __init__(self, scene, phantom):
        from imeasure_server.imaging.volume import LPS_TO_RAS
        from phantoms import deepest_voxel

        self.array = np.ascontiguousarray(phantom.volume.array.transpose(2, 1, 0))
        self.truth = np.ascontiguousarray(phantom.truth.transpose(2, 1, 0))
        self.ijkToRAS = LPS_TO_RAS @ phantom.volume.geometry.affine
        self.node = addVolume(scene, self.array, self.ijkToRAS)
        self.inside = self.toRAS(deepest_voxel(phantom.truth, phantom.volume.geometry.spacing))

    def toRAS(self, ijk):
        return (self.ijkToRAS @ np.append(np.asarray(ijk, dtype=float), 1.0))[:3]


@pytest.fixture(scope="session")
def straight_phantom():
    from phantoms import make_lesion_phantom

    return make_lesion_phantom(3, (96, 96, 24), (0.9, 0.9, 3.0), form="round", diameter=25.0, contrast=60.0, noise=8.0)


@pytest.fixture(scope="session")
def oblique_phantom():
    """Oblique and left-handed: the slices go from head to feet."""
    from phantoms import make_lesion_phantom

    directions = rotation((1, 2, 3), 25) @ np.diag([1.0, 1.0, -1.0])
    return make_lesion_phantom(
        5, (96, 96, 24), (0.9, 0.9, 3.0), directions, form="round", diameter=25.0, contrast=60.0, noise=8.0
    )


@pytest.fixture
def straight_volume(scene, straight_phantom):
    return PhantomVolume(scene, straight_phantom)


@pytest.fixture
def oblique_volume(scene, oblique_phantom):
    return PhantomVolume(scene, oblique_phantom)


@pytest.fixture
def volume(scene):
    """Oblique and left-handed, 50 × 40 × 20 voxels."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, -1, 2), 33) @ np.diag([0.8, -0.9, 2.5])
    matrix[:3, 3] = (12.5, -30.0, 47.0)
    return addVolume(scene, np.zeros((20, 40, 50), np.int16), matrix, "CT")


class ThreadedServer:
    """A local HTTP server that answers as a test says.

    Attributes:
        address: ``http://127.0.0.1:PORT``.
        requests: (method, path, headers, body) of all requests so far.
        answer: called with the handler for each request.
    """

    def __init__(self):
        import http.server

        outer = self
        self.requests = []
        self.answer = None
        self.disconnected = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append((self.command, self.path, dict(self.headers), body))
                outer.answer(self)

            do_GET = do_POST = do_PUT = do_DELETE = handle_one

            def say(self, status, body=b"", contentType="application/json", **headers):
                self.send_response(status)
                self.send_header("Content-Type", contentType)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that went away is no error here
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def odd_server():
    """A server whose answers the test decides."""
    server = ThreadedServer()
    yield server
    server.stop()
