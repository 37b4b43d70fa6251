"""One image on its way through the transforms of a model, and where its voxels lie all the while.

MONAI takes a second and 100 MiB to import: models whose transforms are none of its do without.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imeasure_server.imaging.volume import FloatArray, Volume
from imeasure_server.models.inference import ModelInputs, Point

NO_CHANNEL = float("nan")
"""How MONAI says that an image has no channel dimension."""


@dataclass(eq=False)
class Sample:
    """The dictionary that dictionary transforms work on, and what they do not keep track of.

    Attributes:
        data: by key; the image is a tensor at ``key``, a MetaTensor once MONAI has to do with it (`wrap`).
        key: of the image.
        shape: of the image that was sent.
        original: 4x4, voxel of the image that was sent to mm of the frame that ``affine`` leads to as well.
        affine: 4x4, voxel of the image as it is now to mm.
        spatial: number of spatial dimensions of the image as it is now.
        depth_first: whether slices come first, as deepgrow models have it.
        slice: index of the slice that a 2D model looks at, or None.
        inputs: what was sent with the image.
        meta: more that MONAI is told of the image.
    """

    data: dict[str, Any]
    key: str
    shape: tuple[int, ...]
    original: FloatArray
    affine: FloatArray
    spatial: int
    inputs: ModelInputs
    depth_first: bool = False
    slice: int | None = None
    meta: dict[str, Any] = field(default_factory=lambda: {"original_channel_dim": 0})

    @classmethod
    def of(cls, volume: Volume, inputs: ModelInputs, key: str, in_world: bool) -> Sample:
        """The sample of a volume.

        Args:
            volume: what was sent.
            inputs: what came with it.
            key: of the image.
            in_world: whether mm are those of the patient (RAS); otherwise they run along the axes of the image, so that
                transforms that know no directions do what they mean.
        """
        spacing = np.diag([*volume.geometry.spacing, 1.0])
        affine = volume.geometry.ras_affine if in_world else spacing
        array = np.array(
            volume.array, dtype=np.float32, order="K"
        )  # in the order in which it lies: reordering takes long
        _let_go(volume.array)
        return cls._made(torch.from_numpy(array), affine, key, inputs)

    @classmethod
    def of_slice(cls, array: npt.NDArray[Any], spacing: FloatArray, key: str, inputs: ModelInputs) -> Sample:
        """The sample of one slice (x, y) with that spacing."""
        pixels = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
        return cls._made(pixels, np.diag([spacing[0], spacing[1], 1.0, 1.0]), key, inputs)

    @classmethod
    def _made(cls, image: Tensor, affine: FloatArray, key: str, inputs: ModelInputs) -> Sample:
        shape = tuple(int(n) for n in image.shape)
        about = {"affine": affine, "original_affine": affine, "spatial_shape": np.asarray(shape)}
        meta = {"original_channel_dim": NO_CHANNEL, "spatial_shape": np.asarray(shape), "space": "RAS"}
        data: dict[str, Any] = {
            key: image,
            f"{key}_meta_dict": about,
            "foreground": _indices(inputs.foreground),
            "background": _indices(inputs.background),
            "points": _indices(inputs.extreme_points),
            "params": dict(inputs.parameters),
        }
        return cls(data, key, shape, np.array(affine), np.array(affine), len(shape), inputs, meta=meta)

    @property
    def image(self) -> Tensor:
        image: Tensor = self.data[self.key]
        return image

    @image.setter
    def image(self, image: Tensor) -> None:
        self.data[self.key] = plain(image)
        self.meta = {"original_channel_dim": 0}

    @property
    def has_channel(self) -> bool:
        return self.image.ndim > self.spatial

    def wrap(self) -> None:
        """Before a transform of MONAI: the image tells it where its voxels lie."""
        from monai.data.meta_tensor import MetaTensor

        image = self.data[self.key]
        if not isinstance(image, MetaTensor):
            self.data[self.key] = MetaTensor(image, affine=torch.tensor(self.affine), meta=dict(self.meta))

    def follow(self) -> None:
        """After a transform of MONAI: where the voxels lie now. Arrays that lost it get it back."""
        image = self.data[self.key]
        if _is_wrapped(image):
            affine = np.asarray(image.affine, dtype=np.float64)
            if affine.shape == (4, 4):
                self.affine = affine
            elif affine.shape == (3, 3):  # MONAI cuts the affine of a slice down
                self.affine = np.eye(4)
                self.affine[:2, :2], self.affine[:2, 3] = affine[:2, :2], affine[:2, 2]
            return
        self.image = torch.as_tensor(np.asarray(image))

    def add_channel(self) -> None:
        """Put a channel dimension in front, unless there is one."""
        if self.has_channel:
            return
        if self.depth_first and self.slice is None:
            self.affine = self.affine[:, [2, 0, 1, 3]]
        self.image = plain(self.image)[None]

    def to_current(self, points: npt.ArrayLike) -> FloatArray:
        """Voxel indices (n, 3) of the image that was sent, as indices of the image as it is now."""
        world = np.c_[np.asarray(points, dtype=np.float64).reshape(-1, 3), np.ones(len(np.atleast_2d(points)))]
        return np.asarray((world @ self.original.T @ np.linalg.inv(self.affine).T)[:, :3])


def plain(image: Tensor) -> Tensor:
    """A tensor without what MONAI adds to it."""
    tensor: Tensor = image.as_tensor() if _is_wrapped(image) else image  # type: ignore[attr-defined]
    return tensor


def _let_go(array: npt.NDArray[Any]) -> None:
    """An array that is mapped from a file takes no memory until it is looked at again."""
    mapping = getattr(array, "_mmap", None)
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and not array.flags.writeable:
        mapping.madvise(mmap.MADV_DONTNEED)


def _is_wrapped(image: object) -> bool:
    return isinstance(image, Tensor) and hasattr(image, "as_tensor")


def _indices(points: tuple[Point, ...]) -> list[list[int]]:
    return [[round(value) for value in point] for point in points]
