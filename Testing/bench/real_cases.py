"""The sts-ibsi patients, read from the shared data folder."""

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
            image = sitk.ReadImage(str(path))
            mask = sitk.ReadImage(str(path.with_name(f"{name}_ct_gtv.nii.gz")))
            size = image.GetSize()
            geometry = Geometry.from_axes(
                image.GetOrigin(),
                image.GetSpacing(),
                np.array(image.GetDirection()).reshape(3, 3),
                (size[0], size[1], size[2]),
            )
            yield name, Volume(sitk.GetArrayFromImage(image).T, geometry), sitk.GetArrayFromImage(mask).T > 0
