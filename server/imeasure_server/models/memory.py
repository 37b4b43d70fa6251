"""How much memory there is, and how much a process takes."""

from __future__ import annotations

import ctypes
import sys

import psutil  # type: ignore[import-untyped,unused-ignore]

_LARGE = 4 << 20
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_ARENAS = 2


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


def return_freed_memory() -> None:
    """Give what this process has freed back to the system, where its C library keeps it (glibc): to be called when much
    was freed that will not soon be needed again.
    """
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def return_large_blocks() -> None:
    """From now on, blocks of 4 MiB and more go back to the system as soon as they are freed. For processes with
    many threads, each of which would keep its own; they cost a little time when they are needed again.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_ARENA_MAX, _ARENAS)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
    except OSError:
        return None
