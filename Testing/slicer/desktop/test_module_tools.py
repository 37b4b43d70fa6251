"""The three tools of the module by mouse and key in the slice views, against the real server."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from module_panel import MASS, MUSCLE, ModulePanel, mm

INSIDE = np.array([15.0, 12.0, 0.0])
"""From the middle of the mass to another place in it."""


@pytest.fixture
def panel(desktop, sampleVolume):
    panel = ModulePanel(sampleVolume)
    panel.connect()
    yield panel
    panel.widget.onEscape()


def test_one_click_makes_a_measured_finding(panel, desktop):
    panel.ui.trueClickButton.click()
    panel.click(MASS)
    (finding,) = panel.findings
    assert panel.maskHolds(0, MASS)
    row = [panel.cell(0, column) for column in range(3, 9)]
    assert all(float(text) > 0 for text in row), row
    reference = panel.widget._references[0]
    array = slicer.util.arrayFromSegmentBinaryLabelmap(
        reference.segmentationNode, reference.segmentId, panel.widget.volume
    )
    voxel = np.prod(panel.widget.volume.GetSpacing())
    assert finding.measurements.volumeMM3 == pytest.approx(array.astype(bool).sum() * voxel, rel=1e-4)
    assert "mm on slice" in panel.status
    desktop.screenshot("module-one-click")


@pytest.mark.parametrize("how", [{"button": "right"}, {"ctrl": True}])
def test_right_click_and_ctrl_click_exclude(panel, desktop, how):
    panel.ui.trueClickButton.click()
    panel.click(MASS)
    assert panel.maskHolds(0, MASS + INSIDE)
    panel.click(MASS + INSIDE, **how)
    assert len(panel.findings) == 1
    assert panel.maskHolds(0, MASS)
    assert not panel.maskHolds(0, MASS + INSIDE)
    assert [step.positive for step in panel.findings[0].history.steps] == [True, False]


def test_true_click_refines_the_selected_finding_and_new_finding_begins_another(panel, desktop):
    panel.ui.trueClickButton.click()
    assert panel.status.startswith("New finding")
    panel.click(MASS)
    panel.widget._keepMessage = False
    panel.widget._showHint()
    assert "Refining “Lesion 1”" in panel.status
    panel.click(MASS + INSIDE)
    assert len(panel.findings) == 1
    desktop.pressShortcut("N")
    assert panel.status.startswith("New finding")
    panel.click(MUSCLE)
    assert panel.names == ["Lesion 1", "Lesion 2"]
    assert panel.maskHolds(1, MUSCLE)


def test_two_clicks_always_make_a_new_finding(panel, desktop):
    panel.ui.twoClickButton.click()
    desktop.click(MASS + mm(-30.0, 0.0, 0.0))
    assert "other end" in panel.status
    panel.click(MASS + mm(30.0, 0.0, 0.0))
    desktop.click(MUSCLE + mm(0.0, 12.0, 0.0))
    panel.click(MUSCLE + mm(0.0, -12.0, 0.0))
    assert len(panel.findings) == 2
    for finding in panel.findings:
        assert [type(step).__name__ for step in finding.history.steps] == ["TwoClick"]


def test_escape_forgets_the_first_of_two_clicks_and_then_the_tool(panel, desktop):
    panel.ui.twoClickButton.click()
    desktop.click(MASS)
    assert panel.widget.session.isBusy
    desktop.pressShortcut("Esc")
    assert not panel.widget.session.isBusy
    assert panel.ui.twoClickButton.checked
    desktop.pressShortcut("Esc")
    assert not panel.ui.twoClickButton.checked
    assert panel.widget.session.toolName is None


def test_a_pen_stroke_makes_and_refines_a_finding(panel, desktop):
    panel.ui.magicPenButton.click()
    desktop.drag(desktop.circle(MASS, 20.0))
    panel.waitForAnswer()
    assert len(panel.findings) == 1
    assert panel.maskHolds(0, MASS)
    desktop.drag(desktop.circle(MASS + INSIDE, 12.0))
    panel.waitForAnswer()
    assert len(panel.findings) == 1
    assert len(panel.findings[0].history.steps) == 2
    assert panel.maskHolds(0, MASS + INSIDE)


def test_the_pen_is_refused_where_slices_are_not_shown(panel, desktop):
    desktop.showOneSlice("Yellow")
    desktop.jumpTo(MASS)
    panel.ui.magicPenButton.click()
    desktop.drag(desktop.circle(MASS, 15.0, view="Yellow"), view="Yellow")
    assert "axial" in panel.status
    assert not panel.widget.queue.isBusy
    assert panel.findings == []


def test_a_click_in_a_sagittal_view_is_as_good(panel, desktop):
    desktop.showOneSlice("Yellow")
    desktop.jumpTo(MASS)
    panel.ui.trueClickButton.click()
    panel.click(MASS, view="Yellow")
    assert panel.maskHolds(0, MASS)


def test_a_click_outside_the_volume_is_refused_in_words(panel, desktop):
    panel.ui.trueClickButton.click()
    bounds = [0.0] * 6
    panel.widget.volume.GetRASBounds(bounds)
    desktop.click([bounds[0] - 5.0, MASS[1], MASS[2]])
    assert "outside" in panel.status
    assert not panel.widget.queue.isBusy


def test_keys_turn_tools_on_and_off(panel, desktop):
    buttons = {"D": panel.ui.twoClickButton, "C": panel.ui.trueClickButton, "M": panel.ui.magicPenButton}
    for key, button in buttons.items():
        assert f"({key})" in button.text
        desktop.pressShortcut(key)
        assert [other.checked for other in buttons.values()] == [other is button for other in buttons.values()]
    desktop.pressShortcut("M")
    assert panel.widget.session.toolName is None


def test_keys_and_mouse_are_given_back_with_the_module(panel, desktop):
    panel.ui.trueClickButton.click()
    slicer.util.selectModule("Data")
    desktop.pump(0.1)
    assert panel.widget.session.toolName is None
    keys = [shortcut.key.toString() for shortcut in slicer.util.findChildren(className="QShortcut")]
    assert not {"D", "C", "M", "N"} & set(keys)
    desktop.click(MASS)
    assert not panel.widget.queue.isBusy
    slicer.util.selectModule("IMeasure")


def test_shift_still_pans(panel, desktop):
    panel.ui.trueClickButton.click()
    node = desktop.sliceNode("Red")
    before = list(node.GetXYZOrigin()), slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3].tolist()
    desktop.drag([MASS, MASS + mm(20.0, 0.0, 0.0)], shift=True)
    after = list(node.GetXYZOrigin()), slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3].tolist()
    assert before != after
    assert not panel.widget.queue.isBusy


def test_clicks_made_while_waiting_are_not_lost(panel, desktop):
    panel.ui.trueClickButton.click()
    desktop.click(MASS)
    desktop.click(MASS + INSIDE)
    panel.waitForAnswer()
    (finding,) = panel.findings
    assert len(finding.history.steps) == 2


def test_a_click_near_a_prompt_is_a_click_and_a_press_on_it_drags_it(panel, desktop):
    panel.ui.trueClickButton.click()
    panel.click(MASS)
    pixel = np.linalg.norm(desktop.xyToRas((1, 0)) - desktop.xyToRas((0, 0)))
    desktop.move(MASS)
    panel.click(MASS + mm(12.0 * pixel, 0.0, 0.0))
    assert len(panel.findings[0].history.steps) == 2
    target = MASS + mm(0.0, 14.0, 0.0)
    desktop.drag([MASS, MASS + mm(0.0, 7.0, 0.0), target])
    panel.waitForAnswer()
    steps = panel.findings[0].history.steps
    assert len(steps) == 2
    assert np.linalg.norm(np.subtract(steps[0].position, target)) < 2 * pixel


def test_a_prompt_can_be_deleted(panel, desktop):
    panel.ui.trueClickButton.click()
    panel.click(MASS)
    panel.click(MASS + INSIDE, button="right")
    desktop.pressShortcut("Esc")
    where = [node.GetName() for node in panel.widget.prompts.nodes]
    assert where == ["IMeasure include", "IMeasure exclude"]
    exclude = panel.widget.prompts.nodes[1]
    exclude.RemoveNthControlPoint(0)
    panel.waitForAnswer()
    assert len(panel.findings[0].history.steps) == 1
    assert panel.maskHolds(0, MASS + INSIDE)
