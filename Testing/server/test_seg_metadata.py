"""The checks of the metadata part, without a server: geometry, consistency and prompts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from contract import Scan, ellipsoid_scan, example_metadata, scan_metadata
from hypothesis import event, given, settings
from hypothesis import strategies as st

from imeasure_server.api.multipart import Part
from imeasure_server.api.seg_geometry import check_crop, scan_geometry
from imeasure_server.api.seg_prompts import slice_contour
from imeasure_server.api.seg_request import SegRequest, parse_request
from imeasure_server.api.seg_schema import FieldErrors, validate_fields
from imeasure_server.errors import ApiError, ClicksOutOfBounds, MagicPenNotAxial, RequestInvalid
from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.segmentation.padding import Padding
from phantoms.shapes import rotation_matrix

MAX_VOXELS = 100_000_000


def part(name: str, content: bytes) -> Part:
    return Part(name, bytearray(content), len(content))


def parse(metadata: dict[str, Any], image: bytes | None = None, mask: bytes | None = None) -> SegRequest:
    shape = metadata.get("shape")
    voxels = int(np.prod(shape)) if shape else 1
    parts = {
        "metadata": part("metadata", json.dumps(metadata).encode()),
        "image": part("image", bytes(2 * voxels) if image is None else image),
    }
    if mask is not None:
        parts["mask"] = part("mask", mask)
    return parse_request(parts, MAX_VOXELS)


def field_errors(metadata: dict[str, Any]) -> FieldErrors:
    with pytest.raises(RequestInvalid) as caught:
        parse(metadata)
    assert caught.value.details is not None
    return caught.value.details


@st.composite
def scans(draw: st.DrawFn) -> Scan:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    directions = rotation_matrix(rng) if draw(st.booleans()) else np.eye(3)
    directions = directions * rng.choice([-1.0, 1.0], size=3)  # left-handed grids too: slices in either order
    shape = (70, 66, draw(st.integers(1, 20)))
    return Scan(
        np.zeros(shape, np.int16), rng.uniform(-400, 400, 3), rng.uniform([0.4, 0.4, 0.5], [2, 2, 6]), directions
    )


@settings(max_examples=60, deadline=None)
@given(scan=scans(), fraction=st.tuples(*[st.floats(0, 1)] * 3))
def test_geometry_places_voxels_where_the_client_says(scan: Scan, fraction: tuple[float, float, float]) -> None:
    if scan.stored.shape[2] == 1:  # one image does not say on which side the next would be
        scan.directions[:, 2] = np.cross(scan.directions[:, 0], scan.directions[:, 1])
    index = np.floor(np.array(fraction) * (np.array(scan.stored.shape) - 1)).astype(int)
    metadata = scan_metadata(scan, [scan.world(index)], unclipped=([0, 0, -16], np.array(scan.stored.shape) + 16))
    request = parse(metadata)
    assert np.allclose(request.volume.geometry.to_world(index), scan.world(index), atol=1e-6)
    assert request.prompts.points[0].voxel == tuple(index)
    assert request.origin_voxel == (0, 0, 0)


@settings(max_examples=40, deadline=None)
@given(scan=scans(), seed=st.integers(0, 1000))
def test_crop_corners_in_any_usual_form_agree(scan: Scan, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = np.array(scan.stored.shape)
    lower = rng.integers(0, size)
    upper = rng.integers(lower, size)
    corners = np.array([scan.world(np.where(bits, upper, lower)) for bits in np.ndindex(2, 2, 2)])
    metadata = scan_metadata(scan, [scan.world(lower)], lower, upper)
    of_voxels = metadata["crop_boundaries_world"]
    smallest_and_greatest = [corners.min(axis=0).tolist(), corners.max(axis=0).tolist()]
    for form in (of_voxels, smallest_and_greatest):
        values, errors = validate_fields({**metadata, "crop_boundaries_world": form})
        check_crop(values, scan_geometry(values, errors), errors)
        assert errors == {}


def test_the_example_of_the_contract_is_consistent() -> None:
    request = parse(example_metadata())
    assert request.volume.geometry.shape == (128, 128, 32)
    assert np.allclose(request.volume.geometry.origin, (-108.73, -159.63, -483.90), atol=0.01)
    pair = request.prompts.extreme_pairs[0]
    assert pair.voxels == ((70, 26, 16), (57, 101, 16))
    assert request.padding == Padding()


def test_stored_values_become_hounsfield_units() -> None:
    stored = np.array([-32768, -2000, 0, 1024, 32767], "<i2")
    shape = (64, 64, 16)
    image = np.resize(stored, 64 * 64 * 16).astype("<i2").tobytes()
    metadata = scan_metadata(ellipsoid_scan()[0], [], [0, 0, 0], [63, 63, 15], rescale_slope=0.5, rescale_intercept=-7)
    metadata["clicks"] = [metadata["crop_boundaries_world"][0]]
    array = parse(metadata, image).volume.array
    x, y, z = 3, 5, 7
    assert array.shape == shape
    assert array[x, y, z] == stored[(x + 64 * (y + 64 * z)) % 5] * 0.5 - 7


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "shape": ({"shape": [128, 128, 31]}, "shape"),
    "voxels in the wrong order": ({"crop_boundaries_voxel": [[240, 343, 91], [113, 216, 60]]}, "crop_boundaries_voxel"),
    "crop beyond the scan": ({"world_shape": [200, 512, 154]}, "crop_boundaries_voxel"),
    "unclipped within clipped": (
        {"crop_boundaries_unclipped_voxel": [[120, 216, 60], [240, 343, 91]]},
        "crop_boundaries_unclipped_voxel",
    ),
    "world corners": (
        {"crop_boundaries_world": [[-108.73, -159.63, -483.90], [-3.81, -54.71, -317.0]]},
        "crop_boundaries_world",
    ),
    "centre": ({"crop_cuboid_center_voxel": [17, 280, 76]}, "crop_cuboid_center_voxel"),
    "image count": ({"image_count": 153}, "image_count"),
    "anchors": (
        {"world_bounding_image_positions": [[-202.09, -338.09, -118.9], [-202.09, -338.09, -783.9]]},
        "world_bounding_image_positions",
    ),
    "tilted gantry": (
        {"world_bounding_image_positions": [[-202.09, -138.09, -42.0], [-202.09, -338.09, -783.9]]},
        "world_bounding_image_positions",
    ),
    "skewed axes": ({"image_orientation_patient": [1, 0, 0, 0.1, 0.995, 0]}, "image_orientation_patient"),
    "long axes": ({"image_orientation_patient": [1, 0.5, 0, 0, 1, 0]}, "image_orientation_patient"),
    "zero axes": ({"image_orientation_patient": [0, 0, 0, 0, 0, 0]}, "image_orientation_patient"),
    "zero spacing": ({"world_spacing": [0.8, 0, 5]}, "world_spacing"),
    "slope": ({"rescale_slope": 0}, "rescale_slope"),
}


@pytest.mark.parametrize(("changes", "field"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_contradictions_are_named(changes: dict[str, Any], field: str) -> None:
    assert field in field_errors(example_metadata(**changes))


def test_every_wrong_field_is_named_at_once() -> None:
    metadata = example_metadata(clicks=[], world_spacing=..., id="abc", image_count=153, shape=[128, 128, 30])
    assert field_errors(metadata) == {
        "clicks": ["At least one click entry is required"],
        "id": ["Not a valid UUID."],
        "image_count": ["Must equal the third number of world_shape."],
        "shape": ["Does not match crop_boundaries_voxel, which are inclusive: expected [128, 128, 32]."],
        "world_spacing": ["Missing data for required field."],
    }


@pytest.mark.parametrize("name", sorted(example_metadata()))
def test_every_field_is_required(name: str) -> None:
    assert field_errors(example_metadata(**{name: ...}))[name] == ["Missing data for required field."]
    assert field_errors(example_metadata(**{name: None}))[name] == ["Field may not be null."]


WRONG_VALUES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "id": ({"id": "d286c20ab2b140e4ab460654b6fc3917"}, ["Not a valid UUID."]),
    "finding id": ({"finding_id": ""}, ["Shorter than minimum length 1."]),
    "finding id of a wrong type": ({"finding_id": 7}, ["Not a valid string."]),
    "text for a number": ({"rescale_slope": "1"}, ["Not a valid number."]),
    "yes for a number": ({"rescale_slope": True}, ["Not a valid number."]),
    "infinite": ({"rescale_intercept": 1e999}, ["Not a valid number."]),
    "endless integer": ({"rescale_intercept": 10**400}, ["Not a valid number."]),
    "fraction of a voxel": ({"shape": [128.5, 128, 32]}, ["0: Not a valid integer."]),
    "no voxels": ({"shape": [0, 128, 32]}, ["0: Must be greater than 0."]),
    "two numbers": ({"world_origin": [1, 2]}, ["Shorter than minimum length 3."]),
    "negative spacing": ({"world_spacing": [1, 1, -5]}, ["2: Must be greater than 0."]),
    "infinite click": ({"clicks": [[float("inf"), 0, 0]]}, ["0.0: Not a valid number."]),
    "two forms": (
        {"clicks": [[-51.16, -138.12, -403.9], {"mode": "positive", "points": [[-51.16, -138.12, -403.9]]}]},
        ["Must be all points or all objects with mode and points, not both."],
    ),
    "mode": ({"clicks": [{"mode": "maybe", "points": [[1, 2, 3]]}]}, ["0.mode: Must be one of: positive, negative."]),
    "no points": ({"clicks": [{"mode": "positive", "points": []}]}, ["0.points: Shorter than minimum length 1."]),
    "a word": ({"clicks": ["here"]}, ["0: Not a valid click: send a point, or an object with mode and points."]),
    "only negative": (
        {"clicks": [{"mode": "negative", "points": [[-51.16, -138.12, -403.9]]}]},
        ["At least one positive click is required when there is neither a mask nor a pen stroke"],
    ),
    "short stroke": (
        {"magic_pen_points": [[[-60.0, -100.0, -404.0], [-58.0, -96.0, -404.0]]]},
        ["0: Shorter than minimum length 3."],
    ),
}


@pytest.mark.parametrize(("changes", "messages"), WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
def test_wrong_values_are_named_in_the_words_of_the_contract(changes: dict[str, Any], messages: list[str]) -> None:
    _, errors = validate_fields(json.loads(json.dumps(example_metadata(**changes))))
    if not errors:
        errors = field_errors(example_metadata(**changes))
    assert errors == {next(iter(changes)): messages}


def test_harmless_variations_are_taken() -> None:
    request = parse(
        example_metadata(
            finding_id="abc123",
            magic_pen_points=None,
            shape=[128.0, 128.0, 32.0],
            crop_cuboid_center_voxel=[176.5, 279.5, 75.5],
            something_new={"a": 1},
        )
    )
    assert request.volume.geometry.shape == (128, 128, 32)


def group(mode: str, *points: list[float]) -> dict[str, Any]:
    return {"mode": mode, "points": list(points)}


def test_groups_become_prompts() -> None:
    a, b, c = [-51.16, -138.12, -403.90], [-61.26, -76.11, -403.90], [-70.0, -80.0, -400.0]
    prompts = parse(
        example_metadata(
            clicks=[group("positive", a, b), group("positive", c), group("positive", a, b, c), group("negative", a, b)],
            magic_pen_points=[[[-60.0, -100.0, -404.0], [-58.0, -96.0, -404.0], [-56.0, -100.0, -404.0]]],
        )
    ).prompts
    assert [pair.order for pair in prompts.extreme_pairs] == [0]
    assert [(point.order, point.positive) for point in prompts.points] == [
        (1, True), (2, True), (2, True), (2, True), (3, False), (3, False),
    ]  # fmt: skip
    assert [(stroke.order, stroke.slice_index) for stroke in prompts.strokes] == [(4, 16)]


@pytest.mark.parametrize(("count", "pairs", "points"), [(1, 0, 1), (2, 1, 0), (3, 0, 3)])
def test_static_points(count: int, pairs: int, points: int) -> None:
    clicks = [[-51.16, -138.12, -403.90], [-61.26, -76.11, -403.90], [-70.0, -80.0, -400.0]][:count]
    prompts = parse(example_metadata(clicks=clicks)).prompts
    assert (len(prompts.extreme_pairs), len(prompts.points)) == (pairs, points)
    assert not prompts.negative_voxels


def test_a_negative_click_needs_a_mask_that_holds_something() -> None:
    metadata = example_metadata(clicks=[group("negative", [-51.16, -138.12, -403.90])])
    mask = np.zeros(128 * 128 * 32, np.uint8)
    with pytest.raises(RequestInvalid, match="Invalid request data"):
        parse(metadata, mask=mask.tobytes())
    mask[100] = 1
    previous = parse(metadata, mask=mask.tobytes()).prompts.previous_mask
    assert previous is not None
    assert np.argwhere(previous).tolist() == [[100, 0, 0]]


def test_points_outside_are_named() -> None:
    inside, outside = [-51.16, -138.12, -403.90], [-51.16, -138.12, -500.0]
    with pytest.raises(ClicksOutOfBounds) as caught:
        parse(example_metadata(clicks=[inside, outside]))
    assert caught.value.details == {"clicks": ["1: Not inside the crop."]}
    stroke = [[-60.0, -100.0, -404.0], [-58.0, -96.0, -404.0], [-156.0, -100.0, -404.0]]
    with pytest.raises(ClicksOutOfBounds) as caught:
        parse(
            example_metadata(clicks=[group("positive", inside), group("negative", outside)], magic_pen_points=[stroke])
        )
    assert caught.value.details == {
        "clicks": ["1.0: Not inside the crop."],
        "magic_pen_points": ["0.2: Not inside the crop."],
    }


def test_the_faces_of_the_crop_are_its_bounds() -> None:
    scan, _ = ellipsoid_scan()
    for index in ([-0.49, 0, 0], [79.49, 79.49, 23.49]):
        parse(scan_metadata(scan, [scan.world(index)]))
    for index in ([-0.51, 0, 0], [0, 79.51, 0], [0, 0, 23.51]):
        with pytest.raises(ClicksOutOfBounds):
            parse(scan_metadata(scan, [scan.world(index)]))


@pytest.mark.parametrize(("rise", "axial"), [(0.0, True), (0.01, True), (0.02, False), (3.0, False)])
def test_a_stroke_shares_z_to_a_hundredth_of_a_millimetre(rise: float, axial: bool) -> None:
    stroke = [[-60.0, -100.0, -404.0], [-58.0, -96.0, -404.0], [-56.0, -100.0, -404.0 + rise]]
    metadata = example_metadata(clicks=[], magic_pen_points=[stroke])
    if axial:
        assert len(parse(metadata).prompts.strokes) == 1
    else:
        with pytest.raises(MagicPenNotAxial):
            parse(metadata)


def test_strokes_in_an_oblique_volume() -> None:
    angle = np.radians(20)
    directions = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    scan, _ = ellipsoid_scan(directions=directions)
    on_slice = [[round(v, 2) for v in scan.world(index)] for index in ([30, 30, 12], [50, 30, 12], [40, 50, 12])]
    strokes = parse(scan_metadata(scan, [], magic_pen_points=[on_slice])).prompts.strokes
    assert [stroke.slice_index for stroke in strokes] == [12]
    middle = np.array(scan.world([40, 40, 12]))
    level = [(middle + offset).tolist() for offset in ([-12, -12, 0], [12, -12, 0], [12, 12, 0], [-12, 12, 0])]
    strokes = parse(scan_metadata(scan, [], magic_pen_points=[level])).prompts.strokes
    assert len({stroke.slice_index for stroke in strokes}) == len(strokes) > 1
    assert {stroke.order for stroke in strokes} == {0}
    slanted = [*on_slice[:2], scan.world([40, 50, 14])]
    with pytest.raises(MagicPenNotAxial):
        parse(scan_metadata(scan, [], magic_pen_points=[slanted]))


def polygon_area(points: np.ndarray[Any, Any]) -> float:
    x, y = points[:, 0], points[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), slope=st.floats(0.05, 2.0))
def test_the_pieces_of_a_cut_contour_make_up_the_whole(seed: int, slope: float) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
    radii = rng.uniform(5, 15, 12)
    flat = np.column_stack([20 + radii * np.cos(angles), 20 + radii * np.sin(angles)])
    contour = np.column_stack([flat, 3.2 + slope * flat[:, 1]])
    pieces = slice_contour(contour)
    assert sum(polygon_area(piece) for piece in pieces) == pytest.approx(polygon_area(flat))
    slices = [float(piece[0, 2]) for piece in pieces]
    assert slices == sorted(set(slices))
    assert all((piece[:, 2] == piece[0, 2]).all() for piece in pieces)


def test_an_oversize_unclipped_box_is_refused_before_anything_is_padded() -> None:
    metadata = example_metadata(crop_boundaries_unclipped_voxel=[[-60000, -60000, -60000], [60000, 60000, 60000]])
    assert field_errors(metadata) == {
        "crop_boundaries_unclipped_voxel": [f"Must not hold more than {MAX_VOXELS} voxels."]
    }


def test_padding_keeps_every_voxel_in_its_place() -> None:
    rng = np.random.default_rng(3)
    array = rng.normal(size=(5, 6, 4))
    volume = Volume(array, Geometry.from_axes([1, 2, 3], [0.5, 0.7, 3], rotation_matrix(rng), (5, 6, 4)))
    padding = Padding((2, 0, 3), (1, 4, 0))
    padded = padding.apply(volume)
    assert padded.array.shape == (8, 10, 7)
    assert np.array_equal(padding.remove(padded.array), array)
    assert np.allclose(padded.geometry.to_world([2, 0, 3]), volume.geometry.origin)
    assert padded.array[0, 9, 0] == array[0, 5, 0]


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(sorted(example_metadata())),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
        max_leaves=8,
    ),
)
def test_no_value_of_a_field_is_an_accident(name: str, value: Any) -> None:
    parts = {
        "metadata": part("metadata", json.dumps(example_metadata(**{name: value})).encode()),
        "image": part("image", b""),
    }
    with pytest.raises(ApiError) as caught:
        parse_request(parts, MAX_VOXELS)
    assert caught.value.status in (400, 422)


SMALL, _ = ellipsoid_scan((64, 64, 16), centre=(32, 32, 8), directions=rotation_matrix(np.random.default_rng(1)))
INSIDE = st.tuples(*[st.floats(0, 15)] * 3)
ANYWHERE = st.tuples(*[st.floats(-2, 70) | st.floats(-1e5, 1e5) | st.sampled_from([-0.5, 15.5, 63.5])] * 3)
POINTS = st.lists(st.one_of(INSIDE, INSIDE, INSIDE, ANYWHERE).map(SMALL.world), min_size=1, max_size=3)
FLAT = st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60), st.just(7)).map(SMALL.world), min_size=3, max_size=5)


@settings(max_examples=200, deadline=None)
@given(
    groups=st.lists(st.tuples(st.sampled_from(["positive", "negative"]), POINTS), min_size=1, max_size=2),
    strokes=st.lists(FLAT | POINTS, max_size=1),
    lower=st.tuples(*[st.integers(-300, 0)] * 3),
)
def test_no_place_of_a_prompt_is_an_accident(
    groups: list[tuple[str, list[list[float]]]], strokes: list[list[list[float]]], lower: tuple[int, int, int]
) -> None:
    metadata = scan_metadata(
        SMALL,
        [group(mode, *points) for mode, points in groups],
        unclipped=(lower, (63, 63, 15)),
        magic_pen_points=strokes,
    )
    try:
        request = parse(metadata)
    except ApiError as error:
        event(error.code)
        return
    event("taken")
    shape = request.volume.geometry.shape
    voxels = request.prompts.positive_voxels + request.prompts.negative_voxels
    assert all(0 <= v < n for voxel in voxels for v, n in zip(voxel, shape, strict=True))
    assert all(0 <= stroke.slice_index < shape[2] for stroke in request.prompts.strokes)
