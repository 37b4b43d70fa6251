"""The logic in a scene: masks, findings, lines, undo, transforms, save and restore. Answers are known masks."""

from __future__ import annotations

import csv
import io
import json
import threading

import numpy as np
import pytest
import slicer
import vtk

from conftest import addVolume
from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.finding_nodes import linesOf, readFinding
from IMeasureLib.finding_sync import FindingSync
from IMeasureLib.findings import FindingRow
from IMeasureLib.http_client import ServerError
from IMeasureLib.logic import ConsentError, IMeasureLogic
from IMeasureLib.prompts import Click, PenStroke, PromptError
from IMeasureLib.settings import MemoryStore, Settings
from IMeasureLib.volume_access import VolumeError, geometryOf, localToWorld, readMask
from known_answers import FIRST, GROWN, SECOND, SHAPE, KnownAnswer, at, localPosition, maskOf, shearTransform


def test_a_new_finding_has_the_mask_the_measurements_and_the_lines(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST))
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    assert np.array_equal(maskOf(result.segmentationNode, result.segmentId, volume), FIRST)
    assert result.finding.name == "Lesion 1"
    assert result.measurements.volume == FIRST.sum()
    lines = linesOf(result.segmentationNode, result.segmentId)
    assert {kind for _, kind in lines} == {"long", "short", "diameter", "height"}
    for (_, kind), line in lines.items():
        length = getattr(result.measurements, kind).length
        assert line.GetMeasurement("length").GetValue() == pytest.approx(length, rel=1e-6), kind
    best = result.measurements.bestSlice
    assert best == max(result.measurements.crosses, key=lambda k: (result.measurements.crosses[k].long.length, -k))


def test_prompts_are_kept_and_an_edit_sends_the_mask_and_all_prompts(scene, volume):
    client = KnownAnswer(FIRST, GROWN)
    logic = IMeasureLogic(Settings(environment={}), client)
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    again = logic.segment(
        volume,
        negative=[at(volume, 40, 20, 10)],
        segmentationNode=result.segmentationNode,
        segmentId=result.segmentId,
    )
    assert again.segmentId == result.segmentId
    assert np.array_equal(maskOf(again.segmentationNode, again.segmentId, volume), GROWN)
    history, previous, findingId = client.asked[1]
    assert [step.positive for step in history.steps] == [True, False]
    assert np.array_equal(previous.full(SHAPE[::-1]), FIRST)
    assert findingId == result.finding.id == again.finding.id


def test_a_failed_request_changes_nothing(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST, ServerError("no"), ServerError("no")))
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    nodes = scene.GetNumberOfNodes()
    with pytest.raises(ServerError):
        logic.segment(volume, positive=[at(volume, 1, 1, 1)])
    with pytest.raises(ServerError):
        logic.segment(volume, [at(volume, 1, 1, 1)], (), (), None, result.segmentationNode, result.segmentId)
    assert scene.GetNumberOfNodes() == nodes
    assert np.array_equal(maskOf(result.segmentationNode, result.segmentId, volume), FIRST)
    assert len(logic.findings()) == 1
    assert readFinding(result.segmentationNode, result.segmentId) == result.finding


def test_another_finding_leaves_the_first_whole(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST, SECOND))
    first = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    node = first.segmentationNode
    second = logic.segment(volume, positive=[at(volume, 28, 20, 10)], segmentationNode=node)
    assert (FIRST & SECOND).any()
    assert np.array_equal(maskOf(node, first.segmentId, volume), FIRST)
    assert np.array_equal(maskOf(node, second.segmentId, volume), SECOND)
    assert second.finding.name == "Lesion 2"
    assert readFinding(node, first.segmentId).measurements == first.measurements


def test_overwriting_takes_voxels_and_says_that_the_other_is_no_longer_measured(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST, SECOND))
    first = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    node = first.segmentationNode
    second = logic.segment(volume, positive=[at(volume, 28, 20, 10)], segmentationNode=node, overwrite=True)
    assert np.array_equal(maskOf(node, first.segmentId, volume), FIRST & ~SECOND)
    assert np.array_equal(maskOf(node, second.segmentId, volume), SECOND)
    assert readFinding(node, first.segmentId).measurements is None
    assert not linesOf(node, first.segmentId)
    assert logic.undo()
    assert np.array_equal(maskOf(node, first.segmentId, volume), FIRST)
    assert readFinding(node, first.segmentId).measurements == first.measurements
    assert len(linesOf(node, first.segmentId)) == 4


