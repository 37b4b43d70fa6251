"""Seconds of a request by stage, for the log, the metrics and the ``Server-Timing`` header."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.requests import Request


def timings_of(request: Request) -> dict[str, float]:
    """The seconds recorded so far."""
    timings: dict[str, float] = request.scope.setdefault("state", {}).setdefault("timings", {})
    return timings


@contextmanager
def stage(request: Request, name: str) -> Iterator[None]:
    """Record the seconds of the block as a stage (``parse``, ``encode``); several blocks add up."""
    start = time.perf_counter()
    try:
        yield
    finally:
        add_timings(request, {name: time.perf_counter() - start})


def add_timings(request: Request, timings: Mapping[str, float]) -> None:
    """Record what a job took: the ``timings`` of its outcome."""
    recorded = timings_of(request)
    for name, seconds in timings.items():
        recorded[name] = recorded.get(name, 0.0) + seconds
