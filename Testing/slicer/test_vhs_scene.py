"""Landmarks, lines, answers and edits in the scene; what the console offers."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from conftest import addVolume, rotation
from IMeasureLib.settings import Settings
from vhs_pictures import EXAMPLE_ANSWER, PLAUSIBLE, REJECTION, prediction
from VHSAnalyzerLib.answers import answerOf
from VHSAnalyzerLib.axes import KINDS, linesOf, scalePoints
from VHSAnalyzerLib.history import historyRows
from VHSAnalyzerLib.history_plot import showHistory
from VHSAnalyzerLib.landmarks import LANDMARK_NAMES
from VHSAnalyzerLib.logic import ConsentError, VHSAnalyzerLogic
from VHSAnalyzerLib.scene_nodes import LandmarksError, landmarksOf, readAnswer, readPositions
from VHSAnalyzerLib.score import scoreLandmarks
from VHSAnalyzerLib.screen_corners import (
    CornersError,
    cornersOf,
    isConvex,
    readCorners,
    showCorners,
    volumeFromJPEG,
)
from VHSAnalyzerLib.volume_picture import gridOf

SIZE = (300, 200)
ANSWER = answerOf({**EXAMPLE_ANSWER, "prediction": prediction(PLAUSIBLE)}, "2026-11-25T10:00:00+00:00")


@pytest.fixture
def picture(scene):
    """Oblique, with pixels of 0.2 × 0.3 mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 2, 3), 40) @ np.diag([0.2, 0.3, 1.0])
    matrix[:3, 3] = (10, 20, 30)
    return addVolume(scene, np.zeros((1, SIZE[1], SIZE[0]), np.uint8), matrix, "Rex")


@pytest.fixture
def logic(scene):
    logic = VHSAnalyzerLogic(settings=Settings(environment={}), scene=scene)
    yield logic
    logic.sync.stop()


def inMillimetres(points):
    return points * (SIZE[0] * 0.2, SIZE[1] * 0.3)


def move(node, index, away):
    position = np.array(node.GetNthControlPointPosition(index)) + away
    node.SetNthControlPointPosition(index, *position.tolist())


def test_an_answer_becomes_landmarks_with_lines(logic, picture):
    analysis = logic.apply(picture, ANSWER)
    node = analysis.landmarksNode
    labels = [node.GetNthControlPointLabel(index) for index in range(node.GetNumberOfControlPoints())]
    assert tuple(labels) == LANDMARK_NAMES
    assert gridOf(picture).toFractions(readPositions(node)) == pytest.approx(PLAUSIBLE)
    lines = linesOf(node)
    assert tuple(lines) == KINDS
    assert all(line.GetLocked() for line in lines.values())
    top, bottom = readPositions(node)[:2]
    axis = lines["long axis"]
    assert [axis.GetNthControlPointPosition(n) for n in (0, 1)] == [pytest.approx(top), pytest.approx(bottom)]
    assert lines["vertebral scale"].GetNumberOfControlPoints() == 4 * 7
    assert analysis.measurement.score.vhs == pytest.approx(scoreLandmarks(inMillimetres(PLAUSIBLE)).vhs)


def test_lines_and_score_follow_a_moved_landmark_and_the_answer_stays(logic, picture):
    node = logic.apply(picture, ANSWER).landmarksNode
    heard = []
    logic.sync.onChanged = heard.append
    before = logic.score(node).vhs
    step = gridOf(picture).yStep * 10
    move(node, 1, step)
    assert heard
    assert linesOf(node)["long axis"].GetNthControlPointPosition(1) == pytest.approx(readPositions(node)[1])
    measurement = logic.measurement(node)
    assert measurement.moved == ("heart_bottom",)
    assert measurement.answer.vhs == 10.4
    assert measurement.score.vhs == logic.score(node).vhs > before
    logic.reset(node)
    assert logic.measurement(node).moved == ()
    assert logic.score(node).vhs == pytest.approx(before)


