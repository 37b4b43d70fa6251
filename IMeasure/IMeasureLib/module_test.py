"""The module's own test, for Slicer's Reload & Test and for ctest: the logic against a real server, no mouse."""

# ruff: noqa: PT009, PT027 - Slicer's base class of tests is unittest's.

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from .http_client import ServerError
from .imeasure_client import IMeasureClient
from .local_server import LocalServer
from .logic import IMeasureLogic, applicationSettings
from .sample_data import MODULE_FOLDER, loadSampleVolume
from .server_installation import ServerInstallation
from .settings import Settings

MASS = (-66.6, -85.8, 622.8)
"""RAS mm: the middle of the mass in the sample CT."""

BESIDE = (-51.6, -73.8, 622.8)
"""RAS mm: in the mass, 19 mm from there."""

NOWHERE = "http://127.0.0.1:9"


@contextmanager
def runningServer() -> Iterator[str]:
    """Address of a real server: the one of the settings if it answers, else a local one while it is needed."""
    settings = applicationSettings()
    try:
        IMeasureClient(settings.serverURL, settings.apiKey).check()
    except ServerError:
        if settings.isServerURLFromEnvironment:
            raise
    else:
        yield settings.serverURL
        return
    with tempfile.TemporaryDirectory() as folder:
        installation = ServerInstallation(MODULE_FOLDER, folder, settings.serverPython)
        python = installation.find() or installation.install(threading.Event(), print)
        server = LocalServer(installation)
        try:
            yield server.start(Path(python))
        finally:
            server.stop()


class IMeasureTest(ScriptedLoadableModuleTest):
    """Needs a server: the one that IMEASURE_SERVER_URL or the settings name, else a local one is started for it."""

    def setUp(self) -> None:
        """Begin with the sample CT alone, and with a server: ctest runs each test by itself, without ``runTest``."""
        slicer.mrmlScene.Clear(0)
        self.volume = loadSampleVolume()
        if not hasattr(self, "logic"):
            stack = ExitStack()
            self.addCleanup(stack.close)
            self._useServer(stack.enter_context(runningServer()))

    def _useServer(self, url: str) -> None:
        self.logic = IMeasureLogic(settings=Settings(environment={"IMEASURE_SERVER_URL": url}))

    def runTest(self) -> None:
        """Run all tests."""
        with runningServer() as url:
            self._useServer(url)
            for test in (
                self.test_oneClickGivesAMeasuredSegment,
                self.test_negativeClickExcludesAndUndoBringsBack,
                self.test_sceneKeepsFindings,
                self.test_aServerThatIsDownChangesNothing,
            ):
                self.setUp()
                self.delayDisplay(test.__name__, 50)
                test()
        self.delayDisplay("IMeasure: all tests passed", 50)

    def maskOf(self, result) -> np.ndarray:
        """(k, j, i) mask of a result on the volume's grid."""
        array = slicer.util.arrayFromSegmentBinaryLabelmap(result.segmentationNode, result.segmentId, self.volume)
        return array.astype(bool)

    def holds(self, mask: np.ndarray, ras) -> bool:
        """Whether a mask holds a RAS position; the sample CT's axes are those of the patient."""
        spacing, origin = np.array(self.volume.GetSpacing()), np.array(self.volume.GetOrigin())
        directions = np.zeros((3, 3))
        self.volume.GetIJKToRASDirections(directions)
        i, j, k = np.floor(np.linalg.solve(directions * spacing, np.array(ras) - origin) + 0.5).astype(int)
        return bool(mask[k, j, i])

    def test_oneClickGivesAMeasuredSegment(self) -> None:
        """The mask holds the click; its volume is that of its voxels; the lines are as long as they say."""
        result = self.logic.segment(self.volume, positive=[MASS])
        mask, sizes = self.maskOf(result), result.measurements
        self.assertTrue(self.holds(mask, MASS))
        self.assertEqual(sizes.volume, int(mask.sum()))
        self.assertAlmostEqual(sizes.volumeMM3, mask.sum() * np.prod(self.volume.GetSpacing()), delta=1.0)
        self.assertGreaterEqual(sizes.long.length, sizes.short.length)
        self.assertGreaterEqual(sizes.diameter.length, sizes.long.length)
        for line in (sizes.long, sizes.short, sizes.diameter, sizes.height):
            self.assertAlmostEqual(line.length, float(np.linalg.norm(np.subtract(line.start, line.end))), places=2)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode"), 4)

    def test_negativeClickExcludesAndUndoBringsBack(self) -> None:
        """A negative click refines the same segment; undo gives the mask before it."""
        first = self.logic.segment(self.volume, positive=[MASS])
        before = self.maskOf(first)
        self.assertTrue(self.holds(before, BESIDE))
        second = self.logic.segment(
            self.volume,
            negative=[BESIDE],
            segmentationNode=first.segmentationNode,
            segmentId=first.segmentId,
        )
        self.assertEqual(second.segmentId, first.segmentId)
        self.assertFalse(self.holds(self.maskOf(second), BESIDE))
        self.assertTrue(self.logic.undo())
        self.assertTrue((self.maskOf(first) == before).all())

    def test_sceneKeepsFindings(self) -> None:
        """A saved and loaded scene has the same finding."""
        self.logic.segment(self.volume, positive=[MASS])
        (before,) = self.logic.findings()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(0)
            self.assertEqual(self.logic.findings(), [])
            self.assertTrue(slicer.util.loadScene(path))
        (after,) = self.logic.findings()
        self.assertEqual(after.finding.history, before.finding.history)
        self.assertEqual(after.finding.measurements, before.finding.measurements)
        self.assertEqual(after.finding.name, before.finding.name)

    def test_aServerThatIsDownChangesNothing(self) -> None:
        """A sentence about the address, and the scene as it was."""
        logic = IMeasureLogic(settings=Settings(environment={"IMEASURE_SERVER_URL": NOWHERE}))
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(ServerError, NOWHERE):
            logic.segment(self.volume, positive=[MASS])
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)
