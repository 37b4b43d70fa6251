"""Jobs for the tests of the worker pool; worker processes import this file."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeasure_server.models.worker import WorkerContext
from imeasure_server.segmentation.engine import SegmentationCancelled


@dataclass
class Answer:
    """What these jobs give back."""

    value: Any
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Echo:
    """Gives back what it was given, and where it was run."""

    value: Any

    def run(self, context: WorkerContext) -> Answer:
        return Answer((self.value, os.getpid(), context.device))


@dataclass(frozen=True, eq=False)
class Negate:
    """Array in, array out."""

    array: NDArray[np.float32]

    def run(self, context: WorkerContext) -> Answer:
        timings: dict[str, float] = {}
        with context.stage("negate", timings):
            return Answer(-self.array, timings)


@dataclass(frozen=True)
class Raise:
    """Fails."""

    error: BaseException

    def run(self, context: WorkerContext) -> Answer:
        raise self.error


class Awkward(Exception):
    """An error that pickle cannot bring back."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


@dataclass(frozen=True)
class RaiseAwkward:
    def run(self, context: WorkerContext) -> Answer:
        raise Awkward("a", "b")


@dataclass(frozen=True)
class Die:
    """Ends the process, as the system does when memory is short."""

    def run(self, context: WorkerContext) -> Answer:
        os.kill(os.getpid(), signal.SIGKILL)
        return Answer(None)


@dataclass(frozen=True)
class WaitFor:
    """Runs until a file appears, or until nobody waits any more; says so in another file."""

    started: Path
    wanted: Path
    cancelled: Path

    def run(self, context: WorkerContext) -> Answer:
        self.started.touch()
        while not self.wanted.exists():
            if context.cancellation.is_set():
                self.cancelled.touch()
                raise SegmentationCancelled("Nobody waits.")
            time.sleep(0.005)
        return Answer("waited")


@dataclass(frozen=True)
class Count:
    """How often the model of this key was loaded in this worker."""

    key: str

    def run(self, context: WorkerContext) -> Answer:
        loads = context.loaded(f"{self.key}/loads", lambda _: [])
        context.loaded(self.key, loads.append)
        return Answer(len(loads))


@dataclass(frozen=True)
class Torch:
    """Whether the worker has imported torch."""

    def run(self, context: WorkerContext) -> Answer:
        import sys

        return Answer("torch" in sys.modules)
