"""What the network sees: the image in three windows and the prompts as maps, on a cube of equal cells.

Training and inference share this file, so that they cannot differ. All arrays are float32 tensors on a cube of ``n``
cells a side; ``cell`` is their size in mm. The cube's axes are those of the volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHANNELS = 13
REACH = 8.0  # mm over which the nearness of a point falls to 1/e
REACH_IN_CELLS = 4.0  # the same seen in cells, alike at every scale
LOCAL_WINDOW = 40.0  # HU around the object's own intensity


@dataclass(eq=False)
class PromptMaps:
    """Prompts on the cube, each (x, y, z); the least that training can add a click to.

    Attributes:
        positive: distance in mm to the nearest positive click (infinite without one).
        negative: the same for negative clicks.
        ends: distance in mm to the nearer of two extreme points.
        ball: 1 at the middle of the two extreme points, 0 on the ball through them, down to -1 beyond; 0 without them.
        stroke: 1 enclosed by a pen stroke, -1 on the rest of the slices that were outlined, else 0.
        box: 1 inside the box, -1 outside it, 0 without a box.
        previous: 1 in the previous mask, -1 outside it, 0 without one.
    """

    positive: Tensor
    negative: Tensor
    ends: Tensor
    ball: Tensor
    stroke: Tensor
    box: Tensor
    previous: Tensor

    @classmethod
    def empty(cls, side: int) -> PromptMaps:
        far = torch.full((side, side, side), float("inf"))
        nothing = torch.zeros((side, side, side))
        return cls(far, far, far, nothing, nothing, nothing, nothing)

    def add_click(self, position: tuple[float, float, float], positive: bool, cell: float) -> None:
        """A click at a position in cells."""
        distance = distance_to(position, self.positive.shape[0], cell)
        if positive:
            self.positive = torch.minimum(self.positive, distance)
        else:
            self.negative = torch.minimum(self.negative, distance)

    def add_pair(self, first: tuple[float, float, float], second: tuple[float, float, float], cell: float) -> None:
        """Two extreme points, in cells."""
        side = self.positive.shape[0]
        ends = torch.minimum(distance_to(first, side, cell), distance_to(second, side, cell))
        self.ends = torch.minimum(self.ends, ends)
        middle = ((first[0] + second[0]) / 2, (first[1] + second[1]) / 2, (first[2] + second[2]) / 2)
        radius = max(cell * sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5 / 2, 0.5 * cell)
        ball = (1.0 - distance_to(middle, side, cell) / radius).clamp(-1.0, 1.0)
        self.ball = torch.maximum(self.ball, ball) if bool(self.ball.any()) else ball

    def seed(self, cell: float) -> Tensor:
        """The cells that surely show the object: their median is the object's own intensity."""
        if bool((self.previous > 0).any()):
            return self.previous > 0
        near = (self.positive < 1.5 * cell) | (self.ball > 0.7) | (self.stroke > 0)
        if not bool(near.any()):
            near = self.ends < 1.5 * cell
        if not bool(near.any()):
            inside = torch.nonzero(self.box > 0).float()
            if len(inside):
                side = self.positive.shape[0]
                x, y, z = inside.mean(0).tolist()
                reach = 0.15 * cell * float((inside.amax(0) - inside.amin(0)).max() + 1)
                near = distance_to((x, y, z), side, cell) < max(reach, 1.5 * cell)
        return near


def distance_to(position: tuple[float, float, float], side: int, cell: float) -> Tensor:
    """(side, side, side) distance in mm from a position in cells."""
    cells = torch.arange(side, dtype=torch.float32)
    x, y, z = (((cells - p) * cell) ** 2 for p in position)
    return torch.sqrt(x[:, None, None] + y[None, :, None] + z)


def encode(image: Tensor, inside: Tensor, maps: PromptMaps, cell: float) -> Tensor:
    """The network's input.

    Args:
        image: (x, y, z) Hounsfield units, or another image brought to that range (``intensity.py``).
        inside: (x, y, z) 1 where the volume is, 0 beyond it.
        maps: the prompts.
        cell: mm.

    Returns:
        (CHANNELS, x, y, z).
    """
    seed = maps.seed(cell) & (inside > 0.5)
    own = float(image[seed].median()) if bool(seed.any()) else 40.0
    return torch.stack(
        [
            ((image - 40.0) / 200.0).clamp(-1.0, 1.0) * inside,
            ((image + 200.0) / 800.0).clamp(-1.0, 1.5) * inside,
            torch.tanh((image - own) / LOCAL_WINDOW) * inside,
            torch.exp(-maps.positive / REACH),
            torch.exp(-maps.negative / REACH),
            torch.exp(-maps.ends / REACH),
            maps.ball,
            maps.stroke,
            maps.box,
            maps.previous,
            inside,
            torch.exp(-maps.positive / (REACH_IN_CELLS * cell)),
            torch.exp(-maps.negative / (REACH_IN_CELLS * cell)),
        ]
    )
