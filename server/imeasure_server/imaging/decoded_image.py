"""What decoding a file leaves in a folder, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.stored_image import ImageFormat
from imeasure_server.imaging.volume import Geometry, Volume

VOXELS = "voxels.npy"
"""Name of the file with the voxels, (x, y, z) in Fortran order."""

HEADERS = "headers"
"""Name of the folder with the DICOM headers."""

MAX_VOXELS = 1 << 30
"""512 × 512 × 4096; 2 GiB as 16-bit integers."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An image whose voxels were written; the attributes are those of `StoredImage`.

    Attributes:
        has_headers: whether the folder of DICOM headers is there.
    """

    geometry: Geometry
    format: ImageFormat
    flipped: bool = False
    has_headers: bool = False
    series_uid: str = ""


def check_voxels(shape: tuple[int, ...]) -> None:
    """Raises:
    ImageError: more than `MAX_VOXELS`.
    """
    count = 1
    for length in shape:
        count *= int(length)
    if count > MAX_VOXELS:
        size = " × ".join(str(length) for length in shape)
        raise ImageError(f"The image has {size} voxels; at most {MAX_VOXELS >> 20} million are taken: crop it first.")


def write_voxels(folder: Path, volume: Volume) -> None:
    """Write the array of a volume as the voxels of a folder; float64 becomes float32, and what is no number `finite`.

    Raises:
        ImageError: too large, or without any number.
    """
    check_voxels(volume.geometry.shape)
    array = volume.array
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    np.save(folder / VOXELS, np.asfortranarray(finite(array)))


def finite(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """With the lowest value in place of NaN and infinities, which models turn into NaN everywhere.

    Raises:
        ImageError: there is no other value.
    """
    if array.dtype.kind != "f":
        return array
    usable = np.isfinite(array)
    if usable.all():
        return array
    if not usable.any():
        raise ImageError("The image holds no numbers, only values that are undefined.")
    return np.where(usable, array, array[usable].min())
