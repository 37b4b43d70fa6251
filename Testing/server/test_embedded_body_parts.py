"""Parts of the body: on a phantom whose parts are known, in every orientation, and on real CT where there is one."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from imeasure_server.imaging.nifti import read_nifti
from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.models.inference import ModelInputs
from imeasure_server.segmentation.body_parts.frame import patient_axes
from imeasure_server.segmentation.body_parts.labelling import PARTS
from imeasure_server.segmentation.engine import EmptySegmentationError, SegmentationCancelled

from .body_phantom import SHAPE, Mask, trunk
from .embedded_cases import dice, infer, model, oblique

Labels = np.ndarray[tuple[int, ...], np.dtype[np.unsignedinteger]]


def labels_of(volume: Volume) -> Labels:
    output = infer("ct_body_parts", volume)
    assert output.mask is not None
    assert output.mask.dtype == np.uint8
    assert output.mask.shape == volume.geometry.shape
    assert dict(output.label_names) == PARTS
    assert set(np.unique(output.mask)) <= {0, *PARTS.values()}
    return output.mask


@pytest.fixture(scope="module")
def native() -> Labels:
    return labels_of(trunk().volume)


@pytest.fixture(scope="module", params=[False, True], ids=["native", "contrast"])
def found(request: pytest.FixtureRequest, native: Labels) -> Labels:
    return labels_of(trunk(contrast=True).volume) if request.param else native


def share(labels: Labels, where: Mask, part: str) -> float:
    return float((labels[where] == PARTS[part]).mean())


def test_the_body_is_all_that_is_labelled_and_the_table_is_not(found: Labels) -> None:
    assert dice(found > 0, trunk().body) > 0.97
    assert (found[trunk().table] > 0).mean() < 0.02


def test_lungs_have_their_vessels_and_not_the_airways(found: Labels) -> None:
    assert dice(found == PARTS["lungs"], trunk().lungs) > 0.95
    assert share(found, trunk().airways, "lungs") < 0.05
    assert share(found, trunk().organs, "lungs") < 0.01


def test_airways_are_followed_into_the_bronchi(found: Labels) -> None:
    assert dice(found == PARTS["airways"], trunk().airways) > 0.7
    assert share(found, trunk().lungs, "airways") < 0.01


def test_bones_have_their_marrow_and_organs_none(found: Labels) -> None:
    assert dice(found == PARTS["bones"], trunk().bones) > 0.7
    assert share(found, trunk().organs, "bones") < 0.04


def test_fat_below_the_skin_is_found(found: Labels) -> None:
    inner = ndimage.binary_erosion(trunk().fat, iterations=2)
    assert share(found, inner, "fat") > 0.95
    assert share(found, trunk().muscle, "fat") < 0.05


def test_muscles_of_wall_back_and_arms_are_found_and_organs_are_none(found: Labels) -> None:
    inner = ndimage.binary_erosion(trunk().muscle)
    assert share(found, inner, "muscle") > 0.65
    assert share(found, ndimage.binary_erosion(trunk().organs, iterations=8), "muscle") < 0.05


@pytest.mark.parametrize(
    ("order", "flips"), [((2, 1, 0), (False, False, True)), ((1, 2, 0), (True, True, False)), ((0, 1, 2), (True,) * 3)]
)
def test_the_order_of_the_voxels_does_not_matter(
    native: Labels, order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    volume, expected = trunk().volume, native
    affine = np.array(volume.geometry.affine)
    affine[:, :3] = affine[:, order]
    array, wanted = volume.array.transpose(order), expected.transpose(order)
    for axis, flip in enumerate(flips):
        if flip:
            array, wanted = np.flip(array, axis), np.flip(wanted, axis)
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
    turned = Volume(array, Geometry(affine, (array.shape[0], array.shape[1], array.shape[2])))
    assert (labels_of(turned) != wanted).mean() < 0.001


def test_an_oblique_volume_has_the_axes_nearest_to_the_patient() -> None:
    geometry = Geometry.from_axes((0, 0, 0), (1, 1, 3), oblique()[:, [2, 0, 1]] * [1, -1, 1], (5, 6, 7))
    order, flips = patient_axes(geometry)
    assert sorted(order) == [0, 1, 2]
    along = [geometry.directions[axis, order[axis]] for axis in range(3)]
    assert all(abs(value) > 0.9 for value in along)
    assert flips == tuple(bool(value < 0) for value in along)


@pytest.mark.parametrize(
    "block",
    [
        (slice(20, 90), slice(20, 85), slice(22, 48)),  # cuts lungs and wall
        (slice(45, 100), slice(30, 90), slice(0, 48)),  # nothing of the skin
        (slice(0, 144), slice(0, 112), slice(28, 32)),  # few slices
    ],
)
def test_any_field_of_view(block: tuple[slice, slice, slice]) -> None:
    case = trunk()
    array = case.volume.array[block]
    origin = [part.start for part in block]
    part = Volume(array, case.volume.geometry.cropped(origin, (array.shape[0], array.shape[1], array.shape[2])))
    labels = labels_of(part)
    assert dice(labels > 0, case.body[block]) > 0.97
    assert dice(labels == PARTS["lungs"], case.lungs[block]) > 0.9
    assert dice(labels == PARTS["bones"], case.bones[block]) > 0.7


def test_float_values_with_gaps_and_padding_below_air() -> None:
    case = trunk()
    array = case.volume.array.astype(np.float32)
    array[:4] = -2000.0
    array[70:73, 50:53, 5] = np.nan
    labels = labels_of(Volume(array, case.volume.geometry))
    assert dice(labels > 0, case.body) > 0.97


@pytest.mark.parametrize("kind", ["mr", "counts", "picture", "nothing"])
def test_what_is_no_ct_is_refused(kind: str) -> None:
    rng = np.random.default_rng(0)
    body = trunk().body
    array = {
        "mr": body * (rng.random(SHAPE) * 600 + 100) + rng.random(SHAPE) * 20,
        "counts": trunk().volume.array.astype(np.int32) + 1024,
        "picture": (body * 200).astype(np.uint8),
        "nothing": np.full(SHAPE, np.nan, dtype=np.float32),
    }[kind]
    with pytest.raises(EmptySegmentationError, match="Hounsfield"):
        infer("ct_body_parts", Volume(np.asarray(array), trunk().volume.geometry))


def test_air_alone_has_no_body() -> None:
    array = np.full((40, 40, 10), -1000, dtype=np.int16) + np.random.default_rng(0).integers(-9, 9, (40, 40, 10))
    with pytest.raises(EmptySegmentationError):
        infer("ct_body_parts", Volume(array, Geometry(np.eye(4), (40, 40, 10))))


def test_nobody_waits_for_a_cancelled_request() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(SegmentationCancelled):
        model("ct_body_parts").infer(trunk().volume, ModelInputs(), cancelled)


def test_a_leg_is_muscle_down_to_the_knee() -> None:
    """On the sample CT: joints are spongy, and slices through them must not be taken for a trunk with organs."""
    leg = read_nifti(Path(__file__).parents[2] / "Resources" / "SampleData" / "STS_051_ct.nii.gz")
    smooth = ndimage.gaussian_filter(np.asarray(leg.array, dtype=np.float32), (1.5, 1.5, 0.7))
    dense = ndimage.binary_erosion((smooth > 20) & (smooth < 90), np.ones((3, 3, 1)), iterations=4)
    labels = labels_of(leg)
    assert dense.any(axis=(0, 1)).all()
    for k in range(dense.shape[2]):
        assert share(labels[:, :, k], dense[:, :, k], "muscle") > 0.9


REAL = Path(os.environ.get("IMEASURE_DATA", "../shared/data")) / "totalsegmentator-example"


@pytest.mark.skipif(not REAL.is_dir(), reason="the real CT is not part of the project")
def test_a_real_abdomen_agrees_with_totalsegmentator() -> None:
    """Agreement with a network, not accuracy: its labels are nobody's drawing."""
    names = {int(value): name for value, name in json.loads((REAL / "labels.json").read_text())["total"].items()}
    labels = labels_of(read_nifti(REAL / "abdomen_3mm_ct.nii.gz"))
    reference = read_nifti(REAL / "abdomen_3mm_seg117.nii.gz").array

    def theirs(*starts: str) -> Mask:
        return np.isin(reference, [value for value, name in names.items() if name.startswith(starts)])

    assert dice(labels == PARTS["lungs"], theirs("lung")) > 0.92
    assert dice(labels == PARTS["bones"], theirs("vertebrae", "rib")) > 0.65
    assert share(labels, theirs("autochthon"), "muscle") > 0.85
    for organ in ("liver", "spleen", "kidney", "aorta"):
        assert share(labels, theirs(organ), "body") > 0.8
