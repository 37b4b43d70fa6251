"""Which part of a volume is sent to the server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .geometry import FloatArray, Index, VolumeGeometry, voxelOf
from .prompts import PromptHistory, TwoClick

MINIMUM_SIZE: Index = (64, 64, 16)
"""Voxels along i, j, k, from the contract (CROP_SIZE_TOO_SMALL)."""

DEFAULT_MARGIN = 30.0
"""mm around the prompts."""

Faces = tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]
"""For i, j and k: (lower face, upper face)."""


@dataclass(frozen=True)
class MaskRegion:
    """A mask on a box of a volume's grid; outside the box there is nothing.

    Attributes:
        array: (k, j, i) bool.
        origin: voxel index (i, j, k) of ``array[0, 0, 0]``.
    """

    array: npt.NDArray[np.bool_]
    origin: Index

    @classmethod
    def of(cls, mask: npt.ArrayLike) -> MaskRegion:
        """The smallest region that holds a full-volume (k, j, i) mask; an empty mask gives an empty region."""
        full = np.asarray(mask) != 0
        box = []
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            used = np.flatnonzero(full.any(axis=others))
            box.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
        return cls(full[tuple(box)], (box[2].start, box[1].start, box[0].start))

    @property
    def size(self) -> Index:
        """Number of voxels along i, j, k."""
        k, j, i = self.array.shape
        return i, j, k

    @property
    def isEmpty(self) -> bool:
        return not self.array.any()

    @property
    def count(self) -> int:
        """Number of voxels in the mask."""
        return int(np.count_nonzero(self.array))

    def full(self, shape: Index) -> npt.NDArray[np.bool_]:
        """(k, j, i) bool mask of a whole volume with ``shape`` (i, j, k) voxels; what lies outside it is dropped."""
        return self.onBox((0, 0, 0), shape)

    def within(self, region: CropRegion) -> npt.NDArray[np.bool_]:
        """(k, j, i) bool mask on the clipped box of a crop region."""
        return self.onBox(region.lower, region.shape)

    def onBox(self, origin: Index, size: Index) -> npt.NDArray[np.bool_]:
        """(k, j, i) bool mask on the box of ``size`` (i, j, k) voxels that starts at voxel ``origin`` (i, j, k)."""
        result = np.zeros(size[::-1], dtype=bool)
        lower = np.maximum(self.origin, origin)
        upper = np.minimum(np.add(self.origin, self.size), np.add(origin, size))
        if (lower < upper).all():
            here = tuple(slice(a, b) for a, b in zip((lower - self.origin)[::-1], (upper - self.origin)[::-1]))
            there = tuple(slice(a, b) for a, b in zip((lower - origin)[::-1], (upper - origin)[::-1]))
            result[there] = self.array[here]
        return result


@dataclass(frozen=True)
class CropRegion:
    """A box of voxels with inclusive bounds.

    Attributes:
        unclippedLower, unclippedUpper: (i, j, k), first and last voxel; may lie outside the volume.
        volumeShape: number of voxels of the volume along i, j, k.
    """

    unclippedLower: Index
    unclippedUpper: Index
    volumeShape: Index

    @classmethod
    def whole(cls, shape: Index) -> CropRegion:
        """All of a volume."""
        return cls((0, 0, 0), (shape[0] - 1, shape[1] - 1, shape[2] - 1), shape)

    @classmethod
    def around(
        cls,
        geometry: VolumeGeometry,
        history: PromptHistory,
        margin: float = DEFAULT_MARGIN,
        covered: MaskRegion | None = None,
    ) -> CropRegion:
        """The box around all prompts and, with ``covered``, around a mask.

        Args:
            margin: mm on every side of the prompts. Around a pair of extreme points it is at least their distance:
                the lesion may reach as far across the slices as along them.
            covered: a mask that must fit in, with a quarter of the margin around it.

        Raises:
            ValueError: there is no prompt.
        """
        boxes = []
        for step in history.steps:
            reach = margin
            if isinstance(step, TwoClick):
                reach = max(margin, float(np.linalg.norm(np.subtract(step.first, step.second))))
            ijk = geometry.rasToIJK(step.points)
            boxes += [ijk.min(axis=0) - reach / geometry.spacing, ijk.max(axis=0) + reach / geometry.spacing]
        if not boxes:
            raise ValueError("There is no prompt to crop around.")
        if covered is not None and not covered.isEmpty:
            reach_ijk = margin / 4.0 / geometry.spacing
            boxes += [np.asarray(covered.origin) - reach_ijk, np.add(covered.origin, covered.size) - 1 + reach_ijk]
        return cls._fitted(np.min(boxes, axis=0), np.max(boxes, axis=0), geometry.shape)

    @classmethod
    def _fitted(cls, lowest: FloatArray, highest: FloatArray, shape: Index) -> CropRegion:
        """Whole voxels, at least the minimum size, and inside the volume at least that size where it is that large."""
        lower, upper = list(voxelOf(lowest)), list(voxelOf(highest))
        for axis in range(3):
            missing = MINIMUM_SIZE[axis] - (upper[axis] - lower[axis] + 1)
            if missing > 0:
                lower[axis] -= missing // 2
                upper[axis] += missing - missing // 2
            wanted = min(MINIMUM_SIZE[axis], shape[axis])
            upper[axis] = max(upper[axis], wanted - 1)
            lower[axis] = min(lower[axis], shape[axis] - wanted)
        return cls((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]), shape)

    @property
    def lower(self) -> Index:
        """First voxel (i, j, k) inside the volume."""
        i, j, k = (max(0, value) for value in self.unclippedLower)
        return i, j, k

    @property
    def upper(self) -> Index:
        """Last voxel (i, j, k) inside the volume."""
        i, j, k = (min(n - 1, value) for n, value in zip(self.volumeShape, self.unclippedUpper))
        return i, j, k

    @property
    def shape(self) -> Index:
        """Number of voxels along i, j, k inside the volume."""
        i, j, k = (b - a + 1 for a, b in zip(self.lower, self.upper))
        return i, j, k

    @property
    def voxelCount(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def center(self) -> Index:
        """Middle voxel of the unclipped box, as the contract's example rounds it."""
        i, j, k = (a + (b - a + 1) // 2 for a, b in zip(self.unclippedLower, self.unclippedUpper))
        return i, j, k

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """What cuts the box out of a (k, j, i) array."""
        i, j, k = (slice(a, b + 1) for a, b in zip(self.lower, self.upper))
        return k, j, i

    def touchedFaces(self, mask: npt.NDArray[np.bool_]) -> Faces:
        """Which faces of the box a (k, j, i) mask on it reaches, leaving out those that are the volume's own border."""
        faces = []
        for axis in range(3):
            first, last = (np.take(mask, index, axis=2 - axis).any() for index in (0, -1))
            atVolumeStart = self.lower[axis] == 0
            atVolumeEnd = self.upper[axis] == self.volumeShape[axis] - 1
            faces.append((bool(first) and not atVolumeStart, bool(last) and not atVolumeEnd))
        return faces[0], faces[1], faces[2]

    def touchesBorder(self, mask: npt.NDArray[np.bool_]) -> bool:
        """Whether a (k, j, i) mask on the box reaches a face that is not the volume's own border."""
        return any(side for face in self.touchedFaces(mask) for side in face)

    def grown(self, faces: Faces, fraction: float = 0.5) -> CropRegion:
        """With each of ``faces`` moved outwards by a fraction of the box's size."""
        lower, upper = list(self.unclippedLower), list(self.unclippedUpper)
        for axis, (first, last) in enumerate(faces):
            step = max(1, int(np.ceil((upper[axis] - lower[axis] + 1) * fraction)))
            lower[axis] -= step if first else 0
            upper[axis] += step if last else 0
        return CropRegion((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]), self.volumeShape)
