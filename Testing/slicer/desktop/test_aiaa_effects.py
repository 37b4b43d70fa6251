"""The AI effects by mouse and keys in slice views, against the real server: each prompt, undo, editing, and words."""

from __future__ import annotations

import numpy as np
import pytest
import qt
from aiaa_effect import AUTO, BOUNDARY, CLICKS, SCRIBBLES, extremePoints, outlyingVoxel
from effect_driver import dice, voxelAt, worldOf


@pytest.fixture
def lesion(straight_volume, desktop):
    """A phantom lesion of 25 mm, shown in the Red view around its middle."""
    desktop.showVolume(straight_volume.node, straight_volume.inside, fieldOfView=90.0)
    return straight_volume


@pytest.mark.parametrize("model", ["segmentation", "deepgrow_3d"])
def test_each_click_is_answered_and_undone_with_its_prompt(desktop, openAIEffect, lesion, model):
    driver = openAIEffect(CLICKS, lesion.node, model=model)
    assert "Click inside the object" in driver.status
    desktop.click(lesion.inside)
    driver.wait()
    first = driver.mask()
    assert dice(first, lesion.truth) > 0.75
    assert driver.status.startswith("1 point, ")
    assert driver.status.endswith(f"{np.count_nonzero(first) * 0.9 * 0.9 * 3.0 / 1000:.1f} mL")
    target = outlyingVoxel(first, lesion.truth, voxelAt(lesion.node, lesion.inside)[0])
    if model == "segmentation":
        assert desktop.rightClick(worldOf(lesion.node, target)) == [], "the context menu opened"
    else:
        desktop.click(worldOf(lesion.node, target), ctrl=True)
    driver.wait()
    desktop.screenshot(f"aiaa-effect-clicks-{model}")
    assert not driver.mask()[target]
    assert [prompt.positive for prompt in driver.prompts] == [True, False]
    assert len(driver.markerPositions()) == 2
    driver.undo()
    assert (driver.mask() == first).all()
    assert len(driver.prompts) == len(driver.markerPositions()) == 1
    assert driver.status.startswith("1 point: ")
    driver.undo()
    assert not driver.mask().any()
    assert driver.prompts == ()
    assert "Click inside the object" in driver.status
    driver.editor.redo()
    desktop.pump(0.2)
    assert (driver.mask() == first).all()
    assert len(driver.markerPositions()) == 1


@pytest.mark.parametrize("tool", ["Box", "Lasso", "Scribble"])
def test_other_prompts_are_drawn_on_a_slice(desktop, openAIEffect, lesion, tool):
    driver = openAIEffect(CLICKS, lesion.node, model="segmentation")
    desktop.pressShortcut({"Box": "B", "Lasso": "L", "Scribble": "S"}[tool])
    step = np.array([13.0, -13.0, 0.0])
    course = {
        "Box": [lesion.inside - step, lesion.inside, lesion.inside + step],
        "Lasso": desktop.circle(lesion.inside, 13.0),
        "Scribble": [lesion.inside - 0.5 * step, lesion.inside, lesion.inside + 0.5 * step],
    }[tool]
    desktop.drag(course)
    driver.wait()
    desktop.screenshot(f"aiaa-effect-{tool.lower()}")
    assert dice(driver.mask(), lesion.truth) > 0.75
    (prompt,) = driver.prompts
    assert prompt.positive
    assert len({round(point[2], 3) for point in prompt.points}) == 1, "it left its slice"
    assert driver.status.startswith(f"1 {tool.lower()}, ")
    driver.ui.clearButton.click()
    assert driver.prompts == ()
    assert not driver.mask().any()
    assert len(driver.effect.markups.nodes) == 0
    driver.undo()
    assert dice(driver.mask(), lesion.truth) > 0.75
    assert len(driver.effect.markups.nodes) == 1


