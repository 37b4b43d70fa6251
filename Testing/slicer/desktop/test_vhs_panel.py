"""The VHSAnalyzer panel without any model's answer: opening, loading, placing by hand, dragging, reports, scenes."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import slicer
from vhs_panel import VHSPanel

from vhs_pictures import PLAUSIBLE
from VHSAnalyzerLib.landmarks import TEMPLATE
from VHSAnalyzerLib.scene_nodes import landmarksOf, writePoints
from VHSAnalyzerLib.volume_picture import gridOf, pictureOf

MODEL, NOW, MM = range(3)
VHS, VLAS, LONG, SHORT = range(4)


@pytest.fixture
def panel(desktop, monkeypatch):
    monkeypatch.setenv("IMEASURE_SERVER_URL", "http://127.0.0.1:9")
    return VHSPanel()


@pytest.fixture
def placed(panel, desktop):
    """All seven landmarks placed on the sample."""
    panel.loadSample()
    panel.ui.handButton.click()
    writePoints(panel.node, PLAUSIBLE, gridOf(panel.widget.picture))
    desktop.pump(0.1)
    return panel


def test_it_opens_ready_and_says_what_it_is_not(panel, desktop):
    assert qt.QApplication.activeModalWidget() is None
    assert not panel.ui.analyseButton.enabled
    assert not panel.ui.handButton.enabled
    assert "Cats are not offered" in panel.ui.noteLabel.text
    assert "Not a medical device" in panel.ui.noteLabel.text
    assert "not a medical device" in slicer.modules.vhsanalyzer.helpText.lower()
    desktop.waitUntil(lambda: panel.widget.server.trouble, "the refusal", 20)
    assert "Load a radiograph" in panel.status
    desktop.screenshot("vhs-opens")


def test_a_picture_fills_the_view_the_right_way_up(panel, desktop):
    panel.loadSample()
    view = desktop.viewPixels().mean(axis=2)
    # The sample's lower left corner shows a foreleg, its upper left almost nothing.
    corner = gridOf(panel.widget.picture).toRAS([[0.13, 0.65], [0.05, 0.03], [0.98, 0.5]])
    (x1, y1), (x2, y2), (x3, _) = (desktop.rasToXy(position) for position in corner)
    height = view.shape[0]
    assert view[height - int(y1), int(x1)] > 90 > 40 > view[height - int(y2), int(x2)]
    assert x3 > x1
    assert y2 > y1
    filled = (x3 - x2) / view.shape[1]
    assert filled > 0.8 or (y2 - y1) / view.shape[0] > 0.5
    panel.ui.mirrorCheckBox.click()
    desktop.pump(0.2)
    (x1, _), (x3, _) = (desktop.rasToXy(position) for position in (corner[0], corner[2]))
    assert x3 < x1
    desktop.screenshot("vhs-mirrored")


def test_by_hand_the_score_comes_with_the_seventh_landmark(panel, desktop):
    panel.loadSample()
    panel.ui.handButton.click()
    desktop.pump(0.2)
    assert panel.cell(VHS, NOW) == "–"
    assert "Still to be dragged" in panel.details
    desktop.screenshot("vhs-by-hand-begins")
    grid = gridOf(panel.widget.picture)
    targets = grid.toRAS(PLAUSIBLE)
    panel.drag(panel.node, 0, targets[0], steps=2)
    assert panel.position(0) == pytest.approx(targets[0], abs=4)
    assert "heart_top" not in panel.details
    placed = PLAUSIBLE.copy()
    placed[6] = TEMPLATE[6]
    writePoints(panel.node, placed, grid)
    desktop.pump(0.1)
    assert "Still to be dragged to where they belong: Vertebra B." in panel.details
    assert panel.cell(VHS, NOW) == "–"
    panel.drag(panel.node, 6, targets[6], steps=2)
    assert panel.number(VHS, NOW) == pytest.approx(panel.number(LONG, NOW) + panel.number(SHORT, NOW), abs=0.11)
    assert panel.cell(VHS, MODEL) == "–"
    assert "Placed by hand" in panel.details
    desktop.screenshot("vhs-by-hand")


def test_dragging_changes_the_score_while_the_button_is_down(placed, desktop):
    start = placed.position(1)
    seen = []
    before = placed.number(VHS, NOW)
    original = placed.widget.result.show
    placed.widget.result.show = lambda *arguments: (original(*arguments), seen.append(placed.cell(VHS, NOW)))
    try:
        placed.drag(placed.node, 1, start + gridOf(placed.widget.picture).yStep * 60, steps=8)
    finally:
        placed.widget.result.show = original
    assert len(set(seen)) > 3
    assert placed.number(VHS, NOW) > before + 0.5
    assert placed.position(1)[1] < start[1]


def test_vertebrae_breed_and_hints(placed, desktop):
    desktop.pump(0.1)
    six = placed.number(VHS, NOW)
    placed.ui.vertebraeSpinBox.value = 8
    desktop.pump(0.1)
    assert placed.number(VHS, NOW) == pytest.approx(six * 8 / 6, abs=0.1)
    assert "Hint: VHS ≥ 10.5" in placed.details
    placed.ui.breedComboBox.setCurrentText("Whippet")
    placed.ui.breedComboBox.activated(placed.ui.breedComboBox.currentIndex)
    assert "Whippet: 11 ± 0.5" in placed.details
    desktop.screenshot("vhs-vertebrae-breed")


def test_impossible_landmarks_give_no_number(placed, desktop):
    points = PLAUSIBLE.copy()
    points[1] = points[0] + (0.01, -0.1)
    writePoints(placed.node, points, gridOf(placed.widget.picture))
    desktop.pump(0.1)
    assert placed.cell(VHS, NOW) == "–"
    assert "No score: The long and the short axis of the heart do not cross" in placed.details


def test_reset_puts_them_back(placed, desktop):
    placed.ui.resetButton.click()
    desktop.pump(0.1)
    grid = gridOf(placed.widget.picture)
    assert grid.toFractions([placed.position(index) for index in range(7)]) == pytest.approx(TEMPLATE)


def test_a_scene_is_saved_and_loaded_with_all_of_it(placed, desktop, tmp_path):
    placed.ui.patientEdit.text = "rex-1"
    placed.ui.patientEdit.editingFinished()
    placed.ui.vertebraeSpinBox.value = 7
    placed.ui.mirrorCheckBox.checked = True
    desktop.pump(0.2)
    wanted = [placed.cell(row, NOW) for row in range(4)]
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    desktop.pump(0.2)
    assert placed.cell(VHS, NOW) == "–"
    assert slicer.util.loadScene(path)
    desktop.pump(0.3)
    assert [placed.cell(row, NOW) for row in range(4)] == wanted
    assert placed.ui.patientEdit.text == "rex-1"
    assert placed.ui.vertebraeSpinBox.value == 7
    assert placed.ui.mirrorCheckBox.checked
    placed.drag(placed.node, 1, placed.position(1) + gridOf(placed.widget.picture).yStep * 30)
    assert placed.number(VHS, NOW) > float(wanted[VHS])
    desktop.screenshot("vhs-scene-loaded")


def test_another_picture_shows_its_own_landmarks_only(placed, desktop):
    first, picture = placed.node, placed.widget.picture
    other = placed.loadSample()
    assert other is not picture
    assert placed.cell(VHS, NOW) == "–"
    assert not first.GetDisplayNode().GetVisibility()
    placed.widget.usePicture(picture)
    assert first.GetDisplayNode().GetVisibility()
    assert placed.cell(VHS, NOW) != "–"


def test_reports_are_written_as_html_and_pdf(placed, desktop, tmp_path):
    logic = placed.widget.logic
    html, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    logic.report(placed.node, html)
    logic.report(placed.node, pdf)
    text = html.read_text()
    assert "data:image/png;base64," in text
    assert "<polyline" in text
    assert "Not a medical device" in text
    assert pdf.read_bytes().startswith(b"%PDF")
    assert pdf.stat().st_size > 50_000
    import shutil

    shutil.copy(html, desktop.OUTPUT)
    shutil.copy(pdf, desktop.OUTPUT)
    from VHSAnalyzerLib.report_pdf import annotated

    annotated(logic.reportContent(placed.node)).save(f"{desktop.OUTPUT}/vhs-report-picture.png")


def test_a_dicom_is_loaded_with_its_spacing_and_not_into_the_persons_database(panel, desktop, tmp_path):
    from dicom_radiograph import writeRadiograph

    pixels = np.tile(np.linspace(0, 4000, 120).astype(np.uint16), (80, 1))
    instances = len(slicer.dicomDatabase.allFiles()) if slicer.dicomDatabase and slicer.dicomDatabase.isOpen else None
    for photometric, brightRight in (("MONOCHROME2", True), ("MONOCHROME1", False)):
        path = writeRadiograph(tmp_path / f"{photometric}.dcm", pixels, (0.2, 0.1), photometric)
        panel.widget.load(str(path))
        desktop.pump(0.2)
        picture = pictureOf(panel.widget.picture)
        assert (picture.width, picture.height) == (120, 80)
        assert picture.spacing == pytest.approx((0.1, 0.2))
        assert (picture.pixels[40, 110] > picture.pixels[40, 10]) == brightRight
    after = len(slicer.dicomDatabase.allFiles()) if slicer.dicomDatabase and slicer.dicomDatabase.isOpen else None
    assert after == instances
    panel.ui.handButton.click()
    writePoints(panel.node, PLAUSIBLE, gridOf(panel.widget.picture))
    desktop.pump(0.1)
    assert not panel.ui.resultTable.isColumnHidden(MM)
    assert panel.number(LONG, MM) > 0


@pytest.mark.parametrize(("name", "content"), [("x.png", b"no"), ("x.txt", b"no"), ("x.dcm", b"no")])
def test_a_file_that_is_no_picture_is_a_sentence(panel, desktop, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
    panel.widget.load(str(path))
    assert name in panel.status
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == nodes


def test_a_ct_is_refused_in_words(panel, desktop):
    import SampleData  # noqa: F401 - the module must be there

    from conftest import addVolume

    volume = addVolume(slicer.mrmlScene, np.zeros((5, 20, 20), np.int16), np.eye(4), "CT")
    panel.widget.usePicture(volume)
    desktop.pump(0.1)
    assert "5 slices" in panel.status
    panel.ui.handButton.click()
    assert landmarksOf(volume) is None


def test_console_finds_the_logic(placed):
    logic = slicer.util.getModuleLogic("VHSAnalyzer")
    assert logic is placed.widget.logic
    assert f"{logic.score(placed.node).vhs:.1f}" == placed.cell(VHS, NOW)
