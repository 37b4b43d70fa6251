"""The loop: half of every batch is a dog's lateral thorax; groups of the other half are drawn alike."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Mixture:
    """Pictures to learn from.

    Attributes:
        drawn, real: by group.
        real_share: of the pictures of a batch, where there are real ones.
    """

    drawn: Mapping[str, list[Picture]]
    real: Mapping[str, list[Picture]]
    real_share: float = 0.0

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(BATCH, 1, side, side) and (BATCH,) truths."""
        truths = [index % 2 for index in range(BATCH)]
        pictures = [self._picture(bool(truth), rng) for truth in truths]
        return batch_of(pictures, rng), torch.tensor(truths, dtype=torch.float32)

    def _picture(self, positive: bool, rng: np.random.Generator) -> Picture:
        source = self.real if rng.random() < self.real_share else self.drawn
        groups = [group for group, pictures in source.items() if (group in POSITIVES) == positive and pictures]
        if not groups:
            source = self.drawn
            groups = [group for group in source if (group in POSITIVES) == positive]
        pictures = source[groups[int(rng.integers(len(groups)))]]
        return pictures[int(rng.integers(len(pictures)))]


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
        for group in optimizer.param_groups:
            group["lr"] = rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        inputs, truths = mixture.batch(rng)
        goals = truths * (1 - 2 * SMOOTHING) + SMOOTHING
        loss = nn.functional.binary_cross_entropy_with_logits(network(inputs)[:, 0], goals)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        smooth += (float(loss.detach()) - smooth) * max(0.02, 1 / (step + 1))
        if step % 100 == 0:
            print(f"step {step}  {(time.monotonic() - begin) / 60:.2f} min  loss {smooth:.4f}", flush=True)
    return network.eval()
