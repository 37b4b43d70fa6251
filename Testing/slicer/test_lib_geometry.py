"""Geometry, prompts, crop regions and voxel encoding against independent references."""

from __future__ import annotations

import json

import numpy as np
import pytest

from conftest import rotation
from IMeasureLib.crop_region import MINIMUM_SIZE, CropRegion, MaskRegion
from IMeasureLib.geometry import GeometryError, VolumeGeometry, lpsToRAS, rasToLPS, voxelOf
from IMeasureLib.prompts import Click, PenStroke, PromptError, PromptHistory, TwoClick
from IMeasureLib.voxel_encoding import encodeVoxels


def randomGeometry(seed):
    """Oblique, anisotropic, flipped at random."""
    generator = np.random.default_rng(seed)
    matrix = np.eye(4)
    flips = generator.choice([-1.0, 1.0], 3)
    matrix[:3, :3] = rotation(generator.normal(size=3), generator.uniform(0, 180)) @ np.diag(
        flips * generator.uniform(0.3, 6.0, 3)
    )
    matrix[:3, 3] = generator.uniform(-500, 500, 3)
    return VolumeGeometry(matrix, generator.integers(1, 300, 3))


@pytest.mark.parametrize("seed", range(20))
def test_positions_agree_with_simpleitk(seed):
    """ITK's own index-to-physical-point, which is LPS, for a grid with the same origin, spacing and directions."""
    sitk = pytest.importorskip("SimpleITK")
    geometry = randomGeometry(seed)
    image = sitk.Image(*(int(n) for n in np.minimum(geometry.shape, 4)), sitk.sitkUInt8)
    image.SetOrigin(rasToLPS(geometry.matrix[:3, 3]).tolist())
    image.SetSpacing(geometry.spacing.tolist())
    try:
        image.SetDirection((np.diag([-1, -1, 1]) @ geometry.directions).ravel().tolist())
    except RuntimeError:
        pytest.fail("ITK refuses the directions")
    index = np.random.default_rng(seed).uniform(-10, 300, 3)
    point = image.TransformContinuousIndexToPhysicalPoint(index.tolist())
    assert rasToLPS(geometry.ijkToRAS(index)) == pytest.approx(np.array(point), abs=1e-6)
    assert geometry.rasToIJK(lpsToRAS(point)) == pytest.approx(index, abs=1e-6)


def test_what_a_grid_is():
    flipped = VolumeGeometry(np.diag([-1.0, 1.0, 2.0, 1.0]), (4, 5, 6))
    assert flipped.isLeftHanded
    assert not flipped.isOblique
    assert VolumeGeometry(_matrix(rotation((0, 0, 1), 5)), (4, 5, 6)).isOblique
    assert not VolumeGeometry(_matrix(rotation((0, 0, 1), 90)), (4, 5, 6)).isOblique
    assert flipped.contains((-3.49, 4.49, 10.9))
    assert not flipped.contains((-3.51, 0.0, 0.0))
    assert list(flipped.contains([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0)])) == [True, False]
    assert voxelOf((0.49, 0.5, -0.51)) == (0, 1, -1)


def _matrix(directions):
    matrix = np.eye(4)
    matrix[:3, :3] = directions
    return matrix


@pytest.mark.parametrize(
    ("matrix", "shape", "sentence"),
    [
        (np.zeros((4, 4)), (2, 2, 2), "no size"),
        (np.eye(4), (2, 0, 2), "no voxels"),
        ([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], (2, 2, 2), "not perpendicular"),
        (np.full((4, 4), np.nan), (2, 2, 2), "finite"),
    ],
)
def test_grids_that_cannot_be_used(matrix, shape, sentence):
    with pytest.raises(GeometryError, match=sentence):
        VolumeGeometry(matrix, shape)


HISTORY = PromptHistory(
    (
        TwoClick((0.0, 1.0, 2.0), (3.0, 4.0, 2.0)),
        Click((5.0, 6.0, 7.0), True),
        Click((8.0, 9.0, 10.0), False),
        PenStroke(((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))),
    )
)


def test_prompts_in_the_contracts_form_are_lps():
    assert HISTORY.clicks() == [
        {"mode": "positive", "points": [[0.0, -1.0, 2.0], [-3.0, -4.0, 2.0]]},
        {"mode": "positive", "points": [[-5.0, -6.0, 7.0]]},
        {"mode": "negative", "points": [[-8.0, -9.0, 10.0]]},
    ]
    assert HISTORY.magicPenPoints() == [[[0.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]]


def test_prompts_survive_json_and_changes_leave_the_old_history_alone():
    assert PromptHistory.fromJSON(HISTORY.toJSON()) == HISTORY
    moved = HISTORY.moved(0, 1, (30.0, 40.0, 2.0))
    assert moved.steps[0] == TwoClick((0.0, 1.0, 2.0), (30.0, 40.0, 2.0))
    assert HISTORY.steps[0].second == (3.0, 4.0, 2.0)
    assert HISTORY.moved(2, 0, (1.0, 1.0, 1.0)).steps[2] == Click((1.0, 1.0, 1.0), False)
    assert HISTORY.removed(1).steps == (HISTORY.steps[0], *HISTORY.steps[2:])
    assert PromptHistory((HISTORY.steps[2],)).isEmpty
    assert not HISTORY.isEmpty
    assert not PromptHistory((HISTORY.steps[3],)).isEmpty


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"space": "LPS", "version": 1, "steps": []}',
        '{"space": "RAS", "version": 99, "steps": []}',
        '{"space": "RAS", "version": 1, "steps": [{"type": "click"}]}',
        '{"space": "RAS", "version": 1, "steps": [{"type": "click", "position": [1, 2, NaN], "positive": true}]}',
        '{"space": "RAS", "version": 1, "steps": [{"type": "pen", "points": [[1, 2, 3]]}]}',
        '{"space": "RAS", "version": 1, "steps": [{"type": "song"}]}',
    ],
)
def test_other_json_is_no_prompts(text):
    with pytest.raises(PromptError):
        PromptHistory.fromJSON(text)


