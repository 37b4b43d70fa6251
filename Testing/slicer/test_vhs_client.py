"""What the client makes of servers that go wrong, of the contract's examples, and of a folder."""

from __future__ import annotations

import base64
import csv
import json
import threading
import time

import numpy as np
import pytest

from IMeasureLib.http_client import ServerError
from IMeasureLib.jobs import Cancelled
from vhs_pictures import EXAMPLE_ANSWER, REJECTION, SAMPLE
from VHSAnalyzerLib.batch import COLUMNS, analyseFolder
from VHSAnalyzerLib.client import VHSClient
from VHSAnalyzerLib.landmarks import LANDMARK_NAMES
from VHSAnalyzerLib.logic import askFor, cornersFor, straightened
from VHSAnalyzerLib.picture import Picture, PictureError, encodePNG

PNG = encodePNG(np.zeros((20, 30), np.uint8))


def replies(server, status, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    server.answer = lambda handler: handler.say(status, content, **headers)


@pytest.fixture
def client(odd_server):
    return VHSClient(odd_server.address, "a key", busySeconds=0.3)


def sent(server, index=-1):
    method, path, headers, body = server.requests[index]
    return method, path, headers, json.loads(body)


def test_predict_sends_what_the_contract_says(client, odd_server):
    replies(odd_server, 200, EXAMPLE_ANSWER)
    answer = client.predict(PNG, "patient-123")
    method, path, headers, body = sent(odd_server)
    assert (method, path, headers["x-api-key"]) == ("POST", "/v3/predict", "a key")
    assert body["uuid"] == "patient-123"
    assert base64.b64decode(body["image"]) == PNG
    assert (answer.vhs, answer.historicVHS) == (10.4, (("2026-03-27", 11.38),))
    assert answer.analysedAt
    client.predict(PNG)
    assert "uuid" not in sent(odd_server)[3]


def test_corners_and_rectify_of_the_contract(client, odd_server):
    corners = [[137.48, 100.30], [490.50, 81.32], [495.35, 421.38], [154.89, 421.57]]
    replies(odd_server, 200, {"corners": corners, "order": "TL,TR,BR,BL", "image_width": 640, "image_height": 482})
    assert client.corners(PNG).tolist() == corners
    fractions = cornersFor(client, Picture(np.zeros((482, 640), np.uint8)))
    assert fractions * (640, 482) == pytest.approx(np.array(corners))
    replies(odd_server, 200, {"rectified_image": base64.b64encode(b"jpeg").decode(), "width": 346, "height": 330})
    assert straightened(client, Picture(np.zeros((482, 640), np.uint8)), fractions) == b"jpeg"
    assert sent(odd_server)[3]["corners"] == corners
    replies(odd_server, 422, {"error": "Corner detection failed"})
    assert client.corners(PNG) is None


def test_landmarks_of_a_halved_picture_are_those_of_the_picture(odd_server):
    replies(odd_server, 200, EXAMPLE_ANSWER)
    picture = Picture(np.zeros((4099, 100), np.uint8))
    answer = askFor(VHSClient(odd_server.address, "k"), picture)
    top = LANDMARK_NAMES.index("heart_top")
    assert answer.points[top] == pytest.approx([0.42, 0.15 * 4100 / 4099])


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, {"error": "Invalid API key"}, "does not accept this API key"),
        (400, {"error": "Invalid image data. It is neither JPEG nor PNG."}, "cannot use the picture: Invalid image"),
        (413, {"error": "Image exceeds maximum size of 10MB"}, "larger than the server takes"),
        (422, {"error": "Corner detection failed"}, "No screen was found"),
        (500, {"error": "Internal server error"}, "error (500): Internal server error"),
        (503, {"error": "PoP pipeline not available"}, "no models for photos of screens"),
        (503, {"error": "Prediction models not available"}, "no models for the heart score"),
        (503, {"error": "Busy"}, "busy"),
        (404, b"<html>", "not an VHS server"),
        (200, {"vhs": 1}, "not as the RadAnalyzer interface describes"),
        (200, b"<html>", "not an VHS server"),
    ],
)
def test_errors_are_sentences(client, odd_server, status, body, words):
    replies(odd_server, status, body)
    with pytest.raises(ServerError) as caught:
        client.predict(PNG)
    assert words in caught.value.message
    assert "a key" not in caught.value.message


def test_missing_models_are_not_waited_for(odd_server):
    replies(odd_server, 503, {"error": "Prediction models not available"}, Retry_After="1")
    with pytest.raises(ServerError):
        VHSClient(odd_server.address, "k").predict(PNG)
    assert len(odd_server.requests) == 1


