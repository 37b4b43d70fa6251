"""Volumes and segmentations under parent transforms: what is seen in one place stays in one place."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import addVolume
from IMeasureLib.finding_nodes import linesOf
from IMeasureLib.finding_sync import FindingSync
from IMeasureLib.logic import IMeasureLogic
from IMeasureLib.settings import Settings
from IMeasureLib.volume_access import geometryOf, readMask, worldToLocal
from known_answers import (
    FIRST,
    GROWN,
    SHAPE,
    KnownAnswer,
    at,
    bendingTransform,
    localPosition,
    maskOf,
    shearTransform,
)


@pytest.mark.parametrize("makeTransform", [shearTransform, bendingTransform])
def test_a_volume_under_a_transform(scene, volume, makeTransform):
    transform = makeTransform(scene)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    client = KnownAnswer(FIRST, GROWN)
    logic = IMeasureLogic(Settings(environment={}), client)
    world = at(volume, 20, 20, 10)
    result = logic.segment(volume, positive=[world])
    assert result.finding.history.steps[0].position == pytest.approx(localPosition(volume, (20, 20, 10)), abs=0.02)
    node = result.segmentationNode
    assert node.GetTransformNodeID() == transform.GetID()
    assert np.array_equal(maskOf(node, result.segmentId, volume), FIRST)
    for line in linesOf(node).values():
        assert line.GetTransformNodeID() == transform.GetID()
    again = logic.segment(volume, [world], (), (), None, node, result.segmentId)
    assert np.array_equal(client.asked[1][1].full(SHAPE[::-1]), FIRST)
    assert np.array_equal(maskOf(node, again.segmentId, volume), GROWN)


@pytest.mark.parametrize("makeTransform", [shearTransform, bendingTransform])
def test_a_segmentation_that_is_not_under_the_volumes_transform(scene, volume, makeTransform):
    """The mask must be where the volume is seen: compare in world space, voxel by voxel of the segmentation's grid."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    reference = addVolume(scene, np.zeros((60, 90, 90), np.int16), _isotropic(volume), "reference")
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    node.GetSegmentation().AddEmptySegment("x", "there before")
    volume.SetAndObserveTransformNodeID(makeTransform(scene).GetID())
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST))
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)], segmentationNode=node)
    written = readMask(node, result.segmentId, reference)
    k, j, i = np.nonzero(written.array)
    seen = np.array([at(reference, *np.add(written.origin, index)) for index in list(zip(i, j, k))[::7]])
    inVolume = _toVoxels(volume, seen)
    inside = FIRST[inVolume[:, 2], inVolume[:, 1], inVolume[:, 0]]
    assert inside.mean() > 0.95
    world = np.array([at(volume, *index[::-1]) for index in np.argwhere(FIRST)[::7]])
    back = _toVoxels(reference, world)
    assert written.full((90, 90, 60))[back[:, 2], back[:, 1], back[:, 0]].mean() > 0.95
    returned = readMask(node, result.segmentId, volume).full(SHAPE[::-1])
    assert 2 * (returned & FIRST).sum() / (returned.sum() + FIRST.sum()) > 0.9


def _isotropic(volumeNode):
    matrix = np.eye(4)
    matrix[:3, 3] = at(volumeNode, 20, 20, 10) - np.array([45.0, 45.0, 30.0])
    return matrix


def _toVoxels(volumeNode, world):
    return np.rint(geometryOf(volumeNode).rasToIJK(worldToLocal(volumeNode, world))).astype(int)


def test_a_volume_put_under_a_transform_takes_the_lines_along(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST))
    sync = FindingSync(scene)
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    transform = shearTransform(scene)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert {line.GetTransformNodeID() for line in linesOf(result.segmentationNode).values()} == {transform.GetID()}
    sync.stop()
