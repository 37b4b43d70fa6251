"""Train the landmark networks: one base on everything, then five folds from it, each blind to a fifth of the anatomies.

Resumable: a checkpoint is written every few minutes, and a run with the same output folder goes on from it.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from imeasure_server.vhs.network import STRIDE, build_landmark_network, expected_points

BATCH = 16
SAVE_SECONDS = 120.0
SPREAD_CELLS = 1.2


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        minutes: of training; the learning rate falls to zero at their end.
        learning_rate: the highest.
        seed: of samples and weights.
        start_from: weights to begin with, or None for random ones.
        workers: processes that make samples.
        threads: of the training process.
        steps: ends it when that many have been made, however long it took; None for no such end.
    """

    minutes: float
    learning_rate: float = 2e-3
    seed: int = 0
    start_from: Path | None = None
    workers: int = 1
    threads: int = 1
    steps: int | None = None


Samples: TypeAlias = IterableDataset[dict[str, Any]]


def train(samples: Callable[[int], Samples], output: Path, plan: Plan) -> Path:
    """Train and give the file of the averaged weights.

    Args:
        samples: makes the samples of a seed: ``image`` (1, h, w) and ``points`` (12, 2), NaN where not known.
        output: folder of the checkpoint and the weights.
        plan: see there.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = build_landmark_network().to(device).to(memory_format=torch.channels_last)
    if plan.start_from is not None:
        network.load_state_dict(_weights_of(plan.start_from))
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
    checkpoint, spent, step = output / "checkpoint.pt", 0.0, 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        spent, step = state["spent"], state["step"]
    loader = DataLoader(samples(plan.seed * 1000 + step), batch_size=BATCH, num_workers=plan.workers, prefetch_factor=3)
    budget, last, saved = plan.minutes * 60, time.monotonic(), time.monotonic()
    running = {"loss": 0.0, "pixels": 0.0}
    for batch in loader:
        if spent >= budget or step == plan.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * _schedule(spent / budget, step, plan.start_from is not None)
        image = batch["image"].to(device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            logits = network(image)
        loss, distance = landmark_loss(logits, batch["points"].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        if bool(torch.isfinite(norm)):
            optimizer.step()
            _average(averaged, network, min(0.998, (step + 1) / (step + 20)))
        step += 1
        now = time.monotonic()
        spent, last = spent + now - last, now
        for name, value in (("loss", loss), ("pixels", distance)):
            running[name] += (0.02 if step > 1 else 1.0) * (float(value.detach()) - running[name])
        if step % 25 == 0:
            print(json.dumps({"step": step, "minutes": round(spent / 60, 2), **running}), flush=True)
        if now - saved > SAVE_SECONDS or spent >= budget or step == plan.steps:
            saved = now
            _save(checkpoint, network, averaged, optimizer, spent, step)
    weights = output / "weights.pt"
    torch.save(averaged.state_dict(), weights)
    return weights


def landmark_loss(logits: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy to a Gaussian about the truth plus the distance of the expected point; that distance too."""
    known = ~points.isnan().any(dim=2)
    points = points.nan_to_num()
    found, _ = expected_points(logits)
    _, _, rows, columns = logits.shape
    x = (torch.arange(columns, device=logits.device) + 0.5) * STRIDE
    y = (torch.arange(rows, device=logits.device) + 0.5) * STRIDE
    spread = 2 * (SPREAD_CELLS * STRIDE) ** 2
    across = torch.exp(-((x - points[..., 0:1]) ** 2) / spread)
    down = torch.exp(-((y - points[..., 1:2]) ** 2) / spread)
    target = down[..., :, None] * across[..., None, :]
    target = target / target.sum((2, 3), keepdim=True).clamp_min(1e-6)
    entropy = -(target.flatten(2) * torch.log_softmax(logits.flatten(2).float(), dim=2)).sum(2)[known].mean()
    distance = torch.linalg.vector_norm(found - points, dim=2)[known]
    robust = nn.functional.smooth_l1_loss(found[known], points[known], beta=4.0)
    return entropy + 0.15 * robust, distance.mean().detach()


def _weights_of(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return {name: value.float() for name, value in load_file(path).items()}
    state: dict[str, Tensor] = torch.load(path, weights_only=True)
    return state


def _schedule(progress: float, step: int, warm: bool) -> float:
    rise = 1.0 if warm else min(1.0, (step + 1) / 150)
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    for mean, value in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - keep)


def _save(
    path: Path, network: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer, spent: float, step: int
) -> None:
    state = {
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
        "spent": spent,
        "step": step,
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)
