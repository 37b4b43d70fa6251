"""``POST /seg`` over real HTTP: every field of the answer, every form of prompt, every geometry."""

from __future__ import annotations

import base64
import itertools
import math
from typing import Any

import numpy as np
import pytest
from contract import Answer, Scan, ellipsoid_scan, post, scan_metadata
from numpy.typing import NDArray

from phantoms import extreme_points, first_click, make_lesion_phantom
from phantoms.shapes import rotation_matrix

SCAN, LESION = ellipsoid_scan()
IMAGE = SCAN.crop_bytes([0, 0, 0], [79, 79, 23])
A, B, CENTRE, EDGE = (40, 28, 12), (40, 52, 12), (40, 40, 12), (52, 40, 12)


def positive(*voxels: tuple[int, int, int]) -> dict[str, Any]:
    return {"mode": "positive", "points": [SCAN.world(voxel) for voxel in voxels]}


def negative(*voxels: tuple[int, int, int]) -> dict[str, Any]:
    return {"mode": "negative", "points": [SCAN.world(voxel) for voxel in voxels]}


def outline(slice_index: int) -> list[list[float]]:
    """A pen stroke around the lesion on one slice."""
    scale = math.sqrt(1 - ((slice_index - 12) * 3.0 / 15) ** 2)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return [
        SCAN.world([40 + scale * 17.5 * math.cos(angle), 40 + scale * 13.75 * math.sin(angle), slice_index])
        for angle in angles
    ]


def ask(url: str, clicks: list[Any], mask: NDArray[np.bool_] | None = None, **changes: Any) -> Answer:
    answer = post(url, scan_metadata(SCAN, clicks, **changes), IMAGE, mask)
    assert answer.status == 200, answer.body
    return answer


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def test_every_field_of_the_answer(live_server: str) -> None:
    lower, upper = np.array([4, 6, 2]), np.array([75, 77, 21])
    metadata = scan_metadata(SCAN, [SCAN.world(CENTRE)], lower, upper)
    answer = post(live_server, metadata, SCAN.crop_bytes(lower, upper))
    body, mask = answer.body, answer.mask
    assert answer.status == 200
    assert set(body) == {
        "id", "mask", "mask_shape", "mask_origin_voxel", "mask_spacing", "measurements", "volume", "volume_mm3",
    }  # fmt: skip
    assert body["id"] == metadata["id"]
    assert body["mask_shape"] == [72, 72, 20] == metadata["shape"]
    assert len(base64.b64decode(body["mask"])) == 72 * 72 * 20
    assert body["mask_origin_voxel"] == [4, 6, 2]
    assert body["mask_spacing"] == [0.8, 0.8, 3.0]
    assert body["volume"] == mask.sum()
    assert body["volume_mm3"] == pytest.approx(mask.sum() * 0.8 * 0.8 * 3)
    assert dice(mask, LESION[4:76, 6:78, 2:22]) > 0.85
    measurements = body["measurements"]
    slices = np.flatnonzero(mask.any(axis=(0, 1)))
    assert sorted(map(int, measurements["cross"])) == slices.tolist()
    assert measurements["height"]["length_world"] == pytest.approx(3 * (slices[-1] - slices[0] + 1))
    for key, cross in measurements["cross"].items():
        z = SCAN.world([0, 0, 2 + int(key)])[2]
        for line in cross.values():
            assert [end[2] for end in line["coords_world"]] == pytest.approx([z, z])
            assert math.dist(*line["coords_world"]) == pytest.approx(line["length_world"], abs=1e-6)
        assert cross["short"]["length_world"] <= cross["long"]["length_world"] + 1e-9
        assert cross["long"]["length_world"] <= measurements["diameter"]["length_world"] + 1e-9
    assert math.dist(*measurements["diameter"]["coords_world"]) == pytest.approx(
        measurements["diameter"]["length_world"], abs=1e-6
    )


PROMPTS: dict[str, tuple[list[dict[str, Any]], list[int]]] = {
    "one click": ([positive(CENTRE)], []),
    "two extreme points": ([positive(A, B)], []),
    "several groups": ([positive(CENTRE), positive(A), positive(A, B, CENTRE)], []),
    "positive and negative": ([positive(CENTRE), negative((62, 40, 12), (40, 62, 12))], []),
    "pen alone": ([], [12]),
    "two strokes": ([], [10, 14]),
    "pen and clicks": ([positive(A), negative((62, 40, 12))], [12]),
    "pen and extreme points": ([positive(A, B), negative((62, 40, 12))], [11, 12]),
}


