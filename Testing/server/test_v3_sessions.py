"""``/v3/pop-session`` over HTTP with prepared results: how a session goes on, completes, fails and is charged."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from radanalyzer.client import Client, decoded, refusal
from radanalyzer.prepared import LANDMARKS, measured, picture, rejected, unmeasured
from radanalyzer.serving import Service, prepared_service

from imeasure_server.models.pool import JobFailed
from imeasure_server.vhs.landmarks import FloatArray

FIRST, SECOND, THIRD, FAR, POOR, REJECTED, BROKEN = (picture(number) for number in range(7))
FLAT = picture(50)
ON_FLAT: FloatArray = LANDMARKS * 0.9 + 0.05


def screen(vhs: float, spread: float = 0.003) -> Any:
    """A screen that was rectified."""
    return measured(vhs, 2.8, spread, pop_detected=True, rectified=FLAT, rectified_landmarks=ON_FLAT)


RESULTS = {
    FIRST: screen(10.3, 0.004),
    SECOND: screen(10.4, 0.0028),
    THIRD: screen(10.6, 0.0049),
    FAR: screen(12.0, 0.001),
    POOR: unmeasured(pop_detected=True),
    REJECTED: rejected(),
    BROKEN: JobFailed("a bug"),
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with prepared_service(tmp_path) as made:
        made.pool.results = dict(RESULTS)
        yield made


@pytest.fixture
def client(service: Service) -> Client:
    return service.client


def send(client: Client, session: str, *images: bytes, **fields: Any) -> list[dict[str, Any]]:
    answers = []
    for image in images:
        response = client.frame(session, image, **fields)
        assert response.status_code == 200, response.text
        answers.append(response.json())
    return answers


def test_start(client: Client) -> None:
    answer = client.post("/pop-session/start", {}).json()
    assert len(answer.pop("session_id")) == 16
    assert answer == {
        "session_status": "ready",
        "pop_pipeline_enabled": True,
        "models_loaded": 5,
        "pop_models_loaded": 5,
        "model_version": "3.3.0-ensemble",
        "session_config": {"max_frames": 20, "max_consecutive_failures": 5, "session_ttl_seconds": 300},
    }


def test_start_without_a_body(client: Client) -> None:
    assert client.http.post("/v3/pop-session/start").json()["session_status"] == "ready"


def test_continue_as_in_the_contract(client: Client) -> None:
    session = client.start()
    (answer,) = send(client, session, POOR)
    assert answer.pop("feedback").startswith("Heart and spine were not recognised")
    assert answer == {
        "session_id": session,
        "session_status": "continue",
        "reason": "0/3 good frames so far, need more",
        "frame_index": 0,
        "frames_processed": 1,
        "good_frames": 0,
        "result_code": 5,
        "result_description": "Neither VHS nor VLAS could be calculated — check image quality.",
        "frame_result": {
            "vhs": None,
            "vlas": None,
            "spread": None,
            "model_confidence": "review",
            "landmarks_detected": False,
            "pop_detected": True,
        },
        "model_version": "3.3.0-ensemble",
    }


def test_complete_as_in_the_contract(client: Client) -> None:
    session = client.start()
    *before, answer = send(client, session, FIRST, POOR, SECOND, THIRD, uuid="patient-123")
    assert [each["session_status"] for each in before] == ["continue"] * 3
    assert [each["good_frames"] for each in before] == [1, 1, 2]
    assert set(answer) == {
        "session_id", "session_status", "frame_index", "rectified_image", "prediction", "billing",
    }  # fmt: skip
    assert (answer["session_id"], answer["session_status"], answer["frame_index"]) == (session, "complete", 3)
    assert decoded(answer["rectified_image"]) == FLAT
    prediction = answer["prediction"]
    drawn = Image.open(io.BytesIO(decoded(prediction.pop("rendered_image"))))
    assert drawn.format == "PNG"
    assert drawn.width / drawn.height == pytest.approx(320 / 240, abs=0.02)
    points = [[point["x"], point["y"]] for point in prediction.pop("prediction")]
    assert points == ON_FLAT.round(6).tolist()
    assert prediction == {
        "vhs": 10.4,
        "vlas": 2.8,
        "result_code": 1,
        "result_description": "VHS and VLAS predicted successfully with high confidence",
        "model_confidence": "optimal",
        "spread": 0.0028,
        "model_version": "3.3.0-ensemble",
    }
    assert answer["billing"] == {
        "billable": True,
        "reason": "valid_vhs",
        "call_type": "session",
        "monthly_usage": 1,
        "tier": "paygo",
        "rate": 4.0,
    }
    later = client.predict(FIRST, uuid="patient-123")
    assert [value for _, value in later["historic_vhs"]] == [10.4]
    assert later["billing"]["reason"] == "recheck_24h"


def test_the_last_frame_may_be_the_best(client: Client) -> None:
    answer = send(client, client.start(), FIRST, THIRD, SECOND)[-1]
    assert (answer["session_status"], answer["prediction"]["vhs"]) == ("complete", 10.4)


def test_a_frame_that_disagrees_does_not_complete_the_session(client: Client) -> None:
    answers = send(client, client.start(), FAR, FIRST, SECOND, THIRD)
    assert answers[2]["session_status"] == "continue"
    assert answers[2]["reason"].startswith("3/3 good frames so far, but no 3 of them are within 0.5 vertebrae")
    assert answers[3]["prediction"]["vhs"] == 10.4


def test_a_radiograph_that_fills_the_picture_is_its_own_rectified_image(service: Service) -> None:
    for image in (FIRST, SECOND, THIRD):
        service.pool.results[image] = measured(10.0, spread=0.001)
    answer = send(service.client, service.client.start(), FIRST, SECOND, THIRD)[-1]
    assert decoded(answer["rectified_image"]) == FIRST
    assert answer["prediction"]["prediction"][0] == {"x": 0.42, "y": 0.25, "class": "heart_top"}


def test_twenty_frames_that_never_agree(service: Service) -> None:
    client, images = service.client, [picture(100 + index) for index in range(20)]
    for index, image in enumerate(images):
        service.pool.results[image] = screen(7.0 + 0.4 * index)
    session = client.start()
    *before, last = send(client, session, *images)
    assert [answer["session_status"] for answer in before] == ["continue"] * 19
    assert last == {
        "session_id": session,
        "session_status": "failed",
        "frame_index": 20,
        "error": "max_frames_exceeded",
        "billing": {"billable": False, "reason": "no_valid_vhs", "monthly_usage": 0, "tier": "paygo"},
    }
    assert refusal(client.frame(session, FIRST))[0] == 409


def test_five_failures_one_after_another(client: Client) -> None:
    session = client.start()
    *before, last = send(client, session, POOR, REJECTED, FIRST, POOR, REJECTED, POOR, POOR, POOR)
    assert [answer["session_status"] for answer in before] == ["continue"] * 7
    assert (last["session_status"], last["error"]) == ("failed", "max_consecutive_failures_exceeded")
    assert last["billing"]["billable"] is False


def test_a_session_that_takes_too_long(tmp_path: Path) -> None:
    with prepared_service(tmp_path, pop_session_ttl_seconds=1) as service:
        service.pool.results = dict(RESULTS)
        session = service.client.start()
        send(service.client, session, FIRST)
        time.sleep(1.1)
        for _ in range(2):
            (answer,) = send(service.client, session, FIRST)
            assert (answer["session_status"], answer["error"]) == ("failed", "session_timeout")
            assert (answer["frame_index"], answer["billing"]["billable"]) == (1, False)


def test_ids_that_are_not_known(service: Service) -> None:
    session = service.client.start()
    words = "Unknown session_id: start a session with POST /v3/pop-session/start"
    for unknown in ("sess_abc123def456", "", "x" * 5000, "'; DROP TABLE keys"):
        status, message = refusal(service.client.frame(unknown, FIRST))
        assert status in (400, 404)
        if status == 404:
            assert message == words
    assert refusal(Client(service.url, "other-key").frame(session, FIRST)) == (404, words)
    send(service.client, session, FIRST)


def test_a_session_that_has_ended(client: Client) -> None:
    session = client.start()
    send(client, session, FIRST, SECOND, THIRD)
    words = "This session has ended (complete): start another with POST /v3/pop-session/start"
    assert refusal(client.frame(session, FIRST)) == (409, words)


def test_a_frame_that_cannot_be_read_or_computed_is_not_counted(client: Client) -> None:
    session = client.start()
    assert refusal(client.frame(session, b"GIF89a"))[0] == 400
    assert refusal(client.frame(session, BROKEN)) == (500, "Internal server error")
    (answer,) = send(client, session, FIRST)
    assert (answer["frame_index"], answer["frames_processed"]) == (0, 1)


def test_frames_of_one_session_are_worked_on_one_after_another(service: Service) -> None:
    session = service.client.start()
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: send(service.client, session, FAR, POOR)[-1], range(2)))
    assert service.pool.most_at_once == 1
    assert sorted(answer["frames_processed"] for answer in answers)[-1] == 4
    assert len(service.pool.started) == 4


def test_sessions_do_not_wait_for_each_other(service: Service) -> None:
    sessions = [service.client.start() for _ in range(2)]
    service.pool.held.add(FIRST)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(send, service.client, sessions[0], FIRST)
        assert send(service.client, sessions[1], SECOND)[0]["frames_processed"] == 1
        service.pool.held.clear()
        assert held.result(30)[0]["frames_processed"] == 1


def test_a_client_that_goes_away_leaves_the_session_free(service: Service) -> None:
    session = service.client.start()
    service.pool.held.add(FIRST)
    with pytest.raises(httpx.ReadTimeout):
        Client(service.url, timeout=0.5).frame(session, FIRST)
    (answer,) = send(service.client, session, SECOND)
    assert answer["frames_processed"] == 1
    assert service.pool.abandoned == [FIRST]


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    with prepared_service(tmp_path) as service:
        service.pool.results = dict(RESULTS)
        session = service.client.start()
        send(service.client, session, FIRST, SECOND)
    with prepared_service(tmp_path) as service:
        service.pool.results = dict(RESULTS)
        (answer,) = send(service.client, session, THIRD)
        assert (answer["session_status"], answer["prediction"]["vhs"]) == ("complete", 10.4)
        assert decoded(answer["rectified_image"]) == FLAT