def test_undo_and_redo_of_create_edit_and_remove(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST, GROWN))
    first = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    node, segmentId = first.segmentationNode, first.segmentId
    logic.segment(volume, positive=[at(volume, 27, 20, 10)], segmentationNode=node, segmentId=segmentId)
    logic.rename(node, segmentId, "Node")
    logic.remove(node, segmentId)
    assert not logic.findings()
    assert not linesOf(node)
    assert logic.undo()
    assert [found.finding.name for found in logic.findings()] == ["Node"]
    assert np.array_equal(maskOf(node, segmentId, volume), GROWN)
    assert logic.undo()
    assert np.array_equal(maskOf(node, segmentId, volume), FIRST)
    assert readFinding(node, segmentId).history == first.finding.history
    assert readFinding(node, segmentId).measurements == first.measurements
    assert logic.undo()
    assert not logic.findings()
    assert not linesOf(node)
    assert not logic.undo()
    assert logic.redo()
    assert logic.redo()
    assert np.array_equal(maskOf(node, segmentId, volume), GROWN)
    assert len(linesOf(node, segmentId)) == 4


def test_undo_leaves_segments_of_others_alone(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST))
    first = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    other = first.segmentationNode.GetSegmentation().AddEmptySegment("other", "Liver")
    assert logic.undo()
    assert list(first.segmentationNode.GetSegmentation().GetSegmentIDs()) == [other]


def test_lines_follow_whoever_changes_the_segment(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST))
    changes = []
    sync = FindingSync(scene, lambda: changes.append(1))
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    node, segmentId = result.segmentationNode, result.segmentId
    segment = node.GetSegmentation().GetSegment(segmentId)
    segment.SetName("Hilar node")
    segment.SetColor(0.25, 0.5, 0.75)
    lines = linesOf(node, segmentId).values()
    assert sorted(line.GetName() for line in lines) == [
        "Hilar node 3D",
        "Hilar node height",
        "Hilar node long",
        "Hilar node short",
    ]
    for line in lines:
        # The desktop's displays round colours to 16 bits.
        assert line.GetDisplayNode().GetSelectedColor() == pytest.approx((0.25, 0.5, 0.75), abs=1e-4)
    node.GetDisplayNode().SetSegmentVisibility(segmentId, False)
    assert not any(line.GetDisplayNode().GetVisibility() for line in lines)
    node.GetDisplayNode().SetSegmentVisibility(segmentId, True)
    assert all(line.GetDisplayNode().GetVisibility() for line in lines)
    assert changes
    node.GetSegmentation().RemoveSegment(segmentId)
    assert not linesOf(node)
    sync.stop()


def test_painting_makes_the_measurements_void_until_it_is_undone(scene, volume):
    from IMeasureLib.volume_access import segmentLabelmap, writeMask

    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST))
    sync = FindingSync(scene)
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    node, segmentId = result.segmentationNode, result.segmentId
    before = segmentLabelmap(node, segmentId)
    writeMask(MaskRegion.of(GROWN), volume, node, segmentId)
    assert readFinding(node, segmentId).measurements is None
    assert not linesOf(node)
    assert readFinding(node, segmentId).history == result.finding.history
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(before, node, segmentId)
    assert readFinding(node, segmentId).measurements == result.measurements
    assert len(linesOf(node)) == 4
    sync.stop()


def test_removing_the_segmentation_removes_the_lines(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST))
    sync = FindingSync(scene)
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    scene.RemoveNode(result.segmentationNode)
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 0
    sync.stop()


def test_prompts_moved_and_deleted_are_computed_anew(scene, volume):
    client = KnownAnswer(FIRST, SECOND)
    logic = IMeasureLogic(Settings(environment={}), client)
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10), at(volume, 24, 20, 10)])
    history = result.finding.history.removed(0).moved(0, 0, localPosition(volume, (28, 20, 10)))
    request = logic.requestAnew(volume, history, result.segmentationNode, result.segmentId)
    answers = []
    job = logic.start(request, answers.append, pytest.fail)
    job.wait(20)
    logic.apply(request, answers[0])
    assert client.asked[1][1] is None
    assert np.array(client.asked[1][0].points) == pytest.approx(np.array([localPosition(volume, (28, 20, 10))]))
    assert np.array_equal(maskOf(result.segmentationNode, result.segmentId, volume), SECOND)
    assert logic.undo()
    assert np.array_equal(maskOf(result.segmentationNode, result.segmentId, volume), FIRST)


