"""The logic against the real server and its real models, over real HTTP."""

from __future__ import annotations

import csv
import shutil
import uuid

import numpy as np
import pytest

from conftest import addVolume
from IMeasureLib.http_client import ServerError
from IMeasureLib.settings import Settings
from vhs_pictures import SAMPLE, photoOfScreen, samplePixels
from VHSAnalyzerLib.answers import NO_VLAS, OPTIMAL
from VHSAnalyzerLib.axes import KINDS, linesOf
from VHSAnalyzerLib.client import VHSClient
from VHSAnalyzerLib.logic import VHSAnalyzerLogic
from VHSAnalyzerLib.picture import encodePNG
from VHSAnalyzerLib.scene_nodes import landmarksOf, readAnswer
from VHSAnalyzerLib.screen_corners import cornersOf, showCorners
from VHSAnalyzerLib.volume_picture import gridOf, pictureOf


@pytest.fixture
def logic(scene, vhs_server):
    logic = VHSAnalyzerLogic(settings=Settings(), scene=scene)
    yield logic
    logic.sync.stop()


@pytest.fixture
def radiograph(scene):
    return addVolume(scene, samplePixels()[None], np.diag([-0.3, -0.3, 1, 1]), "dog")


def test_the_service_is_whole(logic):
    health = logic.client().health()
    assert health.modelsLoaded == 5
    assert health.popPipeline


def test_a_radiograph_is_measured_and_the_same_landmarks_score_the_same_here(logic, radiograph):
    analysis = logic.analyze(radiograph)
    assert analysis.answer.code in range(OPTIMAL, NO_VLAS + 1)
    assert 6 < analysis.answer.vhs < 16
    assert tuple(linesOf(analysis.landmarksNode)) == KINDS
    # The server rounds to two decimals, and landmarks to six.
    assert logic.score(analysis.landmarksNode).vhs == pytest.approx(analysis.answer.vhs, abs=0.02)
    if analysis.answer.vlas is not None:
        assert logic.score(analysis.landmarksNode).vlas == pytest.approx(analysis.answer.vlas, abs=0.02)
    assert analysis.measurement.moved == ()


def test_pixels_that_are_not_square_make_no_difference(logic, scene, radiograph):
    """The same dog with every second row left out, and rows twice as far apart."""
    thin = addVolume(scene, samplePixels()[None, ::2], np.diag([-0.3, -0.6, 1, 1]), "thin")
    whole, half = logic.analyze(radiograph), logic.analyze(thin)
    assert half.answer.points == pytest.approx(whole.answer.points, abs=0.03)
    assert logic.score(half.landmarksNode).vhs == pytest.approx(half.answer.vhs, abs=0.03)


def test_what_is_no_radiograph_is_rejected(logic, scene):
    noise = np.random.default_rng(0).integers(0, 256, (1, 300, 400), np.uint8)
    volume = addVolume(scene, noise, np.eye(4), "noise")
    analysis = logic.analyze(volume)
    assert analysis.answer.isRejected
    assert landmarksOf(volume) is None
    assert readAnswer(volume).sentence.startswith("Rejected: it does not look like")


def test_the_patients_history_comes_back(logic, radiograph):
    patient = f"dog-{uuid.uuid4()}"
    first = logic.analyze(radiograph, patient)
    assert first.answer.historicVHS == ()
    second = logic.analyze(radiograph, patient)
    assert [value for _, value in second.answer.historicVHS] == pytest.approx([first.answer.vhs])


def test_a_wrong_key_is_said_to_be_wrong(vhs_server):
    with pytest.raises(ServerError, match="does not accept this API key"):
        VHSClient(vhs_server, "wrong").health()
    with pytest.raises(ServerError, match="asks for an API key"):
        VHSClient(vhs_server).predict(encodePNG(np.zeros((9, 9), np.uint8)))


def test_a_photo_of_a_screen_is_straightened(logic, scene):
    photo, corners = photoOfScreen()
    volume = addVolume(scene, photo[None], np.diag([-1.0, -1.0, 1, 1]), "photo")
    node, _found = logic.findCorners(volume)  # found or not, there are four to drag; how well is the server's test
    assert cornersOf(volume) is node
    assert showCorners(volume, corners) is node  # as a person would drag them
    flat = logic.straighten(volume)
    picture = pictureOf(flat)
    sample = samplePixels()
    assert picture.width / picture.height == pytest.approx(sample.shape[1] / sample.shape[0], rel=0.08)
    assert gridOf(flat).width == picture.width


def test_a_plain_radiograph_has_no_screen(logic, radiograph):
    _, found = logic.findCorners(radiograph)
    assert not found


def test_a_folder_of_real_pictures(logic, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(SAMPLE, folder / "dog.png")
    (folder / "broken.png").write_bytes(SAMPLE.read_bytes()[:5000])
    (folder / "noise.png").write_bytes(encodePNG(np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8)))
    summary = logic.analyzeFolder(folder, tmp_path / "out.csv")
    assert (summary.files, summary.measured, summary.failed) == (3, 1, 1)
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert float(rows["dog.png"]["vhs"]) > 6
    assert rows["broken.png"]["error"]
    assert rows["noise.png"]["result_code"] == "6"
