"""What can go wrong between a request and its worker, beside the errors of the engines themselves."""

from __future__ import annotations


class PoolError(Exception):
    """A job has no outcome; the message is a sentence without paths, coordinates or identifiers."""


class QueueFull(PoolError):
    """Every place in the queues is taken; try again in a moment."""


class PoolClosed(PoolError):
    """The server is stopping and takes no more jobs."""


class WorkerCrashed(PoolError):
    """The worker process ended, or had to be ended, while it had the job. The next job gets a new worker."""


class OutOfMemory(PoolError):
    """The job needed more memory than the device has. The worker lives on."""


class JobFailed(PoolError):
    """The job raised something that nobody planned for.

    Attributes:
        trace: type of the error and the places it came through, for the log: no messages, since they may hold data.
    """

    def __init__(self, trace: str) -> None:
        super().__init__("The job failed in the worker.")
        self.trace = trace


class WorkerStartError(PoolError):
    """The worker cannot start: no such engine or device, or its model does not load."""
