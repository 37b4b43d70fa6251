"""The bounded queue in front of one worker, and the thread that takes from it."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from imeasure_server.models.failures import PoolClosed, QueueFull, WorkerCrashed, WorkerStartError
from imeasure_server.models.jobs import Job, Outcome
from imeasure_server.models.worker_process import POLL_SECONDS, WorkerProcess

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Ticket:
    """A job's place in the queue."""

    job: Job[Outcome]
    future: Future[Outcome] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


class DeviceQueue:
    """One worker and the jobs that wait for it.

    Attributes:
        capacity: jobs that may wait beside the one that runs.
        ready: done when the worker has loaded its engine, or has its `WorkerStartError`.
    """

    def __init__(self, worker: WorkerProcess, capacity: int) -> None:
        self.capacity = capacity
        self.ready: Future[None] = Future()
        self._worker = worker
        self._changed = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._running: Ticket | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="imeasure-device-queue", daemon=True)

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    @property
    def load(self) -> int:
        """Jobs that wait or run."""
        with self._changed:
            return len(self._waiting) + (self._running is not None)

    @property
    def worker(self) -> WorkerProcess:
        return self._worker

    def start(self) -> None:
        self._thread.start()

    def put(self, job: Job[Outcome]) -> Ticket:
        """Raises:
        QueueFull: no place is free.
        PoolClosed: the server is stopping.
        """
        ticket = Ticket(job)
        with self._changed:
            if self._closing:
                raise PoolClosed("The server is stopping.")
            if len(self._waiting) + (self._running is not None) > self.capacity:
                raise QueueFull("Every place in the queue is taken.")
            self._waiting.append(ticket)
            self._changed.notify()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Free a ticket's place: a waiting job goes, a running one is told to stop."""
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            elif self._running is ticket:
                self._worker.cancel()

    def close(self, seconds: float) -> None:
        """End: waiting jobs get `PoolClosed`, a running one has ``seconds`` to finish or stop."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            left, self._waiting = self._waiting, deque()
            running = self._running is not None
            if running:
                self._worker.cancel()
            self._changed.notify()
        for ticket in left:
            if ticket.future.set_running_or_notify_cancel():
                ticket.future.set_exception(PoolClosed("The server is stopping."))
        if running:
            self._thread.join(seconds)
        self._worker.abandon()
        self._thread.join(2 * POLL_SECONDS)
        self._worker.stop(seconds)

    def _serve(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # The worker inherits this, so that a Ctrl-C while Python starts there does not end it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._worker.ensure_ready()
            self.ready.set_result(None)
        except WorkerStartError as error:
            self.ready.set_exception(error)
        while True:
            ticket = self._next()
            if ticket is None:
                return
            self._run(ticket)
            with self._changed:
                self._running = None

    def _next(self) -> Ticket | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            ticket = self._waiting.popleft()
            self._running = ticket
            self._worker.clear_cancellation()
            return ticket

    def _run(self, ticket: Ticket) -> None:
        if not ticket.future.set_running_or_notify_cancel():
            return
        waited = time.perf_counter() - ticket.since
        try:
            outcome = self._worker.run(ticket.job)
        except WorkerStartError as error:
            ticket.future.set_exception(WorkerCrashed(str(error)))
        except WorkerCrashed as error:
            ticket.future.set_exception(error)
            if not self._closing:
                self._worker.start()
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the job
            ticket.future.set_exception(error)
        else:
            outcome.timings["queue"] = waited
            ticket.future.set_result(outcome)
