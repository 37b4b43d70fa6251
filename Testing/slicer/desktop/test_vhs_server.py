"""The VHSAnalyzer panel with the real server and its models: analysis, correction, history, photo, folder, errors."""

from __future__ import annotations

import csv
import json
import shutil
import uuid

import numpy as np
import pytest
import slicer
from vhs_panel import VHSPanel

from conftest import SERVER_KEY, addVolume
from vhs_pictures import SAMPLE, photoOfScreen
from VHSAnalyzerLib.landmarks import LANDMARK_NAMES
from VHSAnalyzerLib.screen_corners import cornersOf, showCorners
from VHSAnalyzerLib.volume_picture import gridOf

MODEL, NOW = 0, 1
VHS, VLAS, LONG, SHORT = range(4)
BOTTOM = LANDMARK_NAMES.index("heart_bottom")


@pytest.fixture
def panel(desktop, monkeypatch, serverUrl):
    monkeypatch.setenv("IMEASURE_SERVER_URL", serverUrl)
    monkeypatch.setenv("IMEASURE_API_KEY", SERVER_KEY)
    panel = VHSPanel()
    panel.connect()
    return panel


@pytest.fixture
def analysed(panel, desktop):
    """The sample, measured by the real models."""
    panel.loadSample()
    panel.ui.analyseButton.click()
    assert panel.widget.job.isBusy, panel.status
    panel.wait()
    assert panel.node is not None, panel.status
    return panel


def test_analyse_shows_the_answer_and_a_drag_corrects_it(analysed, desktop):
    answer = analysed.widget.logic.measurement(analysed.node).answer
    assert analysed.number(VHS, MODEL) == pytest.approx(answer.vhs, abs=0.051)
    assert analysed.number(VHS, NOW) == pytest.approx(answer.vhs, abs=0.11)
    assert answer.sentence in analysed.details
    assert answer.confidenceSentence in analysed.details
    assert "No landmark was moved" in analysed.details
    assert "Drag a landmark" in analysed.status
    desktop.screenshot("vhs-analysed")
    before, model = analysed.number(VHS, NOW), analysed.cell(VHS, MODEL)
    grid = gridOf(analysed.widget.picture)
    along = analysed.position(BOTTOM) - analysed.position(0)
    analysed.drag(analysed.node, BOTTOM, analysed.position(BOTTOM) + 0.2 * along)
    assert analysed.number(VHS, NOW) > before + 0.4
    assert analysed.cell(VHS, MODEL) == model
    assert "Moved by hand (1 of 7): heart_bottom" in analysed.details
    desktop.screenshot("vhs-corrected")
    analysed.ui.resetButton.click()
    desktop.pump(0.1)
    assert analysed.number(VHS, NOW) == before
    assert grid.width == 1100


def test_cancel_changes_nothing(panel, desktop):
    panel.loadSample()
    panel.ui.analyseButton.click()
    assert panel.widget.job.isBusy
    assert panel.ui.cancelButton.visible
    assert panel.ui.progressBar.visible
    panel.ui.cancelButton.click()
    desktop.pump(0.2)
    assert panel.status == "Cancelled. Nothing was changed."
    assert panel.node is None
    assert panel.ui.analyseButton.enabled


def test_a_picture_that_is_no_radiograph_says_why(panel, desktop):
    noise = np.random.default_rng(0).integers(0, 256, (1, 300, 400), np.uint8)
    panel.widget.usePicture(addVolume(slicer.mrmlScene, noise, np.diag([-1, -1, 1, 1]), "noise"))
    desktop.pump(0.1)
    panel.ui.analyseButton.click()
    panel.wait()
    assert panel.node is None
    assert "Rejected: it does not look like a lateral chest radiograph" in panel.details
    assert panel.cell(VHS, NOW) == "–"
    desktop.screenshot("vhs-rejected")


