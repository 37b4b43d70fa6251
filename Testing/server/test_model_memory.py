"""Models that a worker keeps, within a memory budget, and what it does when memory runs out."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

import pytest
import torch

from imeasure_server.models import loaders
from imeasure_server.models.failures import OutOfMemory
from imeasure_server.models.inference import ModelFailed
from imeasure_server.models.model_memory import ModelMemory
from imeasure_server.models.reference import ModelReference
from imeasure_server.models.worker import Done, Failed, WorkerContext, answer

CUDA_SENTENCE = "CUDA out of memory"


class Layer(torch.nn.Linear):
    """A real module of a known size."""

    def __init__(self, kib: int) -> None:
        super().__init__(256, kib, bias=False)

    @property
    def device_bytes(self) -> int:
        return sum(p.nbytes for p in self.parameters())


@pytest.fixture
def memory() -> ModelMemory:
    return ModelMemory("cpu", 100 << 10)


def use(memory: ModelMemory, key: str, kib: int = 40) -> Layer:
    """What one job does that uses one model."""
    memory.begin_job()
    return memory.get(key, lambda: Layer(kib))


def test_a_model_is_loaded_once(memory: ModelMemory) -> None:
    assert use(memory, "a") is use(memory, "a")
    assert memory.bytes == 40 << 10


def test_the_least_recently_used_moves_out(memory: ModelMemory) -> None:
    gone = weakref.ref(use(memory, "b"))
    use(memory, "a")
    use(memory, "b")
    use(memory, "c")
    assert memory.keys == ("b", "c")
    use(memory, "d")
    assert memory.keys == ("c", "d")
    assert gone() is None, "what moved out is still held"


def test_many_small_ones_move_out_for_a_large_one(memory: ModelMemory) -> None:
    for key in "abcde":
        use(memory, key, 20)
    use(memory, "large", 70)
    assert memory.keys == ("e", "large")


class Borrower:
    """A model that computes with another one."""

    device_bytes = 0

    def __init__(self, other: Layer) -> None:
        self.other = other


def test_what_holds_a_model_that_moves_out_goes_with_it(memory: ModelMemory) -> None:
    memory.begin_job()
    gone = weakref.ref(memory.get("a", lambda: Layer(60)))
    memory.get("borrower", lambda: Borrower(use(memory, "a")))
    use(memory, "b", 30)
    assert memory.keys == ("a", "borrower", "b")
    use(memory, "c", 60)
    assert memory.keys == ("b", "c")
    assert gone() is None


def test_one_model_may_be_larger_than_the_budget(memory: ModelMemory) -> None:
    use(memory, "a")
    use(memory, "huge", 500)
    assert memory.keys == ("huge",)
    use(memory, "a")
    assert memory.keys == ("a",)


def test_what_the_job_uses_stays(memory: ModelMemory) -> None:
    memory.begin_job()
    for key in "abc":
        memory.get(key, lambda: Layer(60))
    assert memory.keys == ("a", "b", "c")
    use(memory, "d", 60)
    assert list(memory.keys) == ["d"]


def test_a_model_that_does_not_load_leaves_the_others(memory: ModelMemory) -> None:
    use(memory, "a")

    def fail() -> Layer:
        raise ModelFailed("It does not load.")

    with pytest.raises(ModelFailed):
        memory.get("b", fail)
    assert memory.keys == ("a",)


def test_without_a_budget_the_machine_decides() -> None:
    memory = ModelMemory("cpu")
    for key in "abc":
        use(memory, key)
    assert memory.keys == ("a", "b", "c")
    assert memory.budget > 100 << 20


@dataclass
class Result:
    value: object
    timings: dict[str, float] = field(default_factory=dict)


@dataclass
class UseThenRunOut:
    """Loads a model, and runs out of memory as often as it is told."""

    error: Callable[[], Exception]
    failures: int
    seen: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, context: WorkerContext) -> Result:
        context.loaded("mine", lambda _: Layer(10))
        self.seen.append(context.memory.keys)
        if len(self.seen) <= self.failures:
            raise self.error()
        return Result("done")


def context(budget: int | None = None) -> WorkerContext:
    return WorkerContext("cpu", "graph-cut", Event(), memory_budget=budget)


def reworded() -> Exception:
    try:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
    except torch.cuda.OutOfMemoryError as error:
        failed = ModelFailed("The model does not load.")
        failed.__cause__ = error
        return failed


ERRORS = [
    lambda: torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    lambda: RuntimeError("CUDA error: out of memory"),
    reworded,
]


@pytest.mark.parametrize("error", ERRORS)
def test_out_of_memory_is_tried_again_without_the_others(error: Callable[[], Exception]) -> None:
    worker = context()
    other = weakref.ref(worker.loaded("other", lambda _: Layer(10)))
    job = UseThenRunOut(error, failures=1)
    done = answer(job, worker)
    assert isinstance(done, Done)
    assert done.outcome.value == "done"  # type: ignore[attr-defined]
    assert job.seen == [("other", "mine"), ("mine",)]
    gc.collect()
    assert other() is None


@pytest.mark.parametrize("error", ERRORS)
def test_out_of_memory_twice_is_the_answer_and_the_worker_lives_on(error: Callable[[], Exception]) -> None:
    worker = context()
    job = UseThenRunOut(error, failures=5)
    failed = answer(job, worker)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, OutOfMemory)
    assert str(failed.error) == CUDA_SENTENCE
    assert len(job.seen) == 2
    assert isinstance(answer(UseThenRunOut(error, failures=0), worker), Done)


def test_nothing_is_tried_again_when_nobody_waits() -> None:
    worker = context()
    worker.cancellation.set()  # type: ignore[attr-defined]
    job = UseThenRunOut(ERRORS[0], failures=5)
    assert isinstance(answer(job, worker), Failed)
    assert len(job.seen) == 1


@dataclass
class Ask:
    """Asks for a model by reference."""

    reference: ModelReference

    def run(self, context: WorkerContext) -> Result:
        return Result(context.model(self.reference))


def test_a_new_version_replaces_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "load_model", lambda reference, context: Layer(10))
    worker = context()
    old, new = (ModelReference("organ", "torchscript", digest=digest) for digest in ("1", "2"))
    similar = ModelReference("organ2", "torchscript", digest="1")
    for reference in (old, similar, new, new):
        assert isinstance(answer(Ask(reference), worker), Done)
    assert worker.memory.keys == (similar.key, new.key)


def test_loading_runs_out_of_memory_and_works_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = context()
    worker.loaded("other", lambda _: Layer(10))

    def load(reference: ModelReference, context: WorkerContext) -> Layer:
        if "other" in context.memory.keys:
            raise reworded()
        return Layer(10)

    monkeypatch.setattr(loaders, "load_model", load)
    reference = ModelReference("organ", "bundle", digest="1")
    assert isinstance(answer(Ask(reference), worker), Done)
    assert worker.memory.keys == (reference.key,)


def test_the_engine_moves_out_and_comes_back() -> None:
    worker = context(budget=1)
    name = worker.engine.name
    worker.memory.begin_job()
    worker.loaded("big", lambda _: Layer(100))
    assert worker.engine.name == name
