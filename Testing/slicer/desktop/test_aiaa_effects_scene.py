"""The AI effects keep what is not theirs: paint, other segments, masking, transforms, and scenes saved and loaded."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from aiaa_effect import BOUNDARY, CLICKS, SCRIBBLES, ball, extremePoints
from effect_driver import dice, voxelAt, worldOf
from test_effect_geometry import putUnder, voxelOfLesion


@pytest.fixture
def lesion(straight_volume, desktop):
    """A phantom lesion of 25 mm, shown in the Red view around its middle."""
    desktop.showVolume(straight_volume.node, straight_volume.inside, fieldOfView=90.0)
    return straight_volume


def apart(lesion, radius=4.0):
    """(k, j, i) bool: a ball beside the lesion."""
    k, j, i = voxelAt(lesion.node, lesion.inside)
    painted = ball(lesion.array.shape, (k, j + 35 if j < 48 else j - 35, i), radius)
    assert not (painted & lesion.truth).any()
    return painted


@pytest.mark.parametrize("model", ["segmentation", "deepgrow_3d"])
def test_paint_and_other_segments_stay(desktop, openAIEffect, lesion, model):
    driver = openAIEffect(CLICKS, lesion.node, names=("Object", "Organ"), model=model)
    first, organ = driver.segmentIds
    painted = apart(lesion)
    k, j, i = voxelAt(lesion.node, lesion.inside)
    around = ball(lesion.array.shape, (k, j, i), 6.0)
    driver.fill(first, painted)
    driver.fill(organ, around)
    desktop.click(lesion.inside)
    driver.wait()
    mask = driver.mask(first)
    assert mask[painted].all()
    assert dice(mask & ~painted, lesion.truth) > 0.7
    # "Overwrite all" is the Segment Editor's default, and still the organ keeps every voxel: the two overlap.
    assert (driver.mask(organ) == around).all()
    assert (mask & around).any()
    # Painted since, and a prompt moved: neither is lost.
    more = ball(lesion.array.shape, (k, j, i + 35 if i < 48 else i - 35), 3)
    driver.fill(first, mask | more)
    desktop.drag([lesion.inside, lesion.inside + np.array([2.0, 0.0, 0.0])])
    driver.wait()
    assert driver.mask(first)[painted | more].all()
    assert (driver.mask(organ) == around).all()


def test_other_segments_give_way_only_where_that_is_asked_for(desktop, openAIEffect, lesion):
    driver = openAIEffect(CLICKS, lesion.node, names=("Object", "Organ"), model="deepgrow_3d")
    first, organ = driver.segmentIds
    around = ball(lesion.array.shape, voxelAt(lesion.node, lesion.inside), 6.0)
    driver.fill(organ, around)
    driver.ui.keepOthersCheckBox.click()
    desktop.click(lesion.inside)
    driver.wait()
    driver.ui.keepOthersCheckBox.click()
    assert not (driver.mask(organ) & driver.mask(first)).any()


@pytest.mark.parametrize("how", ["intensity", "inside a segment"])
def test_the_masking_settings_decide_what_is_written(desktop, openAIEffect, lesion, how):
    driver = openAIEffect(CLICKS, lesion.node, names=("Object", "Allowed"), model="deepgrow_3d")
    first, allowed = driver.segmentIds
    node = driver.editor.mrmlSegmentEditorNode()
    if how == "intensity":
        low = float(np.percentile(lesion.array[lesion.truth], 40))
        editable = lesion.array >= low
        node.SetSourceVolumeIntensityMaskRange(low, 5000.0)
        node.SetSourceVolumeIntensityMask(True)
    else:
        editable = ball(lesion.array.shape, voxelAt(lesion.node, lesion.inside), 6.0)
        driver.fill(allowed, editable)
        node.SetMaskSegmentID(allowed)
        node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    try:
        desktop.click(lesion.inside)
        driver.wait()
        desktop.screenshot("aiaa-effect-masking")
        mask = driver.mask(first)
    finally:
        node.SetSourceVolumeIntensityMask(False)
        node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    assert mask.any()
    assert not (mask & ~editable).any()
    # What masking kept out is not taken for erased: without masking the whole answer comes.
    driver.ui.runButton.click()
    driver.wait()
    assert dice(driver.mask(first), lesion.truth) > 0.75


def test_what_was_erased_by_hand_stays_out(desktop, openAIEffect, lesion):
    driver = openAIEffect(CLICKS, lesion.node, model="deepgrow_3d")
    desktop.click(lesion.inside)
    driver.wait()
    k, j, i = voxelAt(lesion.node, lesion.inside)
    erased = driver.mask() & ball(lesion.array.shape, (k, j, i + 10), 5.0)
    assert erased.any()
    driver.fill(driver.segmentIds[0], driver.mask() & ~erased)
    desktop.click(lesion.inside - np.array([4.0, 0.0, 0.0]))
    driver.wait()
    assert not driver.mask()[erased].any()
    assert driver.mask()[k, j, i]


@pytest.mark.parametrize("together", [True, False], ids=["segmentation moved too", "volume alone"])
def test_an_oblique_flipped_volume_under_a_transform(desktop, openAIEffect, oblique_volume, together):
    volume = oblique_volume
    if not together:
        driver = openAIEffect(CLICKS, volume.node, model="deepgrow_3d")
    putUnder(volume.node, 25.0, (30.0, -20.0, 15.0))
    if together:
        driver = openAIEffect(CLICKS, volume.node, model="deepgrow_3d")
    world = worldOf(volume.node, voxelOfLesion(volume))
    desktop.showVolume(volume.node, world, fieldOfView=90.0)
    desktop.click(world)
    driver.wait()
    desktop.screenshot("aiaa-effect-oblique")
    assert dice(driver.mask(), volume.truth) > (0.75 if together else 0.7)
    pixel = np.linalg.norm(desktop.xyToRas((1, 0)) - desktop.xyToRas((0, 0)))
    assert np.linalg.norm(driver.markerPositions()[0] - world) <= 1.5 * pixel
    # What is kept is in the volume's own space: moving the volume moves the marker along.
    local = np.array(driver.prompts[0].points[0])
    volume.node.SetAndObserveTransformNodeID(None)
    desktop.pump(0.2)
    assert np.allclose(driver.markerPositions()[0], local, atol=1e-3)


def test_boxes_and_scribbles_on_an_oblique_volume(desktop, openAIEffect, oblique_volume):
    volume = oblique_volume
    putUnder(volume.node, 25.0, (30.0, -20.0, 15.0))
    world = worldOf(volume.node, voxelOfLesion(volume))
    driver = openAIEffect(CLICKS, volume.node, model="segmentation")
    desktop.showVolume(volume.node, world, fieldOfView=90.0)
    axes = slicer.util.arrayFromVTKMatrix(desktop.sliceNode().GetSliceToRAS())[:3, :2]
    step = 13.0 * (axes[:, 0] - axes[:, 1])
    driver.tools.boxButton.click()
    # A view along the axes of the world cuts across the slices.
    desktop.sliceNode().SetOrientationToAxial()
    desktop.jumpTo(world)
    desktop.drag([world - np.array([9.0, 9, 0]), world, world + np.array([9.0, 9, 0])])
    assert "lie on the volume's slices" in driver.status
    assert not driver.effect.queue.isBusy
    desktop.showVolume(volume.node, world, fieldOfView=90.0)
    desktop.drag([world - step, world, world + step])
    driver.wait()
    desktop.screenshot("aiaa-effect-oblique-box")
    assert dice(driver.mask(), volume.truth) > 0.7
    scribbles = openAIEffect(SCRIBBLES, volume.node, segmentation=driver.segmentation, model="Histogram+GraphCut")
    k = voxelOfLesion(volume)[0]
    desktop.drag([world - 0.4 * step, world, world + 0.4 * step])
    covered = slicer.util.arrayFromSegmentBinaryLabelmap(scribbles.effect.display.node, "inside", volume.node)
    assert set(np.flatnonzero(covered.any(axis=(1, 2)))) == {k}
    assert covered[voxelAt(volume.node, world)]


def test_prompts_come_back_with_a_saved_scene(desktop, openAIEffect, lesion, tmp_path):
    driver = openAIEffect(CLICKS, lesion.node, model="segmentation")
    desktop.click(lesion.inside)
    driver.wait()
    mask, prompts = driver.mask(), driver.prompts
    boundary = openAIEffect(BOUNDARY, lesion.node, segmentation=driver.segmentation)
    points = extremePoints(lesion.node, lesion.truth)[:2]
    for point in points:
        desktop.jumpTo(point)
        desktop.click(point)
    nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode")
    assert nodes >= 1
    driver.editor.setActiveEffectByName("")
    path = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    driver.close()
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0, "markers were saved"
    volume, segmentation = slicer.util.getNode("CT"), slicer.util.getNode("Segmentation")
    desktop.showVolume(volume, lesion.inside, fieldOfView=90.0)
    again = openAIEffect(CLICKS, volume, segmentation=segmentation, model="segmentation")
    assert (again.mask() == mask).all()
    assert np.allclose(again.prompts[0].points, prompts[0].points, atol=1e-3)
    assert len(again.markerPositions()) == 1
    # And they still are what the mask follows: without the click, nothing of it is left.
    again.ui.clearButton.click()
    assert not again.mask().any()
    boundary = openAIEffect(BOUNDARY, volume, segmentation=segmentation)
    assert len(boundary.prompts) == 2
    assert "2 of 6" in boundary.status
