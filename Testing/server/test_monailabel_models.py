"""Models of MONAI Label's own protocol: clicks, scribbles, automatic models; formats of results; clients that leave."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import SimpleITK as sitk
from infer_http import OBLIQUE, ask, ball_scene, dice, reply_of

from imeasure_server.imaging.label_files import encode_label
from imeasure_server.imaging.nifti import write_nifti
from phantoms.dicom_series import series_zip

SCENE = ball_scene(60, OBLIQUE)
LEFT = np.diag([-1.0, 1.0, -1.0])


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("image") / "image.nii.gz"
    write_nifti(path, SCENE.volume.array, SCENE.volume.geometry)
    return path.read_bytes()


def scribbles(names: dict[str, int]) -> tuple[bytes, list[dict[str, Any]], list[int]]:
    """A label file with strokes of these values, ``label_info``, and a region around the ball."""
    x, y, z = SCENE.centre
    label = np.zeros(SCENE.truth.shape, np.uint8)
    for level in (z - 2, z, z + 2):
        label[x - 3 : x + 4, y, level] = names["foreground_scribbles"]
    label[4:44, 4, z] = label[4, 4:36, z] = names["background_scribbles"]
    info = [{"name": name, "id": value} for name, value in names.items()]
    roi = [x - 14, x + 15, y - 14, y + 15, z - 7, z + 8]
    return encode_label(label, SCENE.volume.geometry, ".nii.gz"), info, roi


@pytest.mark.parametrize("spelling", ["Histogram%2BGraphCut", "Histogram+GraphCut", "GMM+GraphCut", "GMM%2BGraphCut"])
def test_scribbles(live_server: str, image: bytes, spelling: str) -> None:
    """The name may be quoted; the default values are 2 (background) and 3 (foreground)."""
    file, _, roi = scribbles({"background_scribbles": 2, "foreground_scribbles": 3})
    label = ("scribbles.nii.gz", file)
    reply = reply_of(ask(live_server, {"roi": roi}, image, model=spelling, label=label))
    assert dice(reply.mask == 1, SCENE.truth) > 0.7
    outside = np.ones(reply.mask.shape, bool)
    outside[roi[0] : roi[1], roi[2] : roi[3], roi[4] : roi[5]] = False
    assert not reply.mask[outside].any()


def test_values_of_scribbles_are_those_that_the_client_names(live_server: str, image: bytes) -> None:
    usual, _, roi = scribbles({"background_scribbles": 2, "foreground_scribbles": 3})
    other, info, _ = scribbles({"foreground_scribbles": 6, "background_scribbles": 9})
    masks = [
        reply_of(ask(live_server, params, image, model="Histogram+GraphCut", label=("s.nii.gz", file))).mask
        for params, file in (({"roi": roi}, usual), ({"roi": roi, "label_info": info}, other))
    ]
    np.testing.assert_array_equal(masks[0] == 1, masks[1] == 1)


def test_scribbles_as_the_ohif_page_sends_them(live_server: str, image: bytes) -> None:
    """One byte a voxel, x fastest, in ``label.bin``."""
    x, y, z = SCENE.centre
    label = np.zeros(SCENE.truth.shape, np.uint8)
    label[x - 3 : x + 4, y, z] = 3
    label[4:44, 4, z] = 2
    raw = ("label.bin", label.tobytes(order="F"))
    file = ("label.nii.gz", encode_label(label, SCENE.volume.geometry, ".nii.gz"))
    masks = [reply_of(ask(live_server, {}, image, model="GMM+GraphCut", label=sent)).mask for sent in (raw, file)]
    np.testing.assert_array_equal(*masks)


def test_a_label_with_its_axes_turned_is_put_on_the_image(live_server: str, image: bytes, tmp_path: Path) -> None:
    file, _, roi = scribbles({"background_scribbles": 2, "foreground_scribbles": 3})
    straight = tmp_path / "s.nii.gz"
    straight.write_bytes(file)
    turned = tmp_path / "t.nii.gz"
    sitk.WriteImage(sitk.Flip(sitk.ReadImage(str(straight)), [True, False, True]), str(turned))
    masks = [
        reply_of(
            ask(live_server, {"roi": roi}, image, model="Histogram+GraphCut", label=("s.nii.gz", path.read_bytes()))
        ).mask
        for path in (straight, turned)
    ]
    np.testing.assert_array_equal(*masks)


def test_missing_scribbles_are_asked_for(live_server: str, image: bytes) -> None:
    response = ask(live_server, {}, image, model="GMM+GraphCut")
    assert response.status_code == 400
    assert "scribble" in response.json()["detail"].lower()


@pytest.mark.parametrize(
    ("extension", "dtype", "kind"),
    [
        (".nrrd", "uint8", sitk.sitkUInt8),
        ("nrrd", "uint16", sitk.sitkUInt16),
        (".nii.gz", "uint16", sitk.sitkUInt16),
        (".nii", None, sitk.sitkUInt8),
        (".seg.nrrd", "uint8", sitk.sitkUInt8),
    ],
)
def test_formats(live_server: str, image: bytes, tmp_path: Path, extension: str, dtype: str | None, kind: int) -> None:
    """The clients of MONAI Label choose the format; the mask lies on the image in all of them."""
    params = {"foreground": [SCENE.click], "background": [], "result_extension": extension, "result_dtype": dtype}
    reply = reply_of(ask(live_server, params, image, model="deepgrow_3d"))
    assert reply.filename.endswith(f".{extension.lstrip('.')}")
    path = tmp_path / f"mask.{extension.lstrip('.')}"
    path.write_bytes(reply.file)
    mask = sitk.ReadImage(str(path))
    assert mask.GetPixelID() == kind
    assert dice(sitk.GetArrayFromImage(mask).T, SCENE.truth) > 0.8
    np.testing.assert_allclose(mask.GetOrigin(), SCENE.volume.geometry.origin, atol=1e-3)
    np.testing.assert_allclose(mask.GetSpacing(), SCENE.volume.geometry.spacing, atol=1e-4)
    np.testing.assert_allclose(mask.GetDirection(), SCENE.volume.geometry.directions.reshape(-1), atol=1e-5)


def test_an_unknown_format_is_refused(live_server: str, image: bytes) -> None:
    params = {"foreground": [SCENE.click], "result_extension": ".stl"}
    response = ask(live_server, params, image, model="deepgrow_3d")
    assert response.status_code == 400
    assert ".nrrd" in response.json()["detail"]


def test_an_interactive_model_takes_the_clicks_of_monai_label(live_server: str, image: bytes) -> None:
    """Its own clients know no ``nninter``: their points are enough."""
    points = {"foreground": [SCENE.click], "background": [[3, 3, 3]], "result_extension": ".nii.gz"}
    by_clicks = reply_of(ask(live_server, points, image))
    ohif = {"nninter": "sam3", "pos_points": [SCENE.click], "neg_points": [[3, 3, 3]]}
    np.testing.assert_array_equal(by_clicks.mask, reply_of(ask(live_server, ohif, image)).mask)
    assert "nninter_elapsed" not in by_clicks.params
    assert list(by_clicks.params["label_names"].values()) == [1]


def test_extreme_points(live_server: str, image: bytes) -> None:
    corners = np.argwhere(SCENE.truth)
    points = [
        corners[index].tolist() for axis in range(3) for index in (corners[:, axis].argmin(), corners[:, axis].argmax())
    ]
    reply = reply_of(ask(live_server, {"points": points}, image, model="dextr3d"))
    assert dice(reply.mask, SCENE.truth) > 0.8


def test_a_click_on_one_slice(live_server: str, image: bytes) -> None:
    """As the Slicer plugin asks a 2D model: the points of one slice, and which one it is."""
    _, _, z = SCENE.centre
    params = {"foreground": [SCENE.click], "background": [], "slice": z, "label": "lesion"}
    mask = reply_of(ask(live_server, params, image, model="deepgrow_2d")).mask
    assert set(np.unique(np.nonzero(mask)[2])) == {z}
    assert dice(mask[:, :, z], SCENE.truth[:, :, z]) > 0.8


def test_an_automatic_model_names_all_values_in_their_order(live_server: str, image: bytes) -> None:
    """Slicer takes the n-th name for value n (driven in ``Testing/slicer/plugin``)."""
    info = httpx.get(f"{live_server}/info/", trust_env=False).json()
    reply = reply_of(ask(live_server, {}, image, model="ct_body_parts"))
    assert reply.params["label_names"] == info["models"]["ct_body_parts"]["labels"]
    assert list(reply.params["label_names"].values()) == list(range(1, 7))
    assert info["labels"][0] in info["models"]["ct_body_parts"]["labels"]


def test_a_client_that_leaves_holds_up_nobody(live_server: str, image: bytes) -> None:
    boundary = "----leaving"
    params = json.dumps({"nninter": "sam3", "pos_points": [SCENE.click]})
    body = (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="params"\r\n\r\n{params}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n\r\n'
        ).encode()
        + image
        + f"\r\n--{boundary}--\r\n".encode()
    )
    head = (
        "POST /infer/segmentation HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    address = urlsplit(live_server)
    for sent in (body, body[: len(body) // 2]):
        for _ in range(20):
            with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
                connection.sendall(head + sent)
    deadline = time.monotonic() + 60
    content = series_zip(ball_scene(61).volume)
    while (answer := ask(live_server, {"nninter": "sam3", "pos_points": [SCENE.click]}, content)).status_code == 503:
        assert answer.headers["retry-after"]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer.status_code == 200
