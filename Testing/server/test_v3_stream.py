"""``/v3/predict/stream`` over HTTP with prepared results: the contract's events, flushed one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest
from radanalyzer.client import KEY, Client, Event, encoded, events
from radanalyzer.prepared import measured, picture, rejected
from radanalyzer.serving import Service, prepared_service
from starlette.requests import Request

from imeasure_server.api.radanalyzer.stream import HEARTBEAT, EventStream

GOOD, OTHER, REJECTED = (picture(number) for number in range(3))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with prepared_service(tmp_path) as made:
        made.pool.results = {
            GOOD: measured(11.32, 1.87, 0.0023),
            OTHER: measured(11.0, 2.0, 0.006),
            REJECTED: rejected(),
        }
        yield made


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_the_contracts_events(service: Service) -> None:
    told = service.client.stream(GOOD, REJECTED)
    assert [event.name for event in told] == ["processing_started", "photo", "photo", "summary"]
    assert told[0].data == {"n_images": 2, "model_version": "3.3.0-ensemble"}
    assert told[1].data == {
        "index": 0,
        "vhs": 11.32,
        "vlas": 1.87,
        "spread": 0.0023,
        "model_confidence": "optimal",
        "landmarks_detected": True,
        "axes_perpendicular": True,
        "n_total": 2,
        "model_version": "3.3.0-ensemble",
    }
    assert told[2].data == {
        "index": 1,
        "vhs": None,
        "vlas": None,
        "spread": None,
        "model_confidence": "review",
        "landmarks_detected": False,
        "axes_perpendicular": False,
        "rejected": True,
        "rejection_reason": "not_a_valid_radiograph",
        "classifier_confidence": 0.7937,
        "n_total": 2,
        "model_version": "3.3.0-ensemble",
    }
    billing = told[3].data.pop("billing")
    assert told[3].data == {
        "best_vhs": 11.32,
        "best_vlas": 1.87,
        "median_vhs": 11.32,
        "median_vlas": 1.87,
        "vhs_std": None,
        "vlas_std": None,
        "vhs_confidence": "optimal",
        "vlas_confidence": "optimal",
        "best_photo_index": 0,
        "n_photos_processed": 2,
        "n_photos_with_landmarks": 1,
    }
    assert billing == {
        "billable": True,
        "reason": "valid_vhs",
        "call_type": "session",
        "monthly_usage": 1,
        "tier": "paygo",
        "rate": 4.0,
    }


def test_the_bytes_on_the_wire(service: Service) -> None:
    response = service.client.post("/predict/stream", {"images": [encoded(GOOD)]})
    assert response.headers["content-type"].split(";")[0] == "text/event-stream"
    assert response.headers["cache-control"] == "no-store"
    assert "content-length" not in response.headers
    first, second, third, end = response.text.split("\n\n")
    assert first == 'event: processing_started\ndata: {"n_images": 1, "model_version": "3.3.0-ensemble"}'
    assert second.startswith('event: photo\ndata: {"index": 0, "vhs": 11.32, ')
    assert third.startswith('event: summary\ndata: {"best_vhs": 11.32, ')
    assert end == ""


def test_an_image_that_cannot_be_read_is_an_error_event(service: Service) -> None:
    body = {"images": [encoded(GOOD), "not base64!", encoded(OTHER)], "uuid": "patient-456"}
    with service.client.http.stream("POST", "/v3/predict/stream", json=body) as response:
        told = list(events(response.iter_lines()))
    assert [event.name for event in told] == ["processing_started", "photo", "error", "photo", "summary"]
    assert set(told[2].data) == {"index", "uuid", "error"}
    assert (told[2].data["index"], told[2].data["uuid"]) == (1, "patient-456")
    assert told[2].data["error"].startswith("Invalid image data")
    assert (told[4].data["n_photos_processed"], told[4].data["best_photo_index"]) == (3, 0)


def test_a_single_image_may_be_streamed(service: Service) -> None:
    told = events(iter(service.client.post("/predict/stream", {"image": encoded(GOOD)}).text.splitlines()))
    assert [event.name for event in told] == ["processing_started", "photo", "summary"]


def test_each_event_is_sent_when_it_happens(service: Service) -> None:
    service.pool.gate.clear()
    told: Queue[Event] = Queue()

    def listen() -> None:
        body = {"images": [encoded(GOOD), encoded(OTHER)]}
        with service.client.http.stream("POST", "/v3/predict/stream", json=body) as response:
            for event in events(response.iter_lines()):
                told.put(event)

    listener = Thread(target=listen)
    listener.start()
    assert told.get(timeout=20).name == "processing_started"
    assert eventually(lambda: service.pool.started == [GOOD])
    assert told.empty()
    service.pool.gate.set()
    assert [told.get(timeout=20).name for _ in range(3)] == ["photo", "photo", "summary"]
    listener.join(20)


def leave_after(service: Service, name: str) -> None:
    """Read a stream until the event has come, and close the connection."""
    client = Client(service.url)
    body = {"images": [*map(encoded, (GOOD, OTHER, REJECTED))], "uuid": "patient-123"}
    with client.http.stream("POST", "/v3/predict/stream", json=body) as response:
        for event in events(response.iter_lines()):
            if event.name == name:
                break
    client.http.close()


def test_work_stops_when_the_client_goes_away_and_nothing_told_is_nothing_charged(service: Service) -> None:
    service.pool.gate.clear()
    leave_after(service, "processing_started")
    assert eventually(lambda: service.pool.abandoned == [GOOD])
    service.pool.gate.set()
    time.sleep(0.1)
    assert service.pool.started == [GOOD]
    assert service.client.predict(GOOD, uuid="patient-123")["billing"]["monthly_usage"] == 1


def test_a_vhs_that_was_told_is_charged_though_the_client_goes_away(service: Service) -> None:
    """Else a client that leaves before the summary would never pay."""
    service.pool.held.add(OTHER)
    leave_after(service, "photo")
    store = service.app.state.store
    customer = store.customers.identify(KEY)
    assert eventually(lambda: bool(store.history.measurements(customer.id, "patient-123")))
    assert service.pool.abandoned == [OTHER]
    billing = service.client.predict(GOOD, uuid="patient-123")["billing"]
    assert (billing["reason"], billing["monthly_usage"]) == ("recheck_24h", 1)


def test_signs_of_life_while_an_image_takes_long() -> None:
    sent: list[bytes] = []

    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(0.25)
        yield b"second"

    async def send(message: dict[str, object]) -> None:
        sent.append(bytes(message.get("body", b"")))  # type: ignore[call-overload]

    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def respond() -> None:
        scope = {"type": "http", "method": "POST", "headers": [], "path": "/"}
        await EventStream(Request(scope, receive), slow(), heartbeat=0.05)(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(respond())
    assert sent[1] == b"first"
    assert sent[-2] == b"second"
    assert set(sent[2:-2]) == {HEARTBEAT}
    assert list(events(iter(HEARTBEAT.decode().splitlines()))) == [Event("comment", "still working")]
