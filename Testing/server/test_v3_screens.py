"""``/v3/corners``, ``/v3/rectify`` and ``/v3/preprocess`` over HTTP. Corners are prepared, rectifying is real; finding
real screens is tested in test_v3_real.py.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from radanalyzer.client import Client, decoded, encoded
from radanalyzer.prepared import HEIGHT, WIDTH
from radanalyzer.serving import Service, prepared_service

from imeasure_server.imaging.pictures import read_picture, write_png

CORNERS = np.array([[60.4, 50.1], [270.7, 42.3], [280.2, 190.6], [52.9, 200.2]])
BACKGROUND, INSIDE = 30, 200


def photograph() -> bytes:
    """A bright quadrilateral on a dark ground."""
    canvas = np.full((HEIGHT, WIDTH), BACKGROUND, np.uint8)
    cv2.fillConvexPoly(canvas, np.rint(CORNERS).astype(np.int32), INSIDE)
    return write_png(canvas)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with prepared_service(tmp_path) as made:
        made.pool.corners[photograph()] = CORNERS + 0.001234
        yield made


@pytest.fixture
def client(service: Service) -> Client:
    return service.client


def test_corners(client: Client) -> None:
    assert client.post("/corners", {"image": encoded(photograph())}).json() == {
        "corners": CORNERS.round(2).tolist(),
        "order": "TL,TR,BR,BL",
        "image_width": WIDTH,
        "image_height": HEIGHT,
        "model_version": "3.3.0-ensemble",
    }


def test_rectify(client: Client) -> None:
    answer = client.post("/rectify", {"image": encoded(photograph()), "corners": CORNERS.tolist()}).json()
    assert set(answer) == {"rectified_image", "width", "height", "model_version"}
    jpeg = decoded(answer["rectified_image"])
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
    flat = read_picture(jpeg)
    assert flat.shape == (answer["height"], answer["width"])
    inner = flat[5:-5, 5:-5]
    assert abs(int(np.median(inner)) - INSIDE) < 5
    assert (inner > 150).mean() > 0.99


def test_preprocess_is_corners_and_rectify(client: Client) -> None:
    image = encoded(photograph())
    corners = client.post("/corners", {"image": image}).json()
    flat = client.post("/rectify", {"image": image, "corners": corners["corners"]}).json()
    both = client.post("/preprocess", {"image": image}).json()
    assert set(both) == {"rectified_image", "corners", "order", "width", "height", "model_version"}
    assert (both["corners"], both["order"]) == (corners["corners"], corners["order"])
    assert (both["width"], both["height"]) == pytest.approx((flat["width"], flat["height"]), abs=1)
    shown, expected = (read_picture(decoded(answer["rectified_image"])) for answer in (both, flat))
    assert abs(float(shown.mean()) - float(expected.mean())) < 2


def test_nothing_is_charged(client: Client) -> None:
    image = encoded(photograph())
    for path in ("/corners", "/preprocess"):
        assert "billing" not in client.post(path, {"image": image}).json()
