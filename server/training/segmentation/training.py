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
from torch import Generator, Tensor, distributed, nn
from torch.utils.data import DataLoader

from imeasure_server.segmentation.network.architecture import build_network, quality_logits
from imeasure_server.segmentation.network.encoding import encode
from imeasure_server.segmentation.network.weights import save_weights
from segmentation.interaction import correct
from segmentation.real_volumes import Volumes, load_volumes
from segmentation.samples import Sample, Samples

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "promptable.safetensors"
LOG_EVERY = 50
SAVE_EVERY = 250
QUALITY_WEIGHT = 0.3


@dataclass(frozen=True)
class Schedule:
    """What a run does; every value is in the checkpoint.

    Attributes:
        steps: batches of first prompts; each is followed by up to three rounds of corrections.
        minutes: of training after which it ends, whatever the steps; 0 for no such limit. The rate follows the one
            of the two that is farther on.
        batch: samples of each process on full cubes; of coarse ones twice as many.
        side: of the cube, in cells.
        coarse_side: of the cubes that the run begins with.
        coarse_share: of the run, with them.
        rate: of learning, at its highest.
        warm_up: steps in which it rises.
        decay_share: of the steps, at the end, in which it falls to zero.
        real_share: of the samples that show a real lesion.
        seed: of all random numbers.
        average: how slowly the smoothed weights follow.
    """

    steps: int = 1_000_000
    minutes: float = 110.0
    batch: int = 2
    side: int = 48
    coarse_side: int = 32
    coarse_share: float = 0.4
    rate: float = 1.5e-3
    warm_up: int = 200
    decay_share: float = 0.4
    real_share: float = 0.5
    seed: int = 20261124
    average: float = 0.999

    def done(self, step: int, seconds: float) -> float:
        """The share of the run that is behind."""
        return max(step / self.steps, seconds / 60.0 / self.minutes if self.minutes else 0.0)

    def rate_at(self, step: int, seconds: float) -> float:
        rise = min(1.0, (step + 1) / self.warm_up)
        fall = min(1.0, max(0.0, 1.0 - self.done(step, seconds)) / max(self.decay_share, 1e-6))
        return self.rate * rise * fall

    def coarse_at(self, step: int, seconds: float) -> bool:
        """Whether the cubes are the coarse ones."""
        return self.done(step, seconds) < self.coarse_share


@dataclass(frozen=True)
class Place:
    """Which of several processes this is, each with its share of every batch.

    Attributes:
        rank: 0 writes the files.
        count: of processes; 1 needs no group.
        device: of torch.
        workers: processes that make samples for this one; 0 makes them between the steps.
    """

    rank: int = 0
    count: int = 1
    device: str = "cpu"
    workers: int = 0


