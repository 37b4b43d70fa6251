"""Scanning-window inference: how a large image is looked at piece by piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imeasure_server.models.config import allowed
from imeasure_server.models.config.entries import Entry, read_entry
from imeasure_server.models.config.problems import ConfigError

WINDOW_INFERERS = frozenset({"SlidingWindowInferer", "SlidingWindowInfererAdapt", "SliceInferer"})


@dataclass(frozen=True)
class Window:
    """A scanning window, as `monai.inferers.SlidingWindowInferer` has it.

    Attributes:
        roi_size: voxels along each axis after the pre-transforms; 0 or negative for all of them.
        batch_size: windows at a time.
        overlap: share of a window, 0 up to less than 1.
        mode: ``constant`` or ``gaussian`` blending.
        sigma_scale: of gaussian blending.
        padding_mode: of images smaller than the window.
        slice_axis: the axis along which a 2D network looks at slice after slice; None for a network of all axes.
    """

    roi_size: tuple[int, ...]
    batch_size: int = 1
    overlap: float = 0.25
    mode: str = "constant"
    sigma_scale: float = 0.125
    padding_mode: str = "constant"
    slice_axis: int | None = None


def read_window(args: Mapping[str, Any], where: str) -> Window | None:
    """The window of an inference's arguments: ``scanning_window`` with ``roi`` or ``roi_size``, or an ``inferer``.

    Raises:
        ConfigError: a window without a size, or with one that makes no sense.
    """
    given = args.get("inferer")
    if given is not None:
        entry = read_entry(given, f"{where}.args.inferer")
        return None if entry is None else window_of(allowed.inferer(*entry))
    size = args.get("roi_size", args.get("roi"))
    if args.get("scanning_window") is not True and (args.get("scanning_window") is False or size is None):
        return None
    if size is None:
        raise ConfigError(f"{where}.args", 'Scanning-window inference needs "roi", the size of the window in voxels.')
    return _window(size, args, f"{where}.args")


def window_of(entry: Entry) -> Window | None:
    """The window of an inferer; None for one that looks at everything at once.

    Raises:
        ConfigError: see `read_window`.
    """
    if entry.name not in WINDOW_INFERERS:
        return None
    size = entry.args.get("roi_size")
    if size is None:
        raise ConfigError(entry.where, 'It needs "roi_size".')
    window = _window(size, entry.args, entry.where)
    axis = entry.args.get("spatial_dim", 0)
    if entry.name != "SliceInferer":
        return window
    if axis not in (0, 1, 2):
        raise ConfigError(entry.where, '"spatial_dim" must be 0, 1 or 2.')
    return replace(window, slice_axis=int(axis))


def _window(size: object, args: Mapping[str, Any], where: str) -> Window:
    sizes = [size] if isinstance(size, int) else size
    if not isinstance(sizes, Sequence) or not 1 <= len(sizes) <= 3 or not all(isinstance(n, int) for n in sizes):
        raise ConfigError(where, "The size of the window must be up to three whole numbers.")
    overlap = args.get("overlap", 0.25)
    if isinstance(overlap, Sequence) and not isinstance(overlap, str) and overlap:
        overlap = overlap[0]
    if not isinstance(overlap, (int, float)) or not 0 <= overlap < 1:
        raise ConfigError(where, '"overlap" must be at least 0 and less than 1.')
    batch = args.get("sw_batch_size", args.get("batch_size", 1))
    if not isinstance(batch, int) or not 1 <= batch <= 1024:
        raise ConfigError(where, '"sw_batch_size" must be a number of windows.')
    mode = str(args.get("mode", "constant")).lower()
    if mode not in ("constant", "gaussian"):
        raise ConfigError(where, '"mode" must be "constant" or "gaussian".')
    sigma = args.get("sigma_scale", 0.125)
    sigma = sigma if isinstance(sigma, (int, float)) else 0.125
    return Window(tuple(sizes), batch, float(overlap), mode, float(sigma), str(args.get("padding_mode", "constant")))
