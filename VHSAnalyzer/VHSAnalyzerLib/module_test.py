"""The module's own test, for Slicer's Reload & Test and for ctest: the logic without a server and without a mouse."""

# ruff: noqa: PT009, PT027 - Slicer's base class of tests is unittest's.

from __future__ import annotations

import os
import tempfile

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from IMeasureLib.http_client import ServerError
from IMeasureLib.settings import Settings

from .landmarks import LANDMARK_NAMES, TEMPLATE
from .logic import VHSAnalyzerLogic
from .sample_data import loadSampleRadiograph
from .scene_nodes import landmarksOf, writePoints
from .volume_picture import gridOf

NOWHERE = "http://127.0.0.1:9"


class VHSAnalyzerTest(ScriptedLoadableModuleTest):
    """Needs no server."""

    def setUp(self) -> None:
        """Begin with the sample radiograph alone."""
        slicer.mrmlScene.Clear(0)
        self.volume = loadSampleRadiograph()
        self.logic = VHSAnalyzerLogic(settings=Settings(environment={"IMEASURE_SERVER_URL": NOWHERE}))
        self.addCleanup(self.logic.sync.stop)

    def runTest(self) -> None:
        """Run all tests."""
        for test in (
            self.test_landmarksPlacedByHandGiveAScore,
            self.test_sceneKeepsLandmarks,
            self.test_aServerThatIsDownChangesNothing,
        ):
            self.setUp()
            self.delayDisplay(test.__name__, 50)
            test()
            self.doCleanups()
        self.delayDisplay("VHSAnalyzer: all tests passed", 50)

    def _place(self) -> None:
        self.node = self.logic.placeByHand(self.volume)
        writePoints(self.node, TEMPLATE + 0.01, gridOf(self.volume))

    def test_landmarksPlacedByHandGiveAScore(self) -> None:
        """No score before all seven were moved; then VHS is long plus short axis."""
        node = self.logic.placeByHand(self.volume)
        self.assertIsNone(self.logic.measurement(node).score)
        self._place()
        score = self.logic.measurement(self.node).score
        self.assertAlmostEqual(score.vhs, score.longAxis + score.shortAxis)
        self.assertEqual(self.logic.measurement(self.node).moved, LANDMARK_NAMES)
        self.assertAlmostEqual(self.logic.score(self.node).vhs, score.vhs)

    def test_sceneKeepsLandmarks(self) -> None:
        """A saved and loaded scene has the same score."""
        self._place()
        before = self.logic.score(self.node)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(0)
            self.assertTrue(slicer.util.loadScene(path))
        volume = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0]
        after = self.logic.score(landmarksOf(volume))
        self.assertTrue(np.isclose(after.vhs, before.vhs))

    def test_aServerThatIsDownChangesNothing(self) -> None:
        """A sentence about the address, and the scene as it was."""
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(ServerError, NOWHERE):
            self.logic.analyze(self.volume)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)
