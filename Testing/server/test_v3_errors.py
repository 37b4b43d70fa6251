"""Every row of the contract's table of errors, over HTTP: status and ``{"error": "..."}``."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from radanalyzer.client import KEY, Client, encoded, refusal
from radanalyzer.prepared import measured, picture
from radanalyzer.serving import Service, prepared_service

from imeasure_server.api.radanalyzer.errors import MAX_IMAGE_BYTES
from imeasure_server.models.pool import JobFailed, OutOfMemory, PoolClosed, QueueFull, WorkerCrashed
from imeasure_server.vhs.models_present import CLASSIFIER_WEIGHTS, SCREEN_WEIGHTS, fold_weights

IMAGE = encoded(picture(1))
CORNERS = [[10, 10], [300, 12], [298, 220], [8, 222]]
POSTS = ("/predict", "/predict/stream", "/pop-session/start", "/pop-session", "/corners", "/rectify", "/preprocess")
WITH_IMAGE = ("/predict", "/pop-session", "/corners", "/rectify", "/preprocess")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with prepared_service(tmp_path_factory.mktemp("errors"), device="cpu") as made:
        made.pool.results[picture(1)] = measured()
        yield made


@pytest.fixture
def client(service: Service) -> Client:
    return service.client


def body_for(path: str, **changes: Any) -> dict[str, Any]:
    """A right body for any address, with these fields changed; ``...`` leaves one out."""
    body = {"image": IMAGE, "session_id": "0960abaa8179476d", "corners": CORNERS, **changes}
    return {name: value for name, value in body.items() if value is not ...}


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x", KEY.upper()])
@pytest.mark.parametrize("path", POSTS)
def test_every_address_asks_for_a_key_also_on_this_machine(service: Service, path: str, key: str | None) -> None:
    response = Client(service.url, key).post(path, body_for(path))
    assert refusal(response) == (403, "Invalid API key")


@pytest.mark.parametrize("key", [None, "wrong"])
def test_health_asks_for_a_key(service: Service, key: str | None) -> None:
    assert refusal(Client(service.url, key).get("/health")) == (403, "Invalid API key")


def test_other_protocols_are_still_open_on_this_machine(service: Service) -> None:
    assert httpx.get(f"{service.url}/", trust_env=False).json() == {"status": "UP"}
    response = httpx.post(f"{service.url}/seg", trust_env=False)
    assert response.status_code == 415
    assert response.json()["code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize("path", WITH_IMAGE)
@pytest.mark.parametrize("image", [..., None])
def test_no_image(client: Client, path: str, image: Any) -> None:
    assert refusal(client.post(path, body_for(path, image=image))) == (400, "Missing required field: image")


def test_no_images_in_a_stream(client: Client) -> None:
    assert refusal(client.post("/predict/stream", {})) == (400, "Missing required field: images")


def test_no_session_and_no_corners(client: Client) -> None:
    assert refusal(client.post("/pop-session", body_for("", session_id=...))) == (
        400,
        "Missing required field: session_id",
    )
    assert refusal(client.post("/rectify", body_for("", corners=...))) == (400, "Missing required field: corners")


@pytest.mark.parametrize("path", WITH_IMAGE)
@pytest.mark.parametrize("image", [5, [IMAGE], {}, True])
def test_an_image_that_is_no_string(client: Client, path: str, image: Any) -> None:
    answer = client.post(path, body_for(path, image=image))
    assert refusal(answer) == (400, "Invalid field: image must be a base64 string")


@pytest.mark.parametrize("path", WITH_IMAGE)
@pytest.mark.parametrize("content", [b"", b"GIF89a" + bytes(99), b"%PDF-1.7", picture(1)[:24]])
def test_an_image_that_is_neither_jpeg_nor_png(client: Client, path: str, content: bytes) -> None:
    status, message = refusal(client.post(path, body_for(path, image=encoded(content))))
    assert status == 400
    assert message.startswith("Invalid image data.")


@pytest.mark.parametrize("path", WITH_IMAGE)
def test_an_image_that_is_not_base64(client: Client, path: str) -> None:
    status, message = refusal(client.post(path, body_for(path, image="not base64!")))
    assert (status, message.split(".")[0]) == (400, "Invalid image data")


@pytest.mark.parametrize("path", WITH_IMAGE)
def test_a_decompression_bomb_is_refused_before_it_is_decoded(service: Service, path: str) -> None:
    """60,000 × 60,000 pixels in a file of some bytes; no worker hears of it."""
    bomb = picture(1)[:16] + (60_000).to_bytes(4, "big") * 2 + picture(1)[24:]
    before = len(service.pool.started)
    status, message = refusal(service.client.post(path, body_for(path, image=encoded(bomb))))
    assert status == 400
    assert "million" in message
    assert len(service.pool.started) == before


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("raw", [b"{", b"[]", b"5", b'"x"', b"\xff\xfe", b'{"image": NaN}', b"image=abc"])
def test_a_body_that_is_no_json_object(client: Client, path: str, raw: bytes) -> None:
    status, message = refusal(client.http.post(f"/v3{path}", content=raw))
    assert status == 400
    assert message.startswith("Invalid JSON in the request body")


def test_a_body_of_another_content_type_is_read_as_json(client: Client) -> None:
    """As ``curl -d`` sends it without the header that the contract asks for."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    raw = json.dumps({"image": IMAGE}).encode()
    assert client.http.post("/v3/predict", content=raw, headers=headers).json()["vhs"] == 10.4


