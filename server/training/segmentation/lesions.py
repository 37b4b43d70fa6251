"""Synthetic lesions: a shape and its intensities, painted into a cube of Hounsfield units."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Generator, Tensor


def uniform(generator: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=generator))


def chance(generator: Generator, share: float) -> bool:
    return float(torch.rand(1, generator=generator)) < share


def smooth_field(side: int, knots: int, generator: Generator) -> Tensor:
    """(side, side, side) smooth noise, about -2 to 2, with ``knots`` independent values a side."""
    coarse = torch.randn(1, 1, knots, knots, knots, generator=generator)
    return functional.interpolate(coarse, size=(side,) * 3, mode="trilinear", align_corners=True)[0, 0]


def cube_coordinates(side: int, cell: float) -> Tensor:
    """(3, side, side, side) position in mm of each cell from the cube's middle."""
    axis = (torch.arange(side) - (side - 1) / 2) * cell
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))


def random_rotation(generator: Generator) -> Tensor:
    """A 3x3 rotation, all directions alike."""
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    return q * torch.sign(torch.diagonal(r))


def _ellipsoid(coordinates: Tensor, centre: Tensor, radii: Tensor, generator: Generator) -> Tensor:
    offsets = coordinates - centre[:, None, None, None]
    turned = torch.einsum("ij,jxyz->ixyz", random_rotation(generator) / radii[:, None], offsets)
    return turned.square().sum(0).sqrt()


def lesion_occupancy(
    coordinates: Tensor, centre: Tensor, diameter: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """A lesion's shape: an ellipsoid, lobulated, spiculated or deformed.

    Args:
        coordinates: from ``cube_coordinates``.
        centre: (3,) mm.
        diameter: longest, mm, about.
        generator: of random numbers.

    Returns:
        Occupancy 0 to 1, and depth (1 at the middle, 0 at the boundary, negative outside), each (x, y, z).
    """
    side = coordinates.shape[1]
    cell = float(coordinates[0, 1, 0, 0] - coordinates[0, 0, 0, 0])
    radii = diameter / 2 * (0.45 + 0.55 * torch.rand(3, generator=generator))
    radii[0] = diameter / 2
    radial = _ellipsoid(coordinates, centre, radii, generator)
    if chance(generator, 0.35):  # lobulated
        for _ in range(int(uniform(generator, 1, 4))):
            shift = torch.randn(3, generator=generator) * radii.mean() * 0.45
            radial = torch.minimum(
                radial, _ellipsoid(coordinates, centre + shift, radii * uniform(generator, 0.4, 0.8), generator)
            )
    size = diameter / (side * cell)  # share of the cube
    knots = max(2, min(side // 3, int(uniform(generator, 2, 5) / max(size, 0.1))))
    radial = radial + uniform(generator, 0.0, 0.22) * smooth_field(side, knots, generator)
    if chance(generator, 0.12):  # spiculated
        fine = smooth_field(side, min(side // 2, 3 * knots), generator)
        radial = radial - uniform(generator, 0.1, 0.35) * functional.relu(fine - 0.7) * (radial < 1.9)
    depth = 1.0 - radial
    return torch.sigmoid(depth * float(radii.mean()) / (0.4 * cell)), depth


def paint(image: Tensor, occupancy: Tensor, depth: Tensor, cell: float, around: float, generator: Generator) -> Tensor:
    """Paint a lesion of random kind over an image.

    Args:
        image: (x, y, z) HU.
        occupancy: 0 to 1.
        depth: 1 at the middle, 0 at the boundary.
        cell: mm.
        around: typical HU where the lesion is.
        generator: of random numbers.
    """
    side = image.shape[0]
    texture = smooth_field(side, int(uniform(generator, 4, side // 2)), generator)
    if around < -500:  # lung
        base = uniform(generator, -750, -350) if chance(generator, 0.25) else uniform(generator, -60, 110)
    elif chance(generator, 0.4):  # low contrast
        base = around + uniform(generator, 10, 30) * (1 if chance(generator, 0.5) else -1)
    elif chance(generator, 0.12):  # with fat
        base = uniform(generator, -120, 10)
    else:
        base = around + uniform(generator, 20, 110) * (1 if chance(generator, 0.45) else -1)
    inside = base + uniform(generator, 0, 18) * texture
    if chance(generator, 0.2):  # necrotic core
        core = torch.sigmoid((depth - uniform(generator, 0.15, 0.6) + 0.15 * texture) * 12)
        inside = inside * (1 - core) + uniform(generator, -5, 35) * core
    if chance(generator, 0.15):  # enhancing rim
        inside = inside + uniform(generator, 20, 90) * torch.exp(-((depth - 0.12) / 0.12).square())
    if chance(generator, 0.12):  # parts of another intensity
        part = torch.sigmoid((smooth_field(side, int(uniform(generator, 3, 8)), generator) - 0.3) * 6)
        inside = inside + uniform(generator, -90, 90) * part
    if chance(generator, 0.08):  # calcified specks
        inside = inside + 500 * (smooth_field(side, side // 2, generator) > 1.6)
    alpha = occupancy
    if chance(generator, 0.3):  # ill-defined
        alpha = blurred(alpha, uniform(generator, 0.3, 1.8))
    return image * (1 - alpha) + inside * alpha


def blurred(image: Tensor, *sigma: float) -> Tensor:
    """Gaussian blur of (x, y, z); one sigma in cells, or one for each axis."""
    sigmas = sigma if len(sigma) == 3 else sigma * 3
    result = image[None, None]
    for axis, value in enumerate(sigmas):
        if value < 0.15:
            continue
        reach = max(1, int(2.5 * value + 0.5))
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / value).square())
        shape, padding = [1, 1, 1, 1, 1], [0] * 6
        shape[2 + axis] = len(offsets)
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = reach
        result = functional.conv3d(
            functional.pad(result, padding, mode="replicate"), (kernel / kernel.sum()).reshape(shape)
        )
    return result[0, 0]
