"""The worker pool: real worker processes, without HTTP."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from worker_jobs import Count, Die, Echo, Negate, Raise, RaiseAwkward, Torch, WaitFor

from imeasure_server.models import device
from imeasure_server.models.device import DeviceUnavailable, out_of_memory_sentence, resolve_device
from imeasure_server.models.pool import (
    InferencePool,
    JobFailed,
    OutOfMemory,
    PoolClosed,
    QueueFull,
    WorkerCrashed,
    WorkerOptions,
    WorkerStartError,
)
from imeasure_server.segmentation.engine import EmptySegmentationError, SegmentationCancelled

CPU = WorkerOptions("cpu", log_level="error")


@pytest.fixture(scope="module")
def pool() -> Iterator[InferencePool]:
    pool = InferencePool([CPU], queue_size=2)
    pool.start()
    pool.wait_until_ready()
    yield pool
    pool.close()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def blocker(folder: Path) -> WaitFor:
    return WaitFor(folder / "started", folder / "go", folder / "cancelled")


def run(test: Awaitable[None]) -> None:
    async def within_a_minute() -> None:
        await asyncio.wait_for(test, 60)

    asyncio.run(within_a_minute())


def test_jobs_run_in_another_process(pool: InferencePool) -> None:
    async def test() -> None:
        outcome = await pool.submit(Echo("hello"))
        value, pid, device = outcome.value
        assert (value, device) == ("hello", "cpu")
        assert pid != os.getpid()
        assert outcome.timings.keys() == {"queue", "transfer"}
        again = await pool.submit(Echo("again"))
        assert again.value[1] == pid

    run(test())


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_travel_both_ways(pool: InferencePool, order: str) -> None:
    array = np.asarray(np.random.default_rng(1).normal(size=(70, 81, 23)).astype(np.float32), order=order)

    async def test() -> None:
        outcome = await pool.submit(Negate(array))
        np.testing.assert_array_equal(outcome.value, -array)
        assert outcome.value.flags.f_contiguous == array.flags.f_contiguous
        assert outcome.timings.keys() == {"negate", "queue", "transfer"}

    run(test())


@pytest.mark.parametrize("error", [EmptySegmentationError("Nothing here."), SegmentationCancelled("Gone.")])
def test_errors_of_engines_come_back_as_themselves(pool: InferencePool, error: Exception) -> None:
    async def test() -> None:
        with pytest.raises(type(error), match=str(error)):
            await pool.submit(Raise(error))

    run(test())


def test_other_errors_come_back_without_their_message(pool: InferencePool) -> None:
    async def test() -> None:
        with pytest.raises(JobFailed) as caught:
            await pool.submit(Raise(ValueError("at (12.5, -3.25, 7.75) of Doe^John")))
        assert "worker_jobs.py" in caught.value.trace
        assert caught.value.trace.endswith("ValueError")
        assert "12.5" not in caught.value.trace + str(caught.value)
        with pytest.raises(JobFailed, match="failed in the worker"):
            await pool.submit(RaiseAwkward())
        assert (await pool.submit(Echo(1))).value[0] == 1

    run(test())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "Out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), "CUDA out of memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "MPS out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "Out of memory"),
    ],
)
def test_out_of_memory_is_an_answer(pool: InferencePool, error: Exception, sentence: str) -> None:
    async def test() -> None:
        pid = (await pool.submit(Echo(0))).value[1]
        with pytest.raises(OutOfMemory, match=f"^{sentence}$"):
            await pool.submit(Raise(error))
        assert (await pool.submit(Echo(0))).value[1] == pid

    run(test())


def test_torch_says_out_of_memory_like_this() -> None:
    import torch

    assert out_of_memory_sentence(torch.OutOfMemoryError("Tried to allocate")) == "CUDA out of memory"
    assert out_of_memory_sentence(ValueError("out of memory of this")) is None


def test_a_dead_worker_is_an_answer_and_the_next_job_has_a_new_one(pool: InferencePool) -> None:
    async def test() -> None:
        pid = (await pool.submit(Echo(0))).value[1]
        with pytest.raises(WorkerCrashed):
            await pool.submit(Die())
        assert (await pool.submit(Echo(0))).value[1] != pid

    run(test())


def test_a_worker_that_dies_between_jobs_is_not_noticed(pool: InferencePool) -> None:
    async def test() -> None:
        pid = (await pool.submit(Echo(0))).value[1]
        psutil.Process(pid).kill()
        assert (await pool.submit(Echo(0))).value[1] != pid

    run(test())


def test_the_queue_is_bounded_and_in_order(pool: InferencePool, tmp_path: Path) -> None:
    async def test() -> None:
        job = blocker(tmp_path)
        running = asyncio.ensure_future(pool.submit(job))
        await eventually(job.started.exists)
        done: list[int] = []

        async def echo(number: int) -> None:
            await pool.submit(Echo(number))
            done.append(number)

        waiting = [asyncio.ensure_future(echo(number)) for number in range(2)]
        await eventually(lambda: pool.states()[0].waiting == 2)
        with pytest.raises(QueueFull):
            await pool.submit(Echo(None))
        state = pool.states()[0]
        assert (state.device, state.waiting, state.capacity, state.running) == ("cpu", 2, 2, 1)
        assert state.resident_bytes > 1 << 20
        job.wanted.touch()
        assert (await running).value == "waited"
        await asyncio.gather(*waiting)
        assert done == [0, 1]
        await eventually(lambda: pool.states()[0].running == 0)

    run(test())


def test_cancelling_a_waiting_job_frees_its_place(pool: InferencePool, tmp_path: Path) -> None:
    async def test() -> None:
        job = blocker(tmp_path)
        running = asyncio.ensure_future(pool.submit(job))
        await eventually(job.started.exists)
        waiting = [asyncio.ensure_future(pool.submit(Echo(number))) for number in range(2)]
        await eventually(lambda: pool.states()[0].waiting == 2)
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        assert pool.states()[0].waiting == 1
        third = asyncio.ensure_future(pool.submit(Echo("third")))
        job.wanted.touch()
        await running
        assert (await waiting[1]).value[0] == 1
        assert (await third).value[0] == "third"
        assert not job.cancelled.exists()

    run(test())


def test_cancelling_a_running_job_stops_it(pool: InferencePool, tmp_path: Path) -> None:
    async def test() -> None:
        pid = (await pool.submit(Echo(0))).value[1]
        job = blocker(tmp_path)
        running = asyncio.ensure_future(pool.submit(job))
        await eventually(job.started.exists)
        running.cancel()
        outcome = await pool.submit(Echo("next"))
        assert job.cancelled.exists()
        assert outcome.value[:2] == ("next", pid)
        job.wanted.touch()
        assert (await pool.submit(job)).value == "waited"

    run(test())


def test_models_are_loaded_once(pool: InferencePool) -> None:
    async def test() -> None:
        assert [(await pool.submit(Count("landmarks"))).value for _ in range(3)] == [1, 1, 1]

    run(test())


def test_a_worker_with_the_classical_engine_does_not_need_torch() -> None:
    pool = InferencePool([WorkerOptions("cpu", "graph-cut")], queue_size=2)
    pool.start()
    pool.wait_until_ready()

    async def test() -> None:
        assert (await pool.submit(Torch())).value is False

    try:
        run(test())
    finally:
        pool.close()


def test_two_workers_share_the_jobs(tmp_path: Path) -> None:
    pool = InferencePool([CPU, CPU], queue_size=1)
    pool.start()

    async def test() -> None:
        jobs = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            jobs.append(blocker(tmp_path / name))
        tasks = [asyncio.ensure_future(pool.submit(job)) for job in jobs]
        await eventually(lambda: all(job.started.exists() for job in jobs))
        for job in jobs:
            job.wanted.touch()
        await asyncio.gather(*tasks)

    try:
        pool.wait_until_ready()
        run(test())
    finally:
        pool.close()


def test_closing_ends_everything(tmp_path: Path) -> None:
    pool = InferencePool([CPU], queue_size=2)
    pool.start()

    async def test() -> None:
        pid = (await pool.submit(Echo(0))).value[1]
        job = blocker(tmp_path)
        running = asyncio.ensure_future(pool.submit(job))
        await eventually(job.started.exists)
        waiting = asyncio.ensure_future(pool.submit(Echo(0)))
        await eventually(lambda: pool.states()[0].waiting == 1)
        await asyncio.to_thread(pool.close)
        with pytest.raises(SegmentationCancelled):
            await running
        with pytest.raises(PoolClosed):
            await waiting
        with pytest.raises(PoolClosed):
            await pool.submit(Echo(0))
        assert not psutil.pid_exists(pid)

    run(test())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (WorkerOptions("cpu", "no-such-engine"), "no engine named 'no-such-engine'. Choose one of: network, graph-cut"),
        (WorkerOptions("cuda:99"), "cuda:99 is not available"),
    ],
)
def test_a_worker_that_cannot_start_says_why(options: WorkerOptions, sentence: str) -> None:
    pool = InferencePool([options], queue_size=2)
    pool.start()
    try:
        with pytest.raises(WorkerStartError, match=sentence):
            pool.wait_until_ready()

        async def test() -> None:
            with pytest.raises(WorkerCrashed, match=sentence):
                await pool.submit(Echo(0))

        run(test())
    finally:
        pool.close()


@pytest.mark.parametrize("driver", [True, False])
def test_the_automatic_device_is_what_torch_has(monkeypatch: pytest.MonkeyPatch, driver: bool) -> None:
    import torch

    best = "cuda:0" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert device.resolve_device("auto") == best
    monkeypatch.setattr(device, "_has_a_driver", lambda: driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.resolve_device("auto") == ("cuda:0" if driver else "cpu")
    assert device.resolve_device("cuda:1") == "cuda:1"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.resolve_device("auto") == ("mps" if driver else "cpu")
    assert device.resolve_device("mps") == "mps"
    with pytest.raises(DeviceUnavailable, match="no CUDA device"):
        device.resolve_device("cuda")


def test_devices_are_resolved() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in {"cpu", "mps", "cuda:0"}
    with pytest.raises(DeviceUnavailable, match="no device named 'tpu'"):
        resolve_device("tpu")
