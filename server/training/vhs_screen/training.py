"""The loop that teaches the network where screens are."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.utils.data import DataLoader

from imeasure_server.models.weights_file import save_weights
from imeasure_server.vhs.screen.architecture import SIDE, STRIDE, Answer, ScreenNetwork
from vhs_screen.samples import Sample, Samples, joined

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "screen.safetensors"
LOG_EVERY = 50
SAVE_EVERY = 250


@dataclass(frozen=True)
class Schedule:
    """What a run does.

    Attributes:
        steps: batches.
        minutes: of training after which it ends, whatever the steps; 0 for no such limit.
        batch: samples of a step.
        rate: of learning, at its highest.
        warm_up: steps in which it rises.
        decay_share: of the run, at the end, in which it falls to zero.
        seed: of all random numbers.
        average: how slowly the smoothed weights follow.
    """

    steps: int = 1_000_000
    minutes: float = 40.0
    batch: int = 16
    rate: float = 2e-3
    warm_up: int = 100
    decay_share: float = 0.6
    seed: int = 20261124
    average: float = 0.998

    def done(self, step: int, seconds: float) -> float:
        """The share of the run that is behind."""
        return max(step / self.steps, seconds / 60.0 / self.minutes if self.minutes else 0.0)

    def rate_at(self, step: int, seconds: float) -> float:
        rise = min(1.0, (step + 1) / self.warm_up)
        return self.rate * rise * min(1.0, max(0.0, 1.0 - self.done(step, seconds)) / self.decay_share)


def train(output: Path, samples: Samples, schedule: Schedule, device: str = "cpu", workers: int = 1) -> None:
    """Train, or go on training, in a folder.

    Args:
        output: holds the checkpoint, the log (``log.jsonl``) and the smoothed weights.
        samples: to learn from; a run that goes on should draw others.
        schedule: what to do.
        device: of torch.
        workers: processes that make samples; 0 makes them between the steps.

    Raises:
        ArithmeticError: the loss is no longer a number.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(schedule.seed)
    network, smoothed = ScreenNetwork().to(device), ScreenNetwork().to(device)
    smoothed.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.rate, weight_decay=1e-2)
    first, seconds = _resume(output / CHECKPOINT, network, smoothed, optimizer)
    batches = iter(DataLoader(samples, batch_size=schedule.batch, num_workers=workers, collate_fn=joined))
    started = time.monotonic() - seconds
    history: list[dict[str, float]] = []
    network.train()
    for step in range(first, schedule.steps):
        seconds = time.monotonic() - started
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step, seconds)
        history.append(_learn(network, optimizer, next(batches), device))
        _follow(smoothed, network, min(schedule.average, (1 + step) / (10 + step)))
        last = schedule.done(step + 1, time.monotonic() - started) >= 1.0
        if (step + 1) % LOG_EVERY == 0 or last:
            _log(output, step + 1, seconds, history)
            history = []
        if (step + 1) % SAVE_EVERY == 0 or last:
            _save(output / CHECKPOINT, step + 1, seconds, schedule, network, smoothed, optimizer)
            save_weights(output / WEIGHTS, smoothed)
        if last:
            break
    save_weights(output / WEIGHTS, smoothed)


def steps_done(output: Path) -> int:
    """Of the run whose checkpoint is in a folder; 0 without one."""
    path = output / CHECKPOINT
    return int(torch.load(path, weights_only=True)["step"]) if path.is_file() else 0


def _learn(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Sample, device: str) -> dict[str, float]:
    pictures = batch.picture.to(device).float() / 255.0
    with torch.autocast(device.partition(":")[0], dtype=torch.bfloat16):
        answer = network(pictures)
    losses = _losses(answer, batch, device)
    loss = 0.3 * losses["place"] + losses["heat"] + losses["mask"] + losses["screen"]
    if not bool(torch.isfinite(loss)):
        raise ArithmeticError("The loss is no longer a number: the last checkpoint is from before that.")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 2.0)
    optimizer.step()
    return {name: float(value.detach()) for name, value in losses.items()}


def _losses(answer: Answer, batch: Sample, device: str) -> dict[str, Tensor]:
    """``place`` is the mean error of a coordinate in per cent of the side; the others are cross entropies."""
    whole = batch.is_whole.to(device)
    places = batch.corners.to(device)
    count = whole.sum().clamp(min=1.0)
    away = functional.smooth_l1_loss(answer.corners, places, reduction="none", beta=0.5).mean((1, 2))
    heat = -(_target_heat(places, answer.heat.shape[2]) * answer.heat.flatten(2).log_softmax(-1)).sum(-1).mean(-1)
    judged = functional.binary_cross_entropy_with_logits(answer.is_screen, batch.is_screen.to(device))
    judged = judged + functional.binary_cross_entropy_with_logits(answer.is_whole, whole)
    return {
        "place": 100.0 / SIDE * (away * whole).sum() / count,
        "heat": (heat * whole).sum() / count,
        "mask": functional.binary_cross_entropy_with_logits(answer.mask, batch.mask.to(device)),
        "screen": judged,
    }


def _target_heat(places: Tensor, cells: int) -> Tensor:
    """Bells of one cell's width at the corners (n, 4, 2): (n, 4, cells²), each with the sum 1."""
    middles = (torch.arange(cells, device=places.device) + 0.5) * STRIDE
    x = -0.5 * ((places[..., :1] - middles) / STRIDE) ** 2
    y = -0.5 * ((places[..., 1:] - middles) / STRIDE) ** 2
    return (y[..., :, None] + x[..., None, :]).flatten(2).softmax(-1)


@torch.no_grad()
def _follow(smoothed: nn.Module, network: nn.Module, average: float) -> None:
    for mean, value in zip(smoothed.state_dict().values(), network.state_dict().values(), strict=True):
        mean.lerp_(value, 1.0 - average)


def _log(output: Path, step: int, seconds: float, history: list[dict[str, float]]) -> None:
    line: dict[str, float] = {"step": step, "seconds": round(seconds, 1)}
    line |= {name: round(sum(h[name] for h in history) / len(history), 4) for name in history[0]}
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
