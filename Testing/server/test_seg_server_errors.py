"""The rows of the error table that only a failing server gives: engines, workers and queues that misbehave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from contract import ellipsoid_scan, form, scan_metadata
from contract.client import BOUNDARY, multipart_body

from imeasure_server.app import create_app
from imeasure_server.imaging.volume import BoolArray, Volume
from imeasure_server.models.pool import JobFailed, OutOfMemory, PoolClosed, QueueFull, WorkerCrashed
from imeasure_server.segmentation.engine import EmptySegmentationError, SegmentationError
from imeasure_server.segmentation.prompts import Prompts
from imeasure_server.settings import ServerSettings

SCAN, _ = ellipsoid_scan((64, 64, 16), centre=(32, 32, 8))
CLICK = [SCAN.world((32, 32, 8))]


class StubEngine:
    """Answers whatever it was told to, and remembers what it was asked."""

    name = "stub"
    device = "cpu"

    def __init__(self, answer: BoolArray | Exception | None = None) -> None:
        self._answer = answer
        self.volume: Volume | None = None
        self.prompts: Prompts | None = None

    def segment(self, volume: Volume, prompts: Prompts, cancellation: Any = None) -> BoolArray:
        self.volume, self.prompts = volume, prompts
        if isinstance(self._answer, Exception):
            raise self._answer
        if self._answer is not None:
            return self._answer
        return np.ones(volume.array.shape, dtype=bool)


class StubContext:
    def __init__(self, engine: StubEngine) -> None:
        self.engine = engine
        self.cancellation = threading.Event()

    @contextmanager
    def stage(self, name: str, timings: dict[str, float]) -> Iterator[None]:
        yield
        timings[name] = 0.0


class StubPool:
    """Runs jobs in place, or refuses them."""

    def __init__(self, engine: StubEngine | None = None, refusal: Exception | None = None) -> None:
        self._engine, self._refusal = engine, refusal

    async def submit(self, job: Any) -> Any:
        if self._refusal is not None:
            raise self._refusal
        return job.run(StubContext(self._engine or StubEngine()))

    def states(self) -> list[Any]:
        return []


def ask(
    pool: StubPool, metadata: dict[str, Any] | None = None, image: bytes | None = None, **settings: Any
) -> httpx.Response:
    app = create_app(ServerSettings(**settings), pool)
    body = multipart_body(
        form(
            scan_metadata(SCAN, CLICK) if metadata is None else metadata,
            SCAN.crop_bytes([0, 0, 0], [63, 63, 15]) if image is None else image,
        )
    )
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}

    async def answered() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.post("/seg", content=body, headers=headers)

    return asyncio.run(answered())


def test_output_shape_mismatch() -> None:
    response = ask(StubPool(StubEngine(np.ones((64, 64, 15), dtype=bool))))
    assert response.status_code == 500
    assert response.json() == {
        "error": "Output shape does not match expected shape",
        "code": "OUTPUT_SHAPE_MISMATCH",
        "details": {"expected_shape": [64, 64, 16], "output_shape": [64, 64, 15]},
    }


@pytest.mark.parametrize(
    "pool",
    [
        StubPool(refusal=WorkerCrashed("The worker ended.")),
        StubPool(refusal=JobFailed('File "/secret/path.py", line 1\nValueError')),
        StubPool(refusal=RuntimeError("/secret/path of a bug")),
        StubPool(StubEngine(SegmentationError("/secret/path"))),
        StubPool(StubEngine(ZeroDivisionError("/secret/path"))),
    ],
    ids=["crash", "failure", "bug", "unknown engine error", "engine bug"],
)
def test_internal_error(pool: StubPool) -> None:
    response = ask(pool)
    assert response.status_code == 500
    assert response.json() == {"error": "An unexpected error occurred", "code": "INTERNAL_ERROR"}


def test_out_of_memory_is_an_answer() -> None:
    response = ask(StubPool(refusal=OutOfMemory("CUDA out of memory")))
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL_ERROR")
    assert "CUDA out of memory" in str(response.json()["details"])


@pytest.mark.parametrize("refusal", [QueueFull("full"), PoolClosed("closed")])
def test_busy(refusal: Exception) -> None:
    response = ask(StubPool(refusal=refusal))
    assert response.status_code == 503
    assert response.json() == {"error": "The server is busy; try again in a moment", "code": "SERVER_BUSY"}
    assert int(response.headers["retry-after"]) >= 1


def test_a_key_is_asked_for() -> None:
    response = ask(StubPool(), require_api_key=True, api_keys="right")
    assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED")


PADDED = scan_metadata(SCAN, CLICK, [0, 0, 0], [63, 63, 9], unclipped=([-3, 0, -5], [63, 66, 16]))
PADDED_IMAGE = SCAN.crop_bytes([0, 0, 0], [63, 63, 9])


def test_the_engine_gets_the_crop_that_was_asked_for() -> None:
    engine = StubEngine()
    response = ask(StubPool(engine), PADDED, PADDED_IMAGE)
    assert response.status_code == 200
    assert response.json()["mask_shape"] == [64, 64, 10]
    assert response.json()["volume"] == 64 * 64 * 10
    assert engine.volume is not None
    assert engine.prompts is not None
    assert engine.volume.array.shape == (67, 67, 22)
    assert np.allclose(engine.volume.geometry.to_world([3, 0, 5]), SCAN.origin)
    assert engine.prompts.points[0].voxel == (35, 32, 13)


def test_a_mask_that_lies_in_the_padding_alone_is_empty() -> None:
    mask = np.zeros((67, 67, 22), dtype=bool)
    mask[:, :, :5] = True
    response = ask(StubPool(StubEngine(mask)), PADDED, PADDED_IMAGE)
    assert (response.status_code, response.json()["code"]) == (422, "EMPTY_SEGMENTATION_OUTPUT")


def test_an_engine_that_finds_nothing() -> None:
    response = ask(StubPool(StubEngine(EmptySegmentationError("Nothing."))))
    assert response.status_code == 422
    assert response.json() == {"error": "Segmentation produced no output", "code": "EMPTY_SEGMENTATION_OUTPUT"}


def test_more_voxels_than_the_server_takes() -> None:
    response = ask(StubPool(), max_voxels=1 << 16, max_body_bytes=1 << 20)
    assert response.status_code == 200
    wide = scan_metadata(SCAN, CLICK, unclipped=([0, 0, 0], [63, 63, 16]))
    response = ask(StubPool(), wide, max_voxels=1 << 16, max_body_bytes=1 << 20)
    assert (response.status_code, response.json()["code"]) == (422, "VALIDATION_ERROR")


def test_an_empty_mask_from_an_engine_is_no_output() -> None:
    """Engines promise at least one voxel; one that breaks the promise does not make the server answer with nothing."""
    response = ask(StubPool(StubEngine(np.zeros((64, 64, 16), dtype=bool))))
    assert (response.status_code, response.json()["code"]) == (422, "EMPTY_SEGMENTATION_OUTPUT")