@pytest.mark.parametrize("seed", range(40))
def test_crops_keep_the_contracts_rules(seed):
    geometry = randomGeometry(seed)
    generator = np.random.default_rng(1000 + seed)
    indices = [[generator.uniform(-0.49, n - 0.51) for n in geometry.shape] for _ in range(4)]
    points = geometry.ijkToRAS(indices)
    history = PromptHistory.of(positive=points[:1], negative=points[1:2], twoClick=points[2:])
    region = CropRegion.around(geometry, history)
    shape = np.array(geometry.shape)
    unclipped = np.subtract(region.unclippedUpper, region.unclippedLower) + 1
    assert (unclipped >= MINIMUM_SIZE).all()
    assert (np.array(region.shape) >= np.minimum(MINIMUM_SIZE, shape)).all()
    assert (np.array(region.lower) >= 0).all()
    assert (np.array(region.upper) < shape).all()
    assert np.array_equal(region.lower, np.maximum(region.unclippedLower, 0))
    assert np.array_equal(region.upper, np.minimum(region.unclippedUpper, shape - 1))
    for index in indices:
        assert (np.array(voxelOf(index)) >= region.lower).all()
        assert (np.array(voxelOf(index)) <= region.upper).all()
    # 30 mm around every prompt, as far as the volume goes.
    for corner in np.array(indices[:1]):
        reach = 29.0 / geometry.spacing
        assert (np.maximum(corner - reach, 0) >= np.array(region.lower) - 0.5).all()
        assert (np.minimum(corner + reach, shape - 1) <= np.array(region.upper) + 0.5).all()
    length = np.linalg.norm(points[2] - points[3])
    reach = (length - 1.0) / geometry.spacing
    assert (np.maximum(np.array(indices[2]) - reach, 0) >= np.array(region.lower) - 0.5).all()


def test_the_centre_is_rounded_as_in_the_contracts_example():
    region = CropRegion((113, 216, 60), (240, 343, 91), (512, 512, 154))
    assert region.center == (177, 280, 76)
    assert region.shape == (128, 128, 32)


def test_only_faces_inside_the_volume_are_touched_and_grown():
    region = CropRegion((0, 10, 5), (63, 73, 20), (100, 100, 21))
    mask = np.ones((16, 64, 64), dtype=bool)
    assert region.touchedFaces(mask) == ((False, True), (True, True), (True, False))
    larger = region.grown(region.touchedFaces(mask))
    assert larger.unclippedLower == (0, -22, -3)
    assert larger.unclippedUpper == (95, 105, 20)
    mask[:, :, -1] = mask[:, 0] = mask[:, -1] = mask[0] = False
    assert not region.touchesBorder(mask)
    assert region.touchesBorder(~mask)


@pytest.mark.parametrize("seed", range(15))
def test_mask_regions_hold_what_the_full_mask_holds(seed):
    generator = np.random.default_rng(seed)
    shape = tuple(int(n) for n in generator.integers(3, 14, 3))
    full = generator.random(shape[::-1]) < generator.choice([0.0, 0.02, 0.3])
    region = MaskRegion.of(full)
    assert np.array_equal(region.full(shape), full)
    assert region.count == full.sum()
    lower = np.array([generator.integers(0, n) for n in shape])
    upper = np.array([generator.integers(a, n) for a, n in zip(lower, shape)])
    crop = CropRegion(tuple(int(n) for n in lower), tuple(int(n) for n in upper), shape)
    assert np.array_equal(region.within(crop), full[crop.slices])


@pytest.mark.parametrize(
    ("array", "exact"),
    [
        (np.array([-1024, 3071], np.int16), True),
        (np.array([0, 65535], np.uint16), True),
        (np.array([-40000, 20000], np.int32), True),
        (np.array([900_000, 900_001], np.int64), True),
        (np.array([0, 1_000_000], np.uint32), False),
        (np.array([0.25, 17.5, -3.125], np.float32), False),
        (np.array([-1024.0, 300.0]), True),
        (np.array([5.5, 5.5], np.float32), True),
        (np.array([True, False]), True),
    ],
)
def test_voxels_survive_encoding(array, exact):
    stored, slope, intercept = encodeVoxels(array)
    assert stored.dtype == np.dtype("<i2")
    back = stored.astype(float) * slope + intercept
    span = float(array.max()) - float(array.min())
    assert back == pytest.approx(array.astype(float), abs=0.0 if exact else 0.51 * span / 65535)


def test_voxels_that_are_no_numbers_become_the_lowest():
    stored, slope, intercept = encodeVoxels(np.array([np.nan, -50.0, np.inf, 100.0]))
    assert (stored * slope + intercept).tolist() == [-50.0, -50.0, -50.0, 100.0]
    stored, slope, intercept = encodeVoxels(np.full(3, np.nan))
    assert (stored * slope + intercept).tolist() == [0.0, 0.0, 0.0]


def test_history_json_is_plain():
    data = json.loads(HISTORY.toJSON())
    assert data["space"] == "RAS"
    assert [step["type"] for step in data["steps"]] == ["twoClick", "click", "click", "pen"]