def train(
    output: Path, data: Path | None, schedule: Schedule, place: Place | None = None, start_from: Path | None = None
) -> None:
    """Train, or go on training, in a folder.

    Args:
        output: holds the checkpoint, the log (``log.jsonl``) and the weights.
        data: folder of real images, or None.
        schedule: what to do.
        place: this process among several of one group (``torch.distributed``), which call this alike.
        start_from: weights to begin with when the folder holds no checkpoint.
    """
    place = place or Place()
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(schedule.seed)
    network = build_network().to(place.device, memory_format=torch.channels_last_3d)
    if start_from is not None:
        network.load_state_dict({name: tensor.float() for name, tensor in load_file(start_from).items()})
    smoothed = build_network().to(place.device)
    smoothed.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.rate, weight_decay=1e-2)
    first, seconds = _resume(output / CHECKPOINT, network, smoothed, optimizer)
    source = _Source(load_volumes(data), schedule, place, first)
    own = Generator().manual_seed(schedule.seed + 7 * first + 1 + 1009 * place.rank)
    shared = Generator().manual_seed(schedule.seed + 13 * first)
    started = time.monotonic() - seconds
    history: list[list[float]] = []
    network.train()
    for step in range(first, schedule.steps):
        seconds = _agreed(time.monotonic() - started, place)
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step, seconds)
        rounds = 1 + int(torch.multinomial(torch.tensor([0.35, 0.3, 0.2, 0.15]), 1, generator=shared))
        batch = source.batch(schedule.coarse_at(step, seconds))
        history.append(_rounds(network, optimizer, batch, rounds, place, own))
        follow = min(schedule.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(smoothed.state_dict().values(), network.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1.0 - follow)
        last = schedule.done(step + 1, seconds) >= 1.0
        if place.rank == 0 and ((step + 1) % LOG_EVERY == 0 or last):
            _log(output, step + 1, seconds, history)
            history = []
        if place.rank == 0 and ((step + 1) % SAVE_EVERY == 0 or last):
            _save(output / CHECKPOINT, step + 1, seconds, schedule, network, smoothed, optimizer)
            save_weights(output / WEIGHTS, smoothed)
        if last:
            break
    if place.rank == 0:
        save_weights(output / WEIGHTS, smoothed)


class _Source:
    """Batches of coarse and of full cubes."""

    def __init__(self, volumes: Volumes, schedule: Schedule, place: Place, first: int) -> None:
        seed = schedule.seed + first + 100_003 * place.rank
        self._batches = {
            coarse: _batches(Samples(volumes, side, seed, schedule.real_share), size, place.workers)
            for coarse, side, size in (
                (False, schedule.side, schedule.batch),
                (True, schedule.coarse_side, 2 * schedule.batch),
            )
        }

    def batch(self, coarse: bool) -> list[Sample]:
        return next(self._batches[coarse])


def _agreed(seconds: float, place: Place) -> float:
    """The first process's clock, so that all do the same."""
    if place.count == 1:
        return seconds
    clock = torch.tensor([seconds], dtype=torch.float64)
    distributed.broadcast(clock, 0)
    return float(clock)


def _share_gradients(network: nn.Module, count: int) -> None:
    """The mean of all processes' gradients becomes each one's own."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= count
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


def _rounds(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: list[Sample],
    rounds: int,
    place: Place,
    generator: Generator,
) -> list[float]:
    """One batch with its first prompts and some rounds of corrections; the Dice of each round."""
    device = place.device
    truth = torch.stack([sample.truth for sample in batch])[:, None].to(device)
    inside = torch.stack([sample.inside for sample in batch])[:, None].to(device)
    whole = torch.tensor([sample.whole for sample in batch], device=device)
    scores = []
    for turn in range(rounds):
        encoded = torch.stack([encode(s.image, s.inside, s.maps, s.cell) for s in batch])
        encoded = encoded.to(device, memory_format=torch.channels_last_3d)
        with torch.autocast(device.partition(":")[0], dtype=torch.bfloat16):
            output = network(encoded)
        logits = output[:, :1].float()
        loss, overlap = _loss(logits, truth, inside)
        loss = loss + QUALITY_WEIGHT * _quality_loss(output, truth, inside, whole)
        if not bool(torch.isfinite(loss)):
            raise ArithmeticError("The loss is no longer a number: the last checkpoint is from before that.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if place.count > 1:
            _share_gradients(network, place.count)
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
    entropy = entropy.sum(axes) / inside.sum(axes).clamp(min=1.0)
    with torch.no_grad():
        mask = (logits > 0).float() * inside
        overlap = float((2.0 * (mask * truth).sum(axes) / (mask.sum(axes) + truth.sum(axes)).clamp(min=1.0)).mean())
    return (soft + entropy).mean(), overlap


def _quality_loss(output: Tensor, truth: Tensor, inside: Tensor, whole: Tensor) -> Tensor:
    """Cross entropy of the expected Dice against the Dice that the answer has with the whole object."""
    with torch.no_grad():
        mask = (output[:, :1].float() > 0) * inside
        shared = (mask * truth).sum((1, 2, 3, 4))
        dice = 2.0 * shared / (mask.sum((1, 2, 3, 4)) + whole).clamp(min=1.0)
    return functional.binary_cross_entropy_with_logits(quality_logits(output), dice)


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


def _resume(path: Path, network: nn.Module, smoothed: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """The number of steps done, and the seconds that they took; 0 without a checkpoint."""
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    smoothed.load_state_dict(state["smoothed"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])
