"""``/v1/mask2polygon`` and ``/v1/fixpolygon``, as NVIDIA's clients use them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
from aiaa_clients import cpp_client, nifti_file, python_client
from infer_http import OBLIQUE, dice
from numpy.typing import NDArray
from PIL import Image

from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.segmentation.polygons.volume import fill_volume

SHAPE = (48, 40, 12)
X, Y, Z = np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij")
MASK = ((X - 20) / 13) ** 2 + ((Y - 22) / 9) ** 2 + ((Z - 6) / 4) ** 2 <= 1
MASK &= ~(((X - 20) ** 2 + (Y - 22) ** 2 <= 9) & (Z == 6))  # a hole
GEOMETRY = Geometry.from_axes((10, 20, 30), (0.8, 1.1, 3.0), OBLIQUE, SHAPE)


@pytest.fixture(scope="module")
def mask_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nifti_file(Volume(MASK.astype(np.uint16), GEOMETRY), tmp_path_factory.mktemp("mask") / "mask.nii.gz")


@pytest.fixture(scope="module")
def ct_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = np.random.default_rng(1).normal(0, 3, SHAPE)
    array = np.rint(np.where(MASK, 80, -40) + noise).astype(np.int16)
    return nifti_file(Volume(array, GEOMETRY), tmp_path_factory.mktemp("ct") / "ct.nii.gz")


@pytest.fixture
def client(live_server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server, trust_env=False, timeout=60) as opened:
        yield opened


def mask2polygon(url: str, path: Path, more_points: Any = 10) -> list[list[list[list[int]]]]:
    """``AIAAClient.mask2polygon``."""
    params = json.dumps({"more_points": more_points})
    reply = python_client(url, "POST", "/v1/mask2polygon", {"params": params}, {"datapoint": path})
    assert reply.status == 200, reply.form
    polygons: list[list[list[list[int]]]] = json.loads(reply.form)
    return polygons


def filled(polygons: list[list[list[list[int]]]]) -> NDArray[np.bool_]:
    """The mask of polygons of a volume, whose points are [second, first] index."""
    return fill_volume([[np.array(p)[:, ::-1] for p in on_slice] for on_slice in polygons], SHAPE)


def sentence(response: httpx.Response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    return str(response.json()["detail"])


@pytest.mark.parametrize("more_points", [1, 10, 50])
def test_mask_to_polygons_to_mask(live_server: str, mask_file: Path, more_points: int) -> None:
    polygons = mask2polygon(live_server, mask_file, more_points)
    assert [bool(on_slice) for on_slice in polygons] == MASK.any(axis=(0, 1)).tolist()
    assert len(polygons[6]) == 2
    found = filled(polygons)
    assert dice(found, MASK) >= 0.98
    if more_points == 1:
        assert (found == MASK).all()
    assert all(isinstance(number, int) for on_slice in polygons for p in on_slice for point in p for number in point)


def test_a_session_instead_of_an_upload(client: httpx.Client, mask_file: Path, live_server: str) -> None:
    name = client.put("/session/", files={"image": ("m.nii.gz", mask_file.read_bytes())}).json()["session_id"]
    response = client.post("/v1/mask2polygon", params={"session_id": name}, data={"params": '{"more_points": 10}'})
    assert response.json() == mask2polygon(live_server, mask_file)
    assert client.post("/v1/mask2polygon", params={"session_id": "gone"}).status_code == 440


def test_the_cpp_client(live_server: str, mask_file: Path) -> None:
    polygons = mask2polygon(live_server, mask_file)
    content = mask_file.read_bytes()
    listed = cpp_client(live_server, "POST", "/v1/mask2polygon", '{"more_points":10}', content)
    assert json.loads(listed.form) == polygons
    edit = (
        '{"propagate_neighbor":2,"propagate_neighbor_3d":1,"dimension":3,"slice_index":5,"polygon_index":0,'
        f'"vertex_index":1,"vertex_offset":[4,-3],"poly":{json.dumps(polygons)}}}'
    )
    fixed = cpp_client(live_server, "POST", "/v1/fixpolygon", edit, content)
    assert fixed.params["poly"][5][0][1] == [polygons[5][0][1][0] + 4, polygons[5][0][1][1] - 3]
    assert (fixed.voxels > 0).sum() > 0


def fixpolygon(url: str, path: Path, **params: Any) -> Any:
    """``AIAAClient.fixpolygon``."""
    reply = python_client(url, "POST", "/v1/fixpolygon", {"params": json.dumps(params)}, {"datapoint": path})
    assert reply.status == 200, reply.form
    return reply


def test_a_vertex_of_a_volume(live_server: str, mask_file: Path, ct_file: Path) -> None:
    polygons = mask2polygon(live_server, mask_file)
    reply = fixpolygon(
        live_server,
        ct_file,
        poly=polygons,
        vertex_offset=[0, 9],
        dimension=3,
        slice_index=5,
        polygon_index=0,
        vertex_index=int(np.argmax(np.array(polygons[5][0])[:, 1])),
        propagate_neighbor_3d=2,
        propagate_neighbor=1,
    )
    after = reply.params["poly"]
    assert [[len(p) for p in on_slice] for on_slice in after] == [[len(p) for p in on_slice] for on_slice in polygons]
    reach = {index: np.argwhere(reply.voxels[:, :, index])[:, 0].max() for index in (4, 5, 6)}
    before = {index: np.argwhere(MASK[:, :, index])[:, 0].max() for index in (4, 5, 6)}
    assert reach[5] == before[5] + 9
    assert before[4] < reach[4] < reach[5]
    assert before[6] < reach[6] < reach[5]
    assert after[0:3] == polygons[0:3]
    assert after[8:] == polygons[8:]
    assert (filled(after) == (reply.voxels > 0)).all()
    assert np.allclose(reply.mask.affine, nibabel.load(ct_file).affine, atol=1e-4)
    assert set(np.unique(reply.voxels)) == {0, 1}
    assert not reply.voxels[20, 22, 6]  # the hole is still there


@pytest.mark.parametrize("spelling", ["snake", "camel", "before and after", "old polygons only"])
def test_a_vertex_of_a_picture(live_server: str, tmp_path: Path, spelling: str) -> None:
    disc = (X[:, :, 0] - 20) ** 2 + (Y[:, :, 0] - 22) ** 2 <= 100
    Image.fromarray((disc.T * 200).astype(np.uint8)).save(tmp_path / "slice.png")
    angles = np.arange(12) * np.pi / 6
    before = np.rint(np.stack([20 + 10 * np.cos(angles), 22 + 10 * np.sin(angles)], axis=1)).astype(int).tolist()
    after = [[41, 25], *before[1:]]
    params: dict[str, Any] = {"propagate_neighbor": 0, "polygon_index": 0, "vertex_index": 0, "poly": [before]}
    if spelling == "camel":
        params |= {"polygonIndex": params.pop("polygon_index"), "vertexIndex": params.pop("vertex_index")}
        params["vertexOffset"] = [11, 3]
    elif spelling == "before and after":
        params |= {"poly": [after], "prev_poly": [before]}
    elif spelling == "old polygons only":
        params |= {"prev_poly": params.pop("poly"), "vertex_offset": [11, 3], "dimension": 2}
    else:
        params |= {"vertex_offset": [11, 3], "dimension": 2}
    reply = fixpolygon(live_server, tmp_path / "slice.png", **params)
    assert reply.params["poly"] == [after]
    (content,) = reply.files.values()
    with Image.open(io.BytesIO(content)) as picture:
        mask = np.asarray(picture).T
    assert mask.shape == disc.shape
    assert mask[41, 25] == 1
    assert mask[disc].mean() > 0.9


POLY = [[[10, 10], [10, 30], [30, 30], [30, 10]]]
MOVE = {"polygon_index": 0, "vertex_index": 0, "vertex_offset": [1, 1]}
VOLUME = {"poly": [POLY] * 3, **MOVE, "dimension": 3, "slice_index": 1}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "poly"),
        ({"poly": POLY}, "polygon_index"),
        ({"poly": POLY, "polygon_index": 0, "vertex_index": 0}, "vertex_offset"),
        ({**VOLUME, "vertex_index": 4}, "no such slice, polygon or vertex"),
        ({**VOLUME, "polygon_index": 1}, "no such slice, polygon or vertex"),
        ({"poly": POLY, **MOVE, "vertex_index": -1}, "vertex_index"),
        ({"poly": POLY, **MOVE, "vertex_index": 0.5}, "vertex_index"),
        ({"poly": POLY, **MOVE, "dimension": 4}, "dimension"),
        ({"poly": [POLY] * 3, **MOVE, "dimension": 3}, "slice_index"),
        ({**VOLUME, "slice_index": 5}, "no such slice"),
        ({**VOLUME, "vertex_index": 1e300}, "no such slice, polygon or vertex"),
        ({"poly": [[["a", 1]]], **MOVE}, "poly"),
        ({"poly": 5, **MOVE}, "poly"),
        ({"poly": POLY, **MOVE, "vertex_offset": [1]}, "vertex_offset"),
        ({"poly": POLY, **MOVE}, "several slices"),
    ],
)
def test_what_cannot_be_done(client: httpx.Client, mask_file: Path, params: dict[str, Any], said: str) -> None:
    files = {"image": ("m.nii.gz", mask_file.read_bytes())}
    assert said in sentence(client.post("/v1/fixpolygon", data={"params": json.dumps(params)}, files=files))


@pytest.mark.parametrize("more_points", ['"many"', "[1]", "true"])
def test_what_is_no_number_of_points(client: httpx.Client, mask_file: Path, more_points: str) -> None:
    files = {"image": ("m.nii.gz", mask_file.read_bytes())}
    data = {"params": f'{{"more_points": {more_points}}}'}
    assert "more_points" in sentence(client.post("/v1/mask2polygon", data=data, files=files))
