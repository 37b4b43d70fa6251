"""Tasks in world coordinates, regions, and what is written into the scene."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from aiaa_fixture import RecordedServer
from AIAAClientLib.client_settings import ClientSettings
from AIAAClientLib.logic import AIAAClientLogic, ConsentError
from AIAAClientLib.region import Region, regionAround
from AIAAClientLib.segments import newSegmentation
from AIAAClientLib.task import Task, TaskError, prepare
from conftest import addVolume, rotation
from IMeasureLib.http_client import ServerError
from IMeasureLib.volume_access import VolumeError, geometryOf, localToWorld, readMask, voxelsOf

ONE = "AIAA_SERVER_URL"


@pytest.fixture
def server(odd_server):
    return RecordedServer(odd_server, "AIAA", "MONAI Label")


@pytest.fixture
def logic(scene, server):
    return AIAAClientLogic(ClientSettings(environment={ONE: server.address}), scene=scene)


@pytest.fixture
def bright(volume):
    """The oblique volume with a bright box, which the fixture's model finds."""
    voxelsOf(volume)[4:9, 10:20, 15:30] = 1000
    return volume


@pytest.fixture
def tilted(scene, bright):
    """The same below a parent transform."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((3, 1, 0), 40)
    matrix[:3, 3] = (30, -20, 10)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    vtkMatrix = vtk.vtkMatrix4x4()
    vtkMatrix.DeepCopy(matrix.ravel().tolist())
    node.SetMatrixTransformToParent(vtkMatrix)
    bright.SetAndObserveTransformNodeID(node.GetID())
    return bright


def world(volume, ijk):
    """World RAS of voxel indices."""
    return localToWorld(volume, geometryOf(volume).ijkToRAS(np.atleast_2d(ijk)))


def maskOf(result, label, volume):
    """(k, j, i) of a segment on the volume's grid."""
    region = readMask(result.segmentationNode, result.segmentIds[label], volume)
    whole = np.zeros(voxelsOf(volume).shape, bool)
    i, j, k = region.origin
    nk, nj, ni = region.array.shape
    whole[k : k + nk, j : j + nj, i : i + ni] = region.array
    return whole


# ---- positions


@pytest.mark.parametrize("name", ["bright", "tilted"])
def test_world_positions_become_voxels_of_the_file(name, request, logic, server):
    volume = request.getfixturevalue(name)
    ijk = np.array([[20, 12, 5], [25, 18, 8]])
    logic.deepgrow(volume, "grow2d", world(volume, ijk), world(volume, [[1, 2, 3]]))
    params = server.asked[-1][2]
    assert params["foreground"] == ijk.tolist()
    assert params["background"] == [[1, 2, 3]]


def test_boxes_and_lines_are_clipped_to_the_volume_and_clicks_are_not(tilted):
    corners = world(tilted, [[30, 12, 5], [-10, 50, 8]])
    prepared = prepare(Task.prompts(tilted, "sam", positiveBoxes=[corners], negativeLassos=[corners]))
    assert prepared.question.positiveBoxes[0] == pytest.approx(np.array([[0, 12, 5], [30, 39, 8]]), abs=1e-6)
    assert prepared.question.negativeLassos[0] == pytest.approx(np.array([[30, 12, 5], [0, 39, 8]]), abs=1e-6)
    with pytest.raises(TaskError, match="outside the volume CT"):
        prepare(Task.prompts(tilted, "sam", positive=corners))


def test_what_cannot_be_asked_is_refused_before_anything_is_sent(logic, server, bright):
    inside = world(bright, [[20, 12, 5]])
    for model, make, words in (
        ("nothing", lambda m: Task.segmentation(bright, m), "has no model called nothing"),
        ("dextr", lambda m: Task.dextr3d(bright, m, [inside[0]] * 5), "at least 6 points"),
        ("dextr", lambda m: Task.deepgrow(bright, m, inside), "of the type annotation"),
        ("grow2d", lambda m: Task.prompts(bright, m, positiveBoxes=[np.repeat(inside, 2, 0)]), "takes no boxes"),
        ("sam", lambda m: Task.prompts(bright, m, negative=inside), "Click inside the object first"),
        ("sam", lambda m: Task.prompts(bright, m, inside, label=np.zeros((1, 1, 1))), "not on the volume's grid"),
        ("sam", lambda m: Task.prompts(bright, m, [[np.nan, 0, 0]]), "not a number"),
    ):
        with pytest.raises(TaskError, match=words):
            logic.run(make(model))
    with pytest.raises(VolumeError, match="Choose the volume"):
        logic.segment(None, "organs")
    assert (server.uploads, server.asked) == (0, [])


# ---- regions


