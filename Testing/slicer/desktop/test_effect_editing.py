"""Undo, moved and deleted prompts, several segments, masking: the effect keeps what is not its own."""

from __future__ import annotations

import numpy as np
import pytest
import qt
from effect_driver import dice, voxelAt, worldOf


@pytest.fixture
def lesion(straight_volume, desktop):
    """A phantom lesion of 25 mm, shown in the Red view around its middle."""
    desktop.showVolume(straight_volume.node, straight_volume.inside, fieldOfView=90.0)
    return straight_volume


@pytest.fixture
def refined(desktop, openEffect, lesion):
    """The effect after a positive and a negative click: (driver, mask after one, mask after both, negative voxel)."""
    driver = openEffect(lesion.node)
    desktop.click(lesion.inside)
    driver.wait()
    first = driver.mask()
    k = voxelAt(lesion.node, lesion.inside)[0]
    candidates = np.argwhere(first[k])
    middle = np.argwhere(lesion.truth[k]).mean(axis=0)
    j, i = candidates[np.argmax(np.linalg.norm(candidates - middle, axis=1))]
    desktop.rightClick(worldOf(lesion.node, (k, j, i)))
    driver.wait()
    return driver, first, driver.mask(), (k, j, i)


def test_undo_and_redo_take_prompts_and_numbers_with_the_mask(desktop, refined):
    driver, first, second, _ = refined
    after = driver.finding()
    assert (first != second).any()
    desktop.pressShortcut("Ctrl+Z")
    desktop.pump(0.2)
    assert (driver.mask() == first).all()
    assert [step.positive for step in driver.steps()] == [True]
    assert len(driver.markerPositions()) == 1
    assert driver.status.startswith("1 click:")
    assert driver.finding().measurements.volume == np.count_nonzero(first)
    desktop.screenshot("effect-6-undo")
    driver.editor.undo()
    desktop.pump(0.2)
    assert not driver.mask().any()
    assert driver.finding() is None
    assert len(driver.markerPositions()) == 0
    assert "Click inside the lesion" in driver.status
    for _ in range(2):
        driver.editor.redo()
    desktop.pump(0.2)
    assert (driver.mask() == second).all()
    assert driver.finding() == after
    assert len(driver.markerPositions()) == 2


def test_a_dragged_marker_is_a_moved_prompt(desktop, lesion, refined):
    driver, first, _, negative = refined
    start = worldOf(lesion.node, negative)
    outwards = start - lesion.inside
    outwards *= 12.0 / np.linalg.norm(outwards)
    desktop.drag([start, start + 0.5 * outwards, start + outwards])
    driver.wait()
    desktop.screenshot("effect-7-moved")
    assert [step.positive for step in driver.steps()] == [True, False]
    pixel = np.linalg.norm(desktop.xyToRas((1, 0)) - desktop.xyToRas((0, 0)))
    assert np.linalg.norm(np.array(driver.steps()[1].position) - start - outwards) <= 2 * pixel
    # Outside the lesion it says nothing new: the mask is again that of the positive click.
    mask = driver.mask()
    assert mask[negative]
    assert dice(mask, first) > 0.95
    assert driver.finding().measurements.volume == np.count_nonzero(mask)


@pytest.mark.parametrize("how", ["key", "menu"])
def test_a_deleted_marker_is_a_prompt_less(desktop, lesion, refined, how):
    driver, first, _, negative = refined
    position = worldOf(lesion.node, negative)
    desktop.move(position + np.array([0.5, 0.0, 0.0]))
    desktop.move(position)
    if how == "key":
        desktop.key(qt.Qt.Key_Delete)
    else:
        desktop.rightClick(position, choose="Delete control point")
    driver.wait()
    assert [step.positive for step in driver.steps()] == [True]
    assert driver.mask()[negative]
    assert dice(driver.mask(), first) > 0.95


def test_without_a_positive_prompt_the_segment_is_cleared_and_undo_brings_it_back(desktop, lesion, refined):
    driver, _, second, _ = refined
    desktop.move(lesion.inside + np.array([0.5, 0.0, 0.0]))
    desktop.rightClick(lesion.inside, choose="Delete control point")
    driver.wait()
    assert not driver.mask().any()
    assert driver.finding() is None
    assert "Ctrl+Z" in driver.status
    driver.editor.undo()
    desktop.pump(0.2)
    assert (driver.mask() == second).all()
    assert len(driver.steps()) == 2


def test_markers_can_be_hidden(desktop, refined):
    driver = refined[0]
    driver.effect.ui.showPromptsCheckBox.click()
    assert not any(node.GetDisplayNode().GetVisibility() for node in driver.effect.markups.nodes)
    driver.effect.ui.showPromptsCheckBox.click()
    assert all(node.GetDisplayNode().GetVisibility() for node in driver.effect.markups.nodes)
    driver.editor.setActiveEffectByName("")
    assert driver.effect.markups.nodes == ()


