"""The logic against the real server: click, refine, pen, oblique and flipped volumes, transforms."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import addVolume
from IMeasureLib.logic import IMeasureLogic
from IMeasureLib.settings import MemoryStore, Settings
from IMeasureLib.volume_access import localToWorld, readMask


@pytest.fixture
def logic(scene, live_server):
    return IMeasureLogic(Settings(MemoryStore({"IMeasure/ServerURL": live_server}), environment={}))


def dice(a, b):
    return 2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("which", ["straight_volume", "oblique_volume"])
def test_one_click_finds_the_lesion(logic, which, request):
    phantom = request.getfixturevalue(which)
    result = logic.segment(phantom.node, positive=[localToWorld(phantom.node, [phantom.inside])[0]])
    mask = readMask(result.segmentationNode, result.segmentId, phantom.node).full(phantom.truth.shape[::-1])
    assert dice(mask, phantom.truth) > 0.7
    assert np.array_equal(mask, result.answer.mask.full(phantom.truth.shape[::-1]))
    assert result.measurements.volume == np.count_nonzero(mask)
    assert set(result.measurements.crosses) == set(np.flatnonzero(mask.any(axis=(1, 2))))


def test_the_axes_lie_in_the_mask_of_an_oblique_volume(logic, oblique_volume):
    result = logic.segment(oblique_volume.node, positive=[oblique_volume.inside])
    mask = readMask(result.segmentationNode, result.segmentId, oblique_volume.node)
    full = mask.full(oblique_volume.truth.shape[::-1])
    toIJK = np.linalg.inv(oblique_volume.ijkToRAS)
    for k, cross in result.measurements.crosses.items():
        for end in (cross.long.start, cross.long.end, cross.short.start, cross.short.end):
            i, j, kOfEnd = (toIJK @ np.append(end, 1.0))[:3]
            assert kOfEnd == pytest.approx(k, abs=1e-3)
            # An end is a voxel corner: one of the four voxels around it is in the mask.
            corners = [(int(np.floor(i + di)), int(np.floor(j + dj))) for di in (0.1, 0.9) for dj in (0.1, 0.9)]
            assert any(full[k, row, column] for column, row in corners)


def test_prompts_bind_and_an_edit_is_local(logic, oblique_volume):
    first = logic.segment(oblique_volume.node, positive=[oblique_volume.inside])
    node, segmentId, shape = first.segmentationNode, first.segmentId, oblique_volume.truth.shape[::-1]
    before = readMask(node, segmentId, oblique_volume.node).full(shape)
    k, j, i = max(np.argwhere(before), key=lambda index: np.sum((index - np.argwhere(before).mean(axis=0)) ** 2))
    negative = oblique_volume.toRAS((i, j, k))
    logic.segment(oblique_volume.node, negative=[negative], segmentationNode=node, segmentId=segmentId)
    after = readMask(node, segmentId, oblique_volume.node).full(shape)
    assert not after[k, j, i]
    deepest = np.rint(np.linalg.inv(oblique_volume.ijkToRAS) @ np.append(oblique_volume.inside, 1.0)).astype(int)
    assert after[deepest[2], deepest[1], deepest[0]]
    assert dice(before, after) > 0.5
    assert logic.undo()
    assert np.array_equal(readMask(node, segmentId, oblique_volume.node).full(shape), before)


def test_pen_and_two_clicks(logic, oblique_volume):
    k = int(np.argmax(oblique_volume.truth.sum(axis=(1, 2))))
    rows, columns = np.nonzero(oblique_volume.truth[k])
    center = np.array([columns.mean(), rows.mean()])
    angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    radius = np.sqrt(len(rows) / np.pi)
    stroke = [oblique_volume.toRAS((*(center + radius * np.array([np.cos(a), np.sin(a)])), k)) for a in angles]
    result = logic.segment(oblique_volume.node, pen=[stroke])
    mask = readMask(result.segmentationNode, result.segmentId, oblique_volume.node).full(
        oblique_volume.truth.shape[::-1]
    )
    assert dice(mask[k], oblique_volume.truth[k]) > 0.7
    ends = [oblique_volume.toRAS((columns[n], rows[n], k)) for n in (columns.argmin(), columns.argmax())]
    second = logic.segment(oblique_volume.node, twoClick=ends)
    found = readMask(second.segmentationNode, second.segmentId, oblique_volume.node).full(
        oblique_volume.truth.shape[::-1]
    )
    assert dice(found, oblique_volume.truth) > 0.6


def test_a_lesion_larger_than_the_first_crop_is_found_whole(scene, logic):
    """A bright ball of 100 mm: the crop around one click is 60 mm wide and must grow."""
    shape = (60, 140, 140)
    k, j, i = np.indices(shape)
    ball = (i - 70) ** 2 + (j - 70) ** 2 + ((k - 30) * 2.5) ** 2 <= 50**2
    noise = np.random.default_rng(0).normal(0.0, 5.0, shape)
    array = (np.where(ball, 80.0, -60.0) + noise).astype(np.int16)
    volume = addVolume(scene, array, np.diag([1.0, 1.0, 2.5, 1.0]))
    result = logic.segment(volume, positive=[(70.0, 70.0, 75.0)])
    mask = readMask(result.segmentationNode, result.segmentId, volume).full(shape[::-1])
    assert dice(mask, ball) > 0.85
    assert result.measurements.long.length == pytest.approx(100.0, abs=10.0)


def test_float_voxels_and_a_thin_volume(scene, logic):
    """A radiograph-like slab of six slices of float32 with values beyond int16."""
    shape = (6, 90, 90)
    _, j, i = np.indices(shape)
    disc = (i - 45) ** 2 + (j - 40) ** 2 <= 12**2
    noise = np.random.default_rng(1).normal(0.0, 300.0, shape)
    array = (np.where(disc, 60_000.25, 40_000.5) + noise).astype(np.float32)
    volume = addVolume(scene, array, np.diag([1.0, 1.0, 3.0, 1.0]))
    result = logic.segment(volume, positive=[(45.0, 40.0, 9.0)])
    mask = readMask(result.segmentationNode, result.segmentId, volume).full(shape[::-1])
    assert mask[3, 40, 45]
    assert result.measurements.volume == np.count_nonzero(mask)
