"""The module's own test, for Slicer's Reload & Test and for ctest: the logic without a server and without a mouse."""

# ruff: noqa: PT009, PT027 - Slicer's base class of tests is unittest's.

from __future__ import annotations

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from IMeasureLib.http_client import ServerError

from .client_settings import ClientSettings
from .logic import AIAAClientLogic, MaskAnswer
from .mask_labels import regionsOf
from .model_info import SEGMENTATION, ModelInfo
from .task import Task, TaskError

NOWHERE = "http://127.0.0.1:9"


class AIAAClientTest(ScriptedLoadableModuleTest):
    """Needs no server."""

    def setUp(self) -> None:
        """Begin with a small volume alone."""
        slicer.mrmlScene.Clear(0)
        array = np.zeros((12, 20, 24), np.int16)
        self.volume = slicer.util.addVolumeFromArray(array, np.diag([-1.0, -1.0, 2.5, 1.0]), "CT")
        self.logic = AIAAClientLogic(settings=ClientSettings(environment={"AIAA_SERVER_URL": NOWHERE}))

    def runTest(self) -> None:
        """Run all tests."""
        for test in (
            self.test_eachLabelBecomesASegmentAndOthersStay,
            self.test_tooFewBoundaryPointsAreRefused,
            self.test_aServerThatIsDownChangesNothing,
        ):
            self.setUp()
            self.delayDisplay(test.__name__, 50)
            test()
        self.delayDisplay("AIAAClient: all tests passed", 50)

    def test_eachLabelBecomesASegmentAndOthersStay(self) -> None:
        """Two labels, twice: four segments, the first two as they were."""
        mask = np.zeros((12, 20, 24), np.uint8)
        mask[2:6, 3:9, 4:12], mask[7:9, 3:9, 4:12] = 1, 2
        model = ModelInfo("organs", "segmentation", labels={"spleen": 1, "left kidney": 2})
        task = Task(self.volume, model, SEGMENTATION)
        answer = MaskAnswer(mask, model.labels, regionsOf(mask, model.labels), {}, 0.1, model, 0)
        first = self.logic.apply(task, answer)
        self.logic.apply(task, answer, first.segmentationNode)
        segmentation = first.segmentationNode.GetSegmentation()
        names = [segmentation.GetSegment(name).GetName() for name in segmentation.GetSegmentIDs()]
        self.assertEqual(names, ["spleen", "left kidney", "spleen (2)", "left kidney (2)"])
        for segmentId in segmentation.GetSegmentIDs():
            array = slicer.util.arrayFromSegmentBinaryLabelmap(first.segmentationNode, segmentId, self.volume)
            value = 1 if "spleen" in segmentation.GetSegment(segmentId).GetName() else 2
            self.assertTrue(np.array_equal(array != 0, mask == value))

    def test_tooFewBoundaryPointsAreRefused(self) -> None:
        """With a sentence, before anything is sent."""
        with self.assertRaises(TaskError):
            Task.dextr3d(self.volume, "any", [(0, 0, 0)] * 5)

    def test_aServerThatIsDownChangesNothing(self) -> None:
        """Nor does it take long."""
        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(ServerError):
            self.logic.segment(self.volume, "segmentation")
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