def test_a_compressed_body(client: Client) -> None:
    response = client.http.post("/v3/predict", content=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert refusal(response)[0] == 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"render": "yes"}, "Invalid field: render must be true or false"),
        ({"render": 1}, "Invalid field: render must be true or false"),
        ({"uuid": 5}, "Invalid field: uuid must be a string of at most 200 characters"),
        ({"uuid": "x" * 201}, "Invalid field: uuid must be a string of at most 200 characters"),
        ({"uuid": "x" * 5000}, "Invalid field: uuid must be a string of at most 200 characters"),
        ({"images": [IMAGE]}, "Send either image or images, not both"),
        ({"image": None, "images": []}, "Invalid field: images must be an array of 1 to 10 base64 strings"),
        ({"image": None, "images": IMAGE}, "Invalid field: images must be an array of 1 to 10 base64 strings"),
        ({"image": None, "images": [IMAGE, None]}, "Invalid field: images[1] must be a base64 string"),
        ({"image": None, "images": [IMAGE] * 11}, "Too many images: at most 10 per request"),
    ],
)
def test_other_fields(client: Client, changes: dict[str, Any], message: str) -> None:
    assert refusal(client.post("/predict", body_for("", **changes))) == (400, message)
    if "images" in changes:
        assert refusal(client.post("/predict/stream", body_for("", **changes))) == (400, message)


@pytest.mark.parametrize(
    "corners",
    [CORNERS[:3], [*CORNERS, [1, 1]], "corners", [[1, 2, 3]] * 4, [[1, "2"]] * 4, [[1, 1e300]] * 4, [[1, True]] * 4],
)
def test_corners_that_are_not_four_points(client: Client, corners: Any) -> None:
    status, message = refusal(client.post("/rectify", body_for("", corners=corners)))
    assert status == 400
    assert message.startswith("Invalid field: corners must be four [x, y] pairs")


@pytest.mark.parametrize(
    "corners", [[[5, 5]] * 4, [CORNERS[index] for index in (0, 2, 1, 3)]], ids=["point", "crossed"]
)
def test_corners_that_no_screen_can_have(client: Client, corners: Any) -> None:
    status, message = refusal(client.post("/rectify", body_for("", corners=corners)))
    assert status == 400
    assert message.startswith("Invalid field: corners are not the corners of a screen")


def too_large() -> str:
    return encoded(picture(1) + np.random.default_rng(1).bytes(MAX_IMAGE_BYTES))


@pytest.mark.parametrize("path", WITH_IMAGE)
def test_an_image_over_ten_megabytes(client: Client, path: str) -> None:
    answer = client.post(path, body_for(path, image=too_large()))
    assert refusal(answer) == (413, "Image exceeds maximum size of 10MB")


def test_one_image_over_ten_megabytes_among_others(client: Client) -> None:
    for path in ("/predict", "/predict/stream"):
        answer = client.post(path, {"images": [IMAGE, too_large()]})
        assert refusal(answer) == (413, "Image exceeds maximum size of 10MB")


def test_a_body_whose_length_is_more_than_ten_images_is_refused_at_once(client: Client) -> None:
    """Nothing of the body is sent, and still the answer comes."""
    address = urlsplit(client.url)
    head = f"POST /v3/predict HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Length: {200 << 20}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(head.encode())
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(1 << 16)
        assert b" 413 " in answer.partition(b"\r\n")[0]
        assert answer.endswith(b'{"error":"Image exceeds maximum size of 10MB"}')


