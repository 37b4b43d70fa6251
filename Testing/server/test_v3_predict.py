"""``/v3/health`` and ``/v3/predict`` over HTTP with prepared results: shape, history, billing, limits, fairness."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest
from radanalyzer.client import Client, encoded
from radanalyzer.prepared import LANDMARKS, measured, picture, rejected, unmeasured
from radanalyzer.serving import Service, prepared_service

from imeasure_server.models.pool import JobFailed, QueueFull
from imeasure_server.vhs.results import ResultCode

GOOD, BETTER, REJECTED, NOTHING, BROKEN = (picture(number) for number in range(5))
FREE = {"billable": False, "reason": "no_valid_vhs"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with prepared_service(tmp_path) as made:
        made.pool.results = {
            GOOD: measured(11.32, 1.87, 0.006),
            BETTER: measured(11.5, 2.1, 0.0023),
            REJECTED: rejected(),
            NOTHING: unmeasured(),
            BROKEN: JobFailed("a bug"),
        }
        yield made


@pytest.fixture
def client(service: Service) -> Client:
    return service.client


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def today() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d")


def test_health(client: Client) -> None:
    assert client.get("/health").json() == {
        "status": "healthy",
        "models_loaded": 5,
        "pop_models_loaded": 5,
        "pop_pipeline_enabled": True,
        "model_version": "3.3.0-ensemble",
    }


def test_a_single_image_is_charged_at_the_single_rate(client: Client) -> None:
    assert client.predict(GOOD)["billing"] == {
        "billable": True,
        "reason": "valid_vhs",
        "call_type": "single",
        "monthly_usage": 1,
        "tier": "paygo",
        "rate": 3.0,
    }


def test_several_images_are_charged_once_at_the_session_rate(client: Client) -> None:
    answer = client.predict(GOOD, BETTER, REJECTED)
    assert answer["best_photo_index"] == 1
    assert answer["billing"] == {
        "billable": True,
        "reason": "valid_vhs",
        "call_type": "session",
        "monthly_usage": 1,
        "tier": "paygo",
        "rate": 4.0,
    }


def test_a_batch_of_one_is_a_batch(client: Client) -> None:
    answer = client.post("/predict", {"images": [encoded(GOOD)]}).json()
    assert len(answer["per_photo"]) == 1
    assert answer["billing"]["call_type"] == "session"


@pytest.mark.parametrize("code", [ResultCode.ABNORMAL, ResultCode.NOTHING_MEASURED, ResultCode.NOT_RECTIFIED])
def test_what_gives_no_vhs_is_free(service: Service, code: ResultCode) -> None:
    service.pool.results[GOOD] = unmeasured(code)
    service.client.predict(BETTER)
    free = {**FREE, "monthly_usage": 1, "tier": "paygo"}
    for images in ((GOOD,), (REJECTED,), (GOOD, REJECTED)):
        assert service.client.predict(*images)["billing"] == free


def test_a_recheck_within_a_day_is_free_and_in_the_history(client: Client) -> None:
    first = client.predict(GOOD, uuid="patient-123")
    assert (first["historic_vhs"], first["historic_vlas"]) == ([], [])
    second = client.predict(BETTER, uuid="patient-123")
    assert second["billing"] == {"billable": False, "reason": "recheck_24h", "monthly_usage": 1, "tier": "paygo"}
    assert (second["historic_vhs"], second["historic_vlas"]) == ([[today(), 11.32]], [[today(), 1.87]])
    third = client.predict(REJECTED, GOOD, uuid="patient-123")
    assert third["historic_vhs"] == [[today(), 11.32], [today(), 11.5]]
    assert third["billing"]["reason"] == "recheck_24h"
    assert client.predict(GOOD, uuid="patient-124")["billing"]["billable"]
    assert client.predict(GOOD)["historic_vhs"] is None


def test_no_customer_sees_anothers_history(service: Service) -> None:
    other = Client(service.url, "other-key")
    service.client.predict(GOOD, uuid="patient-123")
    answer = other.predict(GOOD, uuid="patient-123")
    assert answer["historic_vhs"] == []
    assert (answer["billing"]["reason"], answer["billing"]["monthly_usage"]) == ("valid_vhs", 1)


def test_the_rejected_have_no_history_even_with_a_uuid(client: Client) -> None:
    client.predict(GOOD, uuid="patient-123")
    assert not {"historic_vhs", "historic_vlas"} & set(client.predict(REJECTED, uuid="patient-123"))


def test_without_billing_the_rate_is_nought(tmp_path: Path) -> None:
    with prepared_service(tmp_path, no_billing=True) as service:
        service.pool.results[GOOD] = measured()
        billing = service.client.predict(GOOD)["billing"]
        assert (billing["billable"], billing["rate"]) == (True, 0)


def test_the_failure_of_one_image_loses_no_other(client: Client) -> None:
    body = {"images": ["not base64!", encoded(BROKEN), encoded(b"GIF89a"), encoded(GOOD), encoded(NOTHING)]}
    answer = client.post("/predict", body).json()
    errors = [photo.get("error", "") for photo in answer["per_photo"]]
    assert errors[0].startswith("Invalid image data. ")
    assert errors[1] == "Internal server error"
    assert "neither a JPEG nor a PNG" in errors[2]
    assert errors[3:] == ["", ""]
    assert (answer["vhs"], answer["best_photo_index"], answer["n_photos_processed"]) == (11.32, 3, 5)
    assert answer["billing"]["billable"]


def test_a_batch_waits_for_room_in_its_middle(service: Service) -> None:
    """The queue may fill up between its images; what is measured already is not thrown away."""
    service.pool.results[NOTHING] = QueueFull("full")
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(service.client.predict, GOOD, NOTHING)
        assert eventually(lambda: service.pool.started.count(NOTHING) > 2)
        service.pool.results[NOTHING] = measured(10.0, 2.0)
        assert answer.result(20)["n_photos_with_landmarks"] == 2


def test_a_batch_takes_one_place_in_the_queue_at_a_time(service: Service) -> None:
    service.client.predict(*[GOOD] * 10)
    assert len(service.pool.started) == 10
    assert service.pool.most_at_once == 1


@pytest.mark.parametrize("images", [[GOOD], [GOOD, BETTER, NOTHING]], ids=["single", "batch"])
def test_a_client_that_goes_away_is_worked_for_no_more_and_not_charged(service: Service, images: list[bytes]) -> None:
    service.pool.gate.clear()
    impatient = Client(service.url, timeout=0.5)
    with pytest.raises(httpx.ReadTimeout):
        impatient.predict(*images)
    assert eventually(lambda: service.pool.abandoned == [GOOD])
    service.pool.gate.set()
    assert service.pool.started == [GOOD]
    assert service.client.predict(GOOD)["billing"]["monthly_usage"] == 1


def test_a_database_that_fails_costs_no_measurement(service: Service, tmp_path: Path) -> None:
    """Its file is spoilt while the server runs; the key is known from before."""
    assert service.client.predict(GOOD, uuid="a")["billing"]["billable"]
    database = tmp_path / "workspace" / "imeasure.sqlite3"
    service.app.state.store.database.close()
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    database.mkdir()
    answer = service.client.predict(GOOD, uuid="a")
    assert answer["vhs"] == 11.32
    assert answer["historic_vhs"] is None
    assert answer["billing"] == {"billable": False, "reason": "billing_error", "monthly_usage": 1, "tier": "paygo"}
    batch = service.client.predict(GOOD, BETTER)
    assert (batch["vhs"], batch["billing"]["reason"]) == (11.5, "billing_error")
    summary = service.client.stream(GOOD)[-1].data
    assert (summary["best_vhs"], summary["billing"]["reason"]) == (11.32, "billing_error")
    refused = service.client.post("/pop-session/start", {})
    assert refused.status_code == 503
    assert set(refused.json()) == {"error"}
    assert int(refused.headers["retry-after"]) > 0


def test_a_large_request_does_not_hold_up_others(service: Service) -> None:
    """Ten images of 3 MB: while they arrive and are decoded the server answers at once. No time is asserted."""
    large = [GOOD + bytes(3 << 20) for _ in range(10)]
    service.pool.results[large[0]] = measured(10.0, 2.0)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(service.client.predict, *large)
        answered = 0
        while not answer.done():
            assert httpx.get(f"{service.url}/", trust_env=False, timeout=30).status_code == 200
            answered += 1
        assert answer.result()["n_photos_with_landmarks"] == 10
        assert answered > 1


def test_stages_are_timed(client: Client) -> None:
    response = client.post("/predict", {"image": encoded(GOOD)})
    assert "landmarks;dur=" in response.headers["server-timing"]


def test_the_picture_and_the_landmarks(service: Service) -> None:
    service.pool.results[GOOD] = measured(rendered=b"a picture")
    answer = service.client.predict(GOOD, render=True)
    assert answer["rendered_image"] == encoded(b"a picture")
    assert [[point["x"], point["y"]] for point in answer["prediction"]] == LANDMARKS.tolist()
    batch = service.client.predict(GOOD, REJECTED, render=True)
    assert [photo.get("rendered_image") for photo in batch["per_photo"]] == [encoded(b"a picture"), None]
    assert "rendered_image" not in service.client.predict(GOOD)
