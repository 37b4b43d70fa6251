"""The loop: draw samples, answer, be corrected, learn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from imeasure_server.segmentation.network.architecture import build_network
from imeasure_server.segmentation.network.encoding import encode
from imeasure_server.segmentation.network.weights import save_weights
from segmentation.interaction import correct
from segmentation.samples import Sample, Samples

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "promptable.safetensors"
LOG_EVERY = 50
SAVE_EVERY = 250


@dataclass(frozen=True)
class Schedule:
    """What a run does; every value is in the checkpoint.

    Attributes:
        steps: batches of first prompts; each is followed by up to three rounds of corrections.
        minutes: of training after which it ends, whatever the steps; 0 for no such limit. The rate follows the one
            of the two that is farther on.
        batch: samples.
        side: of the cube, in cells.
        rate: of learning, at its highest.
        warm_up: steps in which it rises.
        decay_share: of the steps, at the end, in which it falls to zero.
        real_share: of the samples that show a real lesion.
        seed: of all random numbers.
        average: how slowly the smoothed weights follow.
    """

    steps: int = 9000
    minutes: float = 0.0
    batch: int = 4
    side: int = 48
    rate: float = 1.5e-3
    warm_up: int = 100
    decay_share: float = 0.35
    real_share: float = 0.45
    seed: int = 20261124
    average: float = 0.998

    def done(self, step: int, seconds: float) -> float:
        """The share of the run that is behind."""
        return max(step / self.steps, seconds / 60.0 / self.minutes if self.minutes else 0.0)

    def rate_at(self, step: int, seconds: float) -> float:
        rise = min(1.0, (step + 1) / self.warm_up)
        fall = min(1.0, max(0.0, 1.0 - self.done(step, seconds)) / max(self.decay_share, 1e-6))
        return self.rate * rise * fall


def train(
    output: Path,
    data: Path | None,
    schedule: Schedule,
    device: str = "cpu",
    workers: int = 1,
    start_from: Path | None = None,
) -> None:
    """Train, or go on training, in a folder.

    Args:
        output: holds the checkpoint, the log (``log.jsonl``) and the weights.
        data: folder of real images, or None.
        schedule: what to do.
        device: of torch.
        workers: processes that make samples.
        start_from: weights to begin with when the folder holds no checkpoint; made before the last input channels
            were added, they get zeros for these.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(schedule.seed)
    network = build_network().to(device)
    if start_from is not None:
        _begin_with(network, start_from)
    smoothed = build_network().to(device)
    smoothed.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.rate, weight_decay=1e-2)
    first, seconds = _resume(output / CHECKPOINT, network, smoothed, optimizer)
    samples = Samples(data, schedule.side, schedule.seed + first, schedule.real_share)
    batches = _batches(samples, schedule.batch, workers)
    generator = Generator().manual_seed(schedule.seed + 7 * first + 1)
    started = time.monotonic() - seconds
    history: list[list[float]] = []
    network.train()
    for step in range(first, schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step, time.monotonic() - started)
        history.append(_rounds(network, optimizer, next(batches), device, generator))
        follow = min(schedule.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(smoothed.state_dict().values(), network.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1.0 - follow)
        last = schedule.done(step + 1, time.monotonic() - started) >= 1.0
        if (step + 1) % LOG_EVERY == 0 or last:
            _log(output, step + 1, time.monotonic() - started, history)
            history = []
        if (step + 1) % SAVE_EVERY == 0 or last:
            _save(output / CHECKPOINT, step + 1, time.monotonic() - started, schedule, network, smoothed, optimizer)
        if last:
            break
    save_weights(output / WEIGHTS, smoothed)


def _rounds(
    network: nn.Module, optimizer: torch.optim.Optimizer, batch: list[Sample], device: str, generator: Generator
) -> list[float]:
    """One batch with its first prompts and some rounds of corrections; the Dice of each round."""
    rounds = 1 + int(torch.multinomial(torch.tensor([0.35, 0.3, 0.2, 0.15]), 1, generator=generator))
    truth = torch.stack([sample.truth for sample in batch])[:, None].to(device)
    inside = torch.stack([sample.inside for sample in batch])[:, None].to(device)
    scores = []
    for turn in range(rounds):
        encoded = torch.stack([encode(s.image, s.inside, s.maps, s.cell) for s in batch]).to(device)
        with torch.autocast(device.partition(":")[0], dtype=torch.bfloat16):
            logits = network(encoded)
        logits = logits.float()
        loss, overlap = _loss(logits, truth, inside)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 3.0)
        optimizer.step()
        scores.append(overlap)
        if turn + 1 < rounds:
            found = ((logits.detach() > 0).float() * inside)[:, 0].cpu()
            for sample, mask in zip(batch, found, strict=True):
                correct(sample.maps, mask, sample.truth, sample.cell, generator)
    return scores


def _loss(logits: Tensor, truth: Tensor, inside: Tensor) -> tuple[Tensor, float]:
    """Soft Dice and cross entropy within the volume; and the mean Dice of the masks."""
    axes = (1, 2, 3, 4)
    likely = torch.sigmoid(logits) * inside
    shared = (likely * truth).sum(axes)
    soft = 1.0 - (2.0 * shared + 10.0) / (likely.sum(axes) + truth.sum(axes) + 10.0)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * inside
    entropy = entropy.sum(axes) / inside.sum(axes)
    with torch.no_grad():
        mask = (logits > 0).float() * inside
        overlap = float((2.0 * (mask * truth).sum(axes) / (mask.sum(axes) + truth.sum(axes)).clamp(min=1.0)).mean())
    return (soft + entropy).mean(), overlap


def _batches(samples: Samples, size: int, workers: int) -> Iterator[list[Sample]]:
    options: dict[str, Any] = {"prefetch_factor": 6} if workers else {}
    loader = DataLoader(samples, batch_size=size, num_workers=workers, collate_fn=list, **options)
    return iter(loader)


def _log(output: Path, step: int, seconds: float, history: list[list[float]]) -> None:
    turns = max(len(scores) for scores in history)
    dice = [
        round(sum(s[turn] for s in history if len(s) > turn) / sum(len(s) > turn for s in history), 4)
        for turn in range(turns)
    ]
    line = {"step": step, "seconds": round(seconds, 1), "dice_after_round": dice}
    print(json.dumps(line), flush=True)
    with (output / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _save(
    path: Path,
    step: int,
    seconds: float,
    schedule: Schedule,
    network: nn.Module,
    smoothed: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint; a run that is killed meanwhile keeps the one before."""
    state = {
        "step": step,
        "seconds": seconds,
        "schedule": asdict(schedule),
        "network": network.state_dict(),
        "smoothed": smoothed.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(path)


def _begin_with(network: nn.Module, weights: Path) -> None:
    tensors = load_file(weights)
    for name, own in network.state_dict().items():
        given = tensors[name].float()
        if given.shape != own.shape:
            wider = torch.zeros_like(own)
            wider[:, : given.shape[1]] = given
            tensors[name] = wider
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})


def _resume(path: Path, network: nn.Module, smoothed: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """The number of steps done, and the seconds that they took; 0 without a checkpoint."""
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    smoothed.load_state_dict(state["smoothed"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])
