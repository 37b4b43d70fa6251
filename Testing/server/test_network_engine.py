"""The promptable network: geometry of its cube, its prompts, its weights, and its engine on phantoms."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from bench.scoring import dice
from scipy import ndimage

from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.models.weights_listing import CHECKSUMS, WEIGHTS
from imeasure_server.segmentation import engines
from imeasure_server.segmentation.engine import EmptySegmentationError
from imeasure_server.segmentation.network import engine as network_engine
from imeasure_server.segmentation.network.architecture import build_network
from imeasure_server.segmentation.network.cube import Cube, box_of
from imeasure_server.segmentation.network.encoding import CHANNELS, PromptMaps, encode
from imeasure_server.segmentation.network.engine import NetworkEngine
from imeasure_server.segmentation.network.evidence import LEAST_CHANGE, change_across, only_air
from imeasure_server.segmentation.network.intensity import hounsfield_map
from imeasure_server.segmentation.network.prompt_maps import maps_on
from imeasure_server.segmentation.network.views import View, is_cut, mask_cube
from imeasure_server.segmentation.network.weights import WEIGHTS_NAME, WeightsError, load_network, save_weights
from imeasure_server.segmentation.prompts import Box, ExtremePair, PointPrompt, Prompts, Stroke
from phantoms import first_click, make_lesion_phantom

SPACING = np.array([0.7, 0.9, 3.0])
SHAPE = (60, 50, 20)


def cube(centre: tuple[float, float, float] = (30.0, 20.0, 10.0), cell: float = 1.5, side: int = 24) -> Cube:
    return Cube(np.array(centre), cell, side, SPACING, SHAPE)


def test_cells_lie_where_the_geometry_says() -> None:
    """A linear image sampled anywhere inside is the linear function of the position; the way back is the inverse."""
    x, y, z = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    image = (2.0 * x + 3.0 * y - 5.0 * z).astype(np.float32)
    small = cube(cell=1.0, side=16)
    values = small.sample(image)
    for i, j, k in ((2, 3, 4), (8, 8, 8), (13, 5, 11)):
        place = [small.positions(axis)[n] for axis, n in enumerate((i, j, k))]
        assert values[i, j, k] == pytest.approx(2 * place[0] + 3 * place[1] - 5 * place[2], abs=0.05)
        assert small.cell_of(place) == pytest.approx((i, j, k))
    block, back = small.to_volume(values)
    inner = tuple(slice(s.start + 1, s.stop - 1) for s in block)
    assert np.abs(back[1:-1, 1:-1, 1:-1] - image[inner]).max() < 0.1


def test_what_lies_beyond_the_volume_is_known_to_lie_there() -> None:
    outside = cube(centre=(0.0, 49.0, 10.0), cell=2.0)
    inside = outside.inside()
    for index in np.ndindex(6, 6, 6):
        cell = tuple(4 * n + 1 for n in index)
        place = [outside.positions(axis)[n] for axis, n in enumerate(cell)]
        assert inside[cell] == all(-0.5 < p < n - 0.5 for p, n in zip(place, SHAPE, strict=True))


def test_prompts_keep_their_places_and_their_millimetres() -> None:
    box = Box((20.0, 12.0, 7.0), (40.0, 30.0, 13.0))
    outline = np.array([[22.0, 12.0, 9.0], [38.0, 12.0, 9.0], [38.0, 28.0, 9.0], [22.0, 28.0, 9.0]])
    prompts = Prompts(
        points=(PointPrompt((30.0, 20.0, 10.0), True), PointPrompt((36.0, 20.0, 10.0), False)),
        extreme_pairs=(ExtremePair((24.0, 20.0, 9.0), (36.0, 20.0, 9.0)),),
        strokes=(Stroke(outline),),
        box=box,
    )
    previous = np.zeros(SHAPE, dtype=bool)
    previous[26:34, 16:24, 9:12] = True
    where = cube()
    maps = maps_on(where, prompts, previous)
    for index in ((5, 6, 7), (12, 12, 12), (20, 3, 14)):
        place = np.array([where.positions(axis)[n] for axis, n in enumerate(index)])
        to_click = np.linalg.norm((place - (30, 20, 10)) * SPACING)
        assert maps.positive[index] == pytest.approx(to_click, abs=1e-3)
        assert maps.negative[index] == pytest.approx(np.linalg.norm((place - (36, 20, 10)) * SPACING), abs=1e-3)
        ends = [np.linalg.norm((place - end) * SPACING) for end in ((24, 20, 9), (36, 20, 9))]
        assert maps.ends[index] == pytest.approx(min(ends), abs=1e-3)
        ball = 1 - np.linalg.norm((place - (30, 20, 9)) * SPACING) / (6 * 0.7)
        assert maps.ball[index] == pytest.approx(max(-1.0, ball), abs=1e-3)
        within = all(lo - 0.5 <= p <= up + 0.5 for lo, p, up in zip(box.lower, place, box.upper, strict=True))
        assert maps.box[index] == (1.0 if within else -1.0)
    drawn = {int(k) for k in torch.nonzero(maps.stroke)[:, 2]}
    assert drawn == {int(np.abs(where.positions(2) - 9).argmin())}
    found = torch.nonzero(maps.previous > 0).numpy()
    middle = [where.positions(axis)[found[:, axis]].mean() for axis in range(3)]
    assert middle == pytest.approx([29.5, 19.5, 10.0], abs=0.6)


def test_the_same_lesion_looks_the_same_in_a_mirrored_volume() -> None:
    image = np.random.default_rng(5).normal(40, 30, SHAPE).astype(np.float32)
    where = cube()
    for axis in range(3):
        centre = where.centre.copy()
        centre[axis] = SHAPE[axis] - 1 - centre[axis]
        mirrored = Cube(centre, where.cell, where.side, SPACING, SHAPE)
        expected = np.flip(where.sample(image), axis)
        assert np.allclose(mirrored.sample(np.flip(image, axis)), expected, atol=1e-3)


def test_a_ct_keeps_its_hounsfield_units_and_other_images_get_a_window() -> None:
    generator = np.random.default_rng(3)
    ct = np.where(generator.random((40, 40, 20)) < 0.2, -100, generator.normal(50, 15, (40, 40, 20)))
    assert hounsfield_map(ct) == (1.0, 0.0)
    liver = generator.normal(60, 15, (40, 40, 20))  # a crop inside an organ was once taken for another modality
    assert hounsfield_map(liver) == (1.0, 0.0)
    mr = generator.uniform(0, 3000, (40, 40, 20))
    factor, offset = hounsfield_map(mr)
    low, high = np.percentile(mr, (1, 99))
    assert factor * low + offset == pytest.approx(-160, abs=8)
    assert factor * high + offset == pytest.approx(240, abs=8)


def test_the_encoding_has_its_channels_and_no_infinities() -> None:
    maps = PromptMaps.empty(16)
    maps.add_click((8.0, 8.0, 8.0), True, 1.0)
    encoded = encode(torch.full((16, 16, 16), 77.0), torch.ones(16, 16, 16), maps, 1.0)
    assert encoded.shape == (CHANNELS, 16, 16, 16)
    assert bool(torch.isfinite(encoded).all())
    assert float(encoded[2].abs().max()) == pytest.approx(0.0)  # the object's own intensity is the window's middle


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((9, 8, 7), dtype=bool)
    mask[2:5, 3, 1:7] = True
    lower, upper = box_of(mask)
    assert (lower.tolist(), upper.tolist()) == ([1.5, 2.5, 0.5], [4.5, 3.5, 6.5])
    with pytest.raises(ValueError, match="empty"):
        box_of(np.zeros((2, 2, 2), dtype=bool))


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_weights(tmp_path / WEIGHTS_NAME, build_network())
    digest = hashlib.sha256((tmp_path / WEIGHTS_NAME).read_bytes()).hexdigest()
    (tmp_path / CHECKSUMS).write_text(f"{digest}  {WEIGHTS_NAME}\n", encoding="utf-8")
    return tmp_path


def test_weights_survive_being_written_and_read(untrained: Path) -> None:
    assert (untrained / WEIGHTS_NAME).stat().st_size < 15_000_000
    torch.manual_seed(1)
    for name, value in build_network().state_dict().items():
        assert torch.allclose(load_network(untrained).state_dict()[name], value, atol=1e-3), name


@pytest.mark.parametrize("damage", ["missing", "changed", "unlisted", "another network's"])
def test_broken_weights_are_refused(untrained: Path, damage: str) -> None:
    path = untrained / WEIGHTS_NAME
    if damage == "missing":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    elif damage == "unlisted":
        (untrained / CHECKSUMS).write_text("", encoding="utf-8")
    else:
        save_weights(path, torch.nn.Linear(3, 3))
        (untrained / CHECKSUMS).write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {WEIGHTS_NAME}\n")
    with pytest.raises(WeightsError, match="install the server again"):
        load_network(untrained)


def test_the_classical_engine_stands_in_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def without_weights(device: str) -> NetworkEngine:
        return NetworkEngine(device, tmp_path)

    monkeypatch.setattr(network_engine, "NetworkEngine", without_weights)
    with caplog.at_level(logging.WARNING):
        assert engines.create_engine("network", "cpu").name == "graph-cut"
    assert "not listed" in caplog.text


@pytest.fixture(scope="module")
def engine() -> NetworkEngine:
    return NetworkEngine("cpu", WEIGHTS)


PHANTOMS = {
    "lung": {"site": "lung", "form": "round", "diameter": 18.0, "noise": 15.0},
    "liver": {"site": "liver", "form": "oval", "diameter": 30.0, "contrast": 60.0, "noise": 12.0},
}


@pytest.mark.parametrize("name", PHANTOMS)
def test_masks_in_bf16_are_those_in_fp32(name: str) -> None:
    phantom = make_lesion_phantom(71, (96, 96, 32), (0.8, 0.8, 2.5), **PHANTOMS[name])
    prompts = Prompts(points=(first_click(phantom.truth, phantom.volume.geometry.spacing),))
    full, half = (
        NetworkEngine("cpu", WEIGHTS, precision).segment(phantom.volume, prompts)
        for precision in (torch.float32, torch.bfloat16)
    )
    assert (full ^ half).mean() < 0.005
    assert dice(full, half) > 0.97


def test_a_cube_around_a_mask_knows_when_it_is_too_small() -> None:
    volume = Volume(
        np.random.default_rng(0).normal(40, 10, SHAPE), Geometry.from_axes((0, 0, 0), SPACING, np.eye(3), SHAPE)
    )
    view = View(volume)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[26:34, 16:24, 9:12] = True
    fitted = mask_cube(view, mask, Prompts())
    assert fitted.extent == pytest.approx(1.6 * 9.0)  # the longest edge is 3 slices of 3 mm
    assert not is_cut(fitted, mask)
    assert is_cut(view.cube(fitted.centre, 9.0), mask)
    whole = np.ones(SHAPE, dtype=bool)  # ends where the volume ends: that is no cut
    assert not is_cut(mask_cube(view, whole, Prompts()), whole)


def test_an_excluding_click_far_away_is_seen_by_the_cube() -> None:
    view = View(
        Volume(np.random.default_rng(0).normal(size=SHAPE), Geometry.from_axes((0, 0, 0), SPACING, np.eye(3), SHAPE))
    )
    mask = np.zeros(SHAPE, dtype=bool)
    mask[26:34, 16:24, 9:12] = True
    where = mask_cube(view, mask, Prompts(points=(PointPrompt((58.0, 20.0, 10.0), False),)))
    assert all(0 <= c < where.side for c in where.cell_of((58.0, 20.0, 10.0)))


@pytest.mark.parametrize("grain", [0.0, 0.8, 1.5])
def test_what_changes_across_a_boundary_is_told_from_what_does_not(grain: float) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(40, 40, 40)), grain)
    image = (40 + 10 * noise / noise.std()).astype(np.float32)
    mask = np.zeros(image.shape, dtype=bool)
    mask[10:26, 12:28, 9:27] = True
    everywhere = np.ones_like(mask)
    assert change_across(image, mask, everywhere) < LEAST_CHANGE
    assert change_across(image + 15 * mask, mask, everywhere) > LEAST_CHANGE
    beside = np.where(np.indices(mask.shape)[0] < 18, 300, 0) * ~mask  # bone on one side, the same tissue on the other
    assert change_across((image + beside + 10 * mask).astype(np.float32), mask, everywhere) > LEAST_CHANGE
    assert change_across(image, everywhere, everywhere) is None


def test_air_is_told_from_lung() -> None:
    assert only_air(np.full((8, 8, 8), -1000, dtype=np.float32))
    assert not only_air(np.full((8, 8, 8), -860, dtype=np.float32))  # lung


def test_the_same_request_has_the_same_answer(engine: NetworkEngine) -> None:
    phantom = make_lesion_phantom(72, (64, 64, 24), (0.8, 0.8, 2.5), **PHANTOMS["lung"])
    prompts = Prompts(points=(first_click(phantom.truth, phantom.volume.geometry.spacing),))
    assert np.array_equal(engine.segment(phantom.volume, prompts), engine.segment(phantom.volume, prompts))


def test_an_image_without_contrast_has_no_object(engine: NetworkEngine) -> None:
    geometry = Geometry.from_axes((0, 0, 0), (1, 1, 1), np.eye(3), (32, 32, 16))
    flat = Volume(np.full((32, 32, 16), 40, dtype=np.int16), geometry)
    with pytest.raises(EmptySegmentationError, match="same intensity"):
        engine.segment(flat, Prompts(points=(PointPrompt((16, 16, 8), True),)))
