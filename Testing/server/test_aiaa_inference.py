"""Models and inference of AIAA, as NVIDIA's clients use them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
from aiaa_clients import cpp_client, nifti_file, python_client, run
from infer_http import OBLIQUE, Scene, ball_scene, dice

from imeasure_server.api.aiaa.inference import extreme_points
from imeasure_server.imaging.volume import LPS_TO_RAS, Volume
from phantoms.dicom_series import SeriesOptions, as_read, series_zip

CENTRE = (28, 18, 9)
EXTREMES = [[21, 18, 9], [35, 18, 9], [28, 10, 9], [28, 26, 9], [28, 18, 6], [28, 18, 12]]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return ball_scene(3, OBLIQUE)


@pytest.fixture(scope="module")
def image(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nifti_file(scene.volume, tmp_path_factory.mktemp("image") / "ct.nii.gz")


@pytest.fixture
def client(live_server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server, trust_env=False, timeout=120) as opened:
        yield opened


def sentence(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    answer = response.json()
    assert answer.keys() == {"detail"}
    assert answer["detail"].endswith((".", "?"))
    return str(answer["detail"])


def session(url: str, image: Path) -> str:
    """``AIAAClient.create_session``."""
    made = python_client(url, "PUT", "/session/?expiry=0", {}, {"image": image})
    return str(json.loads(made.form)["session_id"])


# --- models


def test_all_models_have_what_plugins_read(client: httpx.Client) -> None:
    found = {model["name"]: model for model in client.get("/v1/models").json()}
    assert {"deepgrow_3d", "deepgrow_2d", "dextr3d", "segmentation"} <= found.keys()
    for model in found.values():
        assert model["type"] in {
            "segmentation",
            "annotation",
            "deepgrow",
            "classification",
            "others",
            "pipeline",
            "scribbles",
        }
        assert isinstance(model["description"], str)
        assert isinstance(model["version"], str)
        assert all(isinstance(label, str) for label in model["labels"])
    assert (found["deepgrow_3d"]["deepgrow"], found["deepgrow_2d"]["deepgrow"]) == ("3d", "2d")
    assert found["dextr3d"]["padding"] > 0
    assert len(found["dextr3d"]["roi"]) == 3


def test_models_by_type_and_label(client: httpx.Client) -> None:
    found = client.get("/v1/models", params={"type": "deepgrow"}).json()
    assert {model["name"] for model in found} == {"deepgrow_3d", "deepgrow_2d"}
    label = found[0]["labels"][0]
    named = client.get("/v1/models", params={"label": label.upper()}).json()
    assert all(label in model["labels"] for model in named)
    assert found[0] in named
    assert client.get("/v1/models", params={"label": "no such label"}).json() == []
    assert client.get("/v1/models", params={"type": "annotation", "label": "no such label"}).json() == []


def test_one_model(client: httpx.Client) -> None:
    assert client.get("/v1/models?model=dextr3d").json()["type"] == "annotation"
    for spelled in ("Histogram%2BGraphCut", "Histogram+GraphCut"):
        assert client.get(f"/v1/models?model={spelled}").json()["name"] == "Histogram+GraphCut"
    assert "GET /v1/models" in sentence(client.get("/v1/models?model=nobody"), 404)


# --- the Python client


def test_deepgrow_with_an_upload(live_server: str, scene: Scene, image: Path) -> None:
    params = {"foreground": [scene.click], "background": [], "current_point": scene.click}
    reply = run(live_server, "deepgrow", "deepgrow_3d", params, image)
    assert dice(reply.voxels > 0, scene.truth) > 0.8
    assert np.allclose(reply.mask.affine, nibabel.load(image).affine, atol=1e-4)
    assert reply.voxels[tuple(scene.click)] == 1


def test_points_as_strings_that_hold_json(live_server: str, scene: Scene, image: Path) -> None:
    lists = run(live_server, "deepgrow", "deepgrow_3d", {"foreground": [scene.click], "background": []}, image)
    strings = {"foreground": json.dumps([scene.click]), "background": "[]", "current_point": json.dumps([scene.click])}
    assert (run(live_server, "deepgrow", "deepgrow_3d", strings, image).voxels == lists.voxels).all()


def test_a_session_and_its_end(live_server: str, scene: Scene, image: Path) -> None:
    name = session(live_server, image)
    params = {"foreground": [scene.click], "background": [], "current_point": [scene.click]}
    first = run(live_server, "inference", "deepgrow_3d", params, session=name)  # as NVIDIA's Slicer plugin does
    assert dice(first.voxels > 0, scene.truth) > 0.8
    again = run(live_server, "deepgrow", "deepgrow_3d", params, session=name)
    assert (again.voxels == first.voxels).all()
    assert python_client(live_server, "DELETE", f"/session/{name}").status == 200
    gone = run(live_server, "deepgrow", "deepgrow_3d", params, session=name)
    assert gone.status == 440
    assert "send the image again" in json.loads(gone.form)["detail"]


@pytest.mark.parametrize("name", ["points", "extreme_points"])
def test_dextr3d(live_server: str, scene: Scene, image: Path, name: str) -> None:
    reply = run(live_server, "dextr3d", "dextr3d", {name: EXTREMES}, image)
    assert dice(reply.voxels > 0, scene.truth) > 0.8
    assert np.allclose(reply.mask.affine, nibabel.load(image).affine, atol=1e-4)
    points = np.array(reply.params["points"])
    assert points.shape == (6, 3)
    assert all(reply.voxels[tuple(point)] for point in points)
    assert (points.min(axis=0) == np.argwhere(reply.voxels).min(axis=0)).all()
    assert (points.max(axis=0) == np.argwhere(reply.voxels).max(axis=0)).all()


def test_many_at_once_get_their_own_answers(live_server: str, tmp_path: Path) -> None:
    scenes = [ball_scene(seed, centre=(16 + 6 * seed, 18, 9)) for seed in range(4)]
    files = [nifti_file(scene.volume, tmp_path / f"{seed}.nii.gz") for seed, scene in enumerate(scenes)]

    def ask(index: int) -> float:
        reply = run(live_server, "deepgrow", "deepgrow_3d", {"foreground": [scenes[index].click]}, files[index])
        return dice(reply.voxels > 0, scenes[index].truth)

    with ThreadPoolExecutor(4) as threads:
        assert min(threads.map(ask, range(4))) > 0.8


# --- the C++ client


def test_the_cpp_client(live_server: str, scene: Scene, image: Path) -> None:
    made = cpp_client(live_server, "PUT", "/session/", "{}", image.read_bytes(), r"C:\Users\me\ct.nii.gz")
    name = json.loads(made.form)["session_id"]
    params = json.dumps({"foreground": [scene.click], "background": []})
    reply = cpp_client(live_server, "POST", f"/v1/deepgrow?model=deepgrow_3d&session_id={name}", params, None)
    assert dice(reply.voxels > 0, scene.truth) > 0.8
    assert all(isinstance(number, int) for point in reply.params["points"] for number in point)
    gone = cpp_client(live_server, "POST", "/v1/deepgrow?model=deepgrow_3d&session_id=gone", params, None)
    assert gone.status == 440


# --- what comes in, and what goes out


@pytest.mark.parametrize("field", ["datapoint", "anything"])
def test_the_image_under_any_name(client: httpx.Client, scene: Scene, image: Path, field: str) -> None:
    response = client.post(
        "/v1/deepgrow",
        params={"model": "deepgrow_3d", "output": "json"},
        data={"params": json.dumps({"foreground": [scene.click]})},
        files={field: ("/home/me/ct.nii.gz", image.read_bytes())},
    )
    assert response.json()["label_names"] == {"object": 1}


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("image", "application/x-gzip"),
        ("json", "application/json"),
        ("result", "application/json"),
        ("both", "multipart/form-data"),
        ("", "multipart/form-data"),
    ],
)
def test_outputs(client: httpx.Client, scene: Scene, image: Path, output: str, kind: str) -> None:
    response = client.post(
        "/v1/deepgrow",
        params={"model": "deepgrow_3d", "output": output},
        data={"params": json.dumps({"foreground": [scene.click]})},
        files={"image": ("ct.nii.gz", image.read_bytes())},
    )
    assert response.headers["content-type"].startswith(kind)
    assert int(response.headers["content-length"]) == len(response.content)
    if output == "image":
        mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(response.content))
        assert dice(np.asarray(mask.dataobj) > 0, scene.truth) > 0.8


@pytest.mark.parametrize("extension", [".nrrd", "nii"])
def test_another_kind_of_file(live_server: str, scene: Scene, image: Path, extension: str) -> None:
    params = {"foreground": [scene.click], "result_extension": extension}
    reply = run(live_server, "inference", "deepgrow_3d", params, image)
    (name,) = reply.files
    assert name.endswith(extension)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_zip_of_dicom(live_server: str, scene: Scene, tmp_path: Path, reverse: bool) -> None:
    path = tmp_path / "series.zip"
    path.write_bytes(series_zip(scene.volume, SeriesOptions(reverse_instances=reverse), folder="a", shuffled=1))
    reply = run(live_server, "deepgrow", "deepgrow_3d", {"foreground": [scene.click]}, path)
    read = as_read(scene.volume)
    assert np.allclose(LPS_TO_RAS @ reply.mask.affine, read.geometry.affine, atol=1e-3)
    assert dice(reply.voxels > 0, as_read(Volume(scene.truth, scene.volume.geometry)).array) > 0.8


def test_a_picture_is_answered_with_a_picture(live_server: str, tmp_path: Path) -> None:
    from PIL import Image

    x, y = np.ogrid[:64, :48]
    disc = (x - 30) ** 2 + (y - 20) ** 2 < 100
    noise = np.random.default_rng(1).normal(0, 4, disc.shape)
    Image.fromarray((np.where(disc, 180, 60) + noise).astype(np.uint8).T).save(tmp_path / "slice.png")
    reply = run(live_server, "deepgrow", "deepgrow_2d", {"foreground": [[30, 20]]}, tmp_path / "slice.png")
    (content,) = reply.files.values()
    (tmp_path / "mask.png").write_bytes(content)
    with Image.open(tmp_path / "mask.png") as picture:
        mask = np.asarray(picture).T
    assert mask.shape == disc.shape
    assert mask[30, 20] == 1
    assert dice(mask > 0, disc) > 0.7


def test_extreme_points_are_of_the_first_label() -> None:
    mask = np.zeros((9, 8, 7), np.uint8)
    mask[2:5, 3, 4] = 1
    mask[7, 7, 6] = 2
    assert extreme_points(mask) == [[2, 3, 4], [4, 3, 4], [2, 3, 4], [2, 3, 4], [2, 3, 4], [2, 3, 4]]
    assert extreme_points(np.zeros((3, 3, 3), np.uint8)) == []


def test_a_mask_may_be_limited_to_a_box(live_server: str, scene: Scene, image: Path) -> None:
    params = {"foreground": [scene.click], "crop": [[0, 48], [0, 40], [9, 24]]}
    reply = run(live_server, "deepgrow", "deepgrow_3d", params, image)
    assert reply.voxels[:, :, 9].any()
    assert not reply.voxels[:, :, :9].any()


# --- errors


def post(client: httpx.Client, address: str, params: Any, image: Path | None, **query: str) -> httpx.Response:
    files = {} if image is None else {"image": ("ct.nii.gz", image.read_bytes())}
    text = params if isinstance(params, str) else json.dumps(params)
    return client.post(f"/v1/{address}", params=query, data={"params": text}, files=files)


@pytest.mark.parametrize(
    ("address", "model", "where"),
    [
        ("segmentation", "deepgrow_3d", "/v1/deepgrow"),
        ("dextr3d", "deepgrow_3d", "/v1/deepgrow"),
        ("deepgrow", "dextr3d", "/v1/dextr3d"),
        ("deepgrow", "segmentation", "/v1/segmentation"),
        ("segmentation", "GMM+GraphCut", "/v1/inference"),
    ],
)
def test_a_model_of_another_type(client: httpx.Client, image: Path, address: str, model: str, where: str) -> None:
    assert f"send it to {where}" in sentence(post(client, address, {}, image, model=model), 400)


def test_no_model(client: httpx.Client, image: Path) -> None:
    assert "?model=" in sentence(post(client, "inference", {}, image), 400)
    assert "GET /v1/models" in sentence(post(client, "inference", {}, image, model="nobody"), 404)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("{", "params is not valid JSON"),
        ("[1]", "params is not a JSON object"),
        ("{a: &x [1], b: *x}", "params is not valid JSON"),
        ({"foreground": [[1, 2]]}, "foreground"),
        ({"foreground": [["a", 2, 3]]}, "foreground"),
        ({"foreground": "nothing"}, "foreground"),
        ({"foreground": [[1, 2, 3]], "crop": [1, 2]}, "crop is"),
        ({"foreground": [], "background": []}, "point"),
        ({"foreground": [[500, 2, 3]]}, "outside"),
    ],
)
def test_params_that_cannot_be_used(client: httpx.Client, image: Path, params: Any, said: str) -> None:
    assert said in sentence(post(client, "deepgrow", params, image, model="deepgrow_3d"), 400)


def test_no_image_or_one_that_is_none(client: httpx.Client, tmp_path: Path) -> None:
    params = {"foreground": [[1, 2, 3]]}
    assert '"image"' in sentence(post(client, "deepgrow", params, None, model="deepgrow_3d"), 400)
    (tmp_path / "no.nii.gz").write_bytes(b"this is no image")
    said = sentence(post(client, "deepgrow", params, tmp_path / "no.nii.gz", model="deepgrow_3d"), 400)
    assert "ct.nii.gz" in said


def test_an_output_that_is_none(client: httpx.Client, scene: Scene, image: Path) -> None:
    params = {"foreground": [scene.click]}
    assert "output is" in sentence(post(client, "deepgrow", params, image, model="deepgrow_3d", output="jpeg"), 400)
    params["result_extension"] = ".exe"
    assert "result_extension" in sentence(post(client, "deepgrow", params, image, model="deepgrow_3d"), 400)


def test_a_form_without_files_may_be_url_encoded(
    client: httpx.Client, live_server: str, scene: Scene, image: Path
) -> None:
    fields = {"params": json.dumps({"foreground": [scene.click]}), "session_id": session(live_server, image)}
    response = client.post("/v1/deepgrow", params={"model": "deepgrow_3d", "output": "json"}, data=fields)
    assert response.json()["label_names"] == {"object": 1}


def test_params_may_be_a_file(client: httpx.Client, scene: Scene, image: Path) -> None:
    params = json.dumps({"foreground": [scene.click]}).encode()
    files = {"params": ("params.json", params), "anything": ("ct.nii.gz", image.read_bytes())}
    response = client.post("/v1/deepgrow?model=deepgrow_3d&output=json", files=files)
    assert response.json()["label_names"] == {"object": 1}


def test_too_few_extreme_points(client: httpx.Client, image: Path) -> None:
    assert "points" in sentence(post(client, "dextr3d", {"points": EXTREMES[:2]}, image, model="dextr3d"), 400)