def test_what_was_removed_meanwhile_is_not_written_to(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST, GROWN))
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    node, segmentId = result.segmentationNode, result.segmentId
    step = Click(localPosition(volume, (20, 20, 10)))
    request = logic.requestFor(volume, [step], node, segmentId)
    answers = []
    logic.start(request, answers.append, pytest.fail).wait(20)
    node.GetSegmentation().RemoveSegment(segmentId)
    with pytest.raises(VolumeError, match="removed meanwhile"):
        logic.apply(request, answers[0])
    scene.RemoveNode(node)
    with pytest.raises(VolumeError, match="removed meanwhile"):
        logic.apply(request, answers[0])


def test_scene_save_and_restore(scene, volume, tmp_path):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST, SECOND))
    first = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    node = first.segmentationNode
    logic.rename(node, first.segmentId, 'Ä "node" | with ~odd; letters, 100 %')
    logic.segment(volume, twoClick=[at(volume, 24, 20, 10), at(volume, 33, 20, 10)], segmentationNode=node)
    shearTransform(scene)
    expected = [found.finding for found in logic.findings()]
    lines = {
        (found.finding.name, kind): np.array([line.GetNthControlPointPosition(n) for n in range(2)])
        for found in logic.findings()
        for (_, kind), line in linesOf(node, found.segmentId).items()
    }
    positions = voxelPositions(volume, MaskRegion.of(FIRST))
    expectedSlice = first.measurements.bestSlice
    saveScene(scene, tmp_path)
    scene.Clear(0)
    assert not logic.findings()
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Import()
    sync = FindingSync(scene)
    found = logic.findings()
    for each, wanted in zip(found, expected):
        assert each.finding.color == pytest.approx(wanted.color, abs=1e-3)
        assert each.finding.with_(color=wanted.color) == wanted
    assert len(found) == len(expected)
    assert found[0].volumeNode.GetName() == "CT"
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 8
    for each in found:
        for (_, kind), line in linesOf(each.segmentationNode, each.segmentId).items():
            ends = np.array([line.GetNthControlPointPosition(n) for n in range(2)])
            assert ends == pytest.approx(lines[each.finding.name, kind], abs=1e-6)
    # Slicer reads a left-handed volume with its slices in the other order: compare where the voxels are.
    restored = readMask(found[0].segmentationNode, found[0].segmentId, found[0].volumeNode)
    assert restored.count == FIRST.sum()
    assert voxelPositions(found[0].volumeNode, restored) == positions
    assert FindingRow.of(found[0].finding, geometryOf(found[0].volumeNode)).slice == SHAPE[0] - expectedSlice
    sync.stop()


def voxelPositions(volumeNode, region):
    """World RAS of all voxels of a mask, to 1/100 mm."""
    return {
        tuple(np.round(at(volumeNode, *(index[::-1] + np.array(region.origin))), 2) + 0.0)
        for index in np.argwhere(region.array)
    }


def saveScene(scene, folder):
    """Every node's data and the scene itself, as Slicer's Save dialog does."""
    for index in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(index)
        if not node.IsA("vtkMRMLStorableNode") or not node.GetSaveWithScene() or node.GetNumberOfStorageNodes() < 0:
            continue
        if not node.AddDefaultStorageNode() or node.GetStorageNode() is None:
            continue
        storage = node.GetStorageNode()
        extension = storage.GetDefaultWriteFileExtension()
        storage.SetFileName(str(folder / f"{node.GetID()}.{extension}"))
        assert storage.WriteData(node), node.GetName()
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Commit()


def test_hide_show_jump(scene, volume):
    slicer.vtkMRMLSliceNode  # noqa: B018 - the class must be there
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST))
    result = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    logic.setVisible(result.segmentationNode, result.segmentId, False)
    assert not readFinding(result.segmentationNode, result.segmentId).visible
    logic.setVisible(result.segmentationNode, result.segmentId, True)
    assert readFinding(result.segmentationNode, result.segmentId).visible
    position = logic.jumpTo(result.segmentationNode, result.segmentId)
    line = result.measurements.long
    middle = (np.array(line.start) + np.array(line.end)) / 2
    assert position == pytest.approx(localToWorld(volume, [middle])[0])


