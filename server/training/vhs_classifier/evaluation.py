"""What the classifier says of pictures that it was not trained on, by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from imeasure_server.vhs.classifier import RadiographClassifier
from vhs_classifier.real_pictures import SLICES

Picture = NDArray[np.uint8]
Probabilities = dict[str, list[float]]

FOLDS = 4
"""As many as there are real dogs."""


def probabilities(network: nn.Module, groups: Mapping[str, Sequence[Picture]]) -> Probabilities:
    """What the server would say of each picture."""
    classifier = RadiographClassifier(network, "cpu")
    return {group: [classifier.probability(picture) for picture in pictures] for group, pictures in groups.items()}


def fold_of(group: str, index: int) -> int:
    """The fold that a real picture is held out in; slices of one volume (four in a row) stay together."""
    return (index // 4 if group == SLICES else index) % FOLDS


def split(
    groups: Mapping[str, Sequence[Picture]], fold: int
) -> tuple[dict[str, list[Picture]], dict[str, list[Picture]]]:
    """The pictures to train on and those held out."""
    kept: dict[str, list[Picture]] = {}
    held: dict[str, list[Picture]] = {}
    for group, pictures in groups.items():
        for index, picture in enumerate(pictures):
            target = held if fold_of(group, index) == fold else kept
            target.setdefault(group, []).append(picture)
    return kept, held


def table(found: Mapping[str, Sequence[float]], threshold: float, accepted: Sequence[str]) -> str:
    """Markdown: for each group how many are right, and the probabilities' range."""
    lines = ["| group | pictures | should be | right | lowest | median | highest |", "|---|---|---|---|---|---|---|"]
    for group, values in found.items():
        numbers = np.array(values)
        positive = group in accepted
        right = int(((numbers >= threshold) == positive).sum())
        wanted = "accepted" if positive else "rejected"
        low, middle, high = numbers.min(), np.median(numbers), numbers.max()
        lines.append(f"| {group} | {len(values)} | {wanted} | {right} | {low:.3f} | {middle:.3f} | {high:.3f} |")
    return "\n".join(lines)
