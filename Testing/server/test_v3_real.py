"""``/v3`` over HTTP with the trained networks on generated radiographs and photographs of screens, and on the real dogs
when their data is there. How well the networks measure is the bench's affair; here it is that the numbers arrive.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from contract.server import ServerProcess, launch
from PIL import Image
from radanalyzer.client import KEY, Client, decoded, encoded, refusal
from radanalyzer.screens import photographed

from imeasure_server.imaging.pictures import read_picture, write_jpeg, write_png
from imeasure_server.vhs.landmarks import in_pixels
from imeasure_server.vhs.score import score_landmarks
from phantoms.radiograph import lateral_thorax

DATA = Path(os.environ.get("IMEASURE_DATA", "../shared/data"))
SEEDS = (1, 2, 3)
RADIOGRAPHS = [lateral_thorax(seed) for seed in SEEDS]
SENT = [write_png(picture) for picture, _ in RADIOGRAPHS]
SHOTS = [photographed(RADIOGRAPHS[0][0], seed) for seed in range(5)]
NOISE = write_png(np.random.default_rng(4).integers(0, 255, (400, 500), np.uint8))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = launch(tmp_path_factory.mktemp("v3"), "--api-key", KEY)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Client:
    return Client(server.url, timeout=250)


def points_of(answer: dict[str, object]) -> np.ndarray:
    return np.array([[point["x"], point["y"]] for point in answer["prediction"]])  # type: ignore[attr-defined, index]


def test_all_models_are_there(client: Client) -> None:
    assert client.get("/health").json()["status"] == "healthy"


def test_the_score_is_that_of_the_landmarks_and_near_the_truth(client: Client) -> None:
    errors = []
    for content, (picture, truth) in zip(SENT, RADIOGRAPHS, strict=True):
        answer = client.predict(content)
        assert answer["result_code"] in (1, 2, 3, 4)
        height, width = picture.shape
        points = in_pixels(points_of(answer), width, height)
        assert score_landmarks(points, (width, height)).vhs == pytest.approx(answer["vhs"], abs=0.011)
        true = score_landmarks(truth).vhs
        assert true is not None
        errors.append(abs(answer["vhs"] - true))
        assert np.linalg.norm(points - truth, axis=1).max() < 0.1 * np.hypot(width, height)
    assert np.median(errors) < 1.0


def test_the_drawing(client: Client) -> None:
    answer = client.predict(SENT[0], render=True)
    drawn = Image.open(io.BytesIO(decoded(answer["rendered_image"])))
    drawn.load()
    assert drawn.format == "PNG"
    assert max(drawn.size) >= 1000


def test_what_is_no_radiograph_is_rejected_and_free(client: Client) -> None:
    answer = client.predict(NOISE)
    assert (answer["result_code"], answer["rejected"]) == (6, True)
    assert 0.5 <= answer["classifier_confidence"] <= 1
    assert answer["billing"]["billable"] is False


def test_a_picture_cut_off_in_its_middle(client: Client) -> None:
    """Its header is whole, so that only the worker finds out."""
    status, message = refusal(client.post("/predict", {"image": encoded(SENT[0][:-2000])}))
    assert (status, message.split(".")[0]) == (400, "Invalid image data")
    batch = client.predict(SENT[0][:-2000], SENT[1])
    assert batch["per_photo"][0]["error"].startswith("Invalid image data")
    assert batch["best_photo_index"] == 1


def test_batch_and_stream_say_what_single_requests_say(client: Client) -> None:
    single = [client.predict(content)["vhs"] for content in SENT]
    batch = client.predict(*SENT, NOISE)
    assert [photo["vhs"] for photo in batch["per_photo"]] == [*single, None]
    assert batch["per_photo"][3]["rejected"] is True
    told = client.stream(*SENT)
    assert [event.data["vhs"] for event in told[1:4]] == single
    assert told[4].data["best_vhs"] == batch["vhs"]


def test_corners_of_a_screen(client: Client) -> None:
    """Near enough to be the screen's; how near is tested with the finder."""
    for shot in SHOTS[:3]:
        height, width = shot.picture.shape[:2]
        answer = client.post("/corners", {"image": encoded(write_jpeg(shot.picture))}).json()
        assert (answer["image_width"], answer["image_height"]) == (width, height)
        misses = np.linalg.norm(np.array(answer["corners"]) - shot.corners, axis=1)
        assert misses.max() < 0.04 * np.hypot(width, height)


def test_a_plain_radiograph_has_no_screen(client: Client) -> None:
    for path in ("/corners", "/preprocess"):
        assert refusal(client.post(path, {"image": encoded(SENT[0])})) == (422, "Corner detection failed")


def test_preprocessing_gives_the_screen_in_its_own_shape(client: Client) -> None:
    shot = SHOTS[0]
    answer = client.post("/preprocess", {"image": encoded(write_jpeg(shot.picture))}).json()
    flat = read_picture(decoded(answer["rectified_image"]))
    assert flat.shape[:2] == (answer["height"], answer["width"])
    assert answer["width"] / answer["height"] == pytest.approx(640 / 512, rel=0.15)


def test_landmarks_of_a_photograph_are_on_the_photograph_that_was_sent(client: Client) -> None:
    found = 0
    for shot in SHOTS[:3]:
        answer = client.predict(write_jpeg(shot.picture))
        if answer.get("prediction"):
            assert answer["pop_detected"] is True
            height, width = shot.picture.shape[:2]
            misses = np.linalg.norm(in_pixels(points_of(answer), width, height) - shot.show(RADIOGRAPHS[0][1]), axis=1)
            assert np.median(misses) < 0.05 * np.hypot(width, height)
            found += 1
    assert found


def test_a_session_of_photographs_ends(client: Client) -> None:
    session = client.start()
    for count in range(20):
        answer = client.frame(session, write_jpeg(SHOTS[count % len(SHOTS)].picture), uuid="patient-1").json()
        if answer["session_status"] != "continue":
            break
        assert answer["frame_result"]["pop_detected"] is True
        assert answer["frames_processed"] == count + 1
    assert answer["session_status"] in ("complete", "failed")
    if answer["session_status"] == "complete":
        flat = read_picture(decoded(answer["rectified_image"]))
        height, width = flat.shape[:2]
        points = in_pixels(points_of(answer["prediction"]), width, height)
        assert score_landmarks(points).vhs == pytest.approx(answer["prediction"]["vhs"], abs=0.011)


def test_the_real_dogs_are_measured(client: Client) -> None:
    """Nobody has marked their landmarks: that there is a plausible number, and where, is all that can be asked."""
    for path in sorted((DATA / "canine-vhs").glob("*.png")):
        answer = client.predict(path.read_bytes(), render=True)
        assert answer["result_code"] in (1, 2, 3, 4), path.name
        assert 6 < answer["vhs"] < 15
        assert ((points_of(answer) > 0) & (points_of(answer) < 1)).all()
