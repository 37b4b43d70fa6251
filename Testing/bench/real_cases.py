"""Real images with a lesion's mask, read from the shared data folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from imeasure_server.imaging.volume import BoolArray, Geometry, Volume


def sts_cases(data: Path, split: str) -> Iterator[tuple[str, Volume, BoolArray]]:
    """Patients of one split; numbers that end in 1 or 5 are validation.

    Args:
        data: folder that holds ``sts-ibsi``.
        split: ``training`` or ``validation``.

    Yields:
        name, CT, tumour mask. Nothing when the folder is not there.
    """
    for path in sorted((data / "sts-ibsi").glob("STS_*_ct.nii.gz")):
        name = path.name[:7]
        if (name[-1] in "15") == (split == "validation"):
            yield name, *_read(path, path.with_name(f"{name}_ct_gtv.nii.gz"))


def mr_cases(data: Path) -> Iterator[tuple[str, Volume, BoolArray]]:
    """The MR crops of pyradiomics-mr: name, image, lesion mask. Nothing when the folder is not there."""
    for path in sorted((data / "pyradiomics-mr").glob("*_image.nrrd")):
        name = path.name.removesuffix("_image.nrrd")
        yield name, *_read(path, path.with_name(f"{name}_label.nrrd"))


def _read(image_path: Path, mask_path: Path) -> tuple[Volume, BoolArray]:
    image = sitk.ReadImage(str(image_path))
    mask = sitk.ReadImage(str(mask_path))
    size = image.GetSize()
    geometry = Geometry.from_axes(
        image.GetOrigin(),
        image.GetSpacing(),
        np.array(image.GetDirection()).reshape(3, 3),
        (size[0], size[1], size[2]),
    )
    return Volume(sitk.GetArrayFromImage(image).T, geometry), sitk.GetArrayFromImage(mask).T > 0
