"""The studies folder over HTTP, and a server with keys and OHIF-AI's layout."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from contract.server import launch
from infer_http import OBLIQUE, Scene, ask, ball_scene, dice, reply_of
from monailabel_package import client_module

from imeasure_server.imaging.label_files import encode_label
from imeasure_server.imaging.nifti import write_nifti
from phantoms.dicom_series import SeriesOptions, series_datasets, series_zip, write_series

KEY = "key-of-this-test"
PAGE = "http://viewer.example:3000"
PLAIN, TURNED = ball_scene(30), ball_scene(31, OBLIQUE)
BACKWARDS = SeriesOptions(series="backwards", reverse_instances=True)


@dataclass(frozen=True)
class Studies:
    """A server with keys, a studies folder, and OHIF-AI's layout.

    Attributes:
        url: its address.
        folder: of the studies.
    """

    url: str
    folder: Path

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """With the key."""
        with httpx.Client(trust_env=False, timeout=60, headers={"Authorization": f"Bearer {KEY}"}) as client:
            return client.request(method, f"{self.url}{path}", **options)

    def ask(self, params: dict[str, Any], file: bytes | None = None, **options: Any) -> httpx.Response:
        """``POST /infer`` with the key."""
        return ask(self.url, params, file, "series.zip", headers={"x-api-key": KEY}, **options)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studies]:
    folder = tmp_path_factory.mktemp("around") / "studies"
    folder.mkdir()
    add(folder, "liver.nii.gz", TURNED)
    write_series(folder / "patient", PLAIN.volume, BACKWARDS)
    arguments = ("--api-key", KEY, "--require-api-key", "--studies", str(folder), "--ohif-layout")
    arguments += ("--page-origins", PAGE)
    server = launch(tmp_path_factory.mktemp("server"), *arguments)
    yield Studies(server.url, folder)
    server.stop()


def add(folder: Path, name: str, scene: Scene) -> None:
    write_nifti(folder / name, scene.volume.array, scene.volume.geometry)


def series_uid() -> str:
    return str(series_datasets(PLAIN.volume, BACKWARDS)[0].SeriesInstanceUID)


def label_of(scene: Scene) -> bytes:
    return encode_label(scene.truth.astype(np.uint8), scene.volume.geometry, ".nii.gz")


# Who may


def test_keys_are_asked_for_and_passwords_are_keys(studies: Studies) -> None:
    with httpx.Client(trust_env=False, base_url=studies.url, timeout=30) as client:
        assert client.get("/auth/").json() == {"enabled": True, "client_id": "imeasure", "realm": ""}
        for method, path in (("GET", "/info/"), ("GET", "/datastore/"), ("POST", "/infer/segmentation")):
            refused = client.request(method, path)
            assert refused.status_code == 401
            assert set(refused.json()) == {"detail"}
        refused = client.put("/datastore/?image=x", files={"file": ("x.nii.gz", b"1")})
        assert refused.status_code == 401
        login = {"username": "anybody", "password": "wrong", "grant_type": "password"}
        assert client.post("/auth/token", data=login).status_code == 401
        token = client.post("/auth/token", data={**login, "password": KEY}).json()
        headers = {"Authorization": f"{token['token_type']} {token['access_token']}"}
        assert client.get("/auth/token/valid", headers=headers).status_code == 200
        assert client.get("/auth/token/valid").status_code == 401
        assert client.get("/info/", headers=headers).status_code == 200
    assert "x" not in studies.request("GET", "/datastore/?output=all").json()["objects"]


def test_monai_labels_own_client_logs_in(studies: Studies, tmp_path: Path) -> None:
    """The package from PyPI, unmodified."""
    module = client_module()
    client = module.MONAILabelClient(studies.url, tmpdir=str(tmp_path))
    assert client.auth_enabled() is True
    assert client.auth_valid_token() is False
    for work in (client.info, client.datastore, lambda: client.auth_token("anybody", "wrong")):
        with pytest.raises(module.MONAILabelClientException) as refused:
            work()
        assert refused.value.status_code == 401
    client.update_auth(client.auth_token("anybody", KEY))
    assert client.auth_valid_token() is True
    points = {"foreground": [TURNED.click], "background": [], "result_extension": ".nrrd"}
    file, _ = client.infer("deepgrow_3d", "liver", points)
    assert sitk.GetArrayFromImage(sitk.ReadImage(file)).T[TURNED.centre]
    assert client.info()["version"]


def test_a_server_without_keys_says_so(live_server: str) -> None:
    with httpx.Client(trust_env=False, base_url=live_server, timeout=30) as client:
        assert client.get("/auth").json()["enabled"] is False
        assert client.post("/auth/token", data={"password": "x"}).json()["access_token"] is None


def test_pages_of_other_addresses_are_let_in_by_name(studies: Studies, live_server: str) -> None:
    """What a browser asks before a script of such a page may go on, and what it looks for in the answer."""
    asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type,x-api-key"}
    with httpx.Client(trust_env=False, timeout=30) as client:
        for origin, let_in in ((PAGE, True), ("http://elsewhere.example", False)):
            preflight = client.options(f"{studies.url}/datastore/label", headers={"Origin": origin, **asks})
            answer = client.get(f"{studies.url}/info/", headers={"Origin": origin, "x-api-key": KEY})
            for response in (preflight, answer):
                assert response.headers.get("access-control-allow-origin") == (origin if let_in else None)
            assert preflight.is_success is let_in
        by_default = client.get(f"{live_server}/info/", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in by_default.headers


# What there is


def test_listings(studies: Studies) -> None:
    add(studies.folder, "new.nii.gz", PLAIN)  # seen at once
    for path in ("/datastore/", "/datastore", "/datastore/?output=stats"):
        stats = studies.request("GET", path).json()
        assert {"total", "completed", "label_tags"} <= set(stats)
        assert stats["total"] >= 3
    everything = studies.request("GET", "/datastore/?output=all").json()
    assert {"name", "description", "images_dir", "labels_dir", "objects"} == set(everything)
    assert {"liver", "new", series_uid()} <= set(everything["objects"])
    image = everything["objects"]["liver"]["image"]
    assert image["ext"] == ".nii.gz"
    assert image["info"]["name"] == "liver.nii.gz"
    assert studies.request("GET", "/datastore/?output=train").json() == []
    assert studies.request("GET", "/datastore/?output=some").status_code == 422
    info = studies.request("GET", "/info/").json()
    assert info["datastore"]["total"] == info["datastore"]["objects"] == stats["total"]


def test_info_is_what_clients_read(live_server: str) -> None:
    with httpx.Client(trust_env=False, base_url=live_server, timeout=30) as client:
        info = client.get("/info/").json()
        assert client.get("/info").json()["models"] == info["models"]
        assert client.get("/").json() == {"status": "UP"}
    assert info["version"].split(".")[0].isdigit()
    assert not info["config"]  # the Slicer plugin refuses a server that has one
    assert (info["trainers"], info["scoring"], info["train_stats"]) == ({}, {}, {})
    assert list(info["strategies"]) == ["random", "first", "last"]
    segmentation = info["models"]["segmentation"]
    assert {"type", "labels", "dimension", "description", "config"} <= set(segmentation)
    for model in info["models"].values():
        assert isinstance(model["type"], str)
        assert all(isinstance(value, int) for value in model["labels"].values())
        assert set(model["labels"]) <= set(info["labels"])
    assert len(info["labels"]) == len(set(info["labels"]))


def test_images_come_and_go(studies: Studies, tmp_path: Path) -> None:
    add(tmp_path, "up.nii.gz", TURNED)
    content = (tmp_path / "up.nii.gz").read_bytes()
    params = {"params": json.dumps({"client_id": "me"})}
    sent = studies.request("PUT", "/datastore/?image=mine", files={"file": ("/a/b/up.nii.gz", content)}, data=params)
    assert sent.json() == {"image": "mine"}
    assert studies.request("GET", "/datastore/image?image=mine").content == content
    assert studies.request("GET", "/datastore/image/info?image=mine").json()["client_id"] == "me"
    assert studies.request("HEAD", "/datastore/image?image=mine").status_code == 200
    assert studies.request("HEAD", "/datastore/image?image=nobody").status_code == 404
    for check_sum, status in (("SHA256:00", 404), (f"SHA256:{sha256(content).hexdigest()}", 200), ("X:00", 400)):
        checked = studies.request("HEAD", f"/datastore/image?image=mine&check_sum={check_sum}")
        assert checked.status_code == status
    stem = studies.request("PUT", "/datastore/image", files={"file": ("stem.nii.gz", content)})
    assert stem.json() == {"image": "stem"}
    assert studies.request("PUT", "/datastore/image", data={"params": "{}"}).status_code == 422
    for name in ("../../evil", "..", "a%0Ab"):
        refused = studies.request("PUT", f"/datastore/?image={name}", files={"file": ("a.nii.gz", content)})
        assert refused.status_code == 400
    refused = studies.request("PUT", "/datastore/?image=bad", files={"file": ("a.nii.gz", b"nothing")})
    assert refused.status_code == 400
    assert not list(studies.folder.parent.rglob("evil*"))
    colon = studies.request("PUT", "/datastore/?image=2%3A+CT%2Fchest", files={"file": ("a.nii.gz", content)})
    assert colon.json() == {"image": "2: CT/chest"}
    assert studies.request("GET", "/datastore/image?image=2%3A+CT%2Fchest").content == content
    assert studies.request("DELETE", "/datastore/image?id=2%3A+CT%2Fchest").json() == {}
    assert studies.request("DELETE", "/datastore/image?id=mine").json() == {}
    assert studies.request("GET", "/datastore/image?image=mine").status_code == 404
    assert studies.request("DELETE", "/datastore/?id=stem").status_code == 200


def test_a_series_is_sent_as_nifti(studies: Studies, tmp_path: Path) -> None:
    response = studies.request("GET", f"/datastore/image?image={series_uid()}")
    assert f"{series_uid()}.nii.gz" in response.headers["content-disposition"]
    path = tmp_path / "series.nii.gz"
    path.write_bytes(response.content)
    np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj), PLAIN.volume.array)


def test_labels_are_submitted_and_come_back(studies: Studies) -> None:
    content = label_of(TURNED)
    params = {"label_info": [{"name": "lesion", "idx": 1}], "model": "segmentation", "client_id": "me"}
    form: dict[str, Any] = {"files": {"label": ("x.nii.gz", content)}, "data": {"params": json.dumps(params)}}
    assert studies.request("PUT", "/datastore/label?image=liver", **form).json() == {"image": "liver", "label": "liver"}
    form["files"] = {"label": ("x.nii.gz", content)}
    original = studies.request("PUT", "/datastore/label?image=liver&tag=original", **form)
    assert original.status_code == 200
    labels = studies.request("GET", "/datastore/?output=all").json()["objects"]["liver"]["labels"]
    assert set(labels) == {"final", "original"}
    assert labels["final"]["info"]["label_info"] == params["label_info"]
    back = studies.request("GET", "/datastore/label?label=liver&tag=final")
    assert back.content == content
    assert 'filename="liver.nii.gz"' in back.headers["content-disposition"]
    assert studies.request("GET", "/datastore/").json()["completed"] == 1
    pairs = studies.request("GET", "/datastore/?output=train").json()
    assert pairs == [{"image": "liver.nii.gz", "label": "labels/final/liver.nii.gz"}]
    new = {"data": {"params": json.dumps({"checked": 1})}}
    assert studies.request("PUT", "/datastore/updatelabelinfo?label=liver&tag=final", **new).status_code == 200
    assert studies.request("GET", "/datastore/label/info?label=liver&tag=final").json()["checked"] == 1
    assert studies.request("HEAD", "/datastore/label?image=liver&tag=final").status_code == 200
    for path in ("/datastore/label?label=liver&tag=other", "/datastore/label?label=nobody&tag=final"):
        assert studies.request("GET", path).status_code == 404
    bad = studies.request("PUT", "/datastore/label?image=liver", files={"label": ("x.nii.gz", b"none")})
    assert bad.status_code == 400
    escaped = studies.request("PUT", "/datastore/label?image=liver&tag=../x", files={"label": ("x.nii.gz", content)})
    assert escaped.status_code == 400
    unknown = studies.request("PUT", "/datastore/label?image=nobody", files={"label": ("x.nii.gz", content)})
    assert unknown.status_code == 404
    for tag in ("final", "original"):
        assert studies.request("DELETE", f"/datastore/label?id=liver&tag={tag}").json() == {}
    assert studies.request("GET", "/datastore/").json()["completed"] == 0


def test_the_next_sample(studies: Studies) -> None:
    first = studies.request("POST", "/activelearning/first", json={"client_id": "me"}).json()
    assert {"id", "path", "ts", "name", "strategy"} <= set(first)
    assert first["strategy"]["first"]["client_id"] == "me"
    random = studies.request("POST", "/activelearning/random/", json={"client_id": "me"}).json()
    assert random["weight"] > 0
    assert studies.request("POST", "/activelearning/random").status_code == 200
    liver = studies.request("POST", "/activelearning/last").json()
    assert liver["id"] > first["id"]
    if liver["path"]:
        assert Path(liver["path"]).is_file()  # this client is on the server's machine
    forwarded = studies.request("POST", "/activelearning/last", headers={"x-forwarded-for": "10.0.0.1"}).json()
    assert forwarded["path"] == ""
    assert studies.request("POST", "/activelearning/epistemic").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "answer"),
    [
        ("GET", "/train/", 404, "No Train Tasks Found"),
        ("GET", "/train/?check_if_running=true", 404, "No Train Tasks are currently Running"),
        ("POST", "/train/", 200, {}),
        ("POST", "/train/segmentation", 404, None),
        ("DELETE", "/train/", 200, None),
        ("GET", "/scoring/", 404, "No Scoring Tasks Found"),
        ("POST", "/scoring/", 200, {}),
        ("POST", "/scoring/dice", 404, None),
        ("GET", "/batch/infer", 404, "No Batch_infer Tasks Found"),
        ("POST", "/batch/infer/segmentation", 404, None),
        ("GET", "/logs/", 404, None),
    ],
)
def test_where_there_is_no_trainer(studies: Studies, method: str, path: str, status: int, answer: Any) -> None:
    response = studies.request(method, path)
    assert response.status_code == status
    if answer is not None:
        assert (response.json()["detail"] if status == 404 else response.json()) == answer


# Inference on studies


def test_masks_of_studies(studies: Studies) -> None:
    points = {"foreground": [TURNED.click], "background": [], "label": "lesion", "result_extension": ".nrrd"}
    reply = reply_of(studies.ask(points, query={"image": "liver"}, model="deepgrow_3d"))
    assert reply.filename.endswith(".nrrd")
    mask = read_nrrd(reply.file, studies.folder.parent)
    assert dice(sitk.GetArrayFromImage(mask).T, TURNED.truth) > 0.8
    np.testing.assert_allclose(mask.GetOrigin(), TURNED.volume.geometry.origin, atol=1e-3)
    np.testing.assert_allclose(mask.GetDirection(), TURNED.volume.geometry.directions.reshape(-1), atol=1e-4)
    assert list(reply.params["label_names"].values()) == [1]
    # A mask that a model made can be kept as the original label.
    saved = studies.ask({**points, "save_label": True}, query={"image": "liver"}, model="deepgrow_3d")
    assert saved.status_code == 200
    info = studies.request("GET", "/datastore/label/info?label=liver&tag=original").json()
    assert info["model"] == "deepgrow_3d"
    assert info["params"]["label_names"] == reply.params["label_names"]
    assert studies.request("DELETE", "/datastore/label?id=liver&tag=original").status_code == 200


def read_nrrd(content: bytes, folder: Path) -> Any:
    path = folder / "mask.nrrd"
    path.write_bytes(content)
    return sitk.ReadImage(str(path))


# OHIF-AI's own page, which this server was started for


def page_request() -> dict[str, Any]:
    """A click in the middle of the ball; the page counts slices by InstanceNumber, which runs backwards here."""
    x, y, z = PLAIN.centre
    empty = {f"{sign}_{kind}": [] for sign in ("pos", "neg") for kind in ("points", "boxes", "lassos", "scribbles")}
    return {**empty, "pos_points": [[x, y, PLAIN.truth.shape[2] - 1 - z]], "texts": [], "nninter": True}


def test_the_layout_of_the_page(studies: Studies) -> None:
    content = series_zip(PLAIN.volume, BACKWARDS)
    for options in ({"file": content}, {"query": {"image": series_uid()}}):
        reply = reply_of(studies.ask(page_request(), **options))  # type: ignore[arg-type]
        assert reply.params["flipped"] is True
        image = nibabel.Nifti1Image.from_bytes(gzip.decompress(reply.file))
        np.testing.assert_array_equal(image.affine, np.eye(4))
        stored = np.asarray(image.dataobj)
        assert stored.shape == PLAIN.truth.shape[::-1]
        assert dice(stored.transpose(2, 1, 0), PLAIN.truth) > 0.8
        assert reply.params["prompt_info"]["pos_points"] == page_request()["pos_points"]


def test_the_page_that_asks_for_dicom_seg(studies: Studies) -> None:
    response = studies.ask(page_request(), query={"image": series_uid(), "output": "dicom_seg"})
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    meta, seg = BytesParser(policy=HTTP).parsebytes(head + response.content).iter_parts()
    assert meta.get_content_type() == "application/json"
    assert meta.get_param("name", header="content-disposition") == "meta"
    assert seg.get_param("name", header="content-disposition") == "seg"
    said = json.loads(meta.get_content())
    assert said["flipped"].lower() == "true"
    assert said["label_name"].startswith("nninter_pred_")
    boundary = response.headers["content-type"].split("boundary=")[1].encode()
    voxels = response.content.split(b"--" + boundary)[2].split(b"\r\n\r\n", 1)[1][:-2]
    mask = np.frombuffer(voxels, np.uint8).reshape(PLAIN.truth.shape, order="F")
    assert dice(mask, PLAIN.truth) > 0.8
