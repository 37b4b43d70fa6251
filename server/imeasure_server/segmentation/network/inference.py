"""The network on a device: encoded cubes in, log odds out."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imeasure_server.imaging.volume import BoolArray
from imeasure_server.segmentation.network.architecture import quality_logits
from imeasure_server.segmentation.network.cube import Cube, Float32Array
from imeasure_server.segmentation.network.encoding import CHANNELS, encode
from imeasure_server.segmentation.network.prompt_maps import maps_on
from imeasure_server.segmentation.network.views import SIDE, View
from imeasure_server.segmentation.prompts import Prompts

MIRRORED = tuple(axes for n in range(4) for axes in itertools.combinations((2, 3, 4), n))
"""All ways to mirror a cube, none first."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network sees on one cube.

    Attributes:
        cube: where.
        odds: (side, side, side) log odds of being the object.
        quality: the Dice with the whole object that this answer is expected to have.
    """

    cube: Cube
    odds: Float32Array
    quality: float


class Predictor:
    """Runs the network in the precision that is fastest on its device.

    Args:
        network: with its weights.
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: to compute in; None for the fastest on the device.
    """

    def __init__(self, network: nn.Module, device: str, precision: torch.dtype | None = None) -> None:
        self.device = device
        self._network = network.eval().to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.precision = precision or _fastest_precision(self._network, device)

    def look(
        self, view: View, cubes: list[Cube], prompts: Prompts, previous: BoolArray | None, mirrorings: int = 1
    ) -> list[Answer]:
        """What the network sees on each cube.

        Args:
            view: of the volume.
            cubes: where to look.
            prompts: what was asked.
            previous: (x, y, z) the mask to improve, or None.
            mirrorings: 1 to 8; the mean over so many mirrored cubes is steadier, and takes as many times longer.
        """
        inputs = torch.stack(
            [
                encode(
                    torch.from_numpy(view.image(cube)),
                    torch.from_numpy(cube.inside()),
                    maps_on(cube, prompts, previous),
                    cube.cell,
                )
                for cube in cubes
            ]
        ).to(self.device)
        total = torch.zeros((len(cubes), 2, *inputs.shape[2:]), device=self.device)
        for axes in MIRRORED[:mirrorings]:
            seen = inputs.flip(axes) if axes else inputs  # flipping nothing would copy all
            answer = run(self._network, seen, self.precision).float()
            total += answer.flip(axes) if axes else answer
        output = total / mirrorings
        odds, quality = output[:, 0].cpu().numpy(), torch.sigmoid(quality_logits(output)).tolist()
        return [Answer(*answer) for answer in zip(cubes, odds, quality, strict=True)]


def run(network: nn.Module, inputs: Tensor, precision: torch.dtype) -> Tensor:
    """The network's answer (n, 2, x, y, z) to encoded cubes, without gradients."""
    kind = inputs.device.type
    inputs = inputs.contiguous(memory_format=torch.channels_last_3d)
    half = precision if precision != torch.float32 else torch.bfloat16
    with torch.inference_mode(), torch.autocast(kind, dtype=half, enabled=precision != torch.float32):
        result: Tensor = network(inputs)
    return result


def _fastest_precision(network: nn.Module, device: str) -> torch.dtype:
    """fp16 on CUDA; on a CPU bf16 where it is clearly faster, by trying; else fp32."""
    if device.startswith("cuda"):
        return torch.float16
    if device != "cpu":
        return torch.float32
    probe = torch.zeros(1, CHANNELS, SIDE, SIDE, SIDE)
    seconds = dict.fromkeys((torch.float32, torch.bfloat16), float("inf"))
    for _ in range(3):
        for precision in seconds:
            start = time.perf_counter()
            run(network, probe, precision)
            seconds[precision] = min(seconds[precision], time.perf_counter() - start)
    return torch.bfloat16 if seconds[torch.bfloat16] < 0.8 * seconds[torch.float32] else torch.float32