def test_history_is_drawn(panel, desktop):
    panel.loadSample()
    panel.ui.patientEdit.text = f"dog-{uuid.uuid4().hex[:8]}"
    for _ in range(2):
        panel.ui.analyseButton.click()
        panel.wait()
    panel.ui.historyButton.click()
    desktop.pump(0.5)
    assert "2 measurements" in panel.status
    chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    desktop.screenshot("vhs-history")
    panel.ui.historyButton.click()
    desktop.pump(0.2)
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_a_report_of_a_corrected_answer(analysed, desktop, tmp_path):
    analysed.drag(analysed.node, BOTTOM, analysed.position(BOTTOM) + np.array([12, 0, 0]))
    for name in ("vhs-report-real.html", "vhs-report-real.pdf"):
        path = tmp_path / name
        assert analysed.widget.output.write(str(path)).startswith("Written")
        shutil.copy(path, desktop.OUTPUT)
    text = (tmp_path / "vhs-report-real.html").read_text()
    assert "Moved by hand (1 of 7): heart_bottom" in text
    assert "Model version" in text


def test_a_scene_keeps_the_models_answer_and_the_edits(analysed, desktop, tmp_path):
    analysed.drag(analysed.node, BOTTOM, analysed.position(BOTTOM) + np.array([15, 0, 0]))
    wanted = [analysed.cell(row, column) for row in range(2) for column in (MODEL, NOW)]
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    assert slicer.util.loadScene(path)
    desktop.pump(0.3)
    assert [analysed.cell(row, column) for row in range(2) for column in (MODEL, NOW)] == wanted
    assert "heart_bottom" in analysed.details
    analysed.ui.resetButton.click()
    desktop.pump(0.1)
    assert "No landmark was moved" in analysed.details


def test_a_photo_of_a_screen_is_straightened_and_measured(panel, desktop):
    photo, corners = photoOfScreen()
    volume = addVolume(slicer.mrmlScene, photo[None], np.diag([-1.0, -1.0, 1, 1]), "photo")
    panel.widget.usePicture(volume)
    desktop.pump(0.1)
    panel.ui.photoSection.collapsed = False
    panel.ui.cornersButton.click()
    panel.wait()
    node = cornersOf(volume)
    assert node is not None, panel.status
    # Found or not, there are four to drag; how well they are found is the server's test.
    assert "four corners" in panel.status
    showCorners(volume, corners)
    desktop.pump(0.1)
    before = np.array(node.GetNthControlPointPositionWorld(1))
    panel.drag(node, 1, before + np.array([6, 4, 0]), steps=2)
    assert np.linalg.norm(np.array(node.GetNthControlPointPositionWorld(1)) - before) > 4
    panel.drag(node, 1, before, steps=2)
    desktop.screenshot("vhs-photo-corners")
    panel.ui.straightenButton.click()
    panel.wait()
    desktop.waitUntil(lambda: panel.widget.picture is not volume, "the straightened picture", 60)
    panel.wait()
    desktop.pump(0.3)
    panel.wait()
    assert panel.widget.picture.GetName() == "photo straightened"
    assert cornersOf(volume) is None
    assert panel.details, panel.status
    desktop.screenshot("vhs-photo-straightened")


def test_a_folder_is_measured_into_a_csv(panel, desktop, tmp_path):
    shutil.copy(SAMPLE, tmp_path / "dog.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    panel.ui.batchSection.collapsed = False
    panel.ui.batchFolderEdit.currentPath = str(tmp_path)
    panel.ui.batchButton.click()
    assert panel.ui.cancelButton.visible
    panel.wait()
    assert "2 files: 1 measured, 1 with an error" in panel.status
    with (tmp_path / "vhs.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["broken.png", "dog.png"]
    desktop.screenshot("vhs-folder")


def test_a_key_that_is_wrong_is_said_in_the_first_line(panel, desktop, monkeypatch):
    panel.loadSample()
    monkeypatch.setenv("IMEASURE_API_KEY", "wrong")
    panel.widget.server.onTest()
    desktop.waitUntil(lambda: panel.widget.server.trouble, "the refusal", 30)
    assert "A key is needed" in panel.ui.serverLabel.text
    assert "does not accept this API key" in panel.status
    assert not panel.ui.analyseButton.enabled
    assert "wrong" not in panel.status
    desktop.screenshot("vhs-wrong-key")


def test_an_answer_that_is_none_leaves_all_as_it_is(analysed, desktop, odd_server, monkeypatch):
    wanted = analysed.cell(VHS, NOW)
    odd_server.answer = lambda handler: handler.say(500, json.dumps({"error": "Internal server error"}).encode())
    monkeypatch.setenv("IMEASURE_SERVER_URL", odd_server.address)
    analysed.ui.analyseButton.click()
    analysed.wait()
    assert "error (500)" in analysed.status
    assert analysed.cell(VHS, NOW) == wanted
