"""MONAI Label's own Python client (PyPI, 0.8.5, unmodified): every method that has something to talk to here.

Its login is tested in ``Testing/server/test_monailabel_studies.py``, on a server that asks for keys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from infer_http import OBLIQUE, Scene, ball_scene, dice
from monailabel_package import client_module

from imeasure_server.imaging.label_files import encode_label
from imeasure_server.imaging.nifti import write_nifti
from phantoms.dicom_series import SeriesOptions, series_zip

SCENE = ball_scene(40, OBLIQUE)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("image") / "client_ct.nii.gz", SCENE)


def save(path: Path, scene: Scene) -> Path:
    write_nifti(path, scene.volume.array, scene.volume.geometry)
    return path


@pytest.fixture
def client(live_server: str, tmp_path: Path) -> Any:
    return client_module().MONAILabelClient(live_server + "/", tmpdir=str(tmp_path), client_id="me")


@pytest.fixture
def uploaded(client: Any, image: Path) -> str:
    """The id of the image in the studies folder."""
    sent = client.upload_image(str(image), "client_ct")
    assert sent == {"image": "client_ct"}
    return "client_ct"


def mask_of(path: str) -> Any:
    """(x, y, z), by the reader that suits the file."""
    if path.endswith(".nrrd"):
        return sitk.GetArrayFromImage(sitk.ReadImage(path)).T
    return np.asarray(nibabel.load(path).dataobj)


def test_addresses(client: Any, live_server: str) -> None:
    assert client.get_server_url() == live_server
    client.set_server_url(f"{live_server}/")
    assert client.get_server_url() == live_server


def test_info(client: Any) -> None:
    info = client.info()
    assert {"name", "labels", "models", "strategies", "trainers", "train_stats", "scoring", "datastore"} <= set(info)
    assert "segmentation" in info["models"]
    assert not info["config"]


def test_no_login_is_needed(client: Any) -> None:
    assert client.auth_enabled() is False
    assert client.auth_token("anybody", "anything") == {"access_token": None, "token_type": None}


def test_samples_and_labels(client: Any, uploaded: str, tmp_path: Path) -> None:
    sample = client.next_sample("first", {})
    assert sample["id"]
    assert {"path", "ts", "name", "strategy"} <= set(sample)
    assert client.next_sample("random", None)["id"]
    label = tmp_path / "label.nii.gz"
    label.write_bytes(encode_label(SCENE.truth.astype(np.uint8), SCENE.volume.geometry, ".nii.gz"))
    info = {"label_info": [{"name": "lesion", "idx": 1}]}
    assert client.save_label(uploaded, str(label), params=info) == {"image": uploaded, "label": uploaded}
    assert client.save_label(uploaded, str(label), "original", info)["label"] == uploaded
    entry = client.datastore()["objects"][uploaded]
    assert set(entry["labels"]) == {"final", "original"}
    assert entry["labels"]["final"]["info"]["client_id"] == "me"
    downloaded = client.download_label(uploaded, "original")
    assert downloaded.endswith(".nii.gz")
    assert Path(downloaded).read_bytes() == label.read_bytes()
    with pytest.raises(client_module().MONAILabelClientException):
        client.download_label(uploaded, "nobody")
    with pytest.raises(client_module().MONAILabelClientException):
        client.save_label("nobody", str(label))


def test_inference_on_an_image_of_the_server(client: Any, uploaded: str) -> None:
    params = {"label": "lesion", "foreground": [SCENE.click], "background": [[3, 3, 3]]}
    file, answer = client.infer(
        "deepgrow_3d", uploaded, {**params, "result_extension": ".nrrd", "result_dtype": "uint8"}
    )
    assert file.endswith(".nrrd")
    assert dice(mask_of(file), SCENE.truth) > 0.8
    assert list(answer["label_names"].values()) == [1]
    file, _ = client.infer("deepgrow_3d", uploaded, params)
    assert file.endswith(".nii.gz")


def test_inference_on_a_file(client: Any, image: Path, tmp_path: Path) -> None:
    file, answer = client.infer("segmentation", "", {"nninter": "sam3", "pos_points": [SCENE.click]}, file=str(image))
    assert dice(mask_of(file), SCENE.truth) > 0.8
    assert answer["prompt_info"]["pos_points"] == [SCENE.click]
    nothing, answer = client.infer("segmentation", "", {"nninter": "init"}, file=str(image))
    assert (nothing, answer) == (None, b"{}")  # the client decodes JSON of multipart answers only
    archive = tmp_path / "series.zip"
    archive.write_bytes(series_zip(SCENE.volume, SeriesOptions(series="client")))
    file, answer = client.infer("deepgrow_3d", "", {"foreground": [SCENE.click]}, file=str(archive))
    assert dice(mask_of(file), SCENE.truth) > 0.8


def test_errors_reach_the_client_as_sentences(client: Any, image: Path) -> None:
    module = client_module()
    for model, params, sentence in (
        ("segmentation", {}, "KeyError: 'nninter'"),
        ("nobody", {}, "nobody"),
        ("deepgrow_3d", {}, "point"),
    ):
        with pytest.raises(module.MONAILabelClientException) as refused:
            client.infer(model, "", params, file=str(image))
        detail = json.loads(refused.value.msg.split("Response: ", 1)[1])["detail"]
        assert sentence in detail


def test_scribbles(client: Any, uploaded: str, tmp_path: Path) -> None:
    x, y, z = SCENE.centre
    scribbles = np.zeros(SCENE.truth.shape, np.uint8)
    scribbles[x - 3 : x + 4, y, z] = 5
    scribbles[4:44, 4, z] = 4
    scribbles[4, 4:36, z] = 4
    path = tmp_path / "scribbles.nii.gz"
    path.write_bytes(encode_label(scribbles, SCENE.volume.geometry, ".nii.gz"))
    info = [
        {"name": "lesion", "id": 1},
        {"name": "background_scribbles", "id": 4},
        {"name": "foreground_scribbles", "id": 5},
    ]
    roi = [x - 14, x + 15, y - 14, y + 15, z - 6, z + 7]
    for model in ("Histogram+GraphCut", "GMM+GraphCut"):
        file, _ = client.infer(model, uploaded, {"label_info": info, "roi": roi}, str(path))
        mask = mask_of(file)
        assert dice(mask == 1, SCENE.truth) > 0.7
        outside = np.ones(mask.shape, bool)
        outside[roi[0] : roi[1], roi[2] : roi[3], roi[4] : roi[5]] = False
        assert not mask[outside].any()


def test_sessions(client: Any, image: Path) -> None:
    made = client.create_session(str(image))
    session_id = made["session_id"]
    assert made["session_info"]
    assert client.get_session(session_id)
    file, _ = client.infer("deepgrow_3d", "", {"foreground": [SCENE.click]}, session_id=session_id)
    assert dice(mask_of(file), SCENE.truth) > 0.8
    client.remove_session(session_id)
    with pytest.raises(client_module().MONAILabelClientException) as gone:
        client.get_session(session_id)
    assert gone.value.status_code == 404
    with pytest.raises(client_module().MONAILabelClientException):
        client.infer("deepgrow_3d", "", {"foreground": [SCENE.click]}, session_id=session_id)


def test_there_is_no_trainer(client: Any) -> None:
    module = client_module()
    assert client.train_status(check_if_running=True) is False
    assert client.train_stop() is None
    for work in (client.train_status, lambda: client.train_start("segmentation", {})):
        with pytest.raises(module.MONAILabelClientException):
            work()
    with pytest.raises(module.MONAILabelClientException):
        client.wsi_infer("segmentation", "nobody")