def test_ticks_are_one_for_each_vertebra_at_right_angles(logic, picture):
    node = logic.apply(picture, ANSWER).landmarksNode
    logic.setVertebrae(node, 5)
    scale = linesOf(node)["vertebral scale"]
    assert scale.GetNumberOfControlPoints() == 4 * 6
    path = np.array([scale.GetNthControlPointPosition(n) for n in range(24)])
    a, b = readPositions(node)[5:]
    assert path[0::4] == pytest.approx(np.linspace(a, b, 6))
    assert (path[1::4] - path[2::4]) @ (b - a) == pytest.approx(np.zeros(6), abs=1e-9)
    assert logic.score(node).vhs == pytest.approx(scoreLandmarks(inMillimetres(PLAUSIBLE), None, 5).vhs)
    assert scalePoints((0, 0), (6, 0), 6)[1].tolist() == pytest.approx([0, 0.18])
    with pytest.raises(ValueError, match="positive"):
        logic.setVertebrae(node, 0)


def test_landmarks_go_along_with_a_transformed_picture(logic, picture):
    node = logic.apply(picture, ANSWER).landmarksNode
    before = logic.score(node).vhs
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 50)
    transform.SetMatrixTransformToParent(matrix)
    picture.SetAndObserveTransformNodeID(transform.GetID())
    assert node.GetTransformNodeID() == transform.GetID()
    assert all(line.GetTransformNodeID() == transform.GetID() for line in linesOf(node).values())
    assert logic.score(node).vhs == pytest.approx(before)


def test_a_new_answer_replaces_landmarks_and_a_rejection_takes_them_away(logic, picture, scene):
    logic.apply(picture, ANSWER)
    logic.apply(picture, ANSWER)
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 1
    rejected = logic.apply(picture, answerOf(REJECTION))
    assert rejected.landmarksNode is None
    assert landmarksOf(picture) is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    assert readAnswer(picture).isRejected
    logic.apply(picture, ANSWER)
    assert readAnswer(picture) is None


def test_by_hand_no_server_is_needed_and_no_score_made_up(logic, picture):
    node = logic.placeByHand(picture)
    assert logic.measurement(node).score is None
    for index in range(7):
        move(node, index, gridOf(picture).xStep * 3)
    assert logic.measurement(node).score.vhs is not None
    assert logic.measurement(node).answer is None


def test_the_console_scores_any_list_with_the_seven_names(logic, scene):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    for index in reversed(range(7)):  # another order
        node.AddControlPoint(vtk.vtkVector3d(3, *inMillimetres(PLAUSIBLE)[index]), LANDMARK_NAMES[index])
    assert logic.score(node).vhs == pytest.approx(scoreLandmarks(inMillimetres(PLAUSIBLE)).vhs)
    node.SetNthControlPointLabel(0, "heart_top")
    with pytest.raises(LandmarksError, match="twice"):
        logic.score(node)
    node.RemoveNthControlPoint(0)
    with pytest.raises(LandmarksError, match="lacks the landmarks Vertebra B"):
        logic.score(node)


def test_a_scene_that_is_saved_and_loaded_is_the_same(logic, picture, scene, tmp_path):
    node = logic.apply(picture, ANSWER).landmarksNode
    move(node, 4, gridOf(picture).xStep * 5)
    logic.setVertebrae(node, 5)
    logic.measurement(node)
    wanted = logic.measurement(node)
    path = str(tmp_path / "scene.mrml")
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        storable = scene.GetNthNodeByClass(index, "vtkMRMLStorableNode")
        storable.AddDefaultStorageNode()
        storage = storable.GetStorageNode()
        if storage is not None:
            extension = storage.GetDefaultWriteFileExtension()
            storage.SetFileName(str(tmp_path / f"{index}.{extension}"))
            storage.WriteData(storable)
    scene.SetURL(path)
    assert scene.Commit()
    scene.Clear(0)
    scene.SetURL(path)
    assert scene.Connect()
    volume = scene.GetFirstNodeByName("Rex")
    again = logic.measurement(landmarksOf(volume))
    assert again.points == pytest.approx(wanted.points, abs=1e-6)
    assert (again.moved, again.vertebrae) == (("VLAS",), 5)
    assert again.answer.toJSON() == wanted.answer.toJSON()
    assert tuple(linesOf(landmarksOf(volume))) == KINDS
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 3
    move(landmarksOf(volume), 1, gridOf(volume).yStep * 4)
    line = linesOf(landmarksOf(volume))["long axis"]
    assert line.GetNthControlPointPosition(1) == pytest.approx(readPositions(landmarksOf(volume))[1])


