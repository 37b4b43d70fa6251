"""The module's table of findings: jump, rename, hide, colour, delete, undo, export, and life with the scene."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import qt
import slicer
import vtk
from module_panel import EYE_COLUMN, MASS, MUSCLE, NAME_COLUMN, ModulePanel, mm

SECOND_MUSCLE = np.array([-20.6, -71.8, 622.8])


@pytest.fixture
def panel(desktop, sampleVolume):
    panel = ModulePanel(sampleVolume)
    panel.connect()
    panel.ui.trueClickButton.click()
    yield panel
    panel.widget.onEscape()


@pytest.fixture
def three(panel, desktop):
    """The panel with three findings, made by mouse."""
    panel.ui.twoClickButton.click()
    desktop.click(MASS + mm(27.0, 24.0, 0.0))
    panel.click(MASS + mm(-29.0, -17.0, 0.0))
    panel.ui.trueClickButton.click()
    for place in (MUSCLE, SECOND_MUSCLE):
        panel.ui.newFindingButton.click()
        panel.click(place)
    assert panel.names == ["Lesion 1", "Lesion 2", "Lesion 3"], panel.status
    return panel


def lines():
    """Names of the markups lines in the scene that are shown."""
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode")
    return sorted(node.GetName() for node in nodes if node.GetDisplayVisibility())


def withoutColor(finding):
    """A finding without its colour, which a file keeps to six digits only."""
    return finding.with_(color=(0.0, 0.0, 0.0))


def test_a_click_on_a_row_shows_its_finding(three, desktop):
    desktop.jumpTo(MASS + mm(0.0, 0.0, 30.0))
    for row in (0, 1, 2):
        three.clickRow(row)
        finding = three.findings[row]
        middle = np.mean([finding.measurements.long.start, finding.measurements.long.end], axis=0)
        x, y = desktop.rasToXy(middle)
        width, height = desktop.sliceWidget("Red").sliceView().renderWindow().GetSize()
        assert (x / width, y / height) == pytest.approx((0.5, 0.5), abs=0.01)
        offset = desktop.sliceNode("Red").GetSliceOffset()
        assert offset == pytest.approx(middle[2], abs=0.01)
        assert three.widget.selected.finding.id == finding.id


def test_axes_are_seen_on_their_slice_in_the_colour_of_their_finding(three, desktop):
    three.widget._setTool(None)
    three.clickRow(0)
    line = slicer.util.getNode("Lesion 1 long")
    color = np.array(three.findings[0].color) * 255
    with_line = desktop.viewPixels()
    line.GetDisplayNode().SetVisibility(False)
    changed = (with_line != desktop.viewPixels()).any(axis=-1)
    line.GetDisplayNode().SetVisibility(True)
    assert changed.sum() > 100
    assert (np.abs(with_line[changed] - color).max(axis=-1) < 40).sum() > 100
    takeThePictureOfTheDocumentation(three, desktop)


def takeThePictureOfTheDocumentation(three, desktop):
    """docs/images/module-three-findings.png is a copy of this one."""
    for reference, name in zip(three.widget._references, ("Mass", "Muscle, left", "Muscle, right")):
        three.widget.logic.rename(reference.segmentationNode, reference.segmentId, name)
    three.widget._references[0].segmentationNode.CreateClosedSurfaceRepresentation()
    desktop.showFourUp()
    slicer.util.resetSliceViews()
    three.clickRow(0)
    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    view.resetFocalPoint()
    view.resetCamera()
    camera = view.renderWindow().GetRenderers().GetFirstRenderer().GetActiveCamera()
    camera.Azimuth(25)
    camera.Elevation(10)
    camera.Zoom(1.4)
    desktop.screenshot("module-three-findings")


def test_the_arrow_keys_go_from_finding_to_finding(three, desktop):
    three.clickRow(0)
    desktop.key(qt.Qt.Key_Down, widget=three.ui.findingsTable)
    desktop.pump(0.1)
    assert three.widget.selected.finding.name == "Lesion 2"
    long = three.findings[1].measurements.long
    assert desktop.sliceNode("Red").GetSliceOffset() == pytest.approx((long.start[2] + long.end[2]) / 2, abs=0.01)


def test_axes_are_lines_that_belong_to_their_finding(three):
    for finding in three.findings:
        node = slicer.util.getNode(f"{finding.name} long")
        assert node.GetMeasurement("length").GetValue() == pytest.approx(finding.measurements.long.length, abs=1e-3)
    assert len(lines()) == 12


def test_the_name_can_be_edited_in_the_table(three, desktop):
    table = three.ui.findingsTable
    three.clickRow(1)
    table.editItem(table.item(1, NAME_COLUMN))
    desktop.pump(0.1)
    editor = slicer.util.findChildren(table, className="QExpandingLineEdit")[0]
    editor.text = "Liver, segment 7"
    desktop.key(qt.Qt.Key_Return, widget=editor)
    desktop.pump(0.1)
    assert three.names[1] == "Liver, segment 7"
    reference = three.widget._references[1]
    assert reference.segmentationNode.GetSegmentation().GetSegment(reference.segmentId).GetName() == three.names[1]
    assert "Liver, segment 7 long" in lines()


def test_the_eye_hides_mask_and_lines(three, desktop):
    desktop.jumpTo(MASS)
    three.clickRow(0)
    before = desktop.viewPixels()
    shown = lines()
    three.clickRow(0, EYE_COLUMN)
    assert not three.findings[0].visible
    assert [name for name in shown if name not in lines()] == [
        f"Lesion 1 {k}" for k in ("3D", "height", "long", "short")
    ]
    assert (before != desktop.viewPixels()).any()
    three.clickRow(0, EYE_COLUMN)
    assert three.findings[0].visible
    assert lines() == shown


def test_a_rename_in_the_segment_editor_reaches_the_table(three, desktop):
    reference = three.widget._references[2]
    reference.segmentationNode.GetSegmentation().GetSegment(reference.segmentId).SetName("Renamed elsewhere")
    desktop.pump(0.1)
    assert three.names[2] == "Renamed elsewhere"


def test_delete_and_undo(three, desktop):
    three.clickRow(1)
    three.ui.deleteButton.click()
    desktop.pump(0.1)
    assert three.names == ["Lesion 1", "Lesion 3"]
    assert len(lines()) == 8
    assert not three.ui.deleteButton.enabled
    assert "Select a finding" in three.ui.deleteButton.toolTip
    desktop.pressShortcut("Ctrl+Z")
    desktop.pump(0.1)
    assert three.names == ["Lesion 1", "Lesion 2", "Lesion 3"]
    assert three.maskHolds(1, MUSCLE)
    assert len(lines()) == 12


def test_undo_takes_back_a_refinement(panel, desktop):
    panel.click(MASS)
    before = panel.findings[0]
    panel.click(MASS + mm(15.0, 12.0, 0.0), button="right")
    assert panel.findings[0].measurements != before.measurements
    panel.ui.undoButton.click()
    desktop.pump(0.1)
    assert panel.findings[0].measurements == before.measurements
    assert panel.findings[0].history == before.history
    assert panel.maskHolds(0, MASS + mm(15.0, 12.0, 0.0))
    panel.ui.undoButton.click()
    desktop.pump(0.1)
    assert panel.findings == []
    assert not panel.ui.undoButton.enabled
    assert "nothing to undo" in panel.ui.undoButton.toolTip


def test_export(three, tmp_path):
    three.widget.export(str(tmp_path / "findings.csv"))
    with open(tmp_path / "findings.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Name"] for row in rows] == three.names
    for row, finding in zip(rows, three.findings):
        assert float(row["Long axis (mm)"]) == pytest.approx(finding.measurements.long.length, abs=0.006)
        assert float(row["Volume (mm³)"]) == pytest.approx(finding.measurements.volumeMM3, abs=0.006)
    three.widget.export(str(tmp_path / "findings.json"))
    table = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    assert [finding["name"] for finding in table["findings"]] == three.names
    assert table["volume"] == three.widget.volume.GetName()
    three.widget.export(str(tmp_path / "no-such-folder" / "findings.csv"))
    assert "Could not write" in three.status


def test_all_is_saved_and_restored_with_the_scene(three, desktop, tmp_path):
    three.clickRow(1)
    three.widget.logic.rename(
        three.widget._references[1].segmentationNode, three.widget._references[1].segmentId, "Käse|1"
    )
    desktop.pump(0.1)
    before, shown, selected = three.findings, lines(), three.widget.selected.finding.id
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    desktop.pump(0.2)
    assert three.findings == []
    assert three.ui.findingsTable.rowCount == 0
    assert three.widget.volume is None
    assert three.ui.sampleButton.visible
    assert slicer.util.loadScene(path)
    desktop.pump(0.3)
    assert [withoutColor(finding) for finding in three.findings] == [withoutColor(finding) for finding in before]
    for finding, old in zip(three.findings, before):
        assert finding.color == pytest.approx(old.color, abs=1e-5)
    assert three.names == [finding.name for finding in before]
    assert lines() == shown
    assert three.widget.selected.finding.id == selected
    three.connect()
    three.ui.trueClickButton.click()
    desktop.jumpTo(MUSCLE)
    three.click(MUSCLE + mm(0.0, -10.0, 0.0), button="right")
    assert len(three.findings) == 3
    assert not three.maskHolds(1, MUSCLE + mm(0.0, -10.0, 0.0))


def test_prompt_markups_are_not_doubled_by_saving_and_restoring(panel, desktop, tmp_path):
    panel.click(MASS)
    assert [node.GetName() for node in panel.widget.prompts.nodes] == ["IMeasure include"]
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    assert slicer.util.loadScene(path)
    desktop.pump(0.3)
    nodes = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")]
    assert nodes == ["IMeasure include"]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    names = [hierarchy.GetItemName(items.GetId(index)) for index in range(items.GetNumberOfIds())]
    assert names.count("IMeasure include") == 1


def test_a_finding_of_another_volume_is_not_listed(three, desktop):
    other = slicer.util.addVolumeFromArray(np.zeros((20, 64, 64), dtype=np.int16))
    three.ui.inputVolumeSelector.setCurrentNode(other)
    desktop.pump(0.1)
    assert three.names == []
    assert three.widget.session.toolName is None
    three.ui.inputVolumeSelector.setCurrentNode(slicer.util.getNode("STS*"))
    desktop.pump(0.1)
    assert len(three.names) == 3


def test_removing_the_volume_puts_the_tool_away(panel, desktop):
    slicer.mrmlScene.RemoveNode(panel.widget.volume)
    desktop.pump(0.2)
    assert panel.widget.session.toolName is None
    assert not panel.ui.trueClickButton.enabled
    assert "volume" in panel.ui.trueClickButton.toolTip
