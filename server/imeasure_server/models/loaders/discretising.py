"""``AsDiscreted`` as the last transform of a model: its answer becomes labels anyway, in one pass over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from imeasure_server.models.loaders.sample import Sample, plain


@dataclass(frozen=True)
class Discretising:
    """What MONAI's transform does, but for the last pass, in which it makes floating-point numbers of the labels.

    Attributes:
        argmax: the greatest channel wins.
        threshold: values from here on are 1, or None.
    """

    argmax: bool
    threshold: float | None

    @classmethod
    def of(cls, args: Mapping[str, Any], output: str) -> Discretising | None:
        """Of the transform's arguments; None where they ask for more, or for another image than ``output``."""
        keys = args.get("keys")
        if keys != output and keys not in ([output], (output,)):
            return None
        argmax, threshold = args.get("argmax", False), args.get("threshold")
        known = all(key in ("keys", "argmax", "threshold") or value is None for key, value in args.items())
        is_number = threshold is None or (isinstance(threshold, (int, float)) and not isinstance(threshold, bool))
        if not known or not isinstance(argmax, bool) or not is_number:
            return None
        return cls(argmax, threshold)

    def __call__(self, sample: Sample) -> None:
        image = plain(sample.image)
        if self.argmax:
            image = image.argmax(dim=0, keepdim=True)
        if self.threshold is not None:
            image = (image >= self.threshold).view(torch.uint8)
        sample.image = image