def test_the_keys_choose_tools_and_sign_and_a_model_without_boxes_says_so(desktop, openAIEffect, lesion):
    driver = openAIEffect(CLICKS, lesion.node, model="segmentation")
    tools = driver.tools
    buttons = {"P": tools.pointButton, "B": tools.boxButton, "L": tools.lassoButton, "S": tools.scribbleButton}
    for text, button in buttons.items():
        assert f"({text})" in button.text
        desktop.pressShortcut(text)
        assert button.checked
    assert "Positive (T)" in tools.signButton.text
    desktop.pressShortcut("T")
    assert "Negative (T)" in tools.signButton.text
    desktop.pressShortcut("P")
    desktop.click(lesion.inside, ctrl=True)
    driver.wait()
    assert [prompt.positive for prompt in driver.prompts] == [True]
    driver.choose("deepgrow_3d")
    assert not tools.boxButton.enabled
    assert "deepgrow_3d takes no boxes" in tools.boxButton.toolTip
    assert tools.pointButton.checked
    driver.editor.setActiveEffectByName("Paint")
    with pytest.raises(AssertionError, match="No enabled shortcut"):
        desktop.pressShortcut("T")


def test_a_moved_and_a_deleted_marker_ask_again(desktop, openAIEffect, lesion):
    driver = openAIEffect(CLICKS, lesion.node, model="segmentation")
    desktop.click(lesion.inside)
    driver.wait()
    first = driver.mask()
    negative = outlyingVoxel(first, lesion.truth, voxelAt(lesion.node, lesion.inside)[0])
    start = worldOf(lesion.node, negative)
    desktop.click(start, ctrl=True)
    driver.wait()
    outwards = (start - lesion.inside) * 12.0 / np.linalg.norm(start - lesion.inside)
    desktop.drag([start, start + 0.5 * outwards, start + outwards])
    driver.wait()
    desktop.screenshot("aiaa-effect-moved")
    assert [prompt.positive for prompt in driver.prompts] == [True, False]
    assert np.linalg.norm(np.array(driver.prompts[1].points[0]) - start - outwards) < 1.0
    assert driver.mask()[negative]
    assert dice(driver.mask(), first) > 0.95
    for position in (start + outwards, lesion.inside):
        desktop.move(position + np.array([0.5, 0.0, 0.0]))
        desktop.move(position)
        desktop.key(qt.Qt.Key_Delete)
        driver.wait()
    assert driver.prompts == ()
    assert not driver.mask().any()
    assert "Ctrl+Z" in driver.status


def test_a_model_for_slices_fills_the_slices_that_were_clicked(desktop, openAIEffect, lesion):
    driver = openAIEffect(CLICKS, lesion.node, model="deepgrow_2d")
    k = voxelAt(lesion.node, lesion.inside)[0]
    desktop.click(lesion.inside)
    driver.wait()
    assert set(np.flatnonzero(driver.mask().any(axis=(1, 2)))) == {k}
    assert dice(driver.mask()[k], lesion.truth[k]) > 0.75
    above = worldOf(lesion.node, (k + 1, *voxelAt(lesion.node, lesion.inside)[1:]))
    desktop.jumpTo(above)
    desktop.click(above)
    driver.wait()
    both = driver.mask()
    assert set(np.flatnonzero(both.any(axis=(1, 2)))) == {k, k + 1}
    desktop.move(above + np.array([0.5, 0.0, 0.0]))
    desktop.move(above)
    desktop.key(qt.Qt.Key_Delete)
    driver.wait()
    assert set(np.flatnonzero(driver.mask().any(axis=(1, 2)))) == {k}
    assert (driver.mask()[k] == both[k]).all()


def test_six_boundary_points_make_the_object(desktop, openAIEffect, lesion):
    driver = openAIEffect(BOUNDARY, lesion.node)
    points = extremePoints(lesion.node, lesion.truth)
    for count, point in enumerate(points):
        assert f"{count} of 6 points" in driver.status
        assert not driver.ui.runButton.enabled
        assert f"{count} of 6 points" in driver.ui.runButton.toolTip
        desktop.jumpTo(point)
        desktop.click(point)
    driver.wait()
    first = driver.mask()
    assert dice(first, lesion.truth) > 0.75
    assert driver.ui.runButton.enabled
    desktop.jumpTo(lesion.inside)
    desktop.screenshot("aiaa-effect-boundary")
    # A point more, and one moved: asked again.
    desktop.jumpTo(points[0])
    desktop.drag([points[0], points[0] + np.array([3.0, 0.0, 0.0]), points[0] + np.array([6.0, 0.0, 0.0])])
    driver.wait()
    assert len(driver.prompts) == 6
    assert (driver.mask() != first).any()
    driver.undo()
    assert (driver.mask() == first).all()
    # With the sixth point goes what it made.
    driver.undo()
    assert len(driver.prompts) == 5
    assert not driver.mask().any()
    assert "5 of 6 points" in driver.status


