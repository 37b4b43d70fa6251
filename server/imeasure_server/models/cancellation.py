"""A flag that one process sets and another one reads."""

from __future__ import annotations

import ctypes
from multiprocessing.context import SpawnContext


class SharedFlag:
    """One byte of shared memory, without a lock: a `multiprocessing.Event` would stay locked for ever when the worker
    is killed while it looks at it.
    """

    def __init__(self, context: SpawnContext) -> None:
        self._value = context.RawValue(ctypes.c_bool, False)

    def is_set(self) -> bool:
        return bool(self._value.value)

    def set(self) -> None:
        self._value.value = True

    def clear(self) -> None:
        self._value.value = False
