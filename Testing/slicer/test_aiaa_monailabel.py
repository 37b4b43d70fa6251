"""The logic against the real MONAI Label 0.8.5 with a trivial app, in an environment of its own."""

from __future__ import annotations

import numpy as np
import pytest
import requests

from AIAAClientLib.client_settings import ENVIRONMENT_URL, ClientSettings
from AIAAClientLib.logic import AIAAClientLogic
from AIAAClientLib.model_info import MONAI_LABEL, PROMPTS, SCRIBBLES, SEGMENTATION
from AIAAClientLib.task import Task
from conftest import addVolume, rotation
from IMeasureLib.volume_access import geometryOf, localToWorld

RADIUS = 6
"""Of the app's model "ball", in voxels."""

GRIDS = {
    "straight": np.diag([-0.8, -0.9, 2.5, 1.0]),
    "left-handed": np.diag([0.8, -0.9, 2.5, 1.0]),
    "oblique": np.block(
        [[rotation((1, 2, 3), 25) @ np.diag([0.7, 0.9, -3.0]), np.array([[5], [-7], [11]])], [0, 0, 0, 1]]
    ),
}


@pytest.fixture
def logic(scene, monailabel_peer):
    logic = AIAAClientLogic(ClientSettings(environment={ENVIRONMENT_URL: monailabel_peer}), scene=scene)
    logic.connect()
    return logic


@pytest.fixture(params=GRIDS, ids=str)
def volume(request, scene):
    array = np.random.default_rng(4).integers(-50, 50, (20, 36, 44)).astype(np.int16)
    array[6:12, 10:22, 14:30] = 300
    return addVolume(scene, array, GRIDS[request.param])


def world(volume, ijk):
    return localToWorld(volume, geometryOf(volume).ijkToRAS(np.atleast_2d(ijk)))


def bright(volume):
    from IMeasureLib.volume_access import voxelsOf

    return voxelsOf(volume) > 100


def test_the_server_is_recognised(logic):
    assert logic.connection.protocols == (MONAI_LABEL,)
    models = {model.name: model for model in logic.knownModels()}
    assert models["threshold"].labels == {"bright": 1}
    assert SEGMENTATION in models["threshold"].kinds
    assert PROMPTS in models["ball"].kinds
    assert SCRIBBLES in models["Histogram+GraphCut"].kinds


def test_automatic_segmentation_lies_where_the_voxels_are(logic, volume):
    answer = logic.run(Task.segmentation(volume, "threshold"))
    assert answer.labels == {"bright": 1}
    assert np.array_equal(answer.mask != 0, bright(volume))
    again = logic.run(Task.segmentation(volume, "threshold"))
    assert (answer.sent > 0, again.sent) == (True, 0)
    assert np.array_equal(again.mask, answer.mask)


def test_clicks_are_the_voxels_that_the_server_sees(logic, volume):
    center, other = np.array([20, 15, 8]), np.array([24, 17, 10])
    answer = logic.run(Task.deepgrow(volume, "ball", world(volume, center), world(volume, other)))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in answer.mask.shape[::-1]), indexing="ij"), -1)
    inside = (((index - center) ** 2).sum(-1) <= RADIUS**2) & ~(((index - other) ** 2).sum(-1) <= RADIUS**2)
    assert np.array_equal(answer.mask != 0, inside.transpose())


def test_scribbles(logic, volume):
    foreground, background = np.zeros((2, 20, 36, 44), bool)
    foreground[8:10, 14:18, 18:26] = True
    background[2:18, 2:4, 2:40] = background[2:18, 30:33, 2:40] = True
    answer = logic.run(Task.scribbles(volume, "Histogram+GraphCut", foreground, background))
    found = answer.mask != 0
    # The app's model sees the volume resampled to 2.5 × 2.5 × 5 mm.
    assert 2 * (found & bright(volume)).sum() / (found.sum() + bright(volume).sum()) > 0.6
    for axis, name in enumerate("kji"):
        middle = np.nonzero(found)[axis].mean() - np.nonzero(bright(volume))[axis].mean()
        assert abs(middle) < 3, name


def test_a_session_that_is_gone_is_made_again(logic, volume, monailabel_peer):
    first = logic.run(Task.segmentation(volume, "threshold"))
    http = requests.Session()
    http.trust_env = False
    ((_, (session, _)),) = logic._sessions._sessions.items()
    assert http.delete(f"{monailabel_peer}/session/{session}").status_code == 200
    again = logic.run(Task.segmentation(volume, "threshold"))
    assert again.sent > 0
    assert np.array_equal(again.mask, first.mask)