def test_a_region_holds_the_prompts_with_room_and_is_used_again():
    points = np.array([[100.0, 100, 30]])
    region = regionAround(points, (512, 512, 60), (0.8, 0.8, 5.0))
    assert region == Region((25, 25, 18), (151, 151, 25))
    assert regionAround(np.array([[110.0, 90, 32]]), (512, 512, 60), (0.8, 0.8, 5.0), region) is region
    far = regionAround(np.array([[300.0, 90, 32]]), (512, 512, 60), (0.8, 0.8, 5.0), region)
    assert far.origin[0] == 225
    assert regionAround(points, (120, 120, 40), (1.0, 1.0, 5.0)) is not None
    assert regionAround(np.array([[5.0, 5, 5]]), (20, 20, 10), (1, 1, 1)) is None
    assert regionAround(np.zeros((0, 3)), (20, 20, 10), (1, 1, 1)) is None


def test_only_the_region_is_sent_and_its_mask_is_put_back(scene, logic, server):
    affine = np.eye(4)
    affine[:3, :3] = rotation((1, 1, 0), 20) @ np.diag([1.0, 1.0, 2.0])
    array = np.zeros((60, 200, 220), np.int16)
    array[20:24, 90:100, 100:112] = 1000
    volume = addVolume(scene, array, affine)
    point = world(volume, [[105, 95, 22]])
    answer = logic.run(Task.prompts(volume, "sam", point, onlyRegion=True))
    assert np.array_equal(answer.mask != 0, array > 0)
    assert answer.sent < array.nbytes / 3
    assert server.asked[-1][2]["pos_points"] == [[60, 60, 22]]
    label = array > 0
    again = logic.run(Task.prompts(volume, "sam", point, label=label, onlyRegion=True))
    assert again.sent == 0
    assert np.array_equal(again.mask != 0, array > 0)
    whole = logic.run(Task.prompts(volume, "sam", point))
    assert whole.sent > array.nbytes


# ---- sent once


def test_a_volume_is_sent_again_only_when_it_changed(logic, server, bright):
    logic.segment(bright, "organs")
    logic.segment(bright, "organs")
    assert server.uploads == 1
    voxelsOf(bright)[0, 0, 0] = 5000
    bright.GetImageData().GetPointData().GetScalars().Modified()
    bright.GetImageData().Modified()
    logic.segment(bright, "organs")
    assert server.uploads == 2
    bright.SetSpacing(1.0, 1.0, 1.0)
    logic.segment(bright, "organs")
    assert server.uploads == 3


# ---- segments


@pytest.mark.parametrize("name", ["bright", "tilted"])
def test_each_label_is_a_segment_with_its_place_name_and_colour(name, request, logic):
    volume = request.getfixturevalue(name)
    result = logic.segment(volume, "organs")
    assert list(result.segmentIds) == ["spleen"]
    assert np.array_equal(maskOf(result, "spleen", volume), voxelsOf(volume) > 0)
    segment = result.segmentationNode.GetSegmentation().GetSegment(result.segmentIds["spleen"])
    assert segment.GetColor() == pytest.approx((157 / 255, 108 / 255, 162 / 255))
    text = vtk.reference("")
    assert segment.GetTag("TerminologyEntry", text)
    assert "SCT^78961009^Spleen" in str(text)
    assert result.segmentationNode.GetTransformNodeID() == volume.GetTransformNodeID()


def test_a_new_segmentation_lies_where_the_volume_lies(tilted):
    node = newSegmentation(tilted, "new")
    assert node.GetTransformNodeID() == tilted.GetTransformNodeID()
    assert slicer.mrmlScene.IsNodePresent(node)


def test_other_segments_keep_what_they_have(logic, bright):
    first = logic.segment(bright, "organs")
    before = maskOf(first, "spleen", bright)
    logic.segment(bright, "organs", first.segmentationNode)
    third = logic.deepgrow(bright, "grow2d", world(bright, [[20, 12, 5]]), segmentationNode=first.segmentationNode)
    segmentation = first.segmentationNode.GetSegmentation()
    names = [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]
    assert names == ["spleen", "spleen (2)", "grow2d"]
    assert np.array_equal(maskOf(first, "spleen", bright), before)
    assert np.array_equal(maskOf(third, "grow2d", bright), before)
    segmentId = third.segmentIds["grow2d"]
    voxelsOf(bright)[12, 30, 40] = 1000
    bright.GetImageData().Modified()
    logic.deepgrow(
        bright,
        "grow2d",
        world(bright, [[20, 12, 5]]),
        segmentationNode=first.segmentationNode,
        segmentId=segmentId,
    )
    assert segmentation.GetNumberOfSegments() == 3
    assert maskOf(third, "grow2d", bright)[12, 30, 40]
    assert not maskOf(first, "spleen", bright)[12, 30, 40]


def test_a_failure_leaves_the_scene_as_it_was(logic, server, scene, bright):
    server.failing = (500, {"detail": "CUDA out of memory"})
    before = scene.GetNumberOfNodes()
    with pytest.raises(ServerError, match="out of memory"):
        logic.segment(bright, "organs")
    assert scene.GetNumberOfNodes() == before


