"""Which device computes. Asks torch, and therefore runs in the worker process or in the doctor, never while serving."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

AUTO = "auto"
_NAMES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class DeviceUnavailable(ValueError):
    """There is no such device here; the message is a sentence."""


def is_device_name(name: str) -> bool:
    """Whether it is spelled like a device, here or elsewhere."""
    return _NAMES.fullmatch(name) is not None


def resolve_device(name: str) -> str:
    """The device that a name stands for: ``auto`` takes CUDA, then MPS, then CPU.

    Raises:
        DeviceUnavailable: this machine does not have it.
    """
    if name == "cpu":
        return name
    if not is_device_name(name):
        raise DeviceUnavailable(f"There is no device named {name!r}. Choose auto, cpu, mps, cuda or cuda:N.")
    if name == AUTO and not _has_a_driver():
        return "cpu"
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == AUTO:
        return "cuda:0" if has_cuda else "mps" if has_mps else "cpu"
    if name == "mps":
        if not has_mps:
            raise DeviceUnavailable("MPS is not available on this machine. Use --device auto or --device cpu.")
        return name
    index = int(name.partition(":")[2] or 0)
    count = torch.cuda.device_count() if has_cuda else 0
    if index >= count:
        found = f"has {count} CUDA device(s)" if count else "has no CUDA device that this torch can use"
        raise DeviceUnavailable(f"{name} is not available: this machine {found}. Use --device auto or --device cpu.")
    return f"cuda:{index}"


def _has_a_driver() -> bool:
    """Whether torch could find anything but the CPU: without a driver it need not be imported to be asked (seconds)."""
    if sys.platform == "darwin" or Path("/dev/kfd").exists():  # Metal; ROCm
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def out_of_memory_sentence(error: BaseException) -> str | None:
    """What to say when an error means that memory ran out, else None."""
    if isinstance(error, MemoryError):
        return "Out of memory"
    text = str(error).lower()
    if type(error).__name__ == "OutOfMemoryError" or (isinstance(error, RuntimeError) and "out of memory" in text):
        return "MPS out of memory" if "mps" in text else "CUDA out of memory"
    if isinstance(error, RuntimeError) and "can't allocate memory" in text:
        return "Out of memory"
    return None


def device_memory_in_use(device: str) -> int:
    """Bytes that torch holds for models and data on a device with its own memory; 0 on the CPU."""
    torch = sys.modules.get("torch")
    if torch is None or device == "cpu":
        return 0
    return int(torch.mps.current_allocated_memory() if device == "mps" else torch.cuda.memory_allocated(device))


def release_device_memory(device: str) -> None:
    """Give back what torch keeps for later, after a job ran out of memory."""
    torch = sys.modules.get("torch")
    if torch is None or device == "cpu":
        return
    if device == "mps":
        torch.mps.empty_cache()
    else:
        torch.cuda.empty_cache()
