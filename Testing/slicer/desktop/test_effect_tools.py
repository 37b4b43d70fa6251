"""The effect's three tools, by mouse and keys in slice views, against the real server."""

from __future__ import annotations

import numpy as np
import pytest
from effect_driver import dice, voxelAt, worldOf


@pytest.fixture
def lesion(straight_volume, desktop):
    """A phantom lesion of 25 mm, shown in the Red view around its middle."""
    desktop.showVolume(straight_volume.node, straight_volume.inside, fieldOfView=90.0)
    return straight_volume


def outlyingVoxel(mask, truth, k):
    """A voxel of the mask on slice k, as far from the middle of the truth as there is."""
    middle = np.argwhere(truth[k]).mean(axis=0)
    candidates = np.argwhere(mask[k])
    j, i = candidates[np.argmax(np.linalg.norm(candidates - middle, axis=1))]
    return k, j, i


def test_one_click_makes_a_measured_mask(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    assert "Click inside the lesion" in driver.status
    desktop.screenshot("effect-1-before")
    desktop.click(lesion.inside)
    driver.wait()
    desktop.screenshot("effect-2-one-click")
    mask = driver.mask()
    assert dice(mask, lesion.truth) > 0.75
    assert mask[voxelAt(lesion.node, lesion.inside)]
    measurements = driver.finding().measurements
    assert measurements.volume == np.count_nonzero(mask)
    assert driver.status.startswith("1 click, ")
    assert f"long axis {measurements.long.length:.1f} mm" in driver.status
    assert f"{measurements.volumeMM3 / 1000:.1f} mL" in driver.status
    pixel = np.linalg.norm(desktop.xyToRas((1, 0)) - desktop.xyToRas((0, 0)))
    assert np.linalg.norm(driver.markerPositions()[0] - lesion.inside) <= 1.5 * pixel


def test_the_module_lists_what_the_effect_made(desktop, openEffect, lesion):
    from IMeasureLib.finding_nodes import linesOf
    from IMeasureLib.logic import IMeasureLogic

    driver = openEffect(lesion.node)
    desktop.click(lesion.inside)
    driver.wait()
    (found,) = IMeasureLogic().findings()
    assert (found.segmentationNode, found.segmentId) == (driver.segmentation, driver.segmentIds[0])
    assert found.finding == driver.finding()
    assert found.volumeNode is lesion.node
    lines = linesOf(driver.segmentation, driver.segmentIds[0])
    assert {kind for _, kind in lines} == {"long", "short", "diameter", "height"}


@pytest.mark.parametrize("how", ["right", "ctrl"])
def test_an_excluding_click_takes_its_place_out(desktop, openEffect, lesion, how):
    driver = openEffect(lesion.node)
    desktop.click(lesion.inside)
    driver.wait()
    before = driver.mask()
    target = outlyingVoxel(before, lesion.truth, voxelAt(lesion.node, lesion.inside)[0])
    if how == "right":
        menu = desktop.rightClick(worldOf(lesion.node, target))
        assert menu == [], "the context menu opened although the click excluded"
    else:
        desktop.click(worldOf(lesion.node, target), ctrl=True)
    driver.wait()
    desktop.screenshot(f"effect-3-excluded-{how}")
    after = driver.mask()
    assert before[target]
    assert not after[target]
    assert after[voxelAt(lesion.node, lesion.inside)]
    assert [step.positive for step in driver.steps()] == [True, False]
    assert driver.status.startswith("2 clicks, ")
    assert driver.finding().measurements.volume == np.count_nonzero(after)


def test_a_right_drag_still_zooms(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    before = desktop.sliceNode().GetFieldOfView()[0]
    desktop.drag([lesion.inside + np.array([0.0, step, 0.0]) for step in (0.0, 5.0, 10.0, 15.0)], button="right")
    assert desktop.sliceNode().GetFieldOfView()[0] != pytest.approx(before)
    assert not driver.effect.queue.isBusy
    assert driver.steps() == ()


@pytest.mark.parametrize("tool", ["TwoClick", "MagicPen"])
def test_the_context_menu_opens_where_no_tool_needs_the_button(desktop, openEffect, lesion, tool):
    driver = openEffect(lesion.node)
    driver.useTool(tool)
    assert desktop.rightClick(lesion.inside), "the context menu did not open"
    assert driver.steps() == ()


@pytest.mark.parametrize("how", ["two clicks", "drag"])
def test_two_click_takes_both_ends_of_the_diameter(desktop, openEffect, lesion, how):
    k = voxelAt(lesion.node, lesion.inside)[0]
    columns = np.flatnonzero(lesion.truth[k].any(axis=0))
    row = int(np.argwhere(lesion.truth[k])[:, 0].mean())
    ends = [worldOf(lesion.node, (k, row, columns[0] + 1)), worldOf(lesion.node, (k, row, columns[-1] - 1))]
    driver = openEffect(lesion.node)
    driver.useTool("TwoClick")
    if how == "drag":
        desktop.drag([ends[0], np.mean(ends, axis=0), ends[1]])
    else:
        desktop.click(ends[0])
        assert "other end" in driver.status
        desktop.screenshot("effect-4-twoclick-begun")
        desktop.click(ends[1])
    driver.wait()
    desktop.screenshot("effect-4-twoclick")
    mask = driver.mask()
    assert dice(mask, lesion.truth) > 0.75
    (step,) = driver.steps()
    for point in step.points:
        assert mask[voxelAt(lesion.node, point)]
    assert len(driver.markerPositions()) == 2


def test_magic_pen_outlines_the_lesion(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    driver.useTool("MagicPen")
    middle = np.argwhere(lesion.truth[voxelAt(lesion.node, lesion.inside)[0]]).mean(axis=0)
    k = voxelAt(lesion.node, lesion.inside)[0]
    stroke = desktop.circle(worldOf(lesion.node, (k, *middle)), 8.0)
    desktop.drag(stroke)
    driver.wait()
    desktop.screenshot("effect-5-magicpen")
    (step,) = driver.steps()
    mask = driver.mask()
    j, i = np.mgrid[0 : mask.shape[1], 0 : mask.shape[2]]
    enclosed = (j - middle[0]) ** 2 + (i - middle[1]) ** 2 < (6.0 / 0.9) ** 2
    assert mask[k][enclosed].mean() > 0.95
    assert len({round(float(point[2]), 3) for point in step.points}) == 1, "the stroke left its slice"
    assert len(driver.effect.markups.nodes) == 1
    assert driver.status.startswith("1 stroke, ")


def test_magic_pen_says_where_it_draws(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    driver.useTool("MagicPen")
    desktop.showOneSlice("Yellow")
    desktop.showVolume(lesion.node, lesion.inside, fieldOfView=90.0)
    desktop.drag(desktop.circle(lesion.inside, 8.0, view="Yellow"), view="Yellow")
    assert "axial view" in driver.status
    assert not driver.effect.queue.isBusy


def test_a_click_in_another_view_is_the_same_click(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    desktop.showOneSlice("Green")
    desktop.showVolume(lesion.node, lesion.inside, fieldOfView=90.0)
    desktop.click(lesion.inside, view="Green")
    driver.wait()
    assert dice(driver.mask(), lesion.truth) > 0.75


def test_the_keys_choose_the_tools_while_the_effect_is_on(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    ui = driver.effect.ui
    for text, button in (("D", ui.twoClickButton), ("M", ui.magicPenButton), ("C", ui.trueClickButton)):
        assert f"({text})" in button.text
        desktop.pressShortcut(text)
        assert button.checked
    assert driver.effect._toolName == "TrueClick"
    driver.editor.setActiveEffectByName("Paint")
    with pytest.raises(AssertionError, match="No enabled shortcut"):
        desktop.pressShortcut("D")


def test_what_cannot_be_done_is_a_sentence(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    desktop.rightClick(lesion.inside)
    driver.wait()
    assert "Click inside the lesion first" in driver.status
    bounds = [0.0] * 6
    lesion.node.GetRASBounds(bounds)
    desktop.showVolume(lesion.node, (bounds[0], lesion.inside[1], lesion.inside[2]), fieldOfView=60.0)
    desktop.click((bounds[0] - 5.0, lesion.inside[1], lesion.inside[2]))
    assert "outside the volume" in driver.status
    assert driver.steps() == ()
    assert not driver.mask().any()


def test_escape_forgets_a_begun_step_and_only_then_is_the_effects(desktop, openEffect, lesion):
    driver = openEffect(lesion.node)
    driver.useTool("TwoClick")
    desktop.click(lesion.inside)
    assert driver.effect.mouse.isBusy
    desktop.pressShortcut("Esc")
    assert not driver.effect.mouse.isBusy
    assert driver.isOn
    desktop.pressShortcut("Esc")
    assert not driver.isOn
