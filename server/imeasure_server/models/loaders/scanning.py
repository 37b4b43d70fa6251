"""Scanning-window inference, by MONAI's inferer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from imeasure_server.models.config.windows import Window


def scan(network: Callable[[Tensor], Tensor], batch: Tensor, window: Window) -> Tensor:
    """Look at an image piece by piece.

    Args:
        network: answers a batch of windows.
        batch: (1, channels, ...) the image.
        window: see there; a size for fewer axes than the image has is for its last ones, the others are taken whole.
    """
    if window.slice_axis is not None:
        return _slices(network, batch, window, window.slice_axis)
    from monai.inferers.utils import sliding_window_inference  # takes a second

    axes = batch.ndim - 2
    size = window.roi_size if len(window.roi_size) != 1 else window.roi_size * axes
    roi = [*batch.shape[2 : 2 + max(0, axes - len(size))], *size[-axes:]]
    output = sliding_window_inference(
        batch,
        [int(n) for n in roi],
        window.batch_size,
        network,
        overlap=window.overlap,
        mode=window.mode,
        sigma_scale=window.sigma_scale,
        padding_mode=window.padding_mode,
        cval=0.0,
    )
    assert isinstance(output, Tensor)
    return output


def _slices(network: Callable[[Tensor], Tensor], batch: Tensor, window: Window, axis: int) -> Tensor:
    """The same for a 2D network and a volume: slice after slice along an axis."""
    flat = replace(window, slice_axis=None)
    answers = [scan(network, piece, flat) for piece in batch.unbind(dim=axis + 2)]
    return torch.stack(answers, dim=axis + 2)
