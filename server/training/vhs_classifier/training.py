"""The loop: half of every batch is a dog's lateral thorax."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imeasure_server.vhs.classifier import build_classifier
from vhs_classifier.augmentation import batch_of
from vhs_classifier.pool import POSITIVE

Picture = NDArray[np.uint8]

POSITIVES = (POSITIVE, "dogs")
"""Groups that are accepted: drawn and real."""

BATCH = 32
SMOOTHING = 0.02
MEMORY = 0.03
LEAST_WEIGHT = 0.15
"""Of a group that the network is never wrong about; one that it knows nothing of has 0.84."""


class Mixture:
    """Pictures to learn from; groups that the network still gets wrong are shown more often.

    Args:
        drawn, real: pictures by group.
        real_share: of the pictures of a batch, where there are real ones.
    """

    def __init__(
        self, drawn: Mapping[str, list[Picture]], real: Mapping[str, list[Picture]], real_share: float = 0.0
    ) -> None:
        self._sources = (drawn, real)
        self._real_share = real_share
        self._losses = {group: math.log(2) for source in self._sources for group in source}

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, list[str]]:
        """(BATCH, 1, side, side), (BATCH,) truths and the pictures' groups."""
        truths = [index % 2 for index in range(BATCH)]
        chosen = [self._picture(bool(truth), rng) for truth in truths]
        groups, pictures = zip(*chosen, strict=True)
        return batch_of(list(pictures), rng), torch.tensor(truths, dtype=torch.float32), list(groups)

    def note(self, groups: Sequence[str], losses: Tensor) -> None:
        """Take in how wrong the network was about pictures of these groups."""
        for group, loss in zip(groups, losses.tolist(), strict=True):
            self._losses[group] += MEMORY * (min(loss, 2.0) - self._losses[group])

    def _picture(self, positive: bool, rng: np.random.Generator) -> tuple[str, Picture]:
        drawn, real = self._sources
        source = real if rng.random() < self._real_share else drawn
        groups = [group for group, pictures in source.items() if (group in POSITIVES) == positive and pictures]
        if not groups:
            source = drawn
            groups = [group for group in source if (group in POSITIVES) == positive]
        weights = np.array([LEAST_WEIGHT + self._losses[group] for group in groups])
        group = groups[int(rng.choice(len(groups), p=weights / weights.sum()))]
        pictures = source[group]
        return group, pictures[int(rng.integers(len(pictures)))]


def train(mixture: Mixture, steps: int, rate: float, seed: int, start: nn.Module | None = None) -> nn.Module:
    """A network after so many batches; ``start`` is copied and goes on."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = build_classifier()
    if start is not None:
        network.load_state_dict(start.state_dict())
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.02)
    begin, smooth = time.monotonic(), 0.0
    for step in range(steps):
        warm = min(1.0, (step + 1) / 100) if start is None else 1.0
        for part in optimizer.param_groups:
            part["lr"] = rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        inputs, truths, groups = mixture.batch(rng)
        goals = truths * (1 - 2 * SMOOTHING) + SMOOTHING
        losses = nn.functional.binary_cross_entropy_with_logits(network(inputs)[:, 0], goals, reduction="none")
        mixture.note(groups, losses.detach())
        loss = losses.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        smooth += (float(loss.detach()) - smooth) * max(0.02, 1 / (step + 1))
        if step % 100 == 0:
            print(f"step {step}  {(time.monotonic() - begin) / 60:.2f} min  loss {smooth:.4f}", flush=True)
    return network.eval()