@pytest.mark.parametrize("with_mask", [False, True], ids=["create", "edit"])
@pytest.mark.parametrize(("clicks", "strokes"), PROMPTS.values(), ids=PROMPTS.keys())
def test_prompts_bind(live_server: str, clicks: list[dict[str, Any]], strokes: list[int], with_mask: bool) -> None:
    previous = np.roll(LESION, 4, axis=0) if with_mask else None
    changes = {"magic_pen_points": [outline(index) for index in strokes]} if strokes else {}
    if with_mask:
        changes["finding_id"] = "abc123"
    answer = ask(live_server, clicks, previous, **changes)
    for group in clicks:
        for point in group["points"]:
            voxel = tuple(np.rint((np.array(point) - SCAN.origin) / SCAN.spacing).astype(int))
            assert answer.mask[voxel] == (group["mode"] == "positive"), voxel
    for index in strokes:
        assert answer.mask[38:43, 38:43, index].all()
    if not with_mask:
        # Two points alone draw this small ball less well than all else does.
        assert dice(answer.mask, LESION) > (0.7 if clicks == PROMPTS["two extreme points"][0] and not strokes else 0.8)


def test_static_and_interactive_are_one(live_server: str) -> None:
    for voxels, groups in (((A, B), [positive(A, B)]), ((CENTRE,), [positive(CENTRE)])):
        static = ask(live_server, [SCAN.world(voxel) for voxel in voxels])
        assert static.raw == ask(live_server, groups).raw


def test_an_edit_changes_what_is_near_and_nothing_else(live_server: str) -> None:
    mask = LESION.copy()
    mask[60:66, 60:66, 10:14] = True  # something else that was taken in
    answer = ask(live_server, [positive(CENTRE), negative((62, 62, 12))], mask)
    assert not answer.mask[62, 62, 12]
    assert np.array_equal(answer.mask[:50, :50], mask[:50, :50])


def test_a_negative_click_alone_edits_a_mask(live_server: str) -> None:
    answer = ask(live_server, [negative(EDGE)], LESION)
    assert not answer.mask[EDGE]
    assert answer.mask[28, 40, 12] == LESION[28, 40, 12]


def test_the_same_bytes_for_the_same_request(live_server: str) -> None:
    requests = [([positive(CENTRE)], None), ([positive(A, B), negative(EDGE)], LESION)]
    first = [ask(live_server, clicks, mask).raw for clicks, mask in requests]
    again = [ask(live_server, clicks, mask).raw for clicks, mask in reversed(requests)]
    assert first == again[::-1]


def test_rescale_is_applied(live_server: str) -> None:
    """The same HU, stored twice as fine, is the same lesion."""
    fine = Scan(
        (SCAN.stored * 2 - 100).astype(np.int16), SCAN.origin, SCAN.spacing, SCAN.directions, 0.5, SCAN.intercept + 50
    )
    image = fine.crop_bytes([0, 0, 0], [79, 79, 23])
    answer = post(live_server, scan_metadata(fine, [positive(CENTRE)]), image)
    assert np.array_equal(answer.mask, ask(live_server, [positive(CENTRE)]).mask)


