"""The server's side of one worker process: start it, give it a job, notice its death, end it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from imeasure_server.models.cancellation import SharedFlag
from imeasure_server.models.channel import receive, send
from imeasure_server.models.failures import WorkerCrashed, WorkerStartError
from imeasure_server.models.jobs import Job, Outcome
from imeasure_server.models.worker import Accepted, Done, Failed, Ready, StartFailed, WorkerOptions, run_worker

logger = logging.getLogger(__name__)

START_SECONDS = 300.0
CANCEL_GRACE_SECONDS = 20.0
POLL_SECONDS = 0.5
THREADING = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""Threads that spin while they wait for each other, and two libraries that both use every core, make a job of half a
second one of many as soon as anything else runs on the machine. What the operator has set is kept."""


class WorkerProcess:
    """One worker process at a time; a new one after a crash. Used by one thread, except `cancel` and `pid`."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._spawn = multiprocessing.get_context("spawn")
        self._cancellation = SharedFlag(self._spawn)
        self._cancelled_at: float | None = None
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._ready: Ready | None = None
        self._stopping = False
        self.model_bytes = 0

    @property
    def pid(self) -> int | None:
        """Of the living process, else None."""
        process = self._process
        try:
            return process.pid if process is not None and process.is_alive() else None
        except ValueError:  # its thread has just let go of it
            return None

    @property
    def device(self) -> str:
        """What the worker computes on: the name asked for until it said what that became."""
        return self._ready.device if self._ready is not None else self._options.device

    def start(self) -> None:
        """Start a process unless one lives. Returns at once; loading goes on in the process."""
        if self._process is not None and self._process.is_alive():
            return
        self._discard()
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(
            target=run_worker, args=(theirs, self._cancellation, self._options), name="imeasure-worker"
        )
        for name, value in THREADING.items():  # read by the process's libraries when they are loaded
            os.environ.setdefault(name, value)
        process.start()
        theirs.close()
        self._process, self._connection = process, ours

    def ensure_ready(self) -> Ready:
        """Wait until the worker has loaded its engine.

        Raises:
            WorkerStartError: it cannot.
        """
        self.start()
        if self._ready is None:
            try:
                message = self._next_message(time.monotonic() + START_SECONDS)
            except WorkerCrashed as error:
                self._discard()
                raise WorkerStartError(f"The worker ended while it was starting. {error}") from error
            if not isinstance(message, Ready):
                self._discard()
                raise WorkerStartError(message.reason if isinstance(message, StartFailed) else "Unexpected answer.")
            self._ready = message
            self.model_bytes = message.model_bytes
        return self._ready

    def run(self, job: Job[Outcome]) -> Outcome:
        """Give the worker a job and wait for its outcome, whose timings get ``transfer``.

        Raises:
            WorkerStartError, WorkerCrashed: see there.
            Exception: what the job raised.
        """
        start = time.perf_counter()
        try:
            self._hand_over(job)
        except WorkerCrashed:
            if self._stopping or self._cancelled_at is not None:
                raise
            self._hand_over(job)  # it was already dying when it got the job: the next one can have it
        message = self._next_message(None)
        if isinstance(message, Failed):
            raise message.error
        assert isinstance(message, Done)
        self.model_bytes = message.model_bytes
        message.outcome.timings["transfer"] = max(0.0, time.perf_counter() - start - message.seconds)
        return message.outcome

    def _hand_over(self, job: Job[Outcome]) -> None:
        """Send a job and wait until the worker says that it has it."""
        self.ensure_ready()
        assert self._connection is not None
        try:
            send(self._connection, job)
        except OSError as error:
            raise self._crash() from error
        message = self._next_message(None)
        assert isinstance(message, Accepted)

    def cancel(self) -> None:
        """Tell the running job that nobody waits. A worker that does not stop in time is ended. From any thread."""
        self._cancelled_at = time.monotonic()
        self._cancellation.set()

    def clear_cancellation(self) -> None:
        """To be called before each job."""
        self._cancelled_at = None
        self._cancellation.clear()

    def abandon(self) -> None:
        """Stop waiting for the process: it is ended. From any thread."""
        self._stopping = True

    def stop(self, seconds: float) -> None:
        """End the process: it goes by itself when it is idle, else it is killed after ``seconds``."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.join(seconds)
        self._discard()

    def _next_message(self, deadline: float | None) -> Any:
        assert self._connection is not None
        assert self._process is not None
        while not wait([self._connection, self._process.sentinel], POLL_SECONDS):
            now = time.monotonic()
            if self._stopping:
                raise self._crash("The server is stopping.")
            if deadline is not None and now > deadline:
                raise self._crash("It took too long.")
            if self._cancelled_at is not None and now > self._cancelled_at + CANCEL_GRACE_SECONDS:
                raise self._crash("It did not stop when it was told to.")
        try:
            return receive(self._connection)
        except (EOFError, OSError) as error:
            raise self._crash() from error

    def _crash(self, reason: str = "") -> WorkerCrashed:
        process = self._process
        if process is not None and reason == "":
            process.join(5)
            reason = f"Its exit status was {process.exitcode}."
        self._discard()
        logger.error("A worker process ended unexpectedly. %s", reason)
        return WorkerCrashed(f"The worker process ended unexpectedly. {reason}")

    def _discard(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._process, self._connection, self._ready = None, None, None
