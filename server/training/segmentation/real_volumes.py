"""Cubes cut from real CT: turned, flipped, stretched, bent, with or without the lesion's mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as functional
from scipy import ndimage
from torch import Generator, Tensor

from segmentation.lesions import blurred, chance, smooth_field, uniform

BACKGROUNDS = ("abdomen_3mm_ct", "aorta_1p5mm_ct", "pulmart_1p5mm_ct", "thorax_pelvis_3mm_ct")


class RealVolume:
    """One CT at several resolutions, with its lesion mask where it has one.

    Args:
        image: path of the CT.
        mask: path of the lesion's mask, or None.
    """

    def __init__(self, image: Path, mask: Path | None) -> None:
        picture = sitk.ReadImage(str(image))
        values = torch.from_numpy(sitk.GetArrayFromImage(picture).astype("float32")).permute(2, 1, 0).contiguous()
        self.spacing = torch.tensor(picture.GetSpacing(), dtype=torch.float32)
        self.levels = [values.half()]
        self.steps = [float(self.spacing.min())]
        while self.steps[-1] < 4.0:  # a pyramid against aliasing: each level has half the resolution
            step = self.steps[-1] * 2
            factors = (step / self.spacing).clamp(min=1.0)
            smooth = blurred(values, *(0.45 * (factors - 0.99).clamp(min=0.0)).tolist())
            self.levels.append(smooth.half())
            self.steps.append(step)
        self.truth: Tensor | None = None
        self.middle = self.spacing * 0
        self.half_edges = self.spacing * 0
        self.diameter = 0.0
        self.lesion_volume = 0.0  # mm³
        self.deep = torch.zeros((0, 3), dtype=torch.long)
        if mask is not None:
            self.truth = (
                torch.from_numpy(sitk.GetArrayFromImage(sitk.ReadImage(str(mask))) > 0).permute(2, 1, 0).contiguous()
            )
            found = torch.nonzero(self.truth).float() * self.spacing
            lower, upper = found.amin(0), found.amax(0)
            self.lesion_volume = len(found) * float(self.spacing.prod())
            self.deep = self._deep_voxels(self.truth)
            self.middle = (lower + upper) / 2
            self.half_edges = (upper - lower) / 2
            self.diameter = float((upper - lower).max())

    def _deep_voxels(self, truth: Tensor) -> Tensor:
        """(n, 3) voxels of a mask that are at least 0.75 times as deep in it as the deepest, in mm."""
        depth = ndimage.distance_transform_edt(np.pad(truth.numpy(), 1), sampling=self.spacing.tolist())
        depth = depth[1:-1, 1:-1, 1:-1]
        return torch.from_numpy(np.argwhere(depth >= 0.75 * depth.max()))

    def deep_place(self, generator: Generator) -> Tensor:
        """(3,) mm from the first voxel: deep in the lesion."""
        return self.deep[int(torch.randint(len(self.deep), (1,), generator=generator))].float() * self.spacing

    def random_place(self, generator: Generator, in_lesion: bool) -> Tensor:
        """(3,) mm from the first voxel: in the lesion, or in tissue that is not air."""
        if in_lesion and self.truth is not None:
            found = torch.nonzero(self.truth)
        else:
            found = torch.nonzero(self.levels[0][::4, ::4, ::2] > -950) * torch.tensor([4, 4, 2])
        pick = found[int(torch.randint(len(found), (1,), generator=generator))]
        return pick.float() * self.spacing

    def _known_part(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """The part of the volume that a sample may show, as continuous indices of its faces.

        The sts-ibsi images end 30 mm beyond the lesion: where they end must not tell where it ends.
        """
        size = torch.tensor(self.levels[0].shape, dtype=torch.float32)
        first, last = torch.full((3,), -0.5), size - 0.5
        if self.truth is not None and chance(generator, 0.9):
            half = self.half_edges / self.spacing
            middle = self.middle / self.spacing
            # From a tenth of the lesion cut off to all there is, on each side on its own.
            room = torch.rand(2, 3, generator=generator) * 1.15 - 0.15
            inner = 0.8 * half
            first = torch.maximum(first, middle - torch.lerp(inner, half + 30.0 / self.spacing, room[0].clamp(min=0)))
            last = torch.minimum(last, middle + torch.lerp(inner, half + 30.0 / self.spacing, room[1].clamp(min=0)))
        return first, last

    def cube(
        self, centre: Tensor, side: int, cell: float, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        """Cut a cube at random orientation around a place.

        Args:
            centre: (3,) mm from the first voxel.
            side: cells.
            cell: mm.
            generator: of random numbers.

        Returns:
            HU, mask (0 without one) and what lies inside the volume, each (side, side, side); and how many cells the
            whole lesion takes, also beyond the cube.
        """
        turn = uniform(generator, -0.8, 0.8)
        tilt = uniform(generator, -0.15, 0.15)
        cos, sin = torch.cos(torch.tensor(turn)), torch.sin(torch.tensor(turn))
        about_z = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        cos, sin = torch.cos(torch.tensor(tilt)), torch.sin(torch.tensor(tilt))
        about_x = torch.tensor([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
        stretch = torch.diag(torch.tensor([uniform(generator, 0.85, 1.18) for _ in range(3)]))
        flips = torch.diag(torch.tensor([1.0 if chance(generator, 0.5) else -1.0 for _ in range(3)]))
        matrix = about_z @ about_x @ stretch @ flips
        axis = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2) * cell
        grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
        if chance(generator, 0.6):
            bend = uniform(generator, 0.0, 0.035) * side * cell
            grid = grid + bend * torch.stack([smooth_field(side, 4, generator) for _ in range(3)], dim=-1)
        index = (grid @ matrix.T + centre) / self.spacing
        size = torch.tensor(self.levels[0].shape, dtype=torch.float32)
        normal = (2 * index / (size - 1).clamp(min=1) - 1).flip(-1)[None]
        level = max(i for i, step in enumerate(self.steps) if i == 0 or step <= 1.2 * cell)
        first, last = self._known_part(generator)
        inside = ((index > first) & (index < last)).all(-1).float()
        image = functional.grid_sample(
            self.levels[level].float()[None, None], normal, padding_mode="border", align_corners=True
        )
        truth = torch.zeros_like(inside)
        if self.truth is not None:
            truth = functional.grid_sample(
                self.truth.float()[None, None], normal, padding_mode="zeros", align_corners=True
            )[0, 0]
        whole = self.lesion_volume / float(torch.linalg.det(matrix).abs()) / cell**3
        return image[0, 0], truth, inside, max(whole, float(truth.sum()))


Volumes = tuple[list[RealVolume], list[RealVolume]]


def load_volumes(data: Path | None) -> Volumes:
    """The sts-ibsi training patients (numbers that do not end in 1 or 5), and CT to implant lesions into.

    Args:
        data: folder with ``sts-ibsi`` and ``totalsegmentator-example``, or None for no volumes.

    Returns:
        Volumes with a lesion; backgrounds (the same patients, and the CT of totalsegmentator-example).
    """
    if data is None:
        return [], []
    patients = []
    for path in sorted((data / "sts-ibsi").glob("STS_*_ct.nii.gz")):
        if path.name[6] not in "15":
            patients.append(RealVolume(path, path.with_name(path.name.replace("_ct.", "_ct_gtv."))))
    others = [
        RealVolume(path, None)
        for name in BACKGROUNDS
        if (path := data / "totalsegmentator-example" / f"{name}.nii.gz").is_file()
    ]
    return patients, others * 4 + patients