def ball(volume, center, radius):
    """(k, j, i) bool, voxels within ``radius`` voxels of ``center`` (k, j, i)."""
    grids = np.ogrid[tuple(slice(0, n) for n in volume.array.shape)]
    return sum((grid - c) ** 2 for grid, c in zip(grids, center)) <= radius**2


def test_voxels_painted_by_hand_stay(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    k, j, i = voxelAt(lesion.node, lesion.inside)
    painted = ball(lesion, (k, j + 35 if j < 48 else j - 35, i), 4)
    assert not (painted & lesion.truth).any()
    driver.fill(driver.segmentIds[0], painted)
    desktop.click(lesion.inside)
    driver.wait()
    mask = driver.mask()
    assert mask[painted].all()
    assert dice(mask & ~painted, lesion.truth) > 0.7
    # Painted once more by another effect: a moved prompt must not wipe it.
    more = ball(lesion, (k, j, i + 35 if i < 48 else i - 35), 3)
    driver.fill(driver.segmentIds[0], mask | more)
    desktop.drag([lesion.inside, lesion.inside + np.array([2.0, 0.0, 0.0])])
    driver.wait()
    assert driver.mask()[painted | more].all()


def test_each_segment_has_its_own_prompts(desktop, openEffect, lesion):
    driver = openEffect(lesion.node, names=("First", "Second"))
    first, second = driver.segmentIds
    desktop.click(lesion.inside)
    driver.wait()
    mask = driver.mask(first)
    driver.select(second)
    assert len(driver.markerPositions()) == 0
    assert "Click inside the lesion" in driver.status
    desktop.click(lesion.inside + np.array([3.0, 0.0, 0.0]))
    driver.wait()
    # "Overwrite all" is the Segment Editor's default, and still the first keeps every voxel.
    assert (driver.mask(first) == mask).all()
    assert driver.mask(second).any()
    assert len(driver.steps(first)) == len(driver.steps(second)) == 1
    assert driver.steps(first) != driver.steps(second)
    desktop.screenshot("effect-8-two-segments")
    driver.select(first)
    assert np.allclose(driver.markerPositions()[0], driver.steps(first)[0].position, atol=1e-3)
    assert driver.finding(first).measurements.volume == np.count_nonzero(mask)


def test_other_segments_give_way_only_where_that_is_asked_for(desktop, openEffect, lesion):
    driver = openEffect(lesion.node, names=("Organ", "Lesion"))
    organ, lesionId = driver.segmentIds
    driver.fill(organ, np.ones(lesion.array.shape, dtype=bool))
    driver.select(lesionId)
    driver.effect.ui.keepOthersCheckBox.click()
    desktop.click(lesion.inside)
    driver.wait()
    mask = driver.mask(lesionId)
    assert dice(mask, lesion.truth) > 0.75
    assert not (driver.mask(organ) & mask).any()
    assert driver.editor.mrmlSegmentEditorNode().GetOverwriteMode() == 0


def test_the_editable_area_holds(desktop, openEffect, lesion):
    driver = openEffect(lesion.node, names=("Lesion", "Area"))
    segmentId, area = driver.segmentIds
    _k, _j, i = voxelAt(lesion.node, lesion.inside)
    allowed = np.zeros(lesion.array.shape, dtype=bool)
    allowed[:, :, i:] = True
    driver.fill(area, allowed)
    editorNode = driver.editor.mrmlSegmentEditorNode()
    editorNode.SetMaskSegmentID(area)
    editorNode.SetMaskMode(driver.segmentation.EditAllowedInsideSingleSegment)
    assert editorNode.GetMaskMode() == driver.segmentation.EditAllowedInsideSingleSegment
    desktop.click(lesion.inside)
    driver.wait()
    mask = driver.mask(segmentId)
    assert mask.any()
    assert not (mask & ~allowed).any()
    assert (driver.mask(area) == allowed).all()
    # What was measured on the server is not what is there.
    assert driver.finding(segmentId).measurements is None
    assert "not measured" in driver.status
    desktop.screenshot("effect-9-masking")


def test_the_intensity_range_holds(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    middle = float(np.median(lesion.array[lesion.truth]))
    editorNode = driver.editor.mrmlSegmentEditorNode()
    editorNode.SetSourceVolumeIntensityMask(True)
    editorNode.SetSourceVolumeIntensityMaskRange(middle, 3000.0)
    desktop.click(lesion.inside)
    driver.wait()
    mask = driver.mask()
    assert mask.any()
    assert lesion.array[mask].min() >= middle


def test_the_measurement_lines_follow_undo(desktop, refined):
    from IMeasureLib.finding_nodes import linesOf

    driver, _first, _, _ = refined
    driver.editor.undo()
    desktop.pump(0.2)
    line = linesOf(driver.segmentation, driver.segmentIds[0])[driver.segmentIds[0], "long"]
    assert line.GetMeasurement("length").GetValue() == pytest.approx(
        driver.finding().measurements.long.length, abs=1e-3
    )
    driver.editor.undo()
    desktop.pump(0.2)
    assert linesOf(driver.segmentation) == {}