def test_exports(scene, volume, tmp_path):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer(FIRST, SECOND))
    first = logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    node = first.segmentationNode
    logic.segment(volume, positive=[at(volume, 28, 20, 10)], segmentationNode=node)
    logic.rename(node, first.segmentId, '=cmd("x"), "quoted"')
    logic.exportCSV(tmp_path / "findings.csv")
    logic.exportJSON(tmp_path / "findings.json")
    text = (tmp_path / "findings.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["Name"] == '\'=cmd("x"), "quoted"'
    assert float(rows[0]["Long axis (mm)"]) == pytest.approx(first.measurements.long.length, abs=0.005)
    assert int(rows[1]["Voxels"]) == SECOND.sum()
    assert int(rows[0]["Slice"]) == first.measurements.bestSlice + 1
    table = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    assert table["findings"][1]["measurements"]["volume"] == SECOND.sum()
    assert table["findings"][0]["prompts"]["steps"][0]["type"] == "click"


def test_what_cannot_be_asked(scene, volume):
    logic = IMeasureLogic(Settings(environment={}), KnownAnswer())
    with pytest.raises(PromptError, match="at least one position"):
        logic.segment(volume)
    with pytest.raises(PromptError, match="Click inside the lesion"):
        logic.segment(volume, negative=[at(volume, 20, 20, 10)])
    with pytest.raises(PromptError, match="outside the volume"):
        logic.segment(volume, positive=[(1e4, 0, 0)])
    with pytest.raises(PromptError, match="three points"):
        logic.segment(volume, pen=[[at(volume, 1, 1, 1), at(volume, 2, 1, 1)]])
    with pytest.raises(VolumeError, match="Choose the volume"):
        logic.requestFor(None, [Click((0.0, 0.0, 0.0))])
    color = addVolume(scene, np.zeros((3, 4, 5), np.uint8), np.eye(4))
    vector = vtk.vtkUnsignedCharArray()
    vector.SetNumberOfComponents(3)
    vector.SetNumberOfTuples(60)
    color.GetImageData().GetPointData().SetScalars(vector)
    with pytest.raises(VolumeError, match="colour or vector"):
        logic.requestFor(color, [Click((0.0, 0.0, 0.0))])


def test_nothing_goes_to_another_machine_without_consent(scene, volume):
    settings = Settings(MemoryStore({"IMeasure/ServerURL": "http://192.0.2.7:8000"}), environment={})
    logic = IMeasureLogic(settings)
    with pytest.raises(ConsentError, match=r"192\.0\.2\.7"):
        logic.segment(volume, positive=[at(volume, 20, 20, 10)])
    with pytest.raises(ConsentError):
        logic.start(logic.requestFor(volume, [Click(localPosition(volume, (20, 20, 10)))]), pytest.fail, pytest.fail)
    settings.giveConsent("http://192.0.2.7:8000/")
    assert logic.client().address == "http://192.0.2.7:8000"


def test_pen_strokes_reach_the_client_as_strokes(scene, volume):
    client = KnownAnswer(FIRST)
    logic = IMeasureLogic(Settings(environment={}), client)
    logic.segment(volume, pen=[[at(volume, 15, 15, 10), at(volume, 25, 15, 10), at(volume, 20, 26, 10)]])
    (stroke,) = client.asked[0][0].steps
    assert isinstance(stroke, PenStroke)
    assert np.array(stroke.points)[1] == pytest.approx(localPosition(volume, (25, 15, 10)), abs=1e-4)


def test_cancelling_delivers_nothing(scene, volume):
    class Waiting:
        def segment(self, *arguments):
            arguments[5].wait(20)

    told = []
    logic = IMeasureLogic(Settings(environment={}), Waiting())
    request = logic.requestFor(volume, [Click(localPosition(volume, (20, 20, 10)))])
    job = logic.start(request, pytest.fail, pytest.fail, onCancelled=lambda: told.append(threading.get_ident()))
    job.cancel()
    job.poll()
    assert told == [threading.get_ident()]
    assert job.isFinished
