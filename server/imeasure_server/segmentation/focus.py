"""The part of a volume that a request is about: what lies far from the prompts is not touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray, Volume
from imeasure_server.segmentation.extent import Block

ROOM = 65.0  # mm around the prompts at first
GROWTH = 2.0
SLACK = 2  # voxels of a face that a mask may not come nearer to while the volume goes on beyond it


@dataclass(frozen=True)
class Focus:
    """A block of a volume.

    Attributes:
        block: of voxels.
        shape: of the whole volume.
    """

    block: Block
    shape: tuple[int, int, int]

    @classmethod
    def around(
        cls, voxels: npt.ArrayLike, room: float | FloatArray, spacing: FloatArray, shape: tuple[int, int, int]
    ) -> Focus:
        """The block that holds ``voxels`` (n, 3) and ``room`` mm around them."""
        places = np.asarray(voxels, dtype=np.float64).reshape(-1, 3)
        reach = np.broadcast_to(np.asarray(room, dtype=np.float64), (3,)) / spacing
        lower = np.clip(np.floor(places.min(axis=0) - reach), 0, np.array(shape) - 1).astype(int)
        upper = np.clip(np.ceil(places.max(axis=0) + reach) + 1, lower + 1, shape).astype(int)
        x, y, z = (slice(int(lo), int(up)) for lo, up in zip(lower, upper, strict=True))
        return cls((x, y, z), shape)

    @property
    def origin(self) -> npt.NDArray[np.int_]:
        """(3,) its first voxel."""
        return np.array([part.start for part in self.block])

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the volume."""
        return all(part.start == 0 and part.stop == n for part, n in zip(self.block, self.shape, strict=True))

    def holds(self, voxels: npt.ArrayLike) -> BoolArray:
        """Whether voxels (..., 3) lie in it."""
        places = np.asarray(voxels)
        lower, upper = self.origin, np.array([part.stop for part in self.block])
        return np.asarray(((places >= lower) & (places < upper)).all(axis=-1))

    def crop(self, volume: Volume) -> Volume:
        """The volume's voxels there, copied into memory."""
        array = np.array(volume.array[self.block])
        x, y, z = array.shape
        return Volume(array, volume.geometry.cropped(self.origin, (x, y, z)))

    def is_tight(self, mask: BoolArray) -> bool:
        """Whether a mask of the block comes to a face beyond which the volume goes on."""
        for axis, (part, n) in enumerate(zip(self.block, self.shape, strict=True)):
            along = np.asarray(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            if part.start > 0 and along[:SLACK].any():
                return True
            if part.stop < n and along[-SLACK:].any():
                return True
        return False
