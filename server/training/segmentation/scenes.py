"""Synthetic anatomy and scanners: a cube of organs, vessels and bones, and how a scanner would show it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Generator, Tensor

from segmentation.lesions import blurred, chance, cube_coordinates, smooth_field, uniform

TISSUES = {
    "soft": ((-110, -80), (30, 70), (30, 70), (40, 120), (0, 25), (60, 160)),
    "lung": ((-900, -780), (-900, -780), (-860, -700), (30, 70), (-110, -80)),
    "limb": ((-115, -85), (45, 70), (45, 70), (50, 75), (-115, -85)),
    "any": ((-1000, -900), (-110, -80), (0, 60), (40, 140), (100, 300), (-900, -700)),
}


def anatomy(side: int, cell: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """A scene without lesions.

    Returns:
        HU and organ labels, each (side, side, side).
    """
    coordinates = cube_coordinates(side, cell)
    extent = side * cell
    names = list(TISSUES)
    tissues = TISSUES[names[int(uniform(generator, 0, len(names)))]]
    warp = torch.stack([smooth_field(side, 5, generator) for _ in range(3)]) * extent * uniform(generator, 0.02, 0.1)
    warped = coordinates + warp
    count = int(uniform(generator, 2, 14))
    nearest = torch.full((side,) * 3, float("inf"))
    organs = torch.zeros((side,) * 3, dtype=torch.uint8)
    image = torch.zeros((side,) * 3)
    for organ in range(count):
        seed = (torch.rand(3, generator=generator) - 0.5) * extent * 1.3
        scale = 0.5 + torch.rand(3, generator=generator)
        distance = ((warped - seed[:, None, None, None]) * scale[:, None, None, None]).square().sum(0)
        low, high = tissues[int(uniform(generator, 0, len(tissues)))]
        closer = distance < nearest
        nearest = torch.where(closer, distance, nearest)
        organs[closer] = organ
        image[closer] = uniform(generator, low, high)
    image = image + uniform(generator, 0, 12) * smooth_field(side, int(uniform(generator, 4, side // 2)), generator)
    for _ in range(int(uniform(generator, 0, 6))):
        image, organs = _tube(image, organs, coordinates, generator)
    if chance(generator, 0.25):  # fat and skin, and air beyond
        direction = torch.randn(3, generator=generator)
        direction = direction / direction.norm()
        away = torch.einsum("i,ixyz->xyz", direction, warped) - uniform(generator, 0.15, 0.5) * extent
        fat = uniform(generator, 2, 30)
        image[away > -fat] = -100.0
        image[away > -2.0] = 20.0
        image[away > 0] = -1000.0
        organs[away > -fat], organs[away > 0] = 254, 255
    return image, organs


def _tube(image: Tensor, organs: Tensor, coordinates: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """A vessel, a bowel or a bone along one of the axes."""
    side = image.shape[0]
    extent = float(coordinates[0, -1, 0, 0] - coordinates[0, 0, 0, 0])
    axis = int(uniform(generator, 0, 3))
    others = [a for a in range(3) if a != axis]
    along = coordinates[axis] / extent * 2 * math.pi
    squared = torch.zeros((side,) * 3)
    for other in others:
        middle = (
            uniform(generator, -0.5, 0.5) * extent + uniform(generator, -0.6, 0.6) * extent * coordinates[axis] / extent
        )
        swing = (
            uniform(generator, 0, 0.12)
            * extent
            * torch.sin(along * uniform(generator, 0.3, 1.5) + uniform(generator, 0, 6))
        )
        squared = squared + (coordinates[other] - middle - swing).square()
    radius = math.exp(uniform(generator, math.log(1.0), math.log(18.0)))
    radial = squared.sqrt() / radius
    result, labels = image.clone(), organs.clone()
    kind = uniform(generator, 0, 1)
    if kind < 0.45:
        result[radial < 1] = uniform(generator, 40, 320)
    elif kind < 0.85:
        result[radial < 1] = uniform(generator, 500, 1300)
        result[radial < uniform(generator, 0.4, 0.85)] = uniform(generator, -60, 300)
    else:
        result[radial < 1] = uniform(generator, 20, 60)
        result[radial < 0.75] = uniform(generator, -950, 60)
    labels[radial < 1] = 250 + int(kind * 3)
    return result, labels


def slices(cube: Tensor, cell: float, thickness: float) -> Tensor:
    """Average a cube over slices of ``thickness`` mm along z, and interpolate back."""
    if thickness <= 1.3 * cell:
        return cube
    side = cube.shape[2]
    count = max(3, round(side * cell / thickness))
    rows = cube.reshape(1, side * side, side)
    pooled = functional.adaptive_avg_pool1d(rows, count)
    return functional.interpolate(pooled, size=side, mode="linear", align_corners=False).reshape(cube.shape)


def scan(image: Tensor, cell: float, thickness: float, generator: Generator) -> Tensor:
    """What a scanner shows: blur, slices, correlated noise, streaks."""
    blur = uniform(generator, 0.3, 1.0)
    seen = slices(blurred(image, blur, blur, 0.3), cell, thickness)
    noise = torch.randn(seen.shape, generator=generator)
    grain = uniform(generator, 0.0, 1.2)
    noise = blurred(noise, grain, grain, 0.0)
    level = math.exp(uniform(generator, math.log(3.0), math.log(35.0)))
    seen = seen + slices(noise / noise.std() * level, cell, thickness)
    if chance(generator, 0.08):
        seen = seen + _streaks(seen.shape[0], generator)[:, :, None]
    return seen


def _streaks(side: int, generator: Generator) -> Tensor:
    """(side, side) HU: rays from a point, as metal makes them."""
    cells = torch.arange(side, dtype=torch.float32)
    x, y = torch.meshgrid(cells - uniform(generator, 0, side), cells - uniform(generator, 0, side), indexing="ij")
    angle = torch.atan2(y, x)
    rays = torch.zeros_like(x)
    for _ in range(4):
        rays = rays + torch.sin(angle * int(uniform(generator, 2, 24)) + uniform(generator, 0, 6))
    return uniform(generator, 5, 40) * rays / (1 + torch.sqrt(x.square() + y.square()) / (side / 3))


def other_modality(image: Tensor, generator: Generator) -> Tensor:
    """Intensities mapped at random, as if by another modality, then brought to a CT-like range by their percentiles."""
    knots = (
        torch.randn(12, generator=generator).cumsum(0)
        if chance(generator, 0.5)
        else torch.randn(12, generator=generator)
    )
    place = ((image.clamp(-1000, 400) + 1000) / 1400 * 10.999).clamp(0, 10.999)
    fine = ((image.clamp(-200, 300) + 200) / 500 * 10.999).clamp(0, 10.999)
    place = fine if chance(generator, 0.6) else place
    lower = place.floor().long()
    mapped = knots[lower] + (knots[lower + 1] - knots[lower]) * (place - lower)
    low, high = torch.quantile(mapped[::3, ::3, ::3].reshape(-1), torch.tensor([0.01, 0.99]))
    return -160.0 + 400.0 * (mapped - low) / (high - low).clamp(min=1e-3)
