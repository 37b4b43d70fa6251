"""What runs in a worker process: one device, its models loaded once, one job at a time."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from imeasure_server.imaging.picture_header import PictureError
from imeasure_server.logging_setup import places, set_up_logging
from imeasure_server.models.channel import receive, send
from imeasure_server.models.device import (
    device_memory_in_use,
    out_of_memory_sentence,
    release_device_memory,
    resolve_device,
)
from imeasure_server.models.failures import JobFailed, OutOfMemory, PoolError
from imeasure_server.models.jobs import Job, Outcome
from imeasure_server.models.memory import resident_bytes, return_freed_memory
from imeasure_server.models.model_memory import ModelMemory
from imeasure_server.models.reference import ModelReference
from imeasure_server.models.weights_listing import WEIGHTS
from imeasure_server.segmentation.engine import Cancellation, SegmentationEngine, SegmentationError

if TYPE_CHECKING:
    from imeasure_server.models.inference import InferenceModel

Model = TypeVar("Model")

_HUGE_PAGES = ("THP_MEM_ALLOC_ENABLE", "1")
"""Torch, which has not been loaded yet, then asks Linux for large arrays in pages of 2 MiB, as NumPy does: a model that
looks at a whole CT once takes half the time."""


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker is started.

    Attributes:
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        engine: name of the segmentation engine, or None for the default one.
        log_level: name of a level of `logging`.
        weights: folder of the models' files.
        memory_budget: bytes that models may take on the device before the least recently used moves out; None for
            what the device allows.
    """

    device: str
    engine: str | None = None
    log_level: str = "info"
    weights: Path = WEIGHTS
    memory_budget: int | None = None


@dataclass(frozen=True)
class Ready:
    """First message of a worker that can work; ``device`` is what ``auto`` became."""

    device: str
    engine: str
    model_bytes: int


@dataclass(frozen=True)
class StartFailed:
    """First and last message of a worker that cannot work; a sentence."""

    reason: str


@dataclass(frozen=True)
class Accepted:
    """A job has arrived; from here on a dead worker may be the job's doing."""


@dataclass(frozen=True, eq=False)
class Done:
    """A job's outcome, and the seconds it was worked on."""

    outcome: Outcome
    seconds: float
    model_bytes: int


@dataclass(frozen=True, eq=False)
class Failed:
    """A job's error."""

    error: Exception


class WorkerContext:
    """What a job finds in the worker process.

    Attributes:
        device: ``cpu``, ``mps`` or ``cuda:N``.
        cancellation: set when nobody waits for the job any more; to be looked at between stages.
        weights: folder of the models' files.
        memory: the models that are loaded.
    """

    def __init__(
        self,
        device: str,
        engine_name: str | None,
        cancellation: Cancellation,
        weights: Path = WEIGHTS,
        memory_budget: int | None = None,
    ) -> None:
        self.device = device
        self.cancellation = cancellation
        self.weights = weights
        self.memory = ModelMemory(device, memory_budget)
        self._engine_name = engine_name
        self._resident_before = resident_bytes()
        self._resident_grown = 0

    @property
    def engine(self) -> SegmentationEngine:
        """The segmentation engine of this server."""
        import imeasure_server.measurement.measuring  # noqa: F401 - loaded now, so that the first job need not
        from imeasure_server.segmentation.engines import DEFAULT_ENGINE, create_engine

        return self.loaded("engine", lambda device: create_engine(self._engine_name or DEFAULT_ENGINE, device))

    def loaded(self, key: str, load: Callable[[str], Model]) -> Model:
        """The model of that key, loaded onto the device the first time it is asked for."""

        def load_and_count() -> Model:
            model = load(self.device)
            self._resident_grown = max(0, resident_bytes() - self._resident_before)
            return model

        return self.memory.get(key, load_and_count)

    def model(self, reference: ModelReference) -> InferenceModel:
        """The model of a reference, loaded the first time it is asked for; other versions of it are let go of.

        Raises:
            ModelFailed: it does not load; a sentence.
        """
        from imeasure_server.models.loaders import load_model

        model = self.loaded(reference.key, lambda _: load_model(reference, self))
        versions = f"{reference.loader}:{reference.name}:"
        self.memory.drop([key for key in self.memory.keys if key.startswith(versions) and key != reference.key])
        return model

    @contextmanager
    def stage(self, name: str, timings: dict[str, float]) -> Iterator[None]:
        """Add the seconds of the block to ``timings[name]``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            timings[name] = timings.get(name, 0.0) + time.perf_counter() - start

    @property
    def model_bytes(self) -> int:
        """Memory of the models: on the device if it has its own, else what the process grew by while loading them."""
        return self._resident_grown if self.device == "cpu" else device_memory_in_use(self.device)


def run_worker(connection: Connection, cancellation: Cancellation, options: WorkerOptions) -> None:
    """Serve jobs until the other side of the connection is gone. Target of the worker process."""
    _leave_signals_to_the_parent()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    set_up_logging(options.log_level)
    os.environ.setdefault(*_HUGE_PAGES)
    try:
        context = WorkerContext(
            resolve_device(options.device), options.engine, cancellation, options.weights, options.memory_budget
        )
        send(connection, Ready(context.device, context.engine.name, context.model_bytes))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to be told
        reason = str(error) if isinstance(error, ValueError) else f"The engine does not load ({error!r})."
        send(connection, StartFailed(reason))
        return
    while True:
        try:
            job = receive(connection)
        except (EOFError, OSError):
            return
        send(connection, Accepted())
        send(connection, answer(job, context))
        del job
        return_freed_memory()  # while nobody waits


def answer(job: Job[Outcome], context: WorkerContext) -> Done | Failed:
    """Run a job; every error becomes an answer. Out of memory is tried once more, without the models of other jobs."""
    start = time.perf_counter()
    context.memory.begin_job()
    outcome = _attempt(job, context)
    if isinstance(outcome, OutOfMemory) and not context.cancellation.is_set():
        context.memory.make_room()  # the error is gone, and with its traceback all that the job had allocated
        outcome = _attempt(job, context)
    if isinstance(outcome, Exception):
        return Failed(outcome)
    return Done(outcome, time.perf_counter() - start, context.model_bytes)


def _attempt(job: Job[Outcome], context: WorkerContext) -> Outcome | Exception:
    """A job's outcome, or its error as it can be told to the other process."""
    try:
        return job.run(context)
    except Exception as error:  # noqa: BLE001 - a worker outlives the errors of its jobs
        return _portable(error, context.device)


def _portable(error: Exception, device: str) -> Exception:
    sentence = _out_of_memory(error)
    if sentence is not None:
        release_device_memory(device)
        return OutOfMemory(sentence)
    if isinstance(error, SegmentationError | PictureError | PoolError) and _survives_pickling(error):
        return error.with_traceback(None)
    return JobFailed(places(type(error), error.__traceback__))


def _out_of_memory(error: BaseException | None) -> str | None:
    """What to say when an error, or one that it came from, means that memory ran out (loaders reword errors)."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        sentence = out_of_memory_sentence(error)
        if sentence is not None:
            return sentence
        error = error.__cause__ or error.__context__
    return None


def _survives_pickling(error: Exception) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # noqa: BLE001 - any failure to travel is the answer
        return False


def _leave_signals_to_the_parent() -> None:
    """Ctrl-C and a service manager's SIGTERM reach the whole group; the parent finishes what runs and then ends us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end_with_the_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