def test_a_busy_server_is_asked_again(odd_server):
    answers = [(503, {"error": "Busy"}), (200, EXAMPLE_ANSWER)]

    def answer(handler):
        status, body = answers.pop(0)
        handler.say(status, json.dumps(body).encode(), Retry_After="0")

    odd_server.answer = answer
    assert VHSClient(odd_server.address, "k").predict(PNG).vhs == 10.4


def test_a_server_without_models_cannot_be_used(client, odd_server):
    health = {"status": "degraded", "models_loaded": 0, "pop_models_loaded": 0, "pop_pipeline_enabled": False}
    replies(odd_server, 200, {**health, "model_version": "3.3.0-ensemble"})
    assert client.health().trouble
    with pytest.raises(ServerError, match="no models"):
        client.check()


# ---- a folder


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    (folder / "b.jpg").write_bytes(b"")
    (folder / "c.dcm").write_bytes(b"no DICOM")
    (folder / "d.PNG").write_bytes(PNG)
    (folder / "notes.txt").write_text("no picture")
    return folder


def rowsOf(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_a_row_for_each_file(client, odd_server, folder, tmp_path):
    answers = [EXAMPLE_ANSWER, REJECTION]
    odd_server.answer = lambda handler: handler.say(200, json.dumps(answers.pop(0)).encode())
    lines = []
    summary = analyseFolder(client, folder, tmp_path / "x.csv", progress=lines.append)
    assert (summary.files, summary.measured, summary.failed) == (4, 1, 2)
    assert summary.sentence == "4 files: 1 measured, 1 without a score, 2 with an error (see the last column)."
    rows = rowsOf(tmp_path / "x.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == ["a.png", "b.jpg", "c.dcm", "d.PNG"]
    assert (rows[0]["vhs"], rows[0]["Vertebra B x"], rows[0]["error"]) == ("10.40", "0.55000", "")
    assert "empty" in rows[1]["error"]
    assert "DICOM" in rows[2]["error"]
    assert rows[3]["result_code"] == "6"
    assert "Rejected" in rows[3]["result"]
    assert lines[0] == "1 of 4: a.png"


def test_a_refused_file_is_a_row_and_a_server_that_is_gone_ends_it(client, odd_server, folder, tmp_path):
    (folder / "b.jpg").unlink()
    (folder / "c.dcm").unlink()
    replies(odd_server, 400, {"error": "Invalid image data. Damaged."})
    assert analyseFolder(client, folder, tmp_path / "x.csv").failed == 2
    assert "Damaged" in rowsOf(tmp_path / "x.csv")[1]["error"]
    replies(odd_server, 403, {"error": "Invalid API key"})
    with pytest.raises(ServerError, match="API key"):
        analyseFolder(client, folder, tmp_path / "y.csv")
    assert rowsOf(tmp_path / "y.csv") == []
    with pytest.raises(PictureError, match="no PNG"):
        analyseFolder(client, tmp_path, tmp_path / "z.csv")
    with pytest.raises(PictureError, match="no folder"):
        analyseFolder(client, tmp_path / "nowhere", tmp_path / "z.csv")


def test_what_is_written_when_it_is_cancelled_is_a_whole_csv(client, odd_server, folder, tmp_path):
    cancel = threading.Event()

    def answer(handler):
        if len(odd_server.requests) > 1:
            cancel.set()
            time.sleep(0.3)
        handler.say(200, json.dumps(EXAMPLE_ANSWER).encode())

    odd_server.answer = answer
    (folder / "b.jpg").write_bytes(PNG)
    with pytest.raises(Cancelled):
        analyseFolder(client, folder, tmp_path / "x.csv", cancel)
    assert [row["vhs"] for row in rowsOf(tmp_path / "x.csv")] == ["10.40"]


def test_dicom_files_of_a_batch_are_read_by_themselves(tmp_path):
    from desktop.dicom_radiograph import writeRadiograph
    from VHSAnalyzerLib.picture_files import readDICOM

    pixels = np.tile(np.linspace(0, 4000, 60).astype(np.uint16), (40, 1))
    for photometric, brightRight in (("MONOCHROME2", True), ("MONOCHROME1", False)):
        picture = readDICOM(writeRadiograph(tmp_path / f"{photometric}.dcm", pixels, (0.2, 0.1), photometric))
        assert picture.spacing == pytest.approx((0.1, 0.2))
        assert (picture.pixels[20, 55] > picture.pixels[20, 5]) == brightRight


def test_the_sample_fits_into_one_request():
    assert SAMPLE.stat().st_size < 500_000
