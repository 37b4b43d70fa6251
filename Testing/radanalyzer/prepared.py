"""A pool that answers prepared results, for tests of shape, billing and sessions. It proves nothing about measuring.

Only what needs trained networks is prepared (`AnalyseImage`, `FindCorners`); rectifying and drawing are really done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from imeasure_server.imaging.pictures import write_png
from imeasure_server.models.pool import QueueState
from imeasure_server.vhs.jobs import AnalyseImage, AnalysisOutcome, CornersOutcome, FindCorners
from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.models_present import (
    CHECKSUMS,
    CLASSIFIER_WEIGHTS,
    FOLDS,
    ORIENTATION_WEIGHTS,
    SCREEN_WEIGHTS,
    fold_weights,
)
from imeasure_server.vhs.results import ImageResult, ResultCode

LANDMARKS = np.array([[0.42, 0.25], [0.45, 0.74], [0.30, 0.50], [0.57, 0.49], [0.49, 0.40], [0.30, 0.12], [0.62, 0.12]])
"""Normalised, of an imagined radiograph."""

WIDTH, HEIGHT = 320, 240


def picture(number: int) -> bytes:
    """A PNG that differs from those of other numbers."""
    return write_png(np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH), np.uint8))


def measured(vhs: float = 10.4, vlas: float | None = 2.8, spread: float = 0.0032, **more: Any) -> ImageResult:
    """A result with a valid VHS."""
    tier = (
        ResultCode.OPTIMAL if spread < 0.005 else ResultCode.MODERATE if spread < 0.008 else ResultCode.LOW_CONFIDENCE
    )
    code = ResultCode.NO_VLAS if vlas is None else tier
    fields = {"landmarks": LANDMARKS, "axes_perpendicular": True, "classifier_confidence": 0.99, **more}
    return ImageResult(code, vhs, vlas, spread=spread, **fields)


def rejected() -> ImageResult:
    """A result of code 6."""
    return ImageResult(ResultCode.REJECTED, classifier_confidence=0.2063)


def unmeasured(code: ResultCode = ResultCode.NOTHING_MEASURED, **more: Any) -> ImageResult:
    """A result without a VHS."""
    return ImageResult(code, classifier_confidence=0.9, **more)


Prepared = ImageResult | Exception


class PreparedPool:
    """Answers by the bytes of the image.

    Attributes:
        results: what each image gives; an exception is raised.
        corners: of the screen in each image.
        gate: no image is answered before this is set.
        held: images that are not answered while they are in here.
        started, abandoned: images that were begun, and those whose caller went away.
        is_full: whether every place in the queue is said to be taken.
    """

    def __init__(self) -> None:
        self.results: dict[bytes, Prepared] = {}
        self.corners: dict[bytes, FloatArray | None] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.held: set[bytes] = set()
        self.started: list[bytes] = []
        self.abandoned: list[bytes] = []
        self.most_at_once = 0
        self.is_full = False
        self._running = 0

    def start(self) -> None:
        pass

    def wait_until_ready(self) -> None:
        pass

    def states(self) -> list[QueueState]:
        return [QueueState("cpu", 16 if self.is_full else 0, 16, 1 if self.is_full else 0, 0, 0)]

    async def submit(self, job: Any) -> Any:
        if isinstance(job, AnalyseImage):
            return AnalysisOutcome(await self._answer(job.content), {"landmarks": 0.01})
        if isinstance(job, FindCorners):
            corners = self.corners.get(job.content)
            return CornersOutcome(corners, WIDTH, HEIGHT, {"screen": 0.01})
        return await asyncio.to_thread(job.run, _Context())

    async def _answer(self, content: bytes) -> ImageResult:
        self.started.append(content)
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        try:
            while content in self.held or not self.gate.is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.abandoned.append(content)
            raise
        finally:
            self._running -= 1
        result = self.results[content]
        if isinstance(result, Exception):
            raise result
        return result


class _Context:
    @contextmanager
    def stage(self, name: str, timings: dict[str, float]) -> Iterator[None]:
        yield
        timings[name] = 0.0


def model_files(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """Files that stand in for weights: what is counted is their presence and their hash."""
    folder.mkdir(exist_ok=True)
    names = [*map(fold_weights, range(FOLDS)), ORIENTATION_WEIGHTS, CLASSIFIER_WEIGHTS, SCREEN_WEIGHTS]
    for name in names:
        if name not in without:
            (folder / name).write_bytes(name.encode())
    lines = [f"{sha256(name.encode()).hexdigest()}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines))
    return folder
