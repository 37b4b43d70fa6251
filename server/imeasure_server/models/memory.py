"""How much memory there is, and how much a process takes."""

from __future__ import annotations

import psutil  # type: ignore[import-untyped,unused-ignore]


def resident_bytes(pid: int | None = None) -> int:
    """Resident memory of a process, of this one by default; 0 when there is no such process."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def total_bytes() -> int:
    """Memory of this machine."""
    return int(psutil.virtual_memory().total)


def available_bytes() -> int:
    """Memory of this machine that is free for new processes."""
    return int(psutil.virtual_memory().available)
