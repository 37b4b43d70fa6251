"""Real images with the mask of one object, read from the shared data folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, Geometry, Volume

ORGANS = {
    "abdomen_3mm": ("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "aorta", "vertebrae_L1"),
    "aorta_1p5mm": ("aorta", "T12"),
}


@dataclass(frozen=True)
class RealCase:
    """Where a case's image and mask are.

    Attributes:
        name: of the case.
        image: file of the image.
        mask: file of the labels, on the same grid.
        label: number of the object, of which the largest part counts; None: all that is not 0 is the object.
    """

    name: str
    image: Path
    mask: Path
    label: int | None = None

    def read(self) -> tuple[Volume, BoolArray]:
        """The image, and the object as (x, y, z) bool."""
        image = sitk.ReadImage(str(self.image))
        size = image.GetSize()
        geometry = Geometry.from_axes(
            image.GetOrigin(),
            image.GetSpacing(),
            np.array(image.GetDirection()).reshape(3, 3),
            (size[0], size[1], size[2]),
        )
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(self.mask))).T
        mask = labels > 0 if self.label is None else _largest_part(labels == self.label)
        return Volume(sitk.GetArrayFromImage(image).T, geometry), mask


def sts_files(data: Path, split: str) -> list[RealCase]:
    """Patients of one split of ``sts-ibsi`` in a data folder; numbers that end in 1 or 5 are validation.

    Args:
        data: folder that holds ``sts-ibsi``; when it does not, there are no patients.
        split: ``training`` or ``validation``.
    """
    found = []
    for path in sorted((data / "sts-ibsi").glob("STS_*_ct.nii.gz")):
        name = path.name[:7]
        if (name[-1] in "15") == (split == "validation"):
            found.append(RealCase(name, path, path.with_name(f"{name}_ct_gtv.nii.gz")))
    return found


def sts_cases(data: Path, split: str) -> Iterator[tuple[str, Volume, BoolArray]]:
    """Name, CT and tumour mask of the patients of one split; see ``sts_files``."""
    for case in sts_files(data, split):
        yield case.name, *case.read()


def mr_files(data: Path) -> list[RealCase]:
    """The MR crops of ``pyradiomics-mr`` with a lesion; none when the folder is not there."""
    return [
        RealCase(name, path, path.with_name(f"{name}_label.nrrd"))
        for path in sorted((data / "pyradiomics-mr").glob("*_image.nrrd"))
        for name in (path.name.removesuffix("_image.nrrd"),)
    ]


def organ_files(data: Path) -> list[RealCase]:
    """Organs of ``totalsegmentator-example``; none when the folder is not there.

    The labels are the output of a model: agreement with them is no accuracy.
    """
    folder = data / "totalsegmentator-example"
    if not folder.is_dir():
        return []
    numbers = {name: int(number) for number, name in json.loads((folder / "labels.json").read_text())["total"].items()}
    found = []
    for scan, organs in ORGANS.items():
        for organ in organs:
            single = folder / f"{scan}_{organ}.nii.gz"
            mask, label = (single, 1) if single.is_file() else (folder / f"{scan}_seg117.nii.gz", numbers[organ])
            found.append(RealCase(f"{scan} {organ}", folder / f"{scan}_ct.nii.gz", mask, label))
    return found


def _largest_part(mask: BoolArray) -> BoolArray:
    labels, _ = ndimage.label(mask)
    return np.asarray(labels == int(np.bincount(labels.ravel())[1:].argmax()) + 1)
