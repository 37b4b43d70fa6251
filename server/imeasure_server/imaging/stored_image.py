"""A decoded image on disk, which every process maps into its memory instead of being sent it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from imeasure_server.imaging.volume import FloatArray, Geometry, Volume

ImageFormat = Literal["nifti", "nrrd", "dicom", "picture"]


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """Voxels in a ``.npy`` file, (x, y, z) in Fortran order, and where they lie.

    Attributes:
        path: of the file.
        affine: 4x4, voxel to LPS mm.
        shape: voxels along x, y and z.
    """

    path: Path
    affine: FloatArray
    shape: tuple[int, int, int]

    @classmethod
    def save(cls, path: Path, volume: Volume) -> StoredVolume:
        """Write ``volume``; the file is there whole or not at all."""
        partial = path.with_name(f"{path.name}.partial.npy")
        np.save(partial, np.asfortranarray(volume.array))
        partial.replace(path)
        return cls(path, volume.geometry.affine, volume.geometry.shape)

    def open(self) -> Volume:
        """The volume, its array read-only and mapped from the file.

        Raises:
            FileNotFoundError: it was cleaned up.
        """
        return Volume(np.load(self.path, mmap_mode="r"), Geometry(self.affine, self.shape))


@dataclass(frozen=True, eq=False)
class StoredImage:
    """An image that was uploaded, fetched, or found among the studies.

    Attributes:
        volume: its voxels. Slices of DICOM series are in the order of their positions along the slice normal
            (row direction × column direction), so the third axis always points along that normal.
        format: what it was.
        flipped: whether InstanceNumber decreases along the slice normal; False where there is none.
        digest: SHA-256 of the bytes it came from, or another name that changes with its content.
        headers: folder of the series' DICOM headers without pixel data, ``00000.dcm`` … in slice order (one file for a
            multi-frame image), for a DICOM segmentation; None when it was no DICOM.
        series_uid: SeriesInstanceUID, "" when it was no DICOM.
    """

    volume: StoredVolume
    format: ImageFormat
    digest: str
    flipped: bool = False
    headers: Path | None = None
    series_uid: str = ""