def test_scribbles_are_kept_apart_edited_and_asked_again(desktop, openAIEffect, lesion):
    driver = openAIEffect(SCRIBBLES, lesion.node)
    driver.choose("Histogram+GraphCut")
    assert "Scribble inside" in driver.status
    assert not driver.ui.runButton.enabled
    desktop.drag([lesion.inside - np.array([6.0, 0, 0]), lesion.inside, lesion.inside + np.array([6.0, 0, 0])])
    assert "outside" in driver.status
    desktop.pressShortcut("D")
    desktop.drag(desktop.circle(lesion.inside, 18.0))
    assert not driver.mask().any(), "scribbles are not voxels of the segment"
    assert driver.effect.display.node.GetHideFromEditors()
    desktop.screenshot("aiaa-effect-scribbles-before")
    desktop.pressShortcut("A")
    driver.wait()
    desktop.screenshot("aiaa-effect-scribbles")
    first = driver.mask()
    assert dice(first, lesion.truth) > 0.75
    # In a box, and with less of the object marked.
    driver.tools.boxCheckBox.click()
    box = driver.effect.box.node
    size = list(box.GetSize())
    box.SetSize(size[0] / 4, size[1], size[2])
    desktop.pump(0.2)
    desktop.screenshot("aiaa-effect-scribbles-box")
    driver.ui.runButton.click()
    driver.wait()
    inBox = driver.mask()
    assert inBox.any()
    assert np.ptp(np.argwhere(inBox)[:, 2]) < np.ptp(np.argwhere(first)[:, 2])
    driver.undo()
    assert (driver.mask() == first).all()
    desktop.pressShortcut("E")
    desktop.drag(desktop.circle(lesion.inside, 18.0))
    desktop.pressShortcut("R")
    assert not driver.mask().any()
    assert driver.state.strokes == ()
    assert driver.effect.display.node is None
    driver.undo()
    assert (driver.mask() == first).all()
    assert len(driver.state.strokes) == 3


def test_the_brush_has_a_size_and_its_opposite(desktop, openAIEffect, lesion):
    from SegmentEditorAIAALib.strokes import BACKGROUND, FOREGROUND

    driver = openAIEffect(SCRIBBLES, lesion.node)
    driver.tools.diameterSlider.value = 10.0
    desktop.click(lesion.inside)
    desktop.click(lesion.inside + np.array([20.0, 0, 0]), ctrl=True)
    inside, outside = driver.state.strokes
    assert (inside.value, inside.radius) == (FOREGROUND, 5.0)
    assert outside.value == BACKGROUND
    driver.undo()
    assert len(driver.state.strokes) == 1


def test_labels_become_segments_and_nothing_is_lost(desktop, openAIEffect, lesion):
    driver = openAIEffect(AUTO, lesion.node, names=("Mine",), model="ct_body_parts")
    mine = driver.segmentIds[0]
    painted = np.zeros(lesion.array.shape, dtype=bool)
    painted[5:10, 20:70, 20:70] = True
    driver.fill(mine, painted)
    assert "Finds " in driver.status
    desktop.pressShortcut("A")
    driver.wait()
    desktop.screenshot("aiaa-effect-auto")
    made = driver.segments()
    assert len(made) > 1, driver.status
    assert (driver.mask(mine) == painted).all()
    name = next(name for name in made if name != "Mine")
    mask = driver.mask(made[name])
    assert mask.any()
    # Again: what nobody changed is made anew in its place; what was changed is kept, and a new one made beside it.
    driver.ui.runButton.click()
    driver.wait()
    assert driver.segments() == made
    driver.fill(made[name], mask & ~painted)
    kept = driver.mask(made[name])
    driver.ui.runButton.click()
    driver.wait()
    assert (driver.mask(made[name]) == kept).all()
    assert f"{name} (2)" in driver.segments()
    driver.undo()
    assert f"{name} (2)" not in driver.segments()
    assert (driver.mask(mine) == painted).all()
