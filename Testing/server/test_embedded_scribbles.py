"""The scribble models on phantoms of two materials, and their parts against references."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.models.inference import ModelInputError, ModelInputs
from imeasure_server.segmentation.engine import SegmentationCancelled
from imeasure_server.segmentation.min_cut import min_cut
from imeasure_server.segmentation.scribbles.band_cut import band_cut
from imeasure_server.segmentation.scribbles.graph_cut import MOST_SAMPLES, coarse_grid
from imeasure_server.segmentation.scribbles.likelihood import LIMIT, Mixture, histogram_odds, mixture_odds

from .embedded_cases import Mask, dice, infer, mask_of, mirrored, model, oblique

NAMES = ("Histogram+GraphCut", "GMM+GraphCut")
BACKGROUND, FOREGROUND = 2, 3


def two_materials(
    shape: tuple[int, int, int] = (60, 52, 24), noise: float = 25.0, seed: int = 0, directions: Any = None
) -> tuple[Volume, Mask]:
    """An ellipsoid of another intensity, and one apart from it of the same."""
    rng = np.random.default_rng(seed)
    spacing = np.array([0.8, 0.8, 2.0])
    geometry = Geometry.from_axes((10, 20, 30), spacing, np.eye(3) if directions is None else directions, shape)
    x, y, z = np.meshgrid(*((np.arange(n) - n / 2) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    extent = np.array(shape) * spacing
    near = (x / (0.22 * extent[0])) ** 2 + (y / (0.25 * extent[1])) ** 2 + (z / (0.3 * extent[2])) ** 2 < 1
    far = (x - 0.4 * extent[0]) ** 2 + (y - 0.4 * extent[1]) ** 2 + z**2 < (0.07 * extent[0]) ** 2
    image = 40.0 + 80.0 * (near | far) + rng.normal(0, noise, shape)
    return Volume(np.rint(image).astype(np.int16), geometry), near


def scribbled(shape: tuple[int, int, int], wanted: int = FOREGROUND, other: int = BACKGROUND) -> Any:
    """A stroke on the object, and one at the edge of its slice."""
    x, y, z = (n // 2 for n in shape)
    label = np.zeros(shape, dtype=np.uint16)
    label[x - 6 : x + 7, y, z] = wanted
    label[3:-3, 3, z] = label[3, 3:-3, z] = other
    return label


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_what_was_scribbled_on_is_found(name: str, turned: bool) -> None:
    volume, truth = two_materials(directions=oblique() if turned else None)
    label = scribbled(truth.shape)
    output = infer(name, volume, label=label)
    assert output.mask is not None
    assert set(np.unique(output.mask)) == {0, 1}
    assert output.label_names == {"object": 1}
    assert output.mask[label == FOREGROUND].all()
    assert not output.mask[label == BACKGROUND].any()
    assert dice(output.mask > 0, truth) > 0.93


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirrored_voxels_change_little(axis: int) -> None:
    volume, truth = two_materials()
    label = scribbled(truth.shape)
    turned, _ = mirrored(volume, truth, axis)
    before = mask_of(NAMES[1], volume, label=label)
    after = mask_of(NAMES[1], turned, label=np.flip(label, axis))
    assert dice(np.flip(after, axis), before) > 0.97


@pytest.mark.parametrize("name", NAMES)
def test_a_large_image_is_cut_on_a_coarse_grid_and_again_along_its_boundary(name: str) -> None:
    shape = (140, 130, 30)
    volume, truth = two_materials(shape)
    assert np.prod(coarse_grid(shape, volume.geometry.spacing).shape) <= 1.3 * MOST_SAMPLES < np.prod(shape)
    assert dice(mask_of(name, volume, label=scribbled(shape)), truth) > 0.95


def test_parts_without_a_scribble_are_kept_only_when_asked_for() -> None:
    volume, truth = two_materials(noise=8.0)
    label = scribbled(truth.shape)
    far = (volume.array > 80) & ~ndimage.binary_dilation(truth, iterations=2)
    place = tuple(np.argwhere(ndimage.binary_erosion(far, iterations=1))[0])
    assert not mask_of(NAMES[0], volume, label=label)[place]
    assert mask_of(NAMES[0], volume, label=label, parameters={"connected": False})[place]


@pytest.mark.parametrize("name", NAMES)
def test_values_named_in_the_label_info_count(name: str) -> None:
    volume, truth = two_materials()
    label = scribbled(truth.shape, wanted=9, other=1)
    label[5:8, 20:30, 3] = 3  # another segment
    info = {"foreground_scribbles": 9, "background_scribbles": 1, "liver": 3}
    assert dice(mask_of(name, volume, label=label, label_info=info), truth) > 0.93


@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_the_region_is_the_object(name: str) -> None:
    volume, truth = two_materials()
    x, y, z = (n // 2 for n in truth.shape)
    roi = ((x - 8, x + 30), (y - 20, y + 20), (z - 4, z + 8))
    mask = mask_of(name, volume, label=scribbled(truth.shape), roi=roi)
    inside = np.zeros_like(mask)
    inside[x - 8 : x + 31, y - 20 : y + 21, z - 4 : z + 9] = True
    assert not mask[~inside].any()
    assert dice(mask, truth & inside) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_a_region_alone_is_enough(name: str) -> None:
    """As MONAI Label: its middle is the object, what surrounds it is not."""
    volume, truth = two_materials()
    places = np.argwhere(truth)
    lower, upper = places.min(axis=0) - (6, 6, 3), places.max(axis=0) + np.array([6, 6, 3])
    roi = tuple((int(a), int(b)) for a, b in zip(lower, upper, strict=True))
    mask = mask_of(name, volume, label=np.zeros(truth.shape, np.uint8), roi=roi)
    assert dice(mask, truth) > 0.9


def test_scribbles_outside_the_region_say_nothing() -> None:
    volume, truth = two_materials()
    label = scribbled(truth.shape)
    label[1:3, 1:3, 1] = FOREGROUND
    x, y, z = (n // 2 for n in truth.shape)
    mask = mask_of(NAMES[0], volume, label=label, roi=((x - 25, x + 25), (y - 25, y + 25), (z - 11, z + 11)))
    assert not mask[1:3, 1:3, 1].any()
    assert dice(mask, truth) > 0.9


def test_a_picture_of_one_slice_and_float_values_with_gaps() -> None:
    volume, truth = two_materials()
    k = truth.shape[2] // 2
    array = volume.array[:, :, k : k + 1].astype(np.float32) / 300.0
    array[0, 0, 0] = np.nan
    flat = Volume(array, Geometry(np.eye(4), (array.shape[0], array.shape[1], 1)))
    mask = mask_of(NAMES[1], flat, label=scribbled(truth.shape)[:, :, k : k + 1])
    assert dice(mask[:, :, 0], truth[:, :, k]) > 0.9


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "send an image of them as label"),
        ({"label": np.ones((2, 2, 2), np.uint8)}, "the image's size"),
        ({"label": np.zeros((60, 52, 24), np.uint8)}, "no scribble on the object.*value 3"),
        ({"label": scribbled((60, 52, 24), other=1)}, "no scribble beside the object.*value 2"),
        ({"label": scribbled((60, 52, 24)), "label_info": {"foreground_scribbles": 2}}, "the same value"),
        ({"label": scribbled((60, 52, 24)), "roi": ((70, 90), (0, 5), (0, 5))}, "outside the image"),
    ],
)
def test_what_cannot_be_answered_is_said(inputs: dict[str, Any], says: str) -> None:
    volume, _ = two_materials()
    with pytest.raises(ModelInputError, match=says) as caught:
        infer(NAMES[0], volume, **inputs)
    assert str(caught.value).endswith(".")


def test_nobody_waits_for_a_cancelled_request() -> None:
    cancelled = threading.Event()
    cancelled.set()
    volume, truth = two_materials()
    with pytest.raises(SegmentationCancelled):
        model(NAMES[0]).infer(volume, ModelInputs(label=scribbled(truth.shape)), cancelled)


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_of_a_band_of_everything_is_the_cut(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(size=(12, 11, 9)), 1.0)
    odds = rng.normal(0, 1, image.shape) + 3 * image
    spacing = np.array([0.7, 0.9, 2.1])
    band = np.ones(image.shape, dtype=bool)
    found = band_cut(np.zeros_like(band), band, odds.ravel(), image, spacing, 0.4, 1.3)
    assert np.array_equal(found, min_cut(odds, image, spacing, 0.4, 1.3))


@pytest.mark.parametrize("seed", range(4))
def test_a_band_around_the_cut_finds_it_again(seed: int) -> None:
    """What is decided on either side holds its neighbours as if it were fixed in the cut of everything."""
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(size=(14, 12, 10)), 1.5)
    odds = rng.normal(0, 1, image.shape) + 12 * image
    spacing = np.array([1.0, 1.0, 1.7])
    whole = min_cut(odds, image, spacing, 0.3, 1.0)
    band = ndimage.binary_dilation(whole) & ~ndimage.binary_erosion(whole)
    started = whole.copy()
    started[band] = rng.random(int(band.sum())) < 0.5
    assert np.array_equal(band_cut(started, band, odds[band], image, spacing, 0.3, 1.0), whole)


def test_a_mixture_is_the_density_of_its_samples() -> None:
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.normal(-50, 8, 3000), rng.normal(60, 15, 6000)])
    mixture = Mixture.fit(samples, 1.0)
    levels = np.linspace(-150, 200, 7001)
    density = np.exp(mixture.log_density(levels))
    step = levels[1] - levels[0]
    assert density.sum() * step == pytest.approx(1.0, abs=1e-3)
    histogram, _ = np.histogram(samples, bins=70, range=(-150, 200), density=True)
    assert np.abs(density[:7000].reshape(70, 100).mean(axis=1) - histogram).max() < 0.003
    assert density[levels < 0].sum() * step == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("fit", [histogram_odds, mixture_odds])
def test_odds_are_those_of_the_densities(fit: Any) -> None:
    rng = np.random.default_rng(1)
    odds = fit(rng.normal(100, 20, 20000), rng.normal(40, 20, 20000), 1.0)
    levels = np.linspace(30, 110, 41)
    expected = np.clip((levels - 70) * 60 / 400, -LIMIT, LIMIT)
    assert np.abs(odds(levels) - expected).max() < 0.6  # bins are smoothed
    assert odds(np.array([[70.0]])).shape == (1, 1)


@pytest.mark.parametrize("fit", [histogram_odds, mixture_odds])
def test_one_voxel_of_each_is_enough(fit: Any) -> None:
    odds = fit(np.array([5.0]), np.array([1.0]), 0.1)
    assert odds(np.array(5.0)) > 1 > -1 > odds(np.array(1.0))


@pytest.mark.parametrize("name", NAMES)
def test_an_object_that_goes_far_beyond_its_scribbles_is_followed(name: str) -> None:
    """Only what is near the scribbles is read at first."""
    shape = (40, 40, 150)
    rng = np.random.default_rng(3)
    truth = np.zeros(shape, dtype=bool)
    truth[14:26, 14:26, 5:145] = True
    array = np.rint(40 + 80 * truth + rng.normal(0, 20, shape)).astype(np.int16)
    volume = Volume(array, Geometry.from_axes((0, 0, 0), (1.0, 1.0, 2.0), np.eye(3), shape))
    label = np.zeros(shape, dtype=np.uint8)
    label[16:24, 20, 10] = FOREGROUND
    label[3:37, 5, 10] = BACKGROUND
    assert dice(mask_of(name, volume, label=label), truth) > 0.95