def test_an_image_that_never_ends_is_refused_while_it_arrives(client: Client) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"image": "'
        for _ in range(40):
            yield b"A" * (1 << 20)

    try:
        response = client.http.post("/v3/predict", content=pieces())
    except httpx.WriteError:
        return  # the answer was lost to the bytes that crossed it; it did stop reading
    assert refusal(response) == (413, "Image exceeds maximum size of 10MB")


def test_no_screen(client: Client) -> None:
    for path in ("/corners", "/preprocess"):
        assert refusal(client.post(path, {"image": IMAGE})) == (422, "Corner detection failed")


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (WorkerCrashed("The worker ended."), 500, "Internal server error"),
        (JobFailed('File "/secret/path.py", line 1'), 500, "Internal server error"),
        (RuntimeError("/secret/path of a bug"), 500, "Internal server error"),
        (OutOfMemory("CUDA out of memory"), 500, "Internal server error: CUDA out of memory"),
        (QueueFull("full"), 503, "The server is busy; try again in a moment"),
        (PoolClosed("closed"), 503, "The server is busy; try again in a moment"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_server_that_fails(service: Service, failure: Exception, status: int, message: str) -> None:
    service.pool.results[picture(2)] = failure
    response = service.client.post("/predict", {"image": encoded(picture(2))})
    assert refusal(response) == (status, message)
    if status == 503:
        assert int(response.headers["retry-after"]) >= 1


def test_a_batch_and_a_stream_are_refused_when_every_place_is_taken(service: Service) -> None:
    service.pool.is_full = True
    try:
        for path in ("/predict", "/predict/stream"):
            response = service.client.post(path, {"images": [IMAGE, IMAGE]})
            assert refusal(response) == (503, "The server is busy; try again in a moment")
            assert int(response.headers["retry-after"]) >= 1
    finally:
        service.pool.is_full = False


def test_addresses_and_methods_that_there_are_not(client: Client) -> None:
    assert refusal(client.get("/nothing"))[0] == 404
    assert refusal(client.http.get("/v3"))[0] == 404
    assert refusal(client.get("/predict"))[0] == 405
    assert refusal(client.http.post("/v3/health"))[0] == 405
    assert set(client.http.get("/nothing").json()) == {"error", "code"}


@pytest.mark.parametrize("missing", [SCREEN_WEIGHTS])
def test_without_the_models_for_screens(tmp_path: Path, missing: str) -> None:
    with prepared_service(tmp_path, without=(missing,)) as service:
        service.pool.results[picture(1)] = measured()
        for path in POSTS[2:]:
            assert refusal(service.client.post(path, body_for(path))) == (503, "PoP pipeline not available")
        assert service.client.predict(picture(1))["vhs"] == 10.4
        health = service.client.get("/health").json()
        assert (health["status"], health["pop_pipeline_enabled"], health["models_loaded"]) == ("degraded", False, 5)


@pytest.mark.parametrize("missing", [CLASSIFIER_WEIGHTS, *map(fold_weights, range(1))])
def test_without_other_models(tmp_path: Path, missing: str) -> None:
    with prepared_service(tmp_path, without=(missing,)) as service:
        service.pool.results[picture(1)] = measured()
        health = service.client.get("/health").json()
        assert health["status"] == "degraded"
        response = service.client.post("/predict", {"image": IMAGE})
        if health["models_loaded"]:
            assert health["models_loaded"] == 4
            assert response.json()["vhs"] == 10.4
        else:
            assert refusal(response) == (503, "Prediction models not available")


def test_a_request_that_takes_too_long(tmp_path: Path) -> None:
    with prepared_service(tmp_path, request_seconds=0.5) as service:
        service.pool.results = {picture(1): measured(), picture(2): measured()}
        service.pool.gate.clear()
        response = service.client.post("/predict", {"image": IMAGE})
        assert refusal(response) == (504, "The request took longer than 0.5 seconds")
        assert service.pool.abandoned == [picture(1)]
        batch = service.client.predict(picture(1), picture(2))
        assert [photo["error"] for photo in batch["per_photo"]] == ["The request took longer than 0.5 seconds"] * 2
        assert batch["billing"]["billable"] is False