def test_a_classification_makes_no_segments(logic, server, scene, bright):
    server.withMask, server.result = False, {"a": 0.75}
    result = logic.infer(bright, "findings", {"top": 1})
    assert result.answer.result == {"a": 0.75}
    assert (result.segmentationNode, dict(result.segmentIds)) == (None, {})
    assert server.asked[-1][2] == {"top": 1}


def test_scribbles_are_sent_as_a_label(logic, server, bright):
    foreground, background = np.zeros((2, 20, 40, 50), bool)
    with pytest.raises(TaskError, match="both kinds"):
        logic.scribbles(bright, "Histogram+GraphCut", foreground, background)
    foreground[5, 12, 20], background[1, 1, 1] = True, True
    result = logic.scribbles(bright, "Histogram+GraphCut", foreground, background)
    logic.run(Task.scribbles(bright, "Histogram+GraphCut", foreground, background, roi=((1, 30), (2, 20), (0, 9))))
    assert server.asked[-1][2]["roi"] == [1, 30, 2, 20, 0, 9]
    assert list(result.segmentIds) == ["Histogram+GraphCut"]
    assert server.asked[-1][3] == ["label"]


def test_clicks_on_one_of_several_structures(logic, server, bright):
    """DeepEdit has clicks for each structure, and marks all of them: only the one that was meant is taken."""
    point = world(bright, [[20, 12, 5]])
    with pytest.raises(TaskError, match="name of one: spleen, liver"):
        logic.run(Task.prompts(bright, "edit_organs", point))
    answer = logic.run(Task.prompts(bright, "edit_organs", point, labelName="spleen"))
    params = server.asked[-1][2]
    assert (params["spleen"], params["liver"], params["label"]) == ([[20, 12, 5]], [], "spleen")
    assert (list(answer.regions), bool(answer.mask.any())) == (["spleen"], True)
    other = logic.run(Task.prompts(bright, "edit_organs", point, labelName="liver"))
    assert (dict(other.labels), bool(other.mask.any())) == ({}, False)


def test_a_mask_that_holds_nothing_makes_no_segment(logic, server, bright):
    voxelsOf(bright)[...] = 7  # nothing is above the mean
    result = logic.segment(bright, "organs")
    assert dict(result.segmentIds) == {}
    assert result.segmentationNode.GetSegmentation().GetNumberOfSegments() == 0


# ---- in the background


def test_a_question_in_the_background(logic, bright):
    said, answers = [], []
    with pytest.raises(ServerError, match="has not answered yet"):
        logic.request(Task.segmentation(bright, "organs"), answers.append, pytest.fail)
    logic.connect()
    job = logic.request(Task.segmentation(bright, "organs"), answers.append, pytest.fail, said.append)
    job.wait(20)
    assert np.array_equal(answers[0].mask != 0, voxelsOf(bright) > 0)
    assert said[0] == "Preparing the volume."
    assert said[-1] == "The server is working."


def test_a_server_that_dies_is_noticed(logic, server, bright, odd_server):
    logic.connect()
    odd_server.stop()
    errors = []
    logic.request(Task.segmentation(bright, "organs"), pytest.fail, errors.append).wait(20)
    assert "No AIAA or MONAI Label server is running" in str(errors[0])
    assert logic.isConnecting  # it is looked whether the server is there


def test_a_model_that_turns_out_to_take_prompts(logic, server, bright):
    """Servers of OHIF-AI's interface list it as automatic, and say so only when it is asked without."""
    logic.connect()
    server.failing = (400, {"detail": "KeyError: 'nninter'"})
    with pytest.raises(ServerError, match="AI Smart clicks"):
        logic.segment(bright, "spleen")
    server.failing = None
    assert "spleen" in {model.name for model in logic.knownModels("prompts")}
    assert "spleen" in {model.name for model in logic.models("prompts")}
    logic.run(Task.prompts(bright, "spleen", world(bright, [[20, 12, 5]])))
    assert server.asked[-1][2]["nninter"] == "sam3"


def test_a_cancelled_question_delivers_nothing(logic, server, bright):
    import threading

    server.hold = threading.Event()
    ended = []
    logic.connect()
    job = logic.request(
        Task.segmentation(bright, "organs"), ended.append, ended.append, onCancelled=lambda: ended.append("cancelled")
    )
    job.cancel()
    server.hold.set()
    assert ended == ["cancelled"]


def test_another_machine_is_sent_nothing_without_consent(logic, server, bright, monkeypatch):
    from AIAAClientLib import logic as module

    connection = logic.connect()
    monkeypatch.setattr(module.Connection, "address", property(lambda self: "http://far.example:8000"))
    logic.settings._environment[ONE] = "http://far.example:8000"
    assert logic.connection is connection
    with pytest.raises(ConsentError, match=r"would be sent to http://far.example:8000, which is not this machine"):
        logic.segment(bright, "organs")
    assert server.uploads == 0
    logic.settings.giveConsent("http://far.example:8000")
    logic.segment(bright, "organs")
    assert server.uploads == 1
