"""What a network says, as labels or as classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imeasure_server.models.inference import LabelArray, ModelFailed

Array = npt.NDArray[np.generic]


def label_values(output: Tensor, spatial: int, labels: Mapping[str, int]) -> npt.NDArray[np.integer[Any]]:
    """The label of every voxel.

    One channel holds labels, or is true above 0.5. One channel more than there are labels, or channels without labels:
    the greatest wins, the first being background. As many channels as labels: each label is where its channel is above
    0.5, later ones over earlier ones.

    Args:
        output: with or without a channel dimension in front.
        spatial: number of spatial dimensions.
        labels: of the model, name to value.

    Raises:
        ModelFailed: it is no image.
    """
    if output.ndim == spatial:
        output = output[None]
    if output.ndim != spatial + 1:
        shape = "x".join(str(n) for n in output.shape)
        raise ModelFailed(f"The model answered an array of {shape}, which is no mask of an image with {spatial} axes.")
    channels = output.shape[0]
    if channels == 1:
        return _one_channel(output[0])
    values = sorted(labels.values())
    if channels == len(values):
        mask = torch.zeros(output.shape[1:], dtype=torch.int32, device=output.device)
        for channel, value in zip(output, values, strict=True):
            mask[channel > 0.5] = value
        return mask.cpu().numpy()
    winners = output.argmax(dim=0).cpu().numpy().astype(np.int32)
    if values and channels == len(values) + 1 and values != list(range(1, channels)):
        winners = np.array([0, *values], dtype=np.int32)[winners]
    return winners


def as_mask(values: npt.NDArray[np.generic]) -> LabelArray:
    """Labels as a mask of the smallest type that holds them.

    Raises:
        ModelFailed: they are negative or too large.
    """
    if values.dtype == np.uint8:
        return values.view(np.uint8)
    lowest, highest = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if lowest < 0 or highest > 65535:
        raise ModelFailed("The model's answer is no mask: it holds values that no label can have.")
    return values.astype(np.uint8) if highest < 256 else values.astype(np.uint16)


def class_scores(output: Tensor, labels: Mapping[str, int]) -> dict[str, Any]:
    """The answer of a classification model: the class (its name, else its number), and the probability of each.

    Raises:
        ModelFailed: it is no list of numbers.
    """
    scores = output.detach().float().cpu().flatten()
    if (output.ndim > 1 and max(output.shape) != scores.numel()) or not 1 <= scores.numel() <= 100_000:
        raise ModelFailed("The model's answer is no list of scores.")
    if not bool(torch.isfinite(scores).all()):
        raise ModelFailed("The model's scores are no numbers.")
    between = bool(((scores >= 0) & (scores <= 1)).all())
    if scores.numel() == 1:
        yes = float(scores[0] if between else torch.sigmoid(scores[0]))
        names = [*labels][:1] or ["1"]
        return {"prediction": names[0] if yes > 0.5 else f"not {names[0]}", "scores": {names[0]: yes}}
    if not (between and abs(float(scores.sum()) - 1) < 1e-3) and not between:
        scores = torch.softmax(scores, dim=0)
    names = [*labels]
    if len(names) == scores.numel() - 1:
        names = ["background", *names]
    if len(names) != scores.numel():
        names = [str(index) for index in range(scores.numel())]
    best = int(scores.argmax())
    return {"prediction": names[best], "scores": dict(zip(names, (float(score) for score in scores), strict=True))}


def _one_channel(channel: Tensor) -> npt.NDArray[np.integer[Any]]:
    if channel.dtype == torch.uint8:
        return channel.cpu().numpy()
    small = channel.to(torch.uint8)
    if bool((channel == small).all()):  # labels up to 255, the usual answer, are found in one look
        return small.cpu().numpy()
    if not channel.is_floating_point():
        return channel.to(torch.int32).cpu().numpy()
    if bool((channel == channel.round()).all()) and bool(torch.isfinite(channel).all()):
        return channel.to(torch.int32).cpu().numpy()
    return (channel > 0.5).to(torch.uint8).cpu().numpy()
