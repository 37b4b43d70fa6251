"""The logic against the real server and its real models, in both protocols, over real HTTP."""

from __future__ import annotations

import time

import numpy as np
import pytest
import requests

from AIAAClientLib.client_settings import ENVIRONMENT_URL, ClientSettings
from AIAAClientLib.logic import AIAAClientLogic
from AIAAClientLib.model_info import AIAA, MONAI_LABEL
from AIAAClientLib.task import Task
from conftest import PhantomVolume
from IMeasureLib.http_client import ServerError

GOOD = 0.8
"""Dice that a phantom's easy lesion must reach: whether the mask is where the lesion is, not how good a model is."""


@pytest.fixture
def logic(scene, live_server):
    logic = AIAAClientLogic(ClientSettings(environment={ENVIRONMENT_URL: live_server}), scene=scene)
    logic.connect()
    return logic


@pytest.fixture(params=["straight_phantom", "oblique_phantom"])
def lesion(request, scene):
    return PhantomVolume(scene, request.getfixturevalue(request.param))


def dice(mask, truth):
    return 2 * np.count_nonzero((mask != 0) & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))


def extremes(volume):
    """RAS of the outermost voxels of the lesion along i, j and k."""
    index = np.array(np.nonzero(volume.truth))[::-1].T
    ends = [index[pick(index[:, axis])] for axis in range(3) for pick in (np.argmin, np.argmax)]
    return np.array([volume.toRAS(end) for end in ends])


def test_the_server_speaks_both_and_lists_its_models(logic):
    connection = logic.connection
    assert connection.protocols == (AIAA, MONAI_LABEL)
    models = {model.name: model for model in logic.models()}
    wanted = {"deepgrow_3d", "deepgrow_2d", "dextr3d", "segmentation", "Histogram+GraphCut", "ct_body_parts"}
    assert wanted <= set(models)
    assert models["deepgrow_3d"].protocol == models["dextr3d"].protocol == AIAA
    assert models["segmentation"].protocol == models["Histogram+GraphCut"].protocol == MONAI_LABEL
    assert models["deepgrow_2d"].dimension == 2
    assert all(model.description for model in models.values())


def test_automatic_segmentation(logic, oblique_volume):
    result = logic.segment(oblique_volume.node, "ct_body_parts")
    assert set(result.segmentIds) <= set(result.answer.model.labels)
    assert result.segmentIds
    assert result.answer.mask.shape == oblique_volume.array.shape


def test_clicks(logic, lesion):
    answer = logic.run(Task.deepgrow(lesion.node, "deepgrow_3d", [lesion.inside]))
    assert dice(answer.mask, lesion.truth) > GOOD
    assert answer.sent > lesion.array.nbytes
    outside = lesion.toRAS((4, 4, 4))
    again = logic.run(Task.deepgrow(lesion.node, "deepgrow_3d", [lesion.inside], [outside]))
    assert again.sent == 0
    assert dice(again.mask, lesion.truth) > GOOD


def test_boundary_points(logic, lesion):
    answer = logic.run(Task.dextr3d(lesion.node, "dextr3d", extremes(lesion)))
    assert dice(answer.mask, lesion.truth) > GOOD


def test_boxes_lassos_and_strokes(logic, lesion):
    index = np.array(np.nonzero(lesion.truth))[::-1].T
    low, high = index.min(axis=0), index.max(axis=0)
    box = [lesion.toRAS(low), lesion.toRAS(high)]
    answer = logic.run(Task.prompts(lesion.node, "segmentation", positiveBoxes=[box]))
    assert dice(answer.mask, lesion.truth) > GOOD
    middle = (low + high) // 2
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    half = (high - low)[:2] / 2 + 1
    around = [
        lesion.toRAS(middle + np.array([half[0] * np.cos(angle), half[1] * np.sin(angle), 0])) for angle in angles
    ]
    answer = logic.run(Task.prompts(lesion.node, "segmentation", positiveLassos=[around]))
    assert dice(answer.mask, lesion.truth) > GOOD
    stroke = [lesion.toRAS(middle + np.array([shift, 0, 0])) for shift in (-4, 4)]
    answer = logic.run(Task.prompts(lesion.node, "segmentation", positiveScribbles=[stroke]))
    assert dice(answer.mask, lesion.truth) > GOOD


def test_only_the_region(logic, oblique_volume):
    answer = logic.run(Task.prompts(oblique_volume.node, "segmentation", [oblique_volume.inside], onlyRegion=True))
    assert dice(answer.mask, oblique_volume.truth) > GOOD


def test_scribbles(logic, lesion):
    index = np.array(np.nonzero(lesion.truth))
    k, j, i = (int(value) for value in np.round(index.mean(axis=1)))
    foreground, background = np.zeros((2, *lesion.truth.shape), bool)
    foreground[k - 1 : k + 2, j - 3 : j + 4, i - 3 : i + 4] = True
    background[k, 6:9, :] = background[k, -9:-6, :] = background[k, :, 6:9] = background[k, :, -9:-6] = True
    background &= ~lesion.truth
    for model in ("Histogram+GraphCut", "GMM+GraphCut"):
        answer = logic.run(Task.scribbles(lesion.node, model, foreground, background))
        assert answer.mask[foreground].all()
        assert not answer.mask[background].any()


def test_a_session_that_is_gone_is_made_again_in_both_protocols(logic, straight_volume, live_server):
    session = requests.Session()
    session.trust_env = False
    for model in ("deepgrow_3d", "segmentation"):
        task = Task.prompts(straight_volume.node, model, [straight_volume.inside])
        first = logic.run(task)
        (known,) = logic._sessions.takeAll(live_server)
        assert session.delete(f"{live_server}/session/{known}").status_code == 200
        logic._sessions.remember(live_server, _source(straight_volume), known)
        again = logic.run(task)
        assert again.sent > straight_volume.array.nbytes
        assert np.array_equal(again.mask, first.mask)


def _source(volume):
    from AIAAClientLib.asking import sourceOf
    from AIAAClientLib.task import prepare

    return sourceOf(prepare(Task.segmentation(volume.node, "any")))


def test_what_the_server_says_of_a_bad_question_reaches_the_person(logic, straight_volume):
    task = Task.inference(straight_volume.node, "deepgrow_3d", {"foreground": [[1, 2]]})
    with pytest.raises(ServerError, match=r"^The server says: .*\.$"):
        logic.run(task)


def test_a_question_in_the_background_can_be_cancelled(logic, straight_volume):
    ended = []
    task = Task.deepgrow(straight_volume.node, "deepgrow_3d", [straight_volume.inside])
    job = logic.request(task, ended.append, ended.append, onCancelled=lambda: ended.append("cancelled"))
    job.cancel()
    assert ended == ["cancelled"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not logic.run(task).labels:
        pass  # the server is free again


def test_the_console_of_the_issue(logic, straight_volume):
    volume = straight_volume.node
    assert logic.models()
    clicks = logic.deepgrow(volume, "deepgrow_3d", [straight_volume.inside])
    points = logic.dextr3d(volume, "dextr3d", extremes(straight_volume), clicks.segmentationNode)
    assert points.segmentationNode is clicks.segmentationNode
    segmentation = clicks.segmentationNode.GetSegmentation()
    assert [segmentation.GetNthSegment(n).GetName() for n in range(2)] == ["object", "object (2)"]
