"""Endless training samples: an image, a lesion's mask, and the first prompts of a simulated person."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Generator, Tensor
from torch.utils.data import IterableDataset, get_worker_info

from imeasure_server.segmentation.network.encoding import PromptMaps
from segmentation import scenes
from segmentation.interaction import first_prompts
from segmentation.lesions import (
    chance,
    cube_coordinates,
    lesion_occupancy,
    paint,
    smooth_field,
    uniform,
)
from segmentation.real_volumes import Volumes

CLICKED_SHARE = 0.45
"""Of the samples that show what one click shows: a cube of any size with the click in its middle."""
LEAST_CELLS = 12
"""Of a lesion that other prompts than a click are made for."""
NOTHING_SHARE = 0.03
"""Of the samples without an object."""
MEAN_FILLING = 0.275
"""Volume of a synthetic lesion that is cut off, as a share of its diameter's cube: the mean of the ellipsoids."""


@dataclass(eq=False)
class Sample:
    """One lesion on a cube; arrays are (x, y, z).

    Attributes:
        image: HU.
        truth: 0 or 1.
        inside: 1 where the volume is.
        cell: mm.
        maps: the first prompts.
        whole: cells of the whole lesion, also beyond the cube; 0 when there is none.
    """

    image: Tensor
    truth: Tensor
    inside: Tensor
    cell: float
    maps: PromptMaps
    whole: float