def test_a_removed_list_takes_its_lines_along(logic, picture, scene):
    scene.RemoveNode(logic.apply(picture, ANSWER).landmarksNode)
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0


def test_only_what_is_drawn_on_the_shown_picture_is_seen(logic, picture, scene):
    other = addVolume(scene, np.zeros((1, SIZE[1], SIZE[0]), np.uint8), np.eye(4), "Bella")
    first, second = logic.apply(picture, ANSWER).landmarksNode, logic.apply(other, ANSWER).landmarksNode
    corners = showCorners(picture, None)
    logic.showOnly(other)
    for node in (first, corners, *linesOf(first).values()):
        assert not node.GetDisplayNode().GetVisibility()
    for node in (second, *linesOf(second).values()):
        assert node.GetDisplayNode().GetVisibility()
    logic.showOnly(picture)
    assert first.GetDisplayNode().GetVisibility()
    assert not second.GetDisplayNode().GetVisibility()


# ---- photo of a screen


def test_corners_are_put_read_and_checked(logic, picture):
    wanted = np.array([[0.2, 0.1], [0.8, 0.15], [0.85, 0.9], [0.1, 0.8]])
    node = showCorners(picture, wanted)
    assert cornersOf(picture) is node
    assert readCorners(node, picture) == pytest.approx(wanted)
    assert showCorners(picture, None) is node
    assert isConvex(readCorners(node, picture))
    showCorners(picture, wanted[[1, 0, 2, 3]])
    with pytest.raises(CornersError, match="cross over"):
        logic.cornersFractions(picture)
    node.RemoveNthControlPoint(0)
    with pytest.raises(CornersError, match="four corners"):
        logic.cornersFractions(picture)


def test_a_straightened_picture_is_a_volume_the_right_way_up(picture, scene):
    from VHSAnalyzerLib.volume_picture import pictureOf

    writer = vtk.vtkJPEGWriter()
    image = vtk.vtkImageData()
    image.SetDimensions(40, 30, 1)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    image.GetPointData().GetScalars().Fill(0)
    for column in range(40):
        for row in range(15, 30):  # VTK's rows begin below: this is the upper half
            image.SetScalarComponentFromDouble(column, row, 0, 0, 250)
    writer.SetInputData(image)
    writer.WriteToMemoryOn()
    writer.Write()
    content = bytes(np.array(writer.GetResult()))
    picture.SetAttribute("VHSAnalyzer.PatientId", "rex")
    flat = volumeFromJPEG(scene, content, picture)
    pixels = pictureOf(flat).pixels
    assert pixels.shape == (30, 40, 3)
    assert pixels[3, 20, 0] > 200 > 50 > pixels[-3, 20, 0]
    assert flat.GetAttribute("VHSAnalyzer.PatientId") == "rex"
    with pytest.raises(CornersError, match="cannot be read"):
        volumeFromJPEG(scene, b"no picture", picture)


# ---- history, consent, key


def test_history_is_a_chart_of_days(scene):
    rows = historyRows(ANSWER)
    chart = showHistory(scene, rows, "rex")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    table = chart.GetNthPlotSeriesNode(0).GetTableNode()
    assert table.GetNumberOfRows() == len(rows) == 2
    assert table.GetCellText(0, 0) == "2026-03-27"
    showHistory(scene, rows, "rex")
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 1


def test_nothing_is_sent_elsewhere_before_a_yes(logic, picture):
    logic.settings.serverURL = "http://server.example:8000"
    with pytest.raises(ConsentError, match=r"server\.example"):
        logic.analyze(picture)


def test_a_local_servers_own_key_is_used_and_not_kept(logic):
    from IMeasureLib.settings import rememberLocalKey

    logic.settings.serverURL = "http://127.0.0.1:40404"
    logic.settings.apiKey = "typed"
    rememberLocalKey("http://127.0.0.1:40404", "made")
    assert (logic.settings.apiKey, logic.settings.typedKey) == ("made", "typed")
    rememberLocalKey("http://127.0.0.1:40404", "")
    assert logic.settings.apiKey == "typed"
