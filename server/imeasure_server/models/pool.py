"""`InferencePool`: what the rest of the server knows of the workers. Imports neither torch nor an engine."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from imeasure_server.models.device_queue import DeviceQueue
from imeasure_server.models.failures import (
    JobFailed,
    OutOfMemory,
    PoolClosed,
    PoolError,
    QueueFull,
    WorkerCrashed,
    WorkerStartError,
)
from imeasure_server.models.jobs import Job, Outcome, SegmentationOutcome
from imeasure_server.models.memory import resident_bytes
from imeasure_server.models.worker import WorkerOptions
from imeasure_server.models.worker_process import START_SECONDS, WorkerProcess

__all__ = [
    "InferencePool",
    "Job",
    "JobFailed",
    "OutOfMemory",
    "Outcome",
    "PoolClosed",
    "PoolError",
    "QueueFull",
    "QueueState",
    "SegmentationOutcome",
    "WorkerCrashed",
    "WorkerOptions",
    "WorkerStartError",
]

OutcomeT = TypeVar("OutcomeT", bound=Outcome)


@dataclass(frozen=True)
class QueueState:
    """How one device's queue and worker are doing.

    Attributes:
        device: ``cpu``, ``mps``, ``cuda:N``, or the name asked for while the worker starts.
        waiting: jobs that wait.
        capacity: jobs that may wait beside the one that runs.
        running: jobs that run, 0 or 1.
        resident_bytes: memory of the worker process, 0 when there is none.
        model_bytes: memory of its models.
    """

    device: str
    waiting: int
    capacity: int
    running: int
    resident_bytes: int
    model_bytes: int


class InferencePool:
    """Worker processes, one per device, each with a bounded queue.

    A device may be named twice: two workers then share it, which is how a CPU with many cores serves many people.
    """

    def __init__(self, workers: Sequence[WorkerOptions], queue_size: int) -> None:
        """Args:
        workers: one for each worker process.
        queue_size: jobs that may wait for each, beside the one that runs.
        """
        self._queues = [DeviceQueue(WorkerProcess(options), queue_size) for options in workers]
        self._started = False

    def start(self) -> None:
        """Start the workers; they load while this returns. Again does nothing."""
        if not self._started:
            self._started = True
            atexit.register(self.close)
            for queue in self._queues:
                queue.start()

    def wait_until_ready(self) -> None:
        """Block until every worker has loaded its engine.

        Raises:
            WorkerStartError: one cannot.
        """
        for queue in self._queues:
            queue.ready.result(START_SECONDS + 10)

    async def submit(self, job: Job[OutcomeT]) -> OutcomeT:
        """Run a job on the device with the fewest jobs and wait for its outcome.

        Cancelling the caller frees the job's place: it leaves the queue, or is told to stop.

        Raises:
            QueueFull: no place is free.
            WorkerCrashed, OutOfMemory, JobFailed, PoolClosed: see there.
            SegmentationError: of the engine.
        """
        queue = min(self._queues, key=lambda candidate: candidate.load)
        ticket = queue.put(job)
        try:
            return cast(OutcomeT, await asyncio.wrap_future(ticket.future))
        except asyncio.CancelledError:
            queue.cancel(ticket)
            raise

    def states(self) -> list[QueueState]:
        """One for each worker, for metrics."""
        return [_state(queue) for queue in self._queues]

    def close(self, seconds: float = 5.0) -> None:
        """End the workers; a job that still runs has ``seconds`` to stop."""
        if self._started:
            atexit.unregister(self.close)
            for queue in self._queues:
                queue.close(seconds)


def _state(queue: DeviceQueue) -> QueueState:
    waiting, pid = queue.waiting, queue.worker.pid
    return QueueState(
        device=queue.worker.device,
        waiting=waiting,
        capacity=queue.capacity,
        running=min(1, max(0, queue.load - waiting)),
        resident_bytes=0 if pid is None else resident_bytes(pid),
        model_bytes=queue.worker.model_bytes,
    )
