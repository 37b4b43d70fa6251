"""Spreads work over processes of one thread each; one that dies takes only its own task with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "VTK_SMP_MAX_THREADS",
)


class WorkerDied:
    """The result of a task whose process ended before it answered (a crash of native code, or no memory)."""


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int
) -> Iterator[tuple[Task, Result | WorkerDied]]:
    """Tasks with their results, in the order in which they end.

    Args:
        work: a function of a module, so that another process finds it.
        tasks: begun in this order.
        processes: how many at a time; 0: here, one after another.
    """
    if processes == 0:
        yield from ((task, work(task)) for task in tasks)
        return
    for name in THREADS:
        os.environ[name] = "1"  # of the processes to come: this one has loaded its libraries
    waiting = deque(tasks)
    while waiting:
        suspects: list[Task] = yield from _until_one_dies(work, waiting, processes)
        for task in suspects:  # each alone, to see which one it was
            suspect = deque([task])
            again = yield from _until_one_dies(work, suspect, 1)
            if again:
                yield task, WorkerDied()


def _until_one_dies(
    work: Callable[[Task], Result], waiting: deque[Task], processes: int
) -> Generator[tuple[Task, Result], None, list[Task]]:
    """Take tasks from ``waiting`` until none is left or a process dies; returns those that were then under way."""
    suspects: list[Task] = []
    running: dict[Future[Result], Task] = {}
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin)
    try:
        while (waiting and not suspects) or running:
            while waiting and not suspects and len(running) < processes:
                task = waiting.popleft()
                try:
                    running[pool.submit(work, task)] = task
                except BrokenProcessPool:
                    suspects.append(task)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    suspects.append(task)
                else:
                    yield task, result
    except BaseException:  # stopped: nobody waits for what is under way
        for child in multiprocessing.active_children():
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return suspects


def _begin() -> None:
    """Make a new process one of one thread, which ends with its parent and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