class Samples(IterableDataset[Sample]):
    """Samples without end; the same seed, worker and start give the same ones.

    Args:
        volumes: patients with a lesion and CT to implant lesions into (``load_volumes``); both may be empty.
        side: cells of the cube's side.
        seed: of the random numbers.
        real_share: of samples that show a real lesion.
        implanted_share: of samples with a synthetic lesion in a real CT.
    """

    def __init__(
        self, volumes: Volumes, side: int, seed: int, real_share: float = 0.5, implanted_share: float = 0.2
    ) -> None:
        self.side, self.seed = side, seed
        self.patients, self.backgrounds = volumes
        self.real_share = real_share if self.patients else 0.0
        self.implanted_share = implanted_share if self.backgrounds else 0.0

    def __iter__(self):  # type: ignore[no-untyped-def]
        worker = get_worker_info()
        torch.set_num_threads(1)
        generator = Generator().manual_seed(self.seed * 1009 + (worker.id if worker else 0))
        while True:
            sample = self.draw(generator)
            if sample is not None:
                yield sample

    def draw(self, generator: Generator) -> Sample | None:
        """One sample, or None when chance left no lesion to see."""
        if chance(generator, NOTHING_SHARE):
            return self._nothing(generator)
        clicked = chance(generator, CLICKED_SHARE)
        kind = uniform(generator, 0, 1)
        if kind < self.real_share:
            made = self._real(generator, clicked)
        else:
            made = self._synthetic(generator, clicked, implanted=kind < self.real_share + self.implanted_share)
        image, truth, inside, cell, whole = made
        middle = (self.side // 2,) * 3
        if clicked and not bool(inside[middle]):  # nobody can click beyond the image
            return None
        too_small = not bool(truth.any())  # for these cells: another cube shows it
        clicked = clicked and (too_small or bool(truth[middle]))
        truth = _one_part(truth, middle if clicked else None)
        if not clicked and float(truth.sum()) < LEAST_CELLS:
            return None
        if chance(generator, 0.12):
            image = scenes.other_modality(image, generator)
        maps = self._click(cell) if clicked else first_prompts(truth, cell, generator)
        return Sample(image, truth, inside, cell, maps, max(whole, float(truth.sum())))

    def _click(self, cell: float) -> PromptMaps:
        """A click in the middle."""
        maps = PromptMaps.empty(self.side)
        place = (self.side - 1) / 2
        maps.add_click((place, place, place), True, cell)
        return maps

    def _nothing(self, generator: Generator) -> Sample:
        """A click where there is no object: in featureless ground, or in air beside a wall."""
        side = self.side
        cell = max(math.exp(uniform(generator, math.log(16.0), math.log(300.0))) / side, 0.2)
        level = uniform(generator, -120, 120) if chance(generator, 0.6) else uniform(generator, -1000, -900)
        image = torch.full((side,) * 3, level)
        if chance(generator, 0.4):
            direction = torch.randn(3, generator=generator)
            away = torch.einsum("i,ixyz->xyz", direction / direction.norm(), cube_coordinates(side, cell))
            wall = uniform(generator, -120, 120) if level < -500 else uniform(generator, -1000, 300)
            image[away > uniform(generator, 0.05, 0.5) * side * cell] = wall
        thickness = math.exp(uniform(generator, math.log(0.5), math.log(7.0)))
        image = scenes.scan(image, cell, thickness, generator)
        nothing = torch.zeros((side,) * 3)
        return Sample(image, nothing, torch.ones((side,) * 3), cell, self._click(cell), 0.0)

    def _real(self, generator: Generator, clicked: bool) -> tuple[Tensor, Tensor, Tensor, float, float]:
        patient = self.patients[int(torch.randint(len(self.patients), (1,), generator=generator))]
        if clicked:
            extent = patient.diameter * math.exp(uniform(generator, math.log(0.2), math.log(5.0)))
            deep = chance(generator, 0.6)
            centre = patient.deep_place(generator) if deep else patient.random_place(generator, in_lesion=True)
        else:
            extent = patient.diameter * math.exp(uniform(generator, math.log(0.9), math.log(3.0)))
            if chance(generator, 0.2):
                centre = patient.random_place(generator, in_lesion=True)
            else:
                centre = patient.middle + (torch.rand(3, generator=generator) - 0.5) * 0.3 * patient.diameter
        zoom = math.exp(uniform(generator, -0.7, 0.25))  # a mass may be a smaller one, seen nearer
        image, truth, inside, whole = patient.cube(centre, self.side, extent / self.side, generator)
        image = image * uniform(generator, 0.92, 1.08) + uniform(generator, -15, 15)
        if chance(generator, 0.5):
            image = image + uniform(generator, 2, 15) * torch.randn(image.shape, generator=generator)
        if chance(generator, 0.15):
            image = image + uniform(generator, 5, 25) * smooth_field(self.side, 4, generator)
        if chance(generator, 0.25):  # more or less contrast of the mass against what surrounds it
            image = image + uniform(generator, -25, 40) * truth
        return image, (truth * inside > 0.5).float(), inside, extent / self.side * zoom, whole

    def _synthetic(
        self, generator: Generator, clicked: bool, implanted: bool
    ) -> tuple[Tensor, Tensor, Tensor, float, float]:
        side = self.side
        diameter = math.exp(uniform(generator, math.log(3.0), math.log(200.0 if not implanted else 90.0)))
        least, most = (0.25, 7.0) if clicked else (0.9, 3.5)
        extent = max(diameter, 5.0) * math.exp(uniform(generator, math.log(least), math.log(most)))
        if clicked and chance(generator, 0.35):  # whatever the size, as one click is looked at
            extent = max(0.25 * diameter, math.exp(uniform(generator, math.log(16.0), math.log(300.0))))
        cell = max(extent / side, 0.25)
        thickness = math.exp(uniform(generator, math.log(0.5), math.log(7.0)))
        inside = torch.ones((side,) * 3)
        if implanted:
            chosen = self.backgrounds[int(torch.randint(len(self.backgrounds), (1,), generator=generator))]
            image, _, inside, _ = chosen.cube(chosen.random_place(generator, in_lesion=False), side, cell, generator)
            organs = None
            thickness = min(thickness, 3.0)
        else:
            image, organs = scenes.anatomy(side, cell, generator)
        coordinates = cube_coordinates(side, cell)
        if clicked:
            centre = (torch.rand(3, generator=generator) - 0.5) * uniform(generator, 0.0, 0.45) * diameter
        else:
            centre = (torch.rand(3, generator=generator) - 0.5) * uniform(generator, 0.05, 0.35) * side * cell
        occupancy, depth = lesion_occupancy(coordinates, centre, diameter, generator)
        core = depth > 0.4
        around = float(image[core].median()) if bool(core.any()) else float(image[side // 2, side // 2, side // 2])
        if around < -930:
            around = -850.0
        if chance(generator, 0.45):  # ends at a wall
            allowed = (
                organs == organs[_index(centre, side, cell)] if organs is not None else (image - around).abs() < 60
            )
            occupancy = occupancy * torch.from_numpy(ndimage.binary_opening(allowed.numpy())).float()
        for _ in range(int(uniform(generator, 0, 3.5))):  # others like it, not meant
            place = (torch.rand(3, generator=generator) - 0.5) * side * cell * 0.9
            other, other_depth = lesion_occupancy(
                coordinates, place, diameter * uniform(generator, 0.3, 1.1), generator
            )
            other = other * (1 - occupancy).clamp(0, 1) * ~_surroundings(occupancy)
            image = paint(image, other, other_depth, cell, around, generator)
        image = paint(image, occupancy, depth, cell, around, generator)
        if implanted:
            image = image + uniform(generator, 0, 12) * torch.randn(image.shape, generator=generator)
            truth = occupancy
        else:
            image = scenes.scan(image, cell, thickness, generator)
            truth = scenes.slices(occupancy, cell, thickness)
        if chance(generator, 0.45):
            inside = inside * _crop(centre, diameter, coordinates, generator)
        truth = truth * inside
        truth = (truth > 0.5).float()
        whole = MEAN_FILLING * (diameter / cell) ** 3 if _reaches_a_face(truth) else float(occupancy.sum())
        return image, truth, inside, cell, whole


def _surroundings(occupancy: Tensor) -> Tensor:
    """The lesion and two cells around it."""
    return torch.from_numpy(ndimage.binary_dilation(occupancy.numpy() >= 0.1, iterations=2))


def _crop(centre: Tensor, diameter: float, coordinates: Tensor, generator: Generator) -> Tensor:
    """1 in a box around a lesion, as a client sends it or as a scan ends; it may cut a little of the lesion off."""
    inside = torch.ones(coordinates.shape[1:])
    for axis in range(3):
        for sign in (-1.0, 1.0):
            if chance(generator, 0.7):
                reach = diameter * uniform(generator, 0.3, 0.6) + uniform(generator, 2.0, 60.0)
                inside = inside * (sign * (coordinates[axis] - centre[axis]) < reach)
    return inside


def _reaches_a_face(truth: Tensor) -> bool:
    return any(bool(truth.select(axis, end).any()) for axis in range(3) for end in (0, -1))


def _index(position: Tensor, side: int, cell: float) -> tuple[int, int, int]:
    x, y, z = (int(v) for v in (position / cell + (side - 1) / 2).round().clamp(0, side - 1))
    return x, y, z


def _one_part(truth: Tensor, place: tuple[int, int, int] | None) -> Tensor:
    """The connected part at a place, or the largest one."""
    labels, count = ndimage.label(truth.numpy() > 0.5)
    if count < 2:
        return truth
    part = int(labels[place]) if place is not None else int(np.bincount(labels.ravel())[1:].argmax()) + 1
    return torch.from_numpy(labels == part).float()
