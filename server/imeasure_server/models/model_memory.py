"""The models that a worker keeps loaded, within a memory budget: whichever was used longest ago moves out."""

from __future__ import annotations

import gc
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from imeasure_server.models.device import device_memory_in_use, release_device_memory
from imeasure_server.models.memory import resident_bytes, return_freed_memory, total_bytes

Model = TypeVar("Model")

logger = logging.getLogger(__name__)

DEVICE_SHARE = 0.9
"""Of a GPU's memory that models may take when no budget was given; the rest is for what they compute."""
MACHINE_SHARE = 0.5
"""Of the machine's memory that models may take on the CPU when no budget was given."""


@dataclass(frozen=True, eq=False)
class _Entry:
    model: Any
    bytes: int


class ModelMemory:
    """Loaded models by key, the least recently used first.

    What moves out is let go of, and loaded again when it is next asked for. Nothing moves out that the running job has
    asked for: the job holds it anyway. One model may therefore be larger than the budget.

    Attributes:
        budget: bytes that all models together may take, or None for what the device allows.
    """

    def __init__(self, device: str, budget: int | None = None) -> None:
        self._device = device
        self._given_budget = budget
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._used_by_job: set[str] = set()

    @property
    def budget(self) -> int:
        if self._given_budget is not None:
            return self._given_budget
        torch = sys.modules.get("torch")
        if self._device.startswith("cuda") and torch is not None:
            return int(DEVICE_SHARE * torch.cuda.get_device_properties(self._device).total_memory)
        return int(MACHINE_SHARE * total_bytes())

    @property
    def keys(self) -> tuple[str, ...]:
        """Of what is loaded, the least recently used first."""
        return tuple(self._entries)

    @property
    def bytes(self) -> int:
        """That the loaded models take."""
        return sum(entry.bytes for entry in self._entries.values())

    def begin_job(self) -> None:
        """To be called before each job: what the one before used may move out."""
        self._used_by_job.clear()

    def get(self, key: str, load: Callable[[], Model]) -> Model:
        """The model of that key, loaded if need be; others then move out until all fit."""
        entry = self._entries.get(key)
        if entry is None:
            before = self._memory_in_use()
            model = load()
            return_freed_memory()  # loading takes much more than what is loaded
            entry = _Entry(model, self._size(model, self._memory_in_use() - before))
            self._entries[key] = entry
        self._entries.move_to_end(key)
        self._used_by_job.add(key)
        self._keep_to_budget()
        loaded: Model = entry.model
        return loaded

    def drop(self, keys: list[str]) -> None:
        """Let go of models, whether they are in use or not."""
        dropped = [key for key in keys if self._entries.pop(key, None) is not None]
        if dropped:
            logger.info("%d model(s) moved out of the memory of %s.", len(dropped), self._device)
            self._release()

    def make_room(self) -> None:
        """After memory ran out: everything that the running job does not use moves out."""
        self.drop([key for key in self._entries if key not in self._used_by_job])
        self._release()

    def _keep_to_budget(self) -> None:
        budget, taken, leaving = self.budget, self.bytes, []
        idle = {key: entry.bytes for key, entry in self._entries.items() if key not in self._used_by_job}
        for key, size in idle.items():
            if taken > budget and size > 0:
                leaving.append(key)
                taken -= size
        if leaving:  # with those that have no weights of their own: they may hold one that leaves, and cost nothing
            self.drop(leaving + [key for key, size in idle.items() if size == 0])

    def _release(self) -> None:
        gc.collect()  # modules refer to themselves in circles
        release_device_memory(self._device)
        return_freed_memory()

    def _memory_in_use(self) -> int:
        return resident_bytes() if self._device == "cpu" else device_memory_in_use(self._device)

    def _size(self, model: object, growth: int) -> int:
        """A device's own count is exact. On the CPU growth counts imported code too, so a model's word goes first."""
        said: int | None = getattr(model, "device_bytes", None)
        if said is not None and (self._device == "cpu" or growth <= 0):
            return said
        return max(0, growth)
