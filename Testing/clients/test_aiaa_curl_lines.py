"""Every curl line of the AIAA contract, unmodified, by bash and the real curl against the real server.

Only where ``http://127.0.0.1/`` and ``http://0.0.0.0/`` lead is changed, in curl's own configuration; the files that
the lines name are made here, and ``[session_id here]`` is filled in.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
from aiaa_clients import run
from contract.server import ServerProcess, launch
from numpy.typing import NDArray
from orthanc import AE_TITLE, OrthancServer
from PIL import Image
from pydicom.uid import generate_uid
from small_models import Above, NearClick, Scores, Spots, aiaa_config, script

from imeasure_server.imaging.volume import Geometry, Volume
from phantoms.dicom_series import SeriesOptions, series_members

EXAMPLES = Path(__file__).parent / "aiaa_curl_lines.md"
LINES: dict[str, str] = dict(
    re.findall(r"## (.+?)\n\n```bash\n(.*?)\n```", EXAMPLES.read_text(encoding="utf-8"), re.DOTALL)
)

SPLEEN, ANNOTATION, DEEPGROW = "clara_ct_seg_spleen_amp", "clara_ct_annotation_spleen_amp", "clara_deepgrow"
SHAPE = (192, 232, 82)
AFFINE = nibabel.affines.from_matvec(
    np.array([[-1, 0, 0], [0, 0.96, -0.28], [0, 0.28, 0.96]]) @ np.diag([0.9, 0.9, 2.5]), [80, -60, 30]
)
"""Tilted, and flipped along x."""


@dataclass(frozen=True)
class Desk:
    """A folder with the files of the lines, and the server that they are sent to.

    Attributes:
        folder: where the lines run.
        orthanc: a PACS.
        series: SeriesInstanceUID of a series in it.
        study: its StudyInstanceUID.
    """

    folder: Path
    orthanc: OrthancServer
    series: str
    study: str

    def run(self, name: str, **replaced: str) -> Answer:
        """Run a line of the contract. ``session`` and ``model`` fill in what a line leaves open or names."""
        line = LINES[name].replace("[session_id here]", replaced.get("session", ""))
        line = line.replace(SPLEEN, replaced.get("model", SPLEEN))
        environment = {**os.environ, "CURL_HOME": str(self.folder), "no_proxy": "*"}
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=environment, capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        status, _, kind = done.stderr.decode().strip().partition(" ")
        target = re.search(r"-o (\S+)", line)
        body = (self.folder / target[1]).read_bytes() if target else done.stdout
        return Answer(int(status), kind, body)


@dataclass(frozen=True)
class Answer:
    """What the server said: status, content type and body."""

    status: int
    kind: str
    body: bytes

    @property
    def json(self) -> Any:
        assert self.status == 200, self.body
        assert self.kind == "application/json"
        return json.loads(self.body)

    @property
    def image(self) -> nibabel.Nifti1Image:
        """The body, which is a NIfTI file and nothing else."""
        assert self.status == 200, self.body
        return nibabel.Nifti1Image.from_bytes(gzip.decompress(self.body))


def voxels(image: nibabel.Nifti1Image) -> NDArray[Any]:
    return np.asarray(image.dataobj)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = launch(tmp_path_factory.mktemp("aiaa"), "--session-sources", "0.0.0.0")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def desk(server: ServerProcess, orthanc: OrthancServer, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    port = server.url.rpartition(":")[2]
    redirected = "".join(f'connect-to = "{host}:80:127.0.0.1:{port}"\n' for host in ("127.0.0.1", "0.0.0.0"))
    (folder / ".curlrc").write_text(
        f'silent\nshow-error\n{redirected}write-out = "%{{stderr}}%{{http_code}} %{{content_type}}"\n'
    )
    images(folder)
    polygons(folder)
    orthanc.upload(series_members(small_volume(), SeriesOptions(study="curl", series="curl")).values())
    study, series = generate_uid(entropy_srcs=["curl"]), generate_uid(entropy_srcs=["curl", "curl"])
    made = Desk(folder, orthanc, str(series), str(study))
    for name, kind in (
        ("scores", "classification"),
        (ANNOTATION, "annotation"),
        (DEEPGROW, "deepgrow"),
        ("my_model", "others"),
        (SPLEEN, "segmentation"),
    ):
        model_files(folder, kind)
        answer = made.run("PUT Model", model=name)
        assert answer.status == 200, answer.body
    return made


def images(folder: Path) -> None:
    """``spleen.nii.gz`` with a bright object around the points of the deepgrow line, and ``cropped_spleen.nii.gz``."""
    spleen = np.zeros(SHAPE, np.int16)
    spleen[100:190, 180:230, 60:81] = 100
    nibabel.save(nibabel.Nifti1Image(spleen, AFFINE), folder / "spleen.nii.gz")
    cropped = np.zeros((128, 128, 80), np.int16)
    cropped[29:100, 20:109, 55:74] = 100
    nibabel.save(nibabel.Nifti1Image(cropped, AFFINE), folder / "cropped_spleen.nii.gz")


def model_files(folder: Path, kind: str) -> None:
    """``config_aiaa.json`` and ``model.trt.pb`` of a small model; the latter is TorchScript, whatever its name says."""
    channel = ("AddChanneld", {"keys": "image"})
    if kind == "deepgrow":
        pre: list[tuple[str, dict[str, Any]]] = [
            ("AsChannelFirstd", {"keys": "image"}),
            ("AddGuidanceFromPointsd", {"ref_image": "image", "guidance": "guidance", "dimensions": 3}),
            channel,
            ("SpatialCropGuidanced", {"keys": "image", "guidance": "guidance", "spatial_size": [32, 64, 64]}),
            ("Resized", {"keys": "image", "spatial_size": [32, 64, 64], "mode": "area"}),
            ("ResizeGuidanced", {"guidance": "guidance", "ref_image": "image"}),
            ("AddGuidanceSignald", {"image": "image", "guidance": "guidance"}),
        ]
        post = [
            ("Activationsd", {"keys": "pred", "sigmoid": True}),
            ("AsDiscreted", {"keys": "pred", "threshold_values": True, "logit_thresh": 0.5}),
            ("ToNumpyd", {"keys": "pred"}),
            ("monai.apps.deepgrow.transforms.RestoreLabeld", {"keys": "pred", "ref_image": "image", "mode": "nearest"}),
            ("AsChannelLastd", {"keys": "pred"}),
        ]
        config = aiaa_config(kind, labels=(), pre=pre, post=post)
        script(NearClick(5), folder / "model.trt.pb")
    elif kind == "annotation":
        points = ("aiaa.transforms.AddExtremePointsChanneld", {"keys": "image", "sigma": 3})
        config = aiaa_config(kind, labels=("spleen",), pre=[channel, points], padding=10, roi=[64, 64, 64])
        script(Spots(), folder / "model.trt.pb")
    elif kind == "classification":
        config = aiaa_config(kind, labels=("dark", "grey", "bright"), pre=[channel])
        script(Scores(), folder / "model.trt.pb")
    else:
        config = aiaa_config(kind, labels=("spleen",), pre=[channel])
        script(Above(50.0), folder / "model.trt.pb")
    (folder / "config_aiaa.json").write_text(json.dumps(config, indent=2))


def ball(shape: tuple[int, ...], centre: tuple[int, ...], radius: float) -> NDArray[np.bool_]:
    places = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    return np.asarray(np.linalg.norm(places - np.array(centre), axis=-1) <= radius)


def polygons(folder: Path) -> None:
    """The files of the polygon lines. Points of the picture are [x, y], those of the volume [second, first] index."""
    mask = ball((60, 50, 20), (30, 22, 10), 9)
    for name in ("mask2polygon.input.nii.gz", "label.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), AFFINE), folder / name)
    Image.fromarray((ball((60, 50), (30, 22), 15).T * 200).astype(np.uint8)).save(folder / "fixpolygon.input.png")
    angles = np.arange(16) * np.pi / 8
    before = np.rint(np.stack([30 + 15 * np.cos(angles), 22 + 15 * np.sin(angles)], axis=1)).astype(int).tolist()
    after = [list(point) for point in before]
    after[0] = [55, 22]
    edit = {"propagate_neighbor": 1, "polygonIndex": 0, "vertexIndex": 0, "poly": [after], "prev_poly": [before]}
    (folder / "fixpolygon.input.json").write_text(json.dumps(edit))
    square = [[[14, 22], [14, 38], [30, 38], [30, 22]]]
    edit = {
        "dimension": 3,
        "poly": [square if 6 <= index <= 14 else [] for index in range(20)],
        "slice_index": 10,
        "polygon_index": 0,
        "vertex_index": 2,
        "vertex_offset": [8, 5],
        "propagate_neighbor": 0,
        "propagate_neighbor_3d": 2,
    }
    (folder / "fixpolygon.3d.input.json").write_text(json.dumps(edit))


def small_volume() -> Volume:
    values = np.random.default_rng(2).integers(0, 100, (20, 16, 5)).astype(np.int16)
    return Volume(values, Geometry.from_axes((1, 2, 3), (0.7, 0.8, 2.5), np.eye(3), (20, 16, 5)))


# --- admin, models


def test_get_model(desk: Desk) -> None:
    assert desk.run("GET Model").json == json.loads((desk.folder / "config_aiaa.json").read_text())


def test_put_model_answers_its_config(desk: Desk) -> None:
    assert desk.run("PUT Model").json["labels"] == ["spleen"]


def test_patch_model(desk: Desk) -> None:
    path = desk.folder / "config_aiaa.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), "description": "patched"}))
    assert desk.run("PATCH Model").status == 200
    assert desk.run("Query Specific Model").json["description"] == "patched"
    path.write_text(before)
    assert desk.run("PATCH Model").status == 200


def test_delete_model(desk: Desk) -> None:
    assert desk.run("DELETE Model").status == 200
    assert desk.run("Query Specific Model").status == 404
    assert desk.run("PUT Model").status == 200


def test_all_models(desk: Desk) -> None:
    found = {model["name"]: model for model in desk.run("Query All Models").json}
    assert {SPLEEN, ANNOTATION, DEEPGROW, "my_model", "deepgrow_3d", "dextr3d"} <= found.keys()
    for model in found.values():
        assert {"name", "type", "description", "labels", "version"} <= model.keys()
        assert isinstance(model["version"], str)
        assert all(isinstance(label, str) for label in model["labels"])
    assert (found[ANNOTATION]["padding"], found[ANNOTATION]["roi"]) == (10, [64, 64, 64])
    assert found[DEEPGROW]["deepgrow"] == "3d"


def test_matching_models(desk: Desk) -> None:
    found = desk.run("Query Matching Models for a given Label and Type").json
    assert [model["name"] for model in found] == [SPLEEN]


def test_one_model(desk: Desk) -> None:
    found = desk.run("Query Specific Model").json
    assert (found["name"], found["type"], found["labels"]) == (SPLEEN, "segmentation", ["spleen"])


# --- images


def same_grid(answer: nibabel.Nifti1Image, path: Path) -> bool:
    sent = nibabel.load(path)
    return answer.shape == sent.shape and bool(np.allclose(answer.affine, sent.affine, atol=1e-4))


@pytest.mark.parametrize("line", ["segmentation", "inference"])
def test_segmentation(desk: Desk, line: str) -> None:
    image = desk.run(line).image
    sent = nibabel.load(desk.folder / "spleen.nii.gz")
    assert same_grid(image, desk.folder / "spleen.nii.gz")
    assert (voxels(image) == (voxels(sent) > 50)).all()


def test_dextr3d(desk: Desk) -> None:
    image = desk.run("dextr3d").image
    assert same_grid(image, desk.folder / "cropped_spleen.nii.gz")
    wanted, found = voxels(nibabel.load(desk.folder / "cropped_spleen.nii.gz")) > 50, voxels(image) > 0
    assert 2 * (wanted & found).sum() / (wanted.sum() + found.sum()) > 0.9


def test_deepgrow(desk: Desk) -> None:
    image = desk.run("deepgrow").image
    assert same_grid(image, desk.folder / "spleen.nii.gz")
    found = voxels(image)
    for x, y, z in ((155, 189, 78), (184, 192, 78), (114, 225, 78)):
        assert found[x, y, z] == 1
    assert not found[:60].any()
    assert not found[:, :120].any()


def test_a_classification_is_json(desk: Desk, server: ServerProcess) -> None:
    reply = run(server.url, "inference", "scores", {}, desk.folder / "spleen.nii.gz")
    assert (reply.status, reply.files) == (200, {})
    assert "bright" in json.dumps(reply.params)
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        files = {"image": ("a.nii.gz", (desk.folder / "cropped_spleen.nii.gz").read_bytes())}
        refused = client.post("/v1/inference?model=scores&output=image", files=files)
    assert refused.status_code == 400
    assert "output=json" in refused.json()["detail"]


# --- polygons


def test_mask2polygon(desk: Desk) -> None:
    found = desk.run("mask2polygon").json
    mask = voxels(nibabel.load(desk.folder / "mask2polygon.input.nii.gz"))
    assert [bool(on_slice) for on_slice in found] == mask.any(axis=(0, 1)).tolist()
    for index, on_slice in enumerate(found):
        for polygon in on_slice:
            assert all(mask[first, second, index] for second, first in polygon)
    assert len(found[10]) == 1


def test_fixpolygon_2d_results(desk: Desk) -> None:
    (polygon,) = desk.run("fixpolygon 2D results").json["poly"]
    assert len(polygon) == 16
    assert polygon[0] == [55, 22]
    before = json.loads((desk.folder / "fixpolygon.input.json").read_text())["prev_poly"][0]
    assert polygon[2:15] == before[2:15]
    assert polygon[1] != before[1]


def test_fixpolygon_2d_image(desk: Desk) -> None:
    answer = desk.run("fixpolygon 2D image")
    assert (answer.status, answer.kind) == (200, "image/png")
    with Image.open(desk.folder / "new_mask.png") as picture:
        found = np.asarray(picture).T
    assert found.shape == (60, 50)
    assert set(np.unique(found)) == {0, 1}
    assert found[55, 22] == 1
    assert found[57, 22] == found[55, 30] == 0
    disc = ball((60, 50), (30, 22), 15)
    assert (found[disc] == 1).mean() > 0.95


def test_fixpolygon_3d_image(desk: Desk) -> None:
    image = desk.run("fixpolygon 3D image").image
    assert same_grid(image, desk.folder / "label.nii.gz")
    found = voxels(image)
    assert np.flatnonzero(found.any(axis=(0, 1))).tolist() == list(range(6, 15))
    assert found[43, 38, 10] == 1  # first and second index of the vertex [30, 38] that was moved by [8, 5]
    assert found[38, 43, 10] == 0
    assert found[38, 30, 6] == 1
    assert found[40, 34, 10] == 1
    assert found[40, 34, 6] == 0
    assert found[:, :, 10].sum() > found[:, :, 11].sum() > found[:, :, 12].sum() > found[:, :, 13].sum()


# --- sessions


def test_a_session(desk: Desk) -> None:
    made = desk.run("PUT Session").json
    assert made["session_id"]
    assert made["session_info"]["expiry"] == 30
    found = desk.run("GET Session", session=made["session_id"]).json
    assert found["session_id"] == made["session_id"]
    assert found["image"] == "spleen.nii.gz"
    assert desk.run("DELETE Session", session=made["session_id"]).status == 200
    assert desk.run("GET Session", session=made["session_id"]).status == 404


def image_of_session(desk: Desk, server: ServerProcess) -> NDArray[Any]:
    """What a session made from ``data.json`` holds: asked for as a mask of everything above 0."""
    made = desk.run("PUT Session from data.json").json
    line = (
        f'curl "{server.url}/v1/inference?model=my_model&output=image&session_id={made["session_id"]}" -X POST -o out'
    )
    subprocess.run(["bash", "-c", line], cwd=desk.folder, check=True, capture_output=True, timeout=60)
    return voxels(nibabel.Nifti1Image.from_bytes(gzip.decompress((desk.folder / "out").read_bytes())))


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES"])
def test_a_session_from_a_pacs(desk: Desk, server: ServerProcess, level: str) -> None:
    source = {
        "server_address": "0.0.0.0",
        "server_port": desk.orthanc.dicom_port,
        "ae_title": AE_TITLE,
        "query_level": level,
        "patient_id": "PHANTOM-1",
        "study_uid": desk.study,
        "series_uid": desk.series,
    }
    (desk.folder / "data.json").write_text(json.dumps({"dicom": source}, indent=2))
    assert (image_of_session(desk, server) == (small_volume().array > 50)).all()


def test_a_session_from_a_web_server(desk: Desk, server: ServerProcess) -> None:
    (series,) = desk.orthanc.find("Series", SeriesInstanceUID=desk.series)
    source = {
        "url": f"http://0.0.0.0:{desk.orthanc.http_port}/series/{series}/archive",
        "params": {"format": "zip"},
        "method": "GET",
    }
    (desk.folder / "data.json").write_text(json.dumps({"http": source}, indent=2))
    assert (image_of_session(desk, server) == (small_volume().array > 50)).all()