ROTATION = rotation_matrix(np.random.default_rng(4))
GRIDS: dict[str, NDArray[np.float64]] = {
    "head first": np.diag([1.0, 1.0, -1.0]),
    "prone": np.diag([-1.0, -1.0, 1.0]),
    "mirrored": np.diag([-1.0, 1.0, 1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "oblique": ROTATION,
    "oblique, slices reversed": ROTATION * [1, 1, -1],
}


@pytest.mark.parametrize("directions", GRIDS.values(), ids=GRIDS.keys())
def test_the_grid_does_not_matter(live_server: str, directions: NDArray[np.float64]) -> None:
    """The same voxels in another orientation: the same mask, and measurements turned with the grid."""
    turned = Scan(SCAN.stored, np.array([10.0, -20.0, 30.0]), SCAN.spacing, directions)
    clicks = [{"mode": "positive", "points": [turned.world(A), turned.world(B)]}]
    answer = post(live_server, scan_metadata(turned, clicks), IMAGE)
    usual = ask(live_server, [positive(A, B)])
    assert answer.status == 200, answer.body
    assert np.array_equal(answer.mask, usual.mask)
    for name in ("diameter", "height"):
        ends = np.array(answer.body["measurements"][name]["coords_world"]) - turned.origin
        expected = (np.array(usual.body["measurements"][name]["coords_world"]) - SCAN.origin) @ directions.T
        assert math.dist(*ends) == pytest.approx(answer.body["measurements"][name]["length_world"], abs=1e-6)
        assert math.dist(*expected) == pytest.approx(math.dist(*ends), rel=1e-6)


@pytest.mark.parametrize("kind", ["straight", "flipped", "oblique"])
def test_phantom_lesions_are_found(live_server: str, kind: str) -> None:
    rng = np.random.default_rng(11)
    directions = {"straight": np.eye(3), "flipped": np.diag([-1.0, 1.0, -1.0]), "oblique": rotation_matrix(rng)}[kind]
    phantom = make_lesion_phantom(
        31, (96, 96, 24), (0.8, 0.8, 3.0), directions, (-80.0, 40.0, 612.5),
        site="liver", form="round", diameter=28, contrast=90, noise=10,
    )  # fmt: skip
    geometry = phantom.volume.geometry
    scan = Scan.from_hu(phantom.volume.array, geometry.origin, geometry.spacing, directions)
    image = scan.crop_bytes([0, 0, 0], [95, 95, 23])
    click = first_click(phantom.truth, geometry.spacing).position
    one = post(live_server, scan_metadata(scan, [{"mode": "positive", "points": [scan.world(click)]}]), image)
    assert one.mask[tuple(np.rint(click).astype(int))]
    assert dice(one.mask, phantom.truth) > 0.75
    ends = [scan.world(end) for end in extreme_points(phantom.truth, geometry.spacing)]
    two = post(live_server, scan_metadata(scan, ends), image)
    assert dice(two.mask, phantom.truth) > 0.75


def test_a_crop_cut_by_the_end_of_the_scan(live_server: str) -> None:
    """A scan of ten slices: the client asked for 24, sends ten, and gets a mask of ten."""
    scan = Scan(SCAN.stored[:, :, 7:17].copy(), np.array(SCAN.world([0, 0, 7])), SCAN.spacing, SCAN.directions)
    metadata = scan_metadata(
        scan, [scan.world((40, 40, 5))], [5, 0, 0], [79, 79, 9], unclipped=([5, -4, -7], [84, 83, 16])
    )
    answer = post(live_server, metadata, scan.crop_bytes([5, 0, 0], [79, 79, 9]))
    assert answer.status == 200, answer.body
    assert answer.body["mask_shape"] == [75, 80, 10]
    assert answer.body["mask_origin_voxel"] == [5, 0, 0]
    assert dice(answer.mask, LESION[5:80, :, 7:17]) > 0.85
    slices = np.flatnonzero(answer.mask.any(axis=(0, 1))).tolist()
    assert sorted(map(int, answer.body["measurements"]["cross"])) == slices
    assert answer.body["volume"] == answer.mask.sum()
    assert answer.body["measurements"]["height"]["length_world"] == pytest.approx(3 * len(slices))


def test_a_single_image(live_server: str) -> None:
    scan = Scan(SCAN.stored[:, :, 12:13].copy(), np.array(SCAN.world([0, 0, 12])), SCAN.spacing, SCAN.directions)
    metadata = scan_metadata(scan, [scan.world((40, 40, 0))], unclipped=([0, 0, -8], [79, 79, 8]))
    answer = post(live_server, metadata, scan.crop_bytes([0, 0, 0], [79, 79, 0]))
    assert answer.status == 200, answer.body
    assert dice(answer.mask, LESION[:, :, 12:13]) > 0.85


def test_a_mask_is_aligned_with_the_image(live_server: str) -> None:
    """A mask that satisfies every prompt comes back as it is: byte order and axes agree both ways."""
    rng = np.random.default_rng(2)
    mask = np.zeros_like(LESION)
    for start in itertools.islice(iter(rng.integers(0, [60, 50, 16], size=(50, 3))), 6):
        mask[tuple(slice(low, low + size) for low, size in zip(start, (14, 9, 5), strict=True))] = True
    voxel = tuple(int(v) for v in np.argwhere(mask)[100])
    click = {"mode": "positive", "points": [SCAN.world(voxel)]}
    assert np.array_equal(ask(live_server, [click], mask).mask, mask)
